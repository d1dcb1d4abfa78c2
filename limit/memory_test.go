package limit_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
)

func TestConcurrentRequests(t *testing.T) {
	t.Parallel()
	m := limit.NewTestMemory(func() time.Duration { return 0 }, time.Now)
	limits := []apikey.Limit{{Name: "rate", Requests: 1000, Per: time.Hour}, {Name: "day", Requests: 700, Calendar: "day"}}
	var permitted atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 100 {
				result, err := m.Take(t.Context(), "1", limits, 1)
				assert.NoError(t, err)
				if result.Permitted {
					permitted.Add(1)
				}
			}
		})
	}
	all.Wait()
	assert.EqualValues(t, 700, permitted.Load())
}

// A request that makes the backend forget unused balances also uses one of them.
func TestForgettingKeepsTheUseOfTheSameRequest(t *testing.T) {
	t.Parallel()
	var now time.Duration
	m := limit.NewTestMemory(func() time.Duration { return now }, time.Now)
	old := []apikey.Limit{{Name: "old", Requests: 1, Per: time.Second}}
	both := append([]apikey.Limit{{Name: "new", Requests: 1, Per: time.Second}}, old...)
	take := func(subject int, limits []apikey.Limit) bool {
		result, err := m.Take(t.Context(), strconv.Itoa(subject), limits, 1)
		require.NoError(t, err)
		return result.Permitted
	}
	const subjects = 50_000 // some of which make their shard look for unused balances
	for i := range subjects {
		require.True(t, take(i, old))
	}
	now = time.Hour
	for i := range subjects {
		require.True(t, take(i, both))
		require.False(t, take(i, old), "subject %d", i)
	}
}

// A balance is forgotten when its limit has refilled. A limit that became slower refills later.
func TestForgettingKeepsTheUseOfALimitThatBecameSlower(t *testing.T) {
	t.Parallel()
	var now time.Duration
	m := limit.NewTestMemory(func() time.Duration { return now }, time.Now)
	take := func(subject string, l apikey.Limit) bool {
		result, err := m.Take(t.Context(), subject, []apikey.Limit{l}, 1)
		require.NoError(t, err)
		return result.Permitted
	}
	fast, slow := apikey.Limit{Name: "rate", Requests: 1, Per: time.Second}, apikey.Limit{Name: "rate", Requests: 1, Per: time.Hour}
	require.True(t, take("1", fast))
	require.False(t, take("1", slow))
	now = time.Minute
	for i := range 50_000 { // some of which make their shard look for unused balances
		require.True(t, take(strconv.Itoa(i+2), fast))
	}
	require.False(t, take("1", slow))
}

// A quota ends later than expected if the system clock is set back.
func TestForgettingKeepsTheUseOfAQuotaWhenTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	var now time.Duration
	wall := time.Date(2026, 11, 28, 23, 0, 0, 0, time.UTC)
	m := limit.NewTestMemory(func() time.Duration { return now }, func() time.Time { return wall.Add(now) })
	take := func(subject string, l apikey.Limit) bool {
		result, err := m.Take(t.Context(), subject, []apikey.Limit{l}, 1)
		require.NoError(t, err)
		return result.Permitted
	}
	quota := apikey.Limit{Name: "quota", Requests: 1, Calendar: "day"}
	require.True(t, take("1", quota))
	wall = wall.Add(-3 * time.Hour)
	now = 2 * time.Hour
	for i := range 50_000 { // some of which make their shard look for unused balances
		require.True(t, take(strconv.Itoa(i+2), apikey.Limit{Name: "rate", Requests: 1, Per: time.Second}))
	}
	require.False(t, take("1", quota), "the same day")
}
