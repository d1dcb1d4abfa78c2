package redistest

import (
	"context"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
)

// A model is the specification of package limit, in exact arithmetic.
type model struct {
	used map[string]*big.Rat
	at   map[string]time.Time
}

func newModel() *model { return &model{map[string]*big.Rat{}, map[string]time.Time{}} }

// left returns how many requests a limit permits at a time.
func (m *model) left(l apikey.Limit, now time.Time) *big.Rat {
	name := l.Name + l.Calendar
	used := m.used[name]
	if used == nil {
		used = new(big.Rat)
	}
	most := max(l.Burst, l.Requests)
	if l.Burst != 0 {
		most = l.Burst
	}
	if l.Calendar != "" {
		layout := map[string]string{"day": time.DateOnly, "month": "2006-01"}[l.Calendar]
		if m.at[name].UTC().Format(layout) != now.UTC().Format(layout) {
			used = new(big.Rat)
		}
	} else if at, ok := m.at[name]; ok {
		refill := new(big.Rat).Mul(big.NewRat(now.Sub(at).Microseconds(), l.Per.Microseconds()), big.NewRat(l.Requests, 1))
		if used = new(big.Rat).Sub(used, refill); used.Sign() < 0 {
			used = new(big.Rat)
		}
	}
	return new(big.Rat).Sub(big.NewRat(most, 1), used)
}

func (m *model) spend(l apikey.Limit, now time.Time, cost int64) {
	most := l.Requests
	if l.Burst != 0 {
		most = l.Burst
	}
	left := m.left(l, now)
	used := new(big.Rat).Sub(big.NewRat(most, 1), left)
	m.used[l.Name+l.Calendar] = used.Add(used, big.NewRat(cost, 1))
	m.at[l.Name+l.Calendar] = now
}

// rounding is the number of requests by which a backend may permit less than the model.
var rounding = big.NewRat(1, 1000)

// check compares a backend with the model for random limits, costs and times. advance moves the clock of
// the backend and returns its time.
func check(t *rapid.T, b limit.Backend, now func() time.Time, advance func(time.Duration)) {
	m := newModel()
	var limits []apikey.Limit
	for i := range rapid.IntRange(1, 4).Draw(t, "limits") {
		l := apikey.Limit{Name: fmt.Sprintf("limit%d", i), Requests: rapid.Int64Range(1, 1000).Draw(t, "requests")}
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			l.Calendar = "day"
		case 1:
			l.Calendar = "month"
		default:
			l.Per = time.Duration(rapid.Int64Range(1000, 100_000_000_000).Draw(t, "per")) * time.Microsecond
			l.Burst = rapid.Int64Range(0, 50).Draw(t, "burst")
		}
		require.NoError(t, apikey.CheckLimits([]apikey.Limit{l}))
		limits = append(limits, l)
	}
	for range 50 {
		switch rapid.IntRange(0, 3).Draw(t, "wait") {
		case 0:
			advance(time.Duration(rapid.Int64Range(0, 10_000_000).Draw(t, "micros")) * time.Microsecond)
		case 1:
			advance(time.Duration(rapid.Int64Range(0, 50*24*3600).Draw(t, "seconds")) * time.Second)
		}
		cost := rapid.Int64Range(1, 20).Draw(t, "cost")
		result, err := b.Take(context.Background(), "subject", limits, cost)
		require.NoError(t, err)
		must, may := true, true // permit
		for _, l := range limits {
			spare := m.left(l, now()).Sub(m.left(l, now()), big.NewRat(cost, 1))
			may = may && spare.Sign() >= 0
			must = must && spare.Cmp(rounding) >= 0
		}
		if result.Permitted && !may {
			t.Fatalf("permitted a cost of %d of %v, which the model refuses: %+v", cost, limits, result)
		}
		if !result.Permitted && must {
			t.Fatalf("refused a cost of %d of %v, which the model permits: %+v", cost, limits, result)
		}
		if result.Permitted {
			for _, l := range limits {
				m.spend(l, now(), cost)
			}
		}
		for i, l := range limits {
			want, _ := m.left(l, now()).Float64()
			require.InDelta(t, max(0, want), float64(result.States[i].Remaining), 1.01, "Remaining of %v", l)
		}
	}
}

func TestMemoryFollowsTheModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tb := struct{ rapid.TB }{t} // without Deadline, which panics in a bubble
		rapid.Check(tb, func(rt *rapid.T) { check(rt, limit.Memory(), time.Now, time.Sleep) })
	})
}

// atClock returns an Eval that replaces the clock of the server. The names of its keys begin with prefix.
func atClock(s *server, prefix string, now func() time.Time) limit.Eval {
	return func(ctx context.Context, script string, keys, args []string) (any, error) {
		const read = "redis.call('TIME')"
		require.Equal(s.t, 1, strings.Count(script, read))
		script = strings.Replace(script, read, fmt.Sprintf("{'%d', '%d'}", now().Unix(), now().Nanosecond()/1000), 1)
		// Redis would forget balances by its own clock.
		script = strings.Replace(script, ", 'PX', string.format('%.0f', expires)", "", 1)
		for i := range keys {
			keys[i] = prefix + keys[i]
		}
		return s.admin.Eval(ctx, script, keys, args).Result()
	}
}

// The script runs in Redis with a clock that the test sets.
func TestRedisFollowsTheModel(t *testing.T) {
	t.Parallel()
	onEachServer(t, func(t *testing.T, program string) {
		s := newServer(t, program)
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			prefix, clock := fmt.Sprint(n), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			b := limit.Redis(atClock(s, prefix, func() time.Time { return clock }))
			check(rt, b, func() time.Time { return clock }, func(d time.Duration) { clock = clock.Add(d) })
		})
	})
}

// The clock of a server may be set forward or back.
func TestClockSteps(t *testing.T) {
	t.Parallel()
	onEachServer(t, func(t *testing.T, program string) {
		s := newServer(t, program)
		clock := time.Date(2026, 12, 31, 23, 59, 0, 0, time.UTC)
		b := limit.Redis(atClock(s, "", func() time.Time { return clock }))
		l := newLimiter(t, b)
		rolling, quota := keyWith(t, "rolling", "rate=60/1m+5"), keyWith(t, "quota", "quota=3/month")
		require.Equal(t, 5, takeMany(t, l, rolling, 9))
		require.Equal(t, 3, takeMany(t, l, quota, 9))

		clock = clock.Add(-time.Hour)
		require.Equal(t, 0, takeMany(t, l, rolling, 9), "set back: nothing is refilled")
		require.Equal(t, 0, takeMany(t, l, quota, 9), "set back: nothing is refilled")
		clock = clock.Add(1001 * time.Millisecond)
		require.Equal(t, 1, takeMany(t, l, rolling, 9), "a second later")

		clock = clock.Add(time.Hour + 2*time.Minute) // the next month
		require.Equal(t, 3, takeMany(t, l, quota, 9))
		clock = clock.Add(-2 * time.Minute)
		require.Equal(t, 0, takeMany(t, l, quota, 9), "set back over the beginning of a month: no second quota")

		clock = clock.AddDate(4, 0, 0)
		require.Equal(t, 3, takeMany(t, l, quota, 9))
		require.Equal(t, 5, takeMany(t, l, rolling, 9))
		clock = clock.AddDate(-4, 0, 0)
		require.Equal(t, 3, takeMany(t, l, quota, 9), "a clock that was years ahead does not block the quota for years")
		require.Equal(t, 0, takeMany(t, l, rolling, 9))
		clock = clock.Add(5001 * time.Millisecond)
		require.Equal(t, 5, takeMany(t, l, rolling, 9), "the refill goes on from the new time")
	})
}
