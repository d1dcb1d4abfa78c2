package apikey_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestRefuseWritesProblem(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	for status, err := range map[int]error{
		400: apikey.ErrAmbiguous, 401: apikey.ErrRevoked, 403: apikey.ErrForbidden, 503: errors.New("x"),
	} {
		w := httptest.NewRecorder()
		s.auth.Refuse(w, newRequest("/"), err)
		assert.Equal(t, status, w.Code)
		assert.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
		assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		assert.Equal(t, status == 401, w.Header().Get("WWW-Authenticate") != "", "only a 401 has a challenge")
		assert.Equal(t, status == 503, w.Header().Get("Retry-After") != "", "only a 503 has Retry-After")
		var problem struct {
			Type, Title, Detail string
			Status              int
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem))
		assert.Equal(t, status, problem.Status)
		assert.Equal(t, http.StatusText(status), problem.Title)
		assert.Equal(t, "about:blank", problem.Type)
		assert.NotEmpty(t, problem.Detail)
	}
}

func TestRefusalsAreByteIdentical(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{Realm: "media"})
	response := func(lines ...string) string {
		var b bytes.Buffer
		w := get(s.handler, "/", lines...)
		fmt.Fprintln(&b, w.Code)
		w.Result().Header.Write(&b)
		b.Write(w.Body.Bytes())
		return b.String()
	}
	missing := response()
	for name, key := range map[string]string{
		"malformed": "x", "unknown": s.unknown, "revoked": s.revoked, "expired": s.expired,
		"wrong check characters": s.valid[:33] + "000000",
	} {
		assert.Equal(t, missing, response("X-API-Key: "+key), name)
	}
	assert.Contains(t, missing, "Www-Authenticate: ApiKey realm=\"media\"\r\n")
}

func TestOnRefuse(t *testing.T) {
	t.Parallel()
	var refused error
	var seen *http.Request
	s := newService(t, apikey.Options{OnRefuse: func(w http.ResponseWriter, r *http.Request, err error) {
		refused, seen = err, r
		http.Error(w, "go away", apikey.StatusCode(err))
	}})
	w := get(s.handler, "/p?a=1&api_key="+s.revoked)
	assert.Equal(t, 401, w.Code)
	assert.Equal(t, "go away\n", w.Body.String())
	assert.ErrorIs(t, refused, apikey.ErrRevoked)
	assert.Equal(t, "/p?a=1", seen.RequestURI, "the request has no key in its URL")
	assert.Equal(t, "/p?a=1", seen.URL.String())

	t.Run("Require calls it", func(t *testing.T) {
		h := s.auth.Handler(apikey.Require("admin")(mustNotServe(t)))
		w := get(h, "/", "X-API-Key: "+s.valid)
		assert.Equal(t, 403, w.Code)
		assert.Equal(t, "go away\n", w.Body.String())
		assert.ErrorIs(t, refused, apikey.ErrForbidden)
	})
	t.Run("Require behind Optional calls it", func(t *testing.T) {
		refused = nil
		w := get(s.auth.Optional(apikey.Require()(mustNotServe(t))), "/")
		assert.Equal(t, "go away\n", w.Body.String())
		assert.ErrorIs(t, refused, apikey.ErrMissing)
	})
}

func TestRefusalsArePrivate(t *testing.T) {
	t.Parallel()
	for name, onRefuse := range map[string]func(http.ResponseWriter, *http.Request, error){
		"problem+json": nil,
		"OnRefuse": func(w http.ResponseWriter, _ *http.Request, err error) {
			w.WriteHeader(apikey.StatusCode(err))
		},
	} {
		s := newService(t, apikey.Options{OnRefuse: onRefuse})
		for _, h := range []http.Handler{s.handler, s.auth.Conceal(s.handler), s.auth.Handler(apikey.Require("admin")(mustNotServe(t)))} {
			for target, policy := range map[string]string{"/?api_key={revoked}": "no-referrer", "/?api_key={valid}&api_key={other}": "no-referrer", "/": ""} {
				w := get(h, s.fill(target))
				require.GreaterOrEqual(t, w.Code, 400)
				require.Equal(t, "no-store", w.Header().Get("Cache-Control"), name)
				require.Equal(t, policy, w.Header().Get("Referrer-Policy"), "%s, %s", name, target)
			}
		}
		require.Equal(t, "no-referrer", get(s.handler, s.fill("/?next={valid}")).Header().Get("Referrer-Policy"), "a key in another parameter, %s", name)
		w := get(s.auth.Handler(apikey.Require("admin")(mustNotServe(t))), s.fill("/?api_key={valid}"))
		require.Equal(t, 403, w.Code)
		require.Equal(t, "no-referrer", w.Header().Get("Referrer-Policy"), name)
	}
}

func TestOnRefuseSeesNoKey(t *testing.T) {
	t.Parallel()
	var seen *http.Request
	s := newService(t, apikey.Options{OnRefuse: func(_ http.ResponseWriter, r *http.Request, _ error) { seen = r }})
	for _, target := range []string{"/p?a=1&api_key={revoked}&apikey={valid}", "/p?a=1&apikey={valid}", "/p?a=1&api_key={valid}&api_key={other}&apikey={valid}", "/p?a=1&x=1;api_key={valid}&apikey={valid}"} {
		get(s.handler, s.fill(target))
		require.Equal(t, "/p?a=1&apikey=REDACTED", seen.RequestURI, target)
		require.Equal(t, "/p?a=1&apikey=REDACTED", seen.URL.String(), target)
	}
}
