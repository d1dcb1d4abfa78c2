// Package routes decides which key a request needs: none, any valid key, or a key with certain scopes. It reads the
// rules from a file. A client cannot evade a rule by writing its request in another way, for example with another case
// or with escapes.
package routes

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A rule says which key a request that matches its pattern needs.
type rule struct {
	pattern string   // of [http.ServeMux]
	public  bool     // no key is needed
	scopes  []string // the key must have all of them; empty permits every valid key

	path  string         // of the pattern
	alone *http.ServeMux // has only this rule, in lower case (foldCase)
}

// ServeHTTP makes a rule a handler, so that a mux can hold it. The muxes of a Table only match requests, and never call it.
func (*rule) ServeHTTP(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }

// A Table finds the rules of a request. It is immutable and safe for concurrent use.
type Table struct {
	// exact has the rules by their patterns, and folded has them in lower case, because some services
	// ignore the case of paths.
	exact, folded *http.ServeMux
	hosts         map[string]bool // the hosts that rules name
}

func newTable() *Table {
	return &Table{exact: http.NewServeMux(), folded: http.NewServeMux(), hosts: map[string]bool{}}
}

// add adds a rule. It returns an error for a malformed pattern, and for a pattern that conflicts with an earlier one,
// even if they differ only in case.
func (t *Table) add(r *rule) error {
	before, path, found := strings.Cut(r.pattern, "/")
	if host := hostOf(before); host != strings.ToLower(host) || strings.ContainsAny(host, ":") {
		return fmt.Errorf("%s: want the host in lower case and without a port", r.pattern)
	}
	if err := register(t.exact, r.pattern, r); err != nil {
		return err
	}
	if method := strings.TrimSuffix(before, hostOf(before)); method != strings.ToUpper(method) {
		return fmt.Errorf("%s: want the method in upper case", r.pattern) // no request has another one
	}
	if !found {
		return fmt.Errorf("%s: want a path", r.pattern)
	}
	t.hosts[hostOf(before)] = true
	r.path, r.alone = "/"+path, http.NewServeMux()
	lower := before + foldCase(r.path)
	if err := register(t.folded, lower, r); err != nil {
		return fmt.Errorf("without regard to case, %w", err)
	}
	return register(r.alone, lower, r)
}

// hostOf returns the host in the part of a pattern before the path.
func hostOf(before string) string {
	if i := strings.LastIndexAny(before, " \t"); i >= 0 {
		return before[i+1:]
	}
	return before
}

// A Demand says which key a request needs.
type Demand struct {
	Public bool     // no key is needed
	Scopes []string // the key must have all of them; empty permits every valid key
}

// Demand returns the Demand of a request, or false if no rule permits the request.
//
// A service may read a request in other ways than the rules do. Its router may ignore the case of a
// path or the slash at its end, or may not decode escapes, and it may obey a field such as
// X-HTTP-Method-Override or X-Forwarded-Host. The request must then meet the rules for each of these readings.
// [forwardauth.Restore] has already refused paths that servers read in still more ways.
func (t *Table) Demand(r *http.Request) (Demand, bool) {
	hosts, ok := t.hostsOf(r)
	if !ok {
		return Demand{}, false
	}
	methods, ok := methodsOf(r)
	if !ok {
		return Demand{}, false
	}
	all := Demand{Public: true}
	for _, host := range hosts {
		for _, method := range methods {
			for _, path := range []string{r.URL.Path, literalPath(r.URL)} {
				if !t.demand(&all, method, host, path) {
					return Demand{}, false
				}
			}
		}
	}
	return all, true
}

// demand joins the rules of one reading of a request, or returns false if no rule permits it.
func (t *Table) demand(all *Demand, method, host, path string) bool {
	found := find(t.exact, method, host, path)
	if found == nil {
		return false
	}
	all.join(found)
	lower := foldCase(path)
	if other := find(t.folded, method, host, lower); other != nil {
		all.join(other)
	}
	// The rule of the path with the other slash counts too, unless a rule names exactly this path, or the
	// other rule also matches this path and is only less specific.
	other := find(t.folded, method, host, otherSlash(lower))
	if other != nil && !found.names(path) && find(other.alone, method, host, lower) == nil {
		all.join(other)
	}
	return true
}

func (d *Demand) join(r *rule) {
	d.Public = d.Public && r.public
	for _, scope := range r.scopes {
		if !slices.Contains(d.Scopes, scope) {
			d.Scopes = append(d.Scopes, scope)
		}
	}
}

// names reports whether the pattern matches only this path.
func (r *rule) names(path string) bool {
	return r.path == path && !strings.HasSuffix(path, "/") && !strings.Contains(path, "{")
}

// find returns the rule of a request, or nil. For other requests the mux has handlers that write a redirect, 404 or
// 405, which are refusals here.
func find(mux *http.ServeMux, method, host, path string) *rule {
	if method == http.MethodConnect || path == "" || path[0] != '/' {
		return nil
	}
	h, _ := mux.Handler(&http.Request{Method: method, Host: host, URL: &url.URL{Path: path}})
	found, _ := h.(*rule)
	return found
}

// methodsOf returns the method of a request and each method that a service may use in its place. It returns false if
// one of them is malformed, or if there are more than four.
func methodsOf(r *http.Request) ([]string, bool) {
	methods := []string{r.Method}
	for _, field := range []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"} {
		methods = append(methods, r.Header[field]...)
	}
	if strings.Contains(r.URL.RawQuery, "method") || strings.Contains(r.URL.RawQuery, "%") {
		methods = append(methods, methodParameters(r.URL.RawQuery)...)
	}
	for i := range methods[1:] {
		methods[i+1] = strings.ToUpper(strings.TrimSpace(methods[i+1]))
	}
	slices.Sort(methods)
	methods = slices.Compact(methods)
	const most = 4 // more than any client sends
	return methods, len(methods) <= most && !slices.ContainsFunc(methods, func(m string) bool {
		return m == "" || strings.Trim(m, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != ""
	})
}

// methodParameters returns the values of _method in a query. Some services separate parameters by ";" too, and
// read malformed escapes as they are. PHP reads ".method" and others as "_method".
func methodParameters(query string) (values []string) {
	for pair := range strings.FieldsFuncSeq(query, func(c rune) bool { return c == '&' || c == ';' }) {
		name, value, _ := strings.Cut(pair, "=")
		if nameInPHP(unescaped(name)) == "_method" {
			values = append(values, unescaped(value))
		}
	}
	return values
}

// nameInPHP returns the name of a parameter as PHP reads it: without spaces at its start, up to a NUL, and with "_" in
// place of spaces and full stops.
func nameInPHP(name string) string {
	name, _, _ = strings.Cut(strings.TrimLeft(name, " "), "\x00")
	return strings.NewReplacer(" ", "_", ".", "_").Replace(name)
}

func unescaped(text string) string {
	if decoded, err := url.QueryUnescape(text); err == nil {
		return decoded
	}
	return text
}

// foldCase returns a path that is the same for every case. It folds characters such as "ſ" too, which is "S" in
// upper case, and the Kelvin sign, which is "k" in lower case.
func foldCase(path string) string { return strings.ToLower(strings.ToUpper(path)) }

// otherSlash removes the slash at the end of a path, or adds one if there is none.
func otherSlash(path string) string {
	if path == "/" {
		return path
	}
	if without, found := strings.CutSuffix(path, "/"); found {
		return without
	}
	return path + "/"
}

// literalPath returns the path as read by a service that does not decode needless escapes, such as "%61" and "%3A".
// It decodes the other escapes.
func literalPath(u *url.URL) string {
	raw := u.RawPath
	if raw == "" {
		raw = u.EscapedPath()
	}
	var path strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] == '%' && i+2 < len(raw) {
			decoded, err := url.PathUnescape(raw[i : i+3])
			if err == nil && !strings.Contains(plainCharacters, decoded) {
				path.WriteString(decoded)
				i += 2
				continue
			}
		}
		path.WriteByte(raw[i])
	}
	return path.String()
}

// plainCharacters need no escape in a path (pchar of RFC 3986 section 3.3).
const plainCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@"
