package apikey_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestChallenges(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		sources []apikey.Source
		realm   string
		want    []string
	}{
		{"the default sources", nil, "", []string{"ApiKey", "Bearer"}},
		{"with a realm", nil, "Media server", []string{`ApiKey realm="Media server"`, `Bearer realm="Media server"`}},
		{"a scheme has its own challenge", []apikey.Source{apikey.Bearer()}, "x", []string{`Bearer realm="x"`}},
		{"each scheme is listed once", []apikey.Source{apikey.Bearer(), apikey.Header("X-A"), apikey.Query("b")}, "", []string{"Bearer", "ApiKey"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t, apikey.Options{Sources: test.sources, Realm: test.realm})
			w := get(s.handler, "/")
			assert.Equal(t, test.want, w.Header().Values("WWW-Authenticate"))
			w.Header()["Www-Authenticate"][0] = "changed"
			assert.Equal(t, test.want, get(s.handler, "/").Header().Values("WWW-Authenticate"), "responses do not share values")
		})
	}
}

func TestBearerErrorCodes(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{Realm: "media"})
	scoped := s.auth.Handler(apikey.Require("library:write", "admin")(mustNotServe(t)))
	for _, test := range []struct {
		name string
		h    http.Handler
		line string
		want []string
	}{
		{"no key", s.handler, "X-None: x", []string{`ApiKey realm="media"`, `Bearer realm="media"`}},
		{"an unknown key in a header", s.handler, "X-API-Key: {unknown}", []string{`ApiKey realm="media"`, `Bearer realm="media"`}},
		{"an unknown key", s.handler, "Authorization: Bearer {unknown}", []string{`ApiKey realm="media"`, `Bearer realm="media", error="invalid_token"`}},
		{"a malformed key", s.handler, "Authorization: Bearer ak_x", []string{`ApiKey realm="media"`, `Bearer realm="media", error="invalid_token"`}},
		{"a revoked key", s.handler, "Authorization: Bearer {revoked}", []string{`ApiKey realm="media"`, `Bearer realm="media", error="invalid_token"`}},
		{"a JWT", s.handler, "Authorization: Bearer eyJh.e30.x", []string{`ApiKey realm="media"`, `Bearer realm="media"`}},
		{"a key without the scopes", scoped, "Authorization: Bearer {valid}", []string{`Bearer realm="media", error="insufficient_scope", scope="library:write admin"`}},
		{"a key without the scopes in a header", scoped, "X-API-Key: {valid}", nil},
	} {
		require.Equal(t, test.want, get(test.h, "/", s.fill(test.line)).Header().Values("WWW-Authenticate"), test.name)
	}
	invalid := s.auth.Handler(apikey.Require(`a"b`)(mustNotServe(t)))
	require.Equal(t, []string{`Bearer realm="media", error="insufficient_scope"`}, get(invalid, "/", s.fill("Authorization: Bearer {valid}")).Header().Values("WWW-Authenticate"),
		"a scope that no key can have")
	withoutRealm := newService(t, apikey.Options{Sources: []apikey.Source{apikey.Bearer()}})
	require.Equal(t, `Bearer error="invalid_token"`, get(withoutRealm.handler, "/", "Authorization: Bearer x").Header().Get("WWW-Authenticate"), "without a realm")
}
