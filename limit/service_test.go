package limit_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
	"github.com/latchkey-dev/apikey/memstore"
)

// A service is an HTTP service with limits.
type service struct {
	t        *testing.T
	issuer   *apikey.Issuer
	handler  http.Handler
	outcomes []string
	served   int
}

func newService(t *testing.T, b limit.Backend, o limit.Options, cost uint32) *service {
	t.Helper()
	s := &service{t: t}
	store := memstore.New()
	var err error
	s.issuer, err = apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	quiet := slog.New(slog.DiscardHandler)
	auth, err := apikey.New(store, apikey.Options{Logger: quiet, Observe: func(_ context.Context, e apikey.Event) { s.outcomes = append(s.outcomes, e.Outcome()) }})
	require.NoError(t, err)
	if o.Logger == nil {
		o.Logger = quiet
	}
	limits, err := limit.New(b, o)
	require.NoError(t, err)
	s.handler = auth.Handler(apikey.Require("read")(limits.Cost(cost)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { s.served++ }))))
	return s
}

func (s *service) issue(limits string, scopes ...string) (string, apikey.Key) {
	s.t.Helper()
	parsed, err := apikey.ParseLimits(limits)
	require.NoError(s.t, err)
	secret, key, err := s.issuer.Issue(s.t.Context(), apikey.NewKey{Name: "Backup job", Owner: "alice", Limits: parsed, Scopes: append(scopes, "read")})
	require.NoError(s.t, err)
	return secret.Reveal(), key
}

func (s *service) get(key string) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-API-Key", key)
	s.handler.ServeHTTP(w, r)
	return w
}

// count returns how many of n requests are permitted.
func (s *service) count(key string, n int) (permitted int) {
	for range n {
		if s.get(key).Code == http.StatusOK {
			permitted++
		}
	}
	return permitted
}
