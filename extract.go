package apikey

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// A Source is a place in a request that may carry a key. Make it with [Header],
// [Bearer], [Scheme], [Query] or [SourceFunc]; [New] refuses the zero Source.
//
// A blank value is no key. The candidates of all sources are collected, in no
// order of precedence: exactly one key must be found. One that occurs several
// times is one key.
type Source struct {
	kind sourceKind
	name string // as the user wrote it
	key  string // as it is looked for: canonical header, lower-case scheme or parameter
	find func(*http.Request) (string, error)
}

type sourceKind uint8

const (
	_ sourceKind = iota
	headerSource
	schemeSource
	querySource
	funcSource
)

// Header is a header field that holds nothing but the key, in any case. Each line
// of the field is a candidate. Authorization, Proxy-Authorization, Cookie and Host have
// rules of their own and are refused by [New]; for the first see [Bearer] and [Scheme].
func Header(name string) Source {
	return Source{kind: headerSource, name: name, key: textproto.CanonicalMIMEHeaderKey(name)}
}

// Bearer is Scheme("Bearer"), RFC 6750 section 2.1.
func Bearer() Source { return Scheme("Bearer") }

// Scheme is the field "Authorization: name KEY", with the name in any case, RFC 9110
// section 11.4. Lines with other schemes are passed over: they may be a proxy's. One in
// which the name stands further on, or before a tab, is misshapen: what reads it in another
// way than we do may see a key there.
func Scheme(name string) Source {
	return Source{kind: schemeSource, name: name, key: strings.ToLower(name)}
}

// Query is a parameter of the URL's query, with its name decoded and in any case.
// It is taken out of the request that handlers see: its URL, RequestURI and Form.
// A key in a URL ends up in logs and histories; offer a header too.
//
// A request is refused with [ErrAmbiguous] if net/url would drop the parameter,
// because of a semicolon or a bad escape, or stop at the number of parameters: what
// reads the query before or behind this program may see another key in it.
func Query(name string) Source {
	return Source{kind: querySource, name: name, key: lowerASCII(name)}
}

// SourceFunc is a place of the user's own; name is what [Event] calls it. f returns
// the key, "" if there is none, or [ErrAmbiguous] if there are several; any other
// error but [ErrMalformed] counts as an outage. f is called concurrently and must not
// change the request.
func SourceFunc(name string, f func(*http.Request) (string, error)) Source {
	return Source{kind: funcSource, name: name, find: f}
}

// String returns the source as [Event] names it, such as "header X-API-Key".
func (s Source) String() string {
	switch s.kind {
	case headerSource:
		return "header " + s.name
	case schemeSource:
		return "scheme " + s.name
	case querySource:
		return "query " + s.name
	}
	return s.name
}

func (s Source) validate() error {
	switch s.kind {
	case headerSource:
		if !isToken(s.name) {
			return fmt.Errorf("Header(%s): want the name of a field", quote(s.name))
		}
		if slices.Contains([]string{"Authorization", "Proxy-Authorization", "Cookie", "Host"}, s.key) {
			return fmt.Errorf("Header(%q): this field holds more than a key; for Authorization use Bearer or Scheme", s.name)
		}
	case schemeSource:
		if !isToken(s.name) {
			return fmt.Errorf("Scheme(%s): want the name of an authentication scheme", quote(s.name))
		}
	case querySource:
		if !isToken(s.name) || strings.ContainsAny(s.name, "&%+#") {
			return fmt.Errorf("Query(%s): want the name of a parameter, in which nothing is escaped: letters, digits, -, _ and the like", quote(s.name))
		}
	case funcSource:
		if s.find == nil || s.name == "" {
			return errors.New("SourceFunc: want a name and a function")
		}
	default:
		return errors.New("the zero Source; use Header, Bearer, Scheme, Query or SourceFunc")
	}
	return nil
}

// defaultSources are where the clients of this system put a key: see Options.
func defaultSources() []Source {
	return []Source{Header("X-API-Key"), Header("X-Emby-Token"), Query("api_key")}
}

// sources are the places in which a Middleware looks, prepared for looking.
type sources struct {
	list    []Source
	names   []string // what an Event calls each
	queries []int    // which of list are parameters of the query
}

func newSources(list []Source) (sources, error) {
	if list == nil {
		list = defaultSources()
	}
	if len(list) == 0 {
		return sources{}, invalid("Sources: empty; want at least one, or nil for the default ones")
	}
	s := sources{list: slices.Clone(list)}
	for i, source := range s.list {
		if err := source.validate(); err != nil {
			return sources{}, invalid("Sources[%d]: %w", i, err)
		}
		if slices.ContainsFunc(s.list[:i], func(other Source) bool {
			return other.kind != funcSource && other.kind == source.kind && other.key == source.key
		}) {
			return sources{}, invalid("Sources[%d]: %v is listed twice", i, source)
		}
		s.names = append(s.names, source.String())
		if source.kind == querySource {
			s.queries = append(s.queries, i)
		}
	}
	return s, nil
}

// A candidate is what a request presents as its key.
type candidate struct {
	key     string
	source  int  // index of the first source that had it
	inQuery bool // the query holds it, so the URL must be cleaned
	pairs   pairs
}

// pairs are those of our parameters that stand in the URL's query: how many, and from where
// to where the last of them.
type pairs struct{ count, from, to int }

// add takes one more value. All must be the same.
func (c *candidate) add(value string, source int) error {
	switch {
	case isBlankValue(value):
	case c.key == "":
		c.key, c.source = value, source
	case c.key != value:
		return ErrAmbiguous
	}
	return nil
}

// extract finds the one key of a request: ErrMissing, ErrAmbiguous, or what a
// SourceFunc had to say. concealed is the part of the query that Conceal took away.
func (s *sources) extract(r *http.Request, concealed string, c *candidate) error {
	for i := range s.list {
		switch source := &s.list[i]; source.kind {
		case headerSource:
			for _, value := range r.Header[source.key] {
				if err := c.add(trimOWS(value), i); err != nil {
					return err
				}
			}
		case schemeSource:
			for _, value := range r.Header["Authorization"] {
				if credentials, ok := cutScheme(value, source.key); ok {
					if err := c.add(credentials, i); err != nil {
						return err
					}
				}
			}
		case funcSource:
			value, err := source.find(r)
			if err != nil {
				return sourceError(source, err)
			}
			if err := c.add(value, i); err != nil {
				return err
			}
		}
	}
	if len(s.queries) > 0 && (r.URL.RawQuery != "" || concealed != "") {
		if err := s.extractQuery(c, r.URL.RawQuery, concealed); err != nil {
			return err
		}
	}
	if c.key == "" {
		return ErrMissing
	}
	return nil
}

func sourceError(s *Source, err error) error {
	for _, own := range [...]error{ErrAmbiguous, ErrMalformed} {
		if errors.Is(err, own) {
			return err
		}
	}
	return fmt.Errorf("%w: source %s: %w", ErrUnavailable, s.name, err)
}

// cutScheme returns what follows the scheme in a value of Authorization. Where the scheme is
// hidden from us, behind another one or before a tab, that is the whole value, which
// is no key.
func cutScheme(value, scheme string) (credentials string, ok bool) {
	value = trimOWS(value)
	n := len(scheme)
	if len(value) > n && value[n] == ' ' && equalFoldASCII(value[:n], scheme) {
		return trimOWS(value[n:]), true
	}
	for i := 0; i+n < len(value); i++ {
		begins := i == 0 || isOWS(value[i-1]) || value[i-1] == ','
		if begins && isOWS(value[i+n]) && equalFoldASCII(value[i:i+n], scheme) {
			return value, true
		}
	}
	return "", false
}
