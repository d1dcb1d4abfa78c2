package limit_test

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey/limit"
)

func TestFields(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // which begins at midnight
		s := newService(t, limit.Memory(), limit.Options{Remaining: true, XRateLimit: true}, 1)
		key, _ := s.issue("rate=10/10s month=100/month odd=3/1.5s")
		w := s.get(key)
		assert.Equal(t, `"rate";q=10;w=10, "month";q=100, "odd";q=3`, w.Header().Get("RateLimit-Policy"))
		assert.Equal(t, `"rate";r=9;t=1, "month";r=99;t=2678400, "odd";r=2;t=1`, w.Header().Get("RateLimit"))
		assert.Equal(t, "3", w.Header().Get("X-RateLimit-Limit"), "the limit with the fewest remaining requests")
		assert.Equal(t, "2", w.Header().Get("X-RateLimit-Remaining"))
		s.count(key, 2)
		w = s.get(key)
		assert.Equal(t, http.StatusTooManyRequests, w.Code)
		assert.Equal(t, `"rate";r=7;t=3, "month";r=97;t=2678400, "odd";r=0;t=1`, w.Header().Get("RateLimit"), "the refused request spent nothing, and t is Retry-After")
		assert.Equal(t, "1", w.Header().Get("Retry-After"))
	})
	t.Run("only a 429 has them by default", func(t *testing.T) {
		t.Parallel()
		s := newService(t, limit.Memory(), limit.Options{}, 1)
		key, _ := s.issue("day=1/day")
		assert.Empty(t, s.get(key).Header().Get("RateLimit"))
		assert.NotEmpty(t, s.get(key).Header().Get("RateLimit"))
	})
}
