package apikey

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
)

// concealed is the context of a request from whose URL Conceal took something.
type concealed struct {
	context.Context
	query Secret // the pairs it took, as they were, joined by "&"
}

type concealedKey struct{}

// Value returns c itself to concealedIn, and to others what is further out.
func (c *concealed) Value(key any) any {
	if key == (concealedKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// concealing is whether anybody ever asked for Conceal. Most programs do not, and looking
// for what it may have left in a context that nests deep is dear.
var concealing atomic.Bool

func concealedIn(ctx context.Context) string {
	if !concealing.Load() {
		return ""
	}
	return concealedBy(ctx)
}

func concealedBy(ctx context.Context) string {
	if c, ok := ctx.Value(concealedKey{}).(*concealed); ok {
		return c.query.Reveal()
	}
	return ""
}

// uriFields are fields that hold the URI of a page or of the request itself, and with it a
// key: the client's Referer, and what proxies tell of what they were asked for.
var uriFields = [...]string{"Referer", "X-Forwarded-Uri", "X-Original-Uri", "X-Original-Url", "X-Rewrite-Url"}

// Conceal moves a key out of the URL, RequestURI and Form of each request, to where the
// Middleware inside finds it, and redacts one in the Referer and in the fields in which
// proxies hand on the URI that they were asked for. Put it around access loggers, which
// hold the request as it came to them: what Handler takes out further in does not help
// them. It decides nothing; requests are still refused by Handler alone.
func (m *Middleware) Conceal(next http.Handler) http.Handler {
	concealing.Store(true)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := m.redactFields(r.Header)
		if !m.inURL(r) && header == nil {
			next.ServeHTTP(w, r)
			return
		}
		c := &concealed{Context: r.Context()}
		inner := r.WithContext(c)
		inner.URL = cloneURL(r.URL)
		var taken strings.Builder
		m.sources.clean(inner, pairs{}, &taken)
		if outer := concealedIn(r.Context()); outer != "" {
			taken.WriteString("&" + outer)
		}
		c.query = NewSecret(taken.String())
		if header != nil {
			inner.Header = header
		}
		defer handBack(r, inner)
		next.ServeHTTP(w, inner)
	})
}

// redactFields returns a copy of a header without keys in its URIs, or nil if there are none.
func (m *Middleware) redactFields(h http.Header) (clean http.Header) {
	for _, name := range uriFields {
		for i, line := range h[name] {
			redacted := m.RedactURI(line)
			if redacted == line {
				continue
			}
			if clean == nil {
				clean = h.Clone()
			}
			clean[name][i] = redacted
		}
	}
	return clean
}

// inURL reports whether the request has a key in its URL or RequestURI.
func (m *Middleware) inURL(r *http.Request) bool {
	return m.sources.hasKey(r.URL.RawQuery) || m.sources.inURI(r)
}

// withoutQueryKey returns r, or a copy without a key in its URL.
func (m *Middleware) withoutQueryKey(r *http.Request) *http.Request {
	if !m.inURL(r) {
		return r
	}
	clean := r.WithContext(r.Context())
	clean.URL = cloneURL(r.URL)
	m.sources.clean(clean, pairs{}, nil)
	return clean
}

// withoutKeys returns a copy of r without any key.
func (m *Middleware) withoutKeys(r *http.Request) *http.Request {
	clean := r.WithContext(r.Context())
	clean.URL = cloneURL(r.URL)
	clean.Header = r.Header.Clone()
	m.RemoveKeys(clean)
	return clean
}

func cloneURL(u *url.URL) *url.URL {
	c := *u
	return &c
}

// showsKey reports whether RedactURI finds a key.
func (m *Middleware) showsKey(uri string) bool { return m.RedactURI(uri) != uri }

// RemoveKeys takes every key out of a request before it is sent on, as in
// httputil.ReverseProxy.Rewrite: out of its URL and out of the fields of its sources, and with
// them a Referer, or a URI that a proxy before this one was asked for, that has one. It
// changes out, and the URL and Header that it points to. Fields from which a [SourceFunc]
// reads a key are removed whole; a key that it finds elsewhere stays.
func (m *Middleware) RemoveKeys(out *http.Request) {
	if m.inURL(out) || out.Form != nil {
		m.sources.clean(out, pairs{}, nil)
	}
	for _, name := range uriFields {
		removeLines(out.Header, name, m.showsKey)
	}
	for i := range m.sources.list {
		switch s := &m.sources.list[i]; s.kind {
		case headerSource:
			delete(out.Header, s.key)
		case schemeSource:
			removeLines(out.Header, "Authorization", func(line string) bool {
				_, ours := cutScheme(line, s.key)
				return ours
			})
		case funcSource:
			removeFound(out, s.find)
		}
	}
}

// removeLines removes those lines of a field that match.
func removeLines(h http.Header, name string, match func(string) bool) {
	var kept []string
	for _, line := range h[name] {
		if !match(line) {
			kept = append(kept, line)
		}
	}
	if kept == nil {
		delete(h, name)
	} else {
		h[name] = kept
	}
}

// removeFound removes the fields in which find finds something when it is shown only
// them.
func removeFound(out *http.Request, find func(*http.Request) (string, error)) {
	probe := out.WithContext(out.Context())
	probe.URL, probe.RequestURI, probe.Body = &url.URL{Path: "/"}, "/", http.NoBody
	probe.Form, probe.PostForm, probe.MultipartForm = nil, nil, nil
	found := func(h http.Header) bool {
		probe.Header = h
		key, err := find(probe)
		return key != "" || err != nil
	}
	if found(http.Header{}) {
		return // in something else than a field
	}
	for name, lines := range out.Header {
		if found(http.Header{name: lines}) {
			delete(out.Header, name)
		}
	}
}
