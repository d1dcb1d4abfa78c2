package apikey_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
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
