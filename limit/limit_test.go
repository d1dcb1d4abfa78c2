package limit_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
)

func TestRollingLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, limit.Memory(), limit.Options{}, 1)
		key, _ := s.issue("rate=60/1m+5")
		assert.Equal(t, 5, s.count(key, 20), "the burst at once")
		time.Sleep(time.Second)
		assert.Equal(t, 1, s.count(key, 20), "one request a second later")
		time.Sleep(time.Hour)
		assert.Equal(t, 5, s.count(key, 20), "never more than the burst")

		// Under steady traffic the limit refills steadily.
		permitted := 0
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			permitted += s.count(key, 3)
		}
		assert.Equal(t, 60, permitted, "in a minute")
	})
}

func TestCalendarQuota(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		calendar   string
		begin, end time.Time
		name       string
	}{
		{"day", time.Date(2024, 2, 28, 13, 0, 0, 0, time.UTC), time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), "a day"},
		{"month", time.Date(2024, 2, 28, 13, 0, 0, 0, time.UTC), time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC), "a leap month"},
		{"month", time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), "the last month"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			now := test.begin
			s := newService(t, limit.NewTestMemory(func() time.Duration { return now.Sub(test.begin) }, func() time.Time { return now }), limit.Options{}, 1)
			key, _ := s.issue("quota=3/" + test.calendar)
			assert.Equal(t, 3, s.count(key, 5))
			now = test.end.Add(-time.Microsecond)
			w := s.get(key)
			assert.Equal(t, http.StatusTooManyRequests, w.Code, "the last moment")
			assert.Equal(t, "1", w.Header().Get("Retry-After"))
			now = test.end
			assert.Equal(t, 3, s.count(key, 5), "a fresh quota, and nothing carried over")
			now = test.end.Add(-time.Second)
			assert.Equal(t, 0, s.count(key, 5), "a clock that is set back over midnight gives no second quota")
			now = test.end.AddDate(-1, 0, 0)
			assert.Equal(t, 3, s.count(key, 5), "a clock that was a year ahead does not block for a year")
		})
	}
}

func TestAllLimitsOrNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, limit.Memory(), limit.Options{}, 1)
		key, _ := s.issue("second=2/1s+2 day=5/day")
		require.Equal(t, 2, s.count(key, 10))
		time.Sleep(time.Second)
		require.Equal(t, 2, s.count(key, 10))
		time.Sleep(time.Second)
		assert.Equal(t, 1, s.count(key, 10), "the refused requests spent nothing of the day, so one request remains")
		w := s.get(key)
		assert.Contains(t, w.Body.String(), `"violated-policies":["day"]`)
	})
}

func TestRefusedRequestsSpendNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, limit.Memory(), limit.Options{}, 1)
		key, stored := s.issue("rate=1/1h")
		_, err := s.issuer.Manager().Update(t.Context(), stored.ID, apikey.Patch{Scopes: &[]string{}})
		require.NoError(t, err)
		require.Equal(t, http.StatusForbidden, s.get(key).Code)
		_, err = s.issuer.Manager().Update(t.Context(), stored.ID, apikey.Patch{Scopes: &[]string{"read"}})
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, s.get(key).Code)
		assert.Equal(t, http.StatusTooManyRequests, s.get(key).Code)
		assert.Equal(t, []string{"accepted", "forbidden", "accepted", "accepted", "limited"}, s.outcomes)
	})
}

func TestRotationHandsOnTheUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, limit.Memory(), limit.Options{}, 1)
		key, stored := s.issue("quota=5/day")
		require.Equal(t, 2, s.count(key, 2))
		secret, second, err := s.issuer.Rotate(t.Context(), stored.ID, time.Hour)
		require.NoError(t, err)
		require.Equal(t, 2, s.count(secret.Reveal(), 2))
		third, _, err := s.issuer.Rotate(t.Context(), second.ID, time.Hour)
		require.NoError(t, err)
		assert.Equal(t, 1, s.count(third.Reveal(), 5), "the third key of the series")
		assert.Equal(t, 0, s.count(key, 5), "the first key in its grace")
	})
}

func TestMovedKeyHasItsOwnBalance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, limit.Memory(), limit.Options{}, 1)
		first, stored := s.issue("quota=5/day")
		secret, _, err := s.issuer.Rotate(t.Context(), stored.ID, time.Hour)
		require.NoError(t, err)
		_, err = s.issuer.Manager().Update(t.Context(), stored.ID, apikey.Patch{Owner: new("bob")})
		require.NoError(t, err)
		assert.Equal(t, 5, s.count(first, 9))
		assert.Equal(t, 5, s.count(secret.Reveal(), 9), "the key that stays with its owner")
	})
}

func TestChangedLimits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rule, before, after string
		want                int
	}{
		{"a larger quota keeps the use", "quota=5/day", "quota=8/day", 5},
		{"a smaller quota than the use refuses", "quota=5/day", "quota=2/day", 0},
		{"another name is another balance", "quota=5/day", "other=5/day", 5},
		{"a quota that becomes a rolling limit is another balance", "quota=5/day", "quota=5/24h", 5},
		{"a larger burst keeps the use", "rate=5/1h", "rate=5/1h+9", 6},
		{"no limit", "quota=5/day", "", 10},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, limit.Memory(), limit.Options{}, 1)
				key, stored := s.issue(test.before)
				require.Equal(t, 3, s.count(key, 3))
				limits, err := apikey.ParseLimits(test.after)
				require.NoError(t, err)
				_, err = s.issuer.Manager().Update(t.Context(), stored.ID, apikey.Patch{Limits: &limits})
				require.NoError(t, err)
				assert.Equal(t, test.want, s.count(key, 10))
			})
		})
	}
}

func TestBySharesABalance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, limit.Memory(), limit.Options{By: func(k *apikey.Key) string { return k.Owner }}, 1)
		one, stored := s.issue("quota=3/day")
		two, _ := s.issue("quota=3/day")
		assert.Equal(t, 3, s.count(one, 2)+s.count(two, 2), "the keys of an owner share one")
		_, err := s.issuer.Manager().Update(t.Context(), stored.ID, apikey.Patch{Owner: new("")})
		require.NoError(t, err)
		assert.Equal(t, 3, s.count(one, 5), `a key for which By returns "" has its own`)
		other, stored := s.issue("quota=3/day")
		_, err = s.issuer.Manager().Update(t.Context(), stored.ID, apikey.Patch{Owner: new(stored.ID)})
		require.NoError(t, err)
		assert.Equal(t, 3, s.count(other, 5), "an owner whose name is the ID of a key")
	})
}

func TestOfDerivesLimits(t *testing.T) {
	t.Parallel()
	plans := map[string][]apikey.Limit{"free": {{Name: "day", Requests: 1, Calendar: "day"}}, "broken": {{Name: "day"}}}
	s := newService(t, limit.Memory(), limit.Options{AllowOnOutage: true, Of: func(k *apikey.Key) []apikey.Limit { return plans[k.Metadata["plan"]] }}, 1)
	key, stored := s.issue("")
	assert.Equal(t, 5, s.count(key, 5), "no plan is no limit")
	setPlan := func(plan string) {
		_, err := s.issuer.Manager().Update(t.Context(), stored.ID, apikey.Patch{Metadata: &map[string]string{"plan": plan}})
		require.NoError(t, err)
	}
	setPlan("free")
	assert.Equal(t, 1, s.count(key, 5))
	setPlan("broken")
	assert.Equal(t, http.StatusServiceUnavailable, s.get(key).Code, "invalid limits refuse the request, even with AllowOnOutage")
}

func TestCost(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rule, limits string
		cost         uint32
		requests     int
		want         int
		retryAfter   string
	}{
		{"a request that costs 3", "rate=10/10s", 3, 10, 3, "2"},
		{"more than a limit permits at once never succeeds", "rate=10/10s+2", 3, 5, 0, ""},
		{"more than a quota never succeeds", "day=2/day", 3, 5, 0, ""},
		{"a request that costs 0", "rate=1/1s", 0, 9, 9, ""},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, limit.Memory(), limit.Options{}, test.cost)
				key, _ := s.issue(test.limits)
				assert.Equal(t, test.want, s.count(key, test.requests))
				if test.want < test.requests {
					assert.Equal(t, test.retryAfter, s.get(key).Header().Get("Retry-After"))
				}
			})
		})
	}
}

// A client that waits for Retry-After is permitted, and a microsecond earlier it is not.
func TestRetryAfterIsExact(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limits, err := limit.New(limit.Memory(), limit.Options{})
		require.NoError(t, err)
		key := &apikey.Key{ID: "1", Limits: []apikey.Limit{{Name: "odd", Requests: 7, Per: 13 * time.Second, Burst: 3}}}
		for range 100 {
			err := limits.Take(t.Context(), key, 2)
			var limited *apikey.LimitedError
			if !errors.As(err, &limited) {
				require.NoError(t, err)
				continue
			}
			time.Sleep(limited.RetryAfter - time.Microsecond)
			require.ErrorIs(t, limits.Take(t.Context(), key, 2), apikey.ErrLimited)
			time.Sleep(time.Microsecond)
			require.NoError(t, limits.Take(t.Context(), key, 2))
		}
	})
}

func TestKeyThatNoStoreHasChecked(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string][]apikey.Limit{
		"a limit without a time": {{Name: "rate", Requests: 1}},
		"a name with a line end": {{Name: "a\r\nSet-Cookie: x", Requests: 1, Calendar: "day"}},
		"nine limits":            make([]apikey.Limit, limit.MaxLimits+1),
	} {
		limits, err := limit.New(limit.Memory(), limit.Options{Remaining: true, AllowOnOutage: true})
		require.NoError(t, err)
		h := limits.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		r := httptest.NewRequest("GET", "/", nil)
		r = r.WithContext(apikey.NewContext(r.Context(), apikey.Key{ID: "token", Limits: bad}))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		assert.Equal(t, http.StatusServiceUnavailable, w.Code, name)
		assert.NotContains(t, w.Header(), "Ratelimit", name)
		_, err = limits.Use(t.Context(), &apikey.Key{ID: "token", Limits: bad})
		assert.ErrorIs(t, err, apikey.ErrInvalid, name)
	}
}

// This limit takes longer to refill than a time.Duration can hold.
func TestSlowestLimit(t *testing.T) {
	t.Parallel()
	limits, err := limit.New(limit.Memory(), limit.Options{Remaining: true})
	require.NoError(t, err)
	h := limits.Cost(1_000_000)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest("GET", "/", nil)
	slow := apikey.Limit{Name: "slow", Requests: 1, Per: 366 * 24 * time.Hour, Burst: 1_000_000_000}
	r = r.WithContext(apikey.NewContext(r.Context(), apikey.Key{ID: "1", Limits: []apikey.Limit{slow}}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	assert.Equal(t, `"slow";r=999000000;t=9223372036`, w.Header().Get("Ratelimit"))
}

func TestUseSpendsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limits, err := limit.New(limit.Memory(), limit.Options{})
		require.NoError(t, err)
		parsed, _ := apikey.ParseLimits("rate=10/10s quota=2/day")
		key := &apikey.Key{ID: "1", Limits: parsed}
		require.NoError(t, limits.Take(t.Context(), key, 2))
		for range 3 {
			use, err := limits.Use(t.Context(), key)
			require.NoError(t, err)
			assert.Equal(t, []limit.Use{{parsed[0], 8, 2 * time.Second}, {parsed[1], 0, 24 * time.Hour}}, use)
		}
	})
}

func TestNewAndTakeRefuseNonsense(t *testing.T) {
	t.Parallel()
	for _, backend := range []limit.Backend{nil, (*limit.MemoryBackend)(nil), new(limit.MemoryBackend), limit.Redis(nil)} {
		_, err := limit.New(backend, limit.Options{})
		assert.ErrorIs(t, err, apikey.ErrInvalid, "%T", backend)
	}
	limits, err := limit.New(limit.Memory(), limit.Options{})
	require.NoError(t, err)
	assert.ErrorIs(t, limits.Take(t.Context(), nil, 1), apikey.ErrInvalid, "no key")
	_, err = limits.Use(t.Context(), nil)
	assert.ErrorIs(t, err, apikey.ErrInvalid, "no key")
	for _, n := range []int64{-1, 1_000_000_001} {
		assert.ErrorIs(t, limits.Take(t.Context(), &apikey.Key{ID: "1"}, n), apikey.ErrInvalid)
	}
}
