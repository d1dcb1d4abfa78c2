package peers

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/httprate"
	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	ulule "github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/middleware/stdlib"
	ululememory "github.com/ulule/limiter/v3/drivers/store/memory"
	"golang.org/x/time/rate"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/bench/interleave"
	"github.com/latchkey-dev/apikey/limit"
)

// limitRequests is a limit that no benchmark reaches.
const limitRequests = 1_000_000_000

// A limitPeer is a middleware that limits the requests of an authenticated key.
type limitPeer struct {
	name    string
	limited http.Handler
}

func limitPeers(tb testing.TB) []limitPeer {
	bare := interleave.Handler
	all := []limitPeer{
		{"apikey in memory", apikeyLimit(tb, limit.Memory())},
		{"x_time_rate", rateLimit(bare)},
		{"httprate", httprate.LimitBy(limitRequests, time.Minute, func(r *http.Request) (string, error) {
			return apikey.SharedKey(r.Context()).ID, nil
		})(bare)},
		{"ulule", stdlib.NewMiddleware(ulule.New(ululememory.NewStore(), ulule.Rate{Period: time.Minute, Limit: limitRequests}),
			stdlib.WithKeyGetter(func(r *http.Request) string { return apikey.SharedKey(r.Context()).ID })).Handler(bare)},
	}
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6379", ContextTimeoutEnabled: true})
	tb.Cleanup(func() { client.Close() })
	if client.Ping(tb.Context()).Err() != nil {
		if os.Getenv("APIKEY_TEST_ALL") != "" {
			tb.Fatal("Redis does not answer at 127.0.0.1:6379")
		}
		return all
	}
	limiter := redis_rate.NewLimiter(client)
	return append(all,
		limitPeer{"apikey in Redis", apikeyLimit(tb, limit.Redis(func(ctx context.Context, script string, keys, args []string) (any, error) {
			return client.Eval(ctx, script, keys, args).Result()
		}))},
		limitPeer{"redis_rate", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			result, err := limiter.Allow(r.Context(), apikey.SharedKey(r.Context()).ID, redis_rate.PerMinute(limitRequests))
			if err != nil || result.Allowed == 0 {
				http.Error(w, "limited", http.StatusTooManyRequests)
				return
			}
			bare.ServeHTTP(w, r)
		})})
}

func apikeyLimit(tb testing.TB, b limit.Backend) http.Handler {
	l, err := limit.New(b, limit.Options{})
	require.NoError(tb, err)
	return l.Handler(interleave.Handler)
}

// rateLimit keeps a rate.Limiter for each key in a map, as most programs do with x/time/rate. It never forgets a key.
func rateLimit(next http.Handler) http.Handler {
	var mu sync.Mutex
	limiters := make(map[string]*rate.Limiter)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := apikey.SharedKey(r.Context()).ID
		mu.Lock()
		l := limiters[id]
		if l == nil {
			l = rate.NewLimiter(limitRequests/60, limitRequests)
			limiters[id] = l
		}
		mu.Unlock()
		if !l.Allow() {
			http.Error(w, "limited", http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func limitedRequest() *http.Request {
	r := interleave.Request("/library")
	return r.WithContext(apikey.NewContext(r.Context(), apikey.Key{ID: "1", Limits: []apikey.Limit{
		{Name: "minute", Requests: limitRequests, Per: time.Minute},
	}}))
}

// BenchmarkLimit reports the overhead of one limit over a bare handler, in nanoseconds.
func BenchmarkLimit(b *testing.B) {
	for _, p := range limitPeers(b) {
		b.Run(p.name, func(b *testing.B) {
			result := interleave.Measure(b, interleave.New(p.limited, limitedRequest()), interleave.New(interleave.Handler, limitedRequest()))
			b.ReportMetric(result.Median(func(t []float64) float64 { return t[0] - t[1] }), "overhead-ns")
		})
	}
}

func TestLimitPeersPermit(t *testing.T) {
	for _, p := range limitPeers(t) {
		w := httptest.NewRecorder()
		p.limited.ServeHTTP(w, limitedRequest())
		require.Equal(t, http.StatusOK, w.Code, p.name)
	}
}
