package apikey_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// A nesting is a stack of layers around a handler, and the request that the stack serves.
type nesting struct {
	layers    []layer
	place     place
	revoke    bool // revoke the key behind the outermost layer
	authorize rule
}

// A layer is one of the handlers of a stack.
type layer struct{ kind, middleware int }

// The kinds of a layer.
const (
	handler = iota
	optional
	conceal
	kinds
)

// The Middlewares of a layer.
const (
	first   = iota // its store has the key
	second         // its store has the key with another ID
	keyless        // its store does not have the key
	middlewares
)

// A place is where the request carries the key.
type place int

const (
	nowhere place = iota
	inHeader
	inQuery
	inScheme
	inFunc
	inHeaderAndQuery
	unknownInQuery
	places
)

// A rule is the Authorize of the Middlewares.
type rule int

const (
	noRule  rule = iota
	tenants      // refuses a path value that a router sets behind the outermost layer
	uris         // refuses a URI in a header field of a proxy
	rules
)

func (n nesting) String() string {
	s := fmt.Sprint([]string{"nowhere", "header", "query", "scheme", "SourceFunc", "header and query", "unknown in query"}[n.place], ", revoke ", n.revoke,
		", rule ", []string{"none", "tenant", "URI"}[n.authorize])
	for _, l := range n.layers {
		s += ", " + []string{"first", "second", "keyless"}[l.middleware] + "." + []string{"Handler", "Optional", "Conceal"}[l.kind]
	}
	return s
}

// want returns the expected result. Each layer decides about the request as the client sent it. The
// first refusal is the response, and the innermost layer that decides sets the identity.
func (n nesting) want() string {
	identity := ""
	for depth, l := range n.layers {
		if l.kind == conceal {
			continue
		}
		if n.place == nowhere {
			if l.kind == handler {
				return "401"
			}
			identity = ""
			continue
		}
		switch {
		case n.place == unknownInQuery, l.middleware == keyless, n.revoke && depth > 0:
			return "401"
		case n.authorize == uris, n.authorize == tenants && depth > 0:
			return "403"
		}
		identity = []string{"first", "second"}[l.middleware]
	}
	return "200" + identity
}

// A nestRunner serves the requests of nestings.
type nestRunner struct {
	auth    [rules][middlewares]*apikey.Middleware
	valid   string
	unknown string
	revoked bool
}

func newNestRunner(t *testing.T) *nestRunner {
	s := newService(t, apikey.Options{})
	n := &nestRunner{valid: s.valid, unknown: s.unknown}
	lookup := func(id string) storeFunc {
		return func(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
			key, err := s.store.Lookup(ctx, d)
			if err != nil || id == "" {
				return nil, apikey.ErrNotFound
			}
			k := key.Clone()
			k.ID = id
			if n.revoked {
				k.RevokedAt = time.Now()
			}
			return &k, nil
		}
	}
	authorize := [rules]func(*http.Request, *apikey.Key) error{
		tenants: func(r *http.Request, _ *apikey.Key) error {
			if r.PathValue("tenant") != "" {
				return errors.New("another tenant")
			}
			return nil
		},
		uris: func(r *http.Request, _ *apikey.Key) error {
			if strings.HasPrefix(r.Header.Get("X-Forwarded-Uri"), "/admin/") {
				return errors.New("not for keys")
			}
			return nil
		},
	}
	for a, f := range authorize {
		for m, id := range []string{"first", "second", ""} {
			var err error
			n.auth[a][m], err = apikey.New(lookup(id), apikey.Options{
				Logger: slog.New(slog.DiscardHandler), Authorize: f,
				Sources: []apikey.Source{
					apikey.Header("X-API-Key"), apikey.Query("api_key"), apikey.Bearer(), apikey.SourceFunc("uri", keyOfForwardedURI, "X-Forwarded-Uri"),
				},
			})
			require.NoError(t, err)
		}
	}
	return n
}

// keyOfForwardedURI is a SourceFunc for a field that also contains other text.
func keyOfForwardedURI(r *http.Request) (string, error) {
	u, err := url.Parse(r.Header.Get("X-Forwarded-Uri"))
	if err != nil {
		return "", apikey.ErrMalformed
	}
	return u.Query().Get("k"), nil
}

// run returns the status and the identity with which a nesting answers.
func (n *nestRunner) run(of nesting) string {
	n.revoked = false
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, _ := apikey.FromContext(r.Context())
		io.WriteString(w, key.ID)
	})
	for i := len(of.layers) - 1; i >= 0; i-- {
		l := of.layers[i]
		auth := n.auth[of.authorize][l.middleware]
		h = []func(http.Handler) http.Handler{auth.Handler, auth.Optional, auth.Conceal}[l.kind](h)
		if i == 1 {
			inner := h
			h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n.revoked = of.revoke
				r.SetPathValue("tenant", "b")
				inner.ServeHTTP(w, r)
			})
		}
	}
	r := httptest.NewRequest("GET", "/tenants/b", nil)
	uri := "/admin/?x=1"
	switch of.place {
	case inHeaderAndQuery:
		r.Header.Set("X-API-Key", n.valid)
		fallthrough
	case inQuery:
		r = withQuery(r, "a=1&api_key="+n.valid)
		uri += "&api_key=" + n.valid
	case unknownInQuery:
		r = withQuery(r, "api_key="+n.unknown)
	case inHeader:
		r.Header.Set("X-API-Key", n.valid)
	case inScheme:
		r.Header.Set("Authorization", "Bearer "+n.valid)
	case inFunc:
		uri += "&k=" + n.valid
	}
	r.Header.Set("X-Forwarded-Uri", uri)
	w := serve(h, r)
	if w.Code != 200 {
		return fmt.Sprint(w.Code)
	}
	return "200" + w.Body.String()
}

func withQuery(r *http.Request, query string) *http.Request {
	header := r.Header
	r = httptest.NewRequest(r.Method, r.URL.Path+"?"+query, nil)
	r.Header = header
	return r
}

// Each layer in every stack of two and three layers decides as if it were alone.
func TestNestedLayers(t *testing.T) {
	t.Parallel()
	n := newNestRunner(t)
	var stacks [][]layer
	for i := range kinds * middlewares {
		for j := range kinds * middlewares {
			two := []layer{{i / middlewares, i % middlewares}, {j / middlewares, j % middlewares}}
			stacks = append(stacks, two)
			for k := range kinds * middlewares {
				stacks = append(stacks, append(two[:2:2], layer{k / middlewares, k % middlewares}))
			}
		}
	}
	ran := 0
	for _, layers := range stacks {
		for place := range places {
			for authorize := range rules {
				for _, revoke := range []bool{false, true} {
					of := nesting{layers, place, revoke, authorize}
					require.Equal(t, of.want(), n.run(of), "%v", of)
					ran++
				}
			}
		}
	}
	require.Equal(t, 810*42, ran)
}

// Authorize sees changes of a mux between two layers.
func TestNestedHandlerCallsAuthorize(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{Authorize: func(r *http.Request, _ *apikey.Key) error {
		if tenant := r.PathValue("tenant"); tenant != "" && tenant != "a" {
			return errors.New("another tenant")
		}
		return nil
	}})
	mux := http.NewServeMux()
	mux.Handle("/tenants/{tenant}", s.handler)
	for name, outer := range map[string]func(http.Handler) http.Handler{"Handler": s.auth.Handler, "Optional": s.auth.Optional, "Conceal": s.auth.Conceal} {
		for where, r := range map[string]*http.Request{
			"header": newRequest("/tenants/b", "X-API-Key: "+s.valid),
			"query":  newRequest("/tenants/b?api_key=" + s.valid),
		} {
			require.Equal(t, 403, serve(outer(mux), r).Code, "behind %s, key in the %s", name, where)
		}
		require.Equal(t, 200, get(outer(mux), "/tenants/a?api_key="+s.valid).Code, name)
	}
}

func TestOptionalIgnoresOtherMiddlewares(t *testing.T) {
	t.Parallel()
	admins := newService(t, apikey.Options{Sources: []apikey.Source{apikey.Header("X-Admin-Key")}})
	users := newService(t, apikey.Options{Sources: []apikey.Source{apikey.Header("X-User-Key")}})
	secret, _ := users.issue(t, apikey.NewKey{Name: "User", Scopes: []string{"admin"}})
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, test := range []struct {
		name string
		h    http.Handler
		want int
	}{
		{"Require behind another Optional", users.auth.Handler(admins.auth.Optional(apikey.Require("admin")(ok))), 401},
		{"Require behind another Optional and Conceal", users.auth.Handler(admins.auth.Optional(admins.auth.Conceal(apikey.Require("admin")(ok)))), 401},
		{"Require behind two Optionals", users.auth.Optional(admins.auth.Optional(apikey.Require("admin")(ok))), 401},
		{"Require behind Handler", admins.auth.Optional(users.auth.Handler(apikey.Require("admin")(ok))), 200},
	} {
		require.Equal(t, test.want, get(test.h, "/", "X-User-Key: "+secret).Code, test.name)
	}
	r := newRequest("/")
	r = r.WithContext(apikey.NewContext(r.Context(), apikey.Key{Scopes: []string{"admin"}}))
	require.Equal(t, 200, serve(users.auth.Optional(admins.auth.Optional(apikey.Require("admin")(ok))), r).Code, "the identity of NewContext counts")
}

// The inner layer decides about the changes of middleware between two layers.
func TestMiddlewareBetweenLayers(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	between := func(change func(r *http.Request), inner http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { change(r); inner.ServeHTTP(w, r) })
	}
	for _, test := range []struct {
		name   string
		change func(r *http.Request)
		status int
	}{
		{"adds the same key", func(r *http.Request) { r.Header.Set("X-API-Key", s.valid) }, 200},
		{"adds another key", func(r *http.Request) { r.Header.Set("X-API-Key", s.other) }, 400},
		{"adds another key to the query", func(r *http.Request) { r.URL.RawQuery = "api_key=" + s.other }, 400},
		{"adds another parameter", func(r *http.Request) { r.URL.RawQuery += "&b=2" }, 200},
		{"sets a field that was redacted", func(r *http.Request) { r.Header.Set("Referer", "/other") }, 200},
		{"changes the path", func(r *http.Request) { r.URL.Path = "/q" }, 200},
	} {
		for name, outer := range map[string]func(http.Handler) http.Handler{"Handler": s.auth.Handler, "Optional": s.auth.Optional, "Conceal": s.auth.Conceal} {
			h := outer(between(test.change, s.handler))
			w := get(h, "/p?a=1&api_key="+s.valid, "Referer: /p?api_key="+s.valid)
			require.Equal(t, test.status, w.Code, "%s, behind %s", test.name, name)
		}
	}
}

// Middleware between two layers may parse the form, from which the layers remove keys.
func TestParsedFormHidesNothing(t *testing.T) {
	t.Parallel()
	var seen *http.Request
	s := newService(t, apikey.Options{
		Sources: []apikey.Source{
			apikey.Header("X-API-Key"), apikey.Query("api_key"),
			apikey.Prefixed(apikey.SourceFunc("form", func(r *http.Request) (string, error) {
				if r.Form == nil {
					return r.URL.Query().Get("token"), nil
				}
				return r.Form.Get("token"), nil
			})),
		},
		Authorize: func(r *http.Request, _ *apikey.Key) error { seen = r; return nil },
	})
	parse := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			require.NoError(t, r.ParseForm())
			if r.Form.Has("role") {
				r.Form["role"] = []string{"checked"}
			}
			next.ServeHTTP(w, r)
		})
	}
	for name, h := range map[string]http.Handler{
		"not parsed": s.handler, "outside": parse(s.auth.Conceal(s.handler)), "between": s.auth.Conceal(parse(s.handler)), "behind two": s.auth.Conceal(s.auth.Handler(parse(s.handler))),
	} {
		require.Equal(t, 200, get(h, "/?token="+s.valid).Code, name)
		require.Equal(t, 400, get(h, "/?token="+s.valid, "X-API-Key: "+s.other).Code, name)
		require.Equal(t, 200, get(h, "/?next=/p%3Fapi_key=/../admin/&role=admin%3Fapi_key=&api_key="+s.valid).Code, name)
		if name != "not parsed" {
			require.Equal(t, url.Values{"next": {"/p?api_key=/../admin/"}, "role": {"checked"}}, seen.Form, name)
		}
		r := httptest.NewRequest("POST", "/?x=query&x="+s.valid+"&api_key="+s.valid, strings.NewReader("x=body&api_key=body"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		require.Equal(t, 200, serve(h, r).Code, name)
		if name != "not parsed" {
			require.Equal(t, url.Values{"x": {"body", "query", "REDACTED"}, "api_key": {"body"}}, seen.Form, name)
		}
	}
}
