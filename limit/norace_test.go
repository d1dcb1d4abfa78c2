//go:build !race

package limit_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
)

func TestPermittedRequestsDoNotAllocate(t *testing.T) {
	limits, err := limit.New(limit.Memory(), limit.Options{By: func(k *apikey.Key) string { return "" }})
	require.NoError(t, err)
	h := limits.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	key := apikey.Key{ID: "1", Limits: []apikey.Limit{
		{Name: "rate", Requests: 1_000_000_000, Per: time.Second}, {Name: "month", Requests: 1_000_000_000, Calendar: "month"},
	}}
	r := httptest.NewRequest("GET", "/", nil)
	r = r.WithContext(apikey.NewContext(r.Context(), key))
	w := httptest.NewRecorder()
	assert.Zero(t, testing.AllocsPerRun(1000, func() { h.ServeHTTP(w, r) }))
}

var perSecond = []apikey.Limit{{Name: "rate", Requests: 1, Per: time.Second}}

// This test does not run in parallel, because it would measure the memory of other tests too.
func TestMillionKeys(t *testing.T) {
	var now atomic.Int64
	m := limit.NewTestMemory(func() time.Duration { return time.Duration(now.Load()) }, time.Now)
	heap := func() int64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	before := heap()
	take := func(from, to int) (refused int) {
		for i := from; i < to; i++ {
			if _, err := m.Take(t.Context(), strconv.Itoa(i), perSecond, 1); err != nil {
				require.ErrorIs(t, err, limit.ErrFull)
				refused++
			}
		}
		return refused
	}
	const million = 1_000_000
	require.Zero(t, take(0, million))
	size := (heap() - before) / million
	t.Logf("%d bytes a balance", size)
	assert.Less(t, size, int64(250), "bytes of a balance")

	assert.Positive(t, take(million, 5*million/2), "a full backend refuses new balances and forgets no used one")
	assert.Less(t, heap()-before, int64(limit.MaxBalances)*250, "bytes of a full backend")

	now.Store(int64(time.Hour)) // all limits have refilled
	assert.Zero(t, take(0, million), "a backend forgets balances that equal a fresh one")
	runtime.KeepAlive(m)
}
