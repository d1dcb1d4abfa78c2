package redistest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
)

// Redis refuses an expiry of more than 2⁶³ milliseconds, and a reply cannot contain an integer above 2⁶³.
func TestSlowestLimit(t *testing.T) {
	forEachClient(t, func(t *testing.T, _ *server, l *limit.Limiter) {
		key := keyWith(t, "1", "slow=1/8784h+1000000000")
		for range 2 {
			require.NoError(t, l.Take(t.Context(), key, 450_000_000))
		}
		use, err := l.Use(t.Context(), key)
		require.NoError(t, err)
		require.EqualValues(t, 100_000_000, use[0].Remaining)
		require.EqualValues(t, 9223372036, use[0].Reset.Seconds())
	})
}

// Redis forgets a balance when its limit has refilled. A limit that became slower refills later.
func TestALimitThatBecameSlowerKeepsItsUse(t *testing.T) {
	forEachClient(t, func(t *testing.T, s *server, l *limit.Limiter) {
		require.NoError(t, l.Take(t.Context(), keyWith(t, "1", "rate=1/10m"), 1))
		require.ErrorIs(t, l.Take(t.Context(), keyWith(t, "1", "rate=1/24h"), 1), apikey.ErrLimited)
		balances, err := s.admin.Keys(t.Context(), "apikey:limit:*").Result()
		require.NoError(t, err)
		require.Len(t, balances, 1)
		left, err := s.admin.PTTL(t.Context(), balances[0]).Result()
		require.NoError(t, err)
		require.Greater(t, left, 23*time.Hour)
	})
}
