package redistest

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
)

func newLimiter(t *testing.T, b limit.Backend) *limit.Limiter {
	t.Helper()
	l, err := limit.New(b, limit.Options{})
	require.NoError(t, err)
	return l
}

func keyWith(t *testing.T, id, limits string) *apikey.Key {
	t.Helper()
	parsed, err := apikey.ParseLimits(limits)
	require.NoError(t, err)
	return &apikey.Key{ID: id, Limits: parsed}
}

// takeMany spends n requests one by one and returns how many of them are permitted.
func takeMany(t *testing.T, l *limit.Limiter, key *apikey.Key, n int) (permitted int) {
	t.Helper()
	for range n {
		err := l.Take(t.Context(), key, 1)
		if err == nil {
			permitted++
			continue
		}
		require.ErrorIs(t, err, apikey.ErrLimited)
	}
	return permitted
}

func forEachClient(t *testing.T, test func(t *testing.T, s *server, l *limit.Limiter), args ...string) {
	t.Parallel()
	onEachServer(t, func(t *testing.T, program string) {
		for _, c := range clients {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				s := newServer(t, program, args...)
				test(t, s, newLimiter(t, c.connect(t, s.addr)))
			})
		}
	})
}

func TestRestartKeepsBalances(t *testing.T) {
	forEachClient(t, func(t *testing.T, s *server, l *limit.Limiter) {
		key := keyWith(t, "1", "month=5/month slow=5/1000h")
		require.Equal(t, 3, takeMany(t, l, key, 3))
		s.stop(syscall.SIGTERM)
		assert.ErrorIs(t, l.Take(t.Context(), key, 1), apikey.ErrUnavailable, "a stopped server")
		s.start()
		permitted := 0
		require.Eventually(t, func() bool {
			err := l.Take(t.Context(), key, 1) // fails until the client has a new connection
			if err == nil {
				permitted++
			}
			return errors.Is(err, apikey.ErrLimited)
		}, 20*time.Second, 20*time.Millisecond)
		// A request whose reply was lost may have been counted too.
		assert.LessOrEqual(t, permitted, 2, "of 5 after 3")
		assert.Positive(t, permitted)
	})
}

func TestFrozenServerRefuses(t *testing.T) {
	forEachClient(t, func(t *testing.T, s *server, l *limit.Limiter) {
		key := keyWith(t, "1", "rate=1000/1s")
		require.NoError(t, l.Take(t.Context(), key, 1))
		s.signal(syscall.SIGSTOP)
		assert.ErrorIs(t, l.Take(t.Context(), key, 1), apikey.ErrUnavailable)
		s.signal(syscall.SIGCONT)
		require.Eventually(t, func() bool { return l.Take(t.Context(), key, 1) == nil }, 20*time.Second, 50*time.Millisecond)
	})
}

func TestSlowServerDelays(t *testing.T) {
	forEachClient(t, func(t *testing.T, s *server, l *limit.Limiter) {
		key := keyWith(t, "1", "rate=1000/1s")
		asleep := make(chan error, 1)
		go func() { asleep <- s.admin.Do(t.Context(), "DEBUG", "SLEEP", "0.2").Err() }()
		assert.NoError(t, l.Take(t.Context(), key, 1))
		assert.NoError(t, <-asleep)
	})
}

func TestFailoverKeepsReplicatedBalances(t *testing.T) {
	t.Parallel()
	onEachServer(t, func(t *testing.T, program string) {
		primary, replica := newServer(t, program), newServer(t, program)
		host, port := "127.0.0.1", primary.addr[len("127.0.0.1:"):]
		require.NoError(t, replica.admin.ReplicaOf(t.Context(), host, port).Err())
		for _, c := range clients {
			l := newLimiter(t, c.connect(t, primary.addr))
			require.Equal(t, 3, takeMany(t, l, keyWith(t, c.name, "day=5/day slow=5/1000h"), 3))
		}
		require.Eventually(t, func() bool { return replica.admin.DBSize(t.Context()).Val() == int64(2*len(clients)) }, 30*time.Second, 20*time.Millisecond, "replicated")
		primary.stop(syscall.SIGKILL)
		require.NoError(t, replica.admin.ReplicaOf(t.Context(), "NO", "ONE").Err())
		for _, c := range clients {
			l := newLimiter(t, c.connect(t, replica.addr))
			assert.Equal(t, 2, takeMany(t, l, keyWith(t, c.name, "day=5/day slow=5/1000h"), 9), c.name)
		}
	})
}

// The limits of a subject are in one slot of a cluster.
func TestCluster(t *testing.T) {
	forEachClient(t, func(t *testing.T, s *server, l *limit.Limiter) {
		require.NoError(t, s.admin.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
		for _, id := range []string{"1", "two", "}", "{", "a}b{c", ""} {
			key := keyWith(t, "x"+id, "day=5/day rate=100/1h+3 month=5/month")
			require.Eventually(t, func() bool { return l.Take(t.Context(), key, 1) == nil }, 20*time.Second, 50*time.Millisecond, "the cluster is ready")
			assert.Equal(t, 2, takeMany(t, l, key, 9), id)
		}
	}, "--cluster-enabled", "yes")
}
