package apikey_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// keyOfForwardedURI is a SourceFunc for a field that also contains other text.
func keyOfForwardedURI(r *http.Request) (string, error) {
	u, err := url.Parse(r.Header.Get("X-Forwarded-Uri"))
	if err != nil {
		return "", apikey.ErrMalformed
	}
	return u.Query().Get("k"), nil
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
