package manageapi_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
	"github.com/latchkey-dev/apikey/manageapi"
)

func TestUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t) // at midnight
		key, err := s.store.Get(t.Context(), s.names["backup"])
		require.NoError(t, err)
		use := func(rate, rateReset, quota, quotaReset float64) map[string]any {
			return map[string]any{"limits": []any{
				map[string]any{"limit": map[string]any{"name": "rate", "requests": 10.0, "per": 60.0, "burst": 20.0}, "remaining": rate, "reset": rateReset},
				map[string]any{"limit": map[string]any{"name": "quota", "requests": 1000.0, "calendar": "day"}, "remaining": quota, "reset": quotaReset},
			}}
		}
		read := func(as string) map[string]any { return decode(t, s.do(as, "GET /keys/{backup}/use", "")) }
		require.Equal(t, use(20, 0, 1000, 86400), read("alice"), "of an unused key")
		require.NoError(t, s.limiter.Take(t.Context(), &key, 3))
		require.Equal(t, use(17, 18, 997, 86400), read("alice"), "of a used key")
		time.Sleep(6 * time.Second)
		for _, as := range []string{"alice", "auditor", "admin"} {
			require.Equal(t, use(18, 12, 997, 86394), read(as), "later, for %s", as)
		}
		require.Equal(t, map[string]any{"limits": []any{}}, decode(t, s.do("admin", "GET /keys/{bob}/use", "")), "of a key without limits")
	})
}

func TestUseWithoutALimiterIsNoEndpoint(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.handler = mounted(t, s.issuer, s.store, manageapi.Options{Authorize: authorize})
	w := s.do("alice", "GET /keys/{backup}/use", "")
	require.Equal(t, 404, w.Code)
	require.Equal(t, "no_endpoint", decode(t, w)["code"])
}

type failing struct{}

func (failing) Take(context.Context, string, []apikey.Limit, int64) (limit.Result, error) {
	return limit.Result{}, errors.New("connection refused by 10.0.0.7")
}

func TestUseThatCannotBeReadIs503(t *testing.T) {
	t.Parallel()
	derived := func(*apikey.Key) []apikey.Limit { return []apikey.Limit{{Name: "invalid"}} }
	for name, o := range map[string]struct {
		backend limit.Backend
		options limit.Options
	}{"an outage": {failing{}, limit.Options{}}, "invalid limits of Options.Of": {limit.Memory(), limit.Options{Of: derived}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			limiter, err := limit.New(o.backend, o.options)
			require.NoError(t, err)
			s.handler = mounted(t, s.issuer, s.store, manageapi.Options{Authorize: authorize, Limiter: limiter})
			w := s.do("alice", "GET /keys/{backup}/use", "")
			require.Equal(t, 503, w.Code)
			require.Equal(t, "1", w.Header().Get("Retry-After"))
			require.Equal(t, "unavailable", decode(t, w)["code"])
			require.NotContains(t, w.Body.String(), "10.0.0.7")
			require.Equal(t, 200, s.do("alice", "GET /keys/{backup}", "").Code, "the key is readable")
		})
	}
}
