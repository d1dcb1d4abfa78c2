package apikey

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// A Source is a place in a request that may carry a key. Make it with [Header], [Bearer], [Scheme],
// [Query] or [SourceFunc]; [New] refuses the zero Source.
//
// A Middleware collects the values of all its sources, without precedence. It ignores blank values
// and treats equal values as one key. It refuses a request whose values differ.
type Source struct {
	kind     sourceKind
	name     string // as the caller wrote it
	key      string // name in the form that is compared: a canonical field name, otherwise lower case
	find     func(*http.Request) (string, error)
	fields   []string // header fields that find reads
	prefixed bool
}

type sourceKind uint8

const (
	_ sourceKind = iota
	headerSource
	schemeSource
	querySource
	funcSource
)

// Header returns the Source that is a header field whose whole value is the key. The name is
// case-insensitive. Each line of the field is a value. [New] refuses Authorization,
// Proxy-Authorization, Cookie and Host, which contain more than a key; for Authorization use
// [Bearer] or [Scheme].
func Header(name string) Source {
	return Source{kind: headerSource, name: name, key: textproto.CanonicalMIMEHeaderKey(name)}
}

// Bearer returns Scheme("Bearer"), RFC 6750 section 2.1. Wrap it in [Prefixed] if clients also send
// other credentials by this scheme, such as JSON Web Tokens.
func Bearer() Source { return Scheme("Bearer") }

// Scheme returns the Source that is the header field "Authorization: name KEY". The name is
// case-insensitive (RFC 9110 section 11.4). Scheme ignores lines with other schemes, which may be
// meant for a proxy. A line with the name elsewhere, or before a tab, counts as a malformed key,
// because other software may find a key there. [New] refuses Basic, Digest and Negotiate, whose
// credentials are not a key.
func Scheme(name string) Source {
	return Source{kind: schemeSource, name: name, key: strings.ToLower(name)}
}

// Query returns the Source that is a parameter of the URL's query. The name is decoded and
// case-insensitive. The Middleware removes the parameter from the URL, RequestURI and Form of the
// request that handlers see. Keys in URLs end up in logs and browser histories, so offer a header
// too.
//
// The Middleware refuses a request with [ErrAmbiguous] if net/url would drop the parameter because
// of a semicolon, a bad escape or too many parameters. Other software may find another key in such a
// query.
func Query(name string) Source {
	return Source{kind: querySource, name: name, key: lowerASCII(name)}
}

// SourceFunc returns a Source that calls find for each request. The name identifies it in an
// [Event]. The function find returns the key, "" if the request has no key there, or [ErrAmbiguous]
// if it has several. Any other error except [ErrMalformed] counts as an outage. The function is
// called concurrently and must not change the request.
//
// The fields are the header fields that find reads. [Middleware.Optional] lists them in Vary. If
// there are none it writes "Vary: *", and no cache reuses the response. To redact keys, Options.Authorize and
// [Middleware.RemoveKeys] call find for each of these fields, or for every field if there are none.
func SourceFunc(name string, find func(*http.Request) (string, error), fields ...string) Source {
	return Source{kind: funcSource, name: name, find: find, fields: slices.Clone(fields)}
}

// fieldsOf returns the fields of a header that a SourceFunc may read.
func (s *Source) fieldsOf(h http.Header) []string {
	return slices.DeleteFunc(slices.Collect(maps.Keys(h)), func(name string) bool {
		return len(s.fields) > 0 && !slices.ContainsFunc(s.fields, func(field string) bool { return strings.EqualFold(field, name) })
	})
}

// Prefixed returns a Source that is like s, but ignores values in which no word begins with the
// prefix of the Middleware's [Format]. Use it where clients may also send a JSON Web Token or another
// vendor's key. Prefixed never finds imported keys, because they do not have the prefix.
func Prefixed(s Source) Source {
	s.prefixed = true
	return s
}

// String returns the name of the source in an [Event], such as "header X-API-Key".
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
			return fmt.Errorf("Header(%s): want a field name", quote(s.name))
		}
		if slices.Contains([]string{"Authorization", "Proxy-Authorization", "Cookie", "Host"}, s.key) {
			return fmt.Errorf("Header(%q): this field contains more than a key; for Authorization use Bearer or Scheme", s.name)
		}
	case schemeSource:
		if !isToken(s.name) {
			return fmt.Errorf("Scheme(%s): want the name of an authentication scheme", quote(s.name))
		}
		if slices.Contains([]string{"basic", "digest", "negotiate"}, s.key) {
			return fmt.Errorf("Scheme(%q): the credentials of this scheme are not a key; use SourceFunc", s.name)
		}
	case querySource:
		if !isToken(s.name) || strings.ContainsAny(s.name, "&%+#") {
			return fmt.Errorf("Query(%s): want a parameter name without escaped characters", quote(s.name))
		}
	case funcSource:
		if s.find == nil || s.name == "" {
			return errors.New("SourceFunc: want a name and a function")
		}
		for _, field := range s.fields {
			if !isToken(field) {
				return fmt.Errorf("SourceFunc(%q): field %s: want a field name", s.name, quote(field))
			}
		}
	default:
		return errors.New("the zero Source; use Header, Bearer, Scheme, Query or SourceFunc")
	}
	return nil
}

// defaultSources are the places in which clients of Emby and of other services send a key.
func defaultSources() []Source {
	return []Source{Header("X-API-Key"), Header("X-Emby-Token"), Query("api_key"), Prefixed(Bearer())}
}
