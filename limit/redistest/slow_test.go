package redistest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/limit"
)

// Redis refuses an expiry of more than 2⁶³ milliseconds, and the numbers of a script end at 2⁶³.
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
