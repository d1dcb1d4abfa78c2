// Package redistest tests package limit with real Redis servers and the clients that services use.
package redistest

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/limit"
)

// A client makes a Backend for the server at an address.
type client struct {
	name    string
	connect func(tb testing.TB, addr string) limit.Backend
}

var clients = []client{
	{"go-redis", func(tb testing.TB, addr string) limit.Backend {
		client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, MaxRetries: -1, DialTimeout: time.Second})
		tb.Cleanup(func() { client.Close() })
		return limit.Redis(func(ctx context.Context, script string, keys, args []string) (any, error) {
			return client.Eval(ctx, script, keys, args).Result()
		})
	}},
	{"rueidis", func(tb testing.TB, addr string) limit.Backend {
		client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true, DisableRetry: true})
		require.NoError(tb, err)
		tb.Cleanup(client.Close)
		return limit.Redis(func(ctx context.Context, script string, keys, args []string) (any, error) {
			return client.Do(ctx, client.B().Eval().Script(script).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()).ToAny()
		})
	}},
}
