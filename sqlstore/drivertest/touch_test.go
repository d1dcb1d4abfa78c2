package drivertest

import (
	"bytes"
	"context"
	"database/sql/driver"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// silent discards the errors that a test provokes.
var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

// lastUse returns the last use of key n.
func lastUse(t testing.TB, store *sqlstore.Store, n int) time.Time {
	t.Helper()
	key, err := store.Get(context.Background(), keyOf(n).ID)
	require.NoError(t, err)
	return key.LastUsedAt
}

func isTouch(query string) bool { return strings.Contains(query, "INSERT INTO apikey_used") }

// Regardless of the number of uses, an interval writes one statement per chunk of keys.
func TestTouchesAreWrittenOncePerInterval(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		var writes atomic.Int32
		db := e.openHooked(t, dsn, func(_ context.Context, query string, _ []driver.NamedValue, do func() error) error {
			if isTouch(query) {
				writes.Add(1)
			}
			return do()
		})
		store := e.newStore(t, db, sqlstore.Options{TouchInterval: time.Hour})
		require.NoError(t, store.Migrate(t.Context()))
		addKeys(t, store, 0, 3)
		start := time.Now().Truncate(time.Second)
		for i := range 1000 {
			for n := range 3 {
				store.Touch(digestOf(n), apikey.Use{At: start.Add(time.Duration(i) * time.Second)})
			}
		}
		store.Touch(digestOf(4711), apikey.Use{At: start}) // an unknown key
		assert.Zero(t, writes.Load(), "writes before the end of the interval")
		require.NoError(t, store.Flush(t.Context()))
		assert.EqualValues(t, 1, writes.Load())
		require.NoError(t, store.Flush(t.Context()))
		assert.EqualValues(t, 1, writes.Load(), "writes after an interval without a use")
		for n := range 3 {
			assert.True(t, start.Add(999*time.Second).Equal(lastUse(t, store, n)))
		}
		assert.EqualValues(t, 3, queryInt(t, db, "SELECT COUNT(*) FROM apikey_used"))
		requireConsistentRevisions(t, db) // a use creates no revision
	})
}

func TestTouchesAreWrittenAutomatically(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		store := e.openStore(t, e.create(t), sqlstore.Options{TouchInterval: 10 * time.Millisecond})
		addKeys(t, store, 0, 1)
		store.Touch(digestOf(0), apikey.Use{At: time.Now()})
		eventually(t, 30*time.Second, "a use is written", func() bool { return !lastUse(t, store, 0).IsZero() })
	})
}

// If the database hangs, so that every statement waits for its context, requests are not delayed.
func TestTouchNeverWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		var hangs atomic.Bool
		hanging := make(chan struct{}, 1000)
		db := e.openHooked(t, dsn, func(ctx context.Context, _ string, _ []driver.NamedValue, do func() error) error {
			if hangs.Load() {
				hanging <- struct{}{}
				<-ctx.Done()
				return ctx.Err()
			}
			return do()
		})
		store := e.newStore(t, db, sqlstore.Options{TouchInterval: time.Millisecond, MaxTouches: 10, WriteTimeout: time.Minute, Logger: silent})
		require.NoError(t, store.Migrate(t.Context()))
		addKeys(t, store, 0, 30)
		hangs.Store(true)
		now := time.Now()
		store.Touch(digestOf(0), apikey.Use{At: now})
		<-hanging // the write of the use has begun and does not end
		for n := range 30 {
			store.Touch(digestOf(n), apikey.Use{At: now.Add(time.Second)})
		}
		// A call that waited for the database would take a minute.
		assert.Less(t, time.Since(now), 30*time.Second)
		assert.EqualValues(t, 20, store.Dropped(), "beyond MaxTouches")
		// A use that is older than the pending one is not dropped.
		store.Touch(digestOf(0), apikey.Use{At: now})
		assert.EqualValues(t, 20, store.Dropped())

		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		closed := make(chan error)
		go func() { closed <- store.Close(ctx) }()
		select {
		case err := <-closed:
			assert.ErrorIs(t, err, context.DeadlineExceeded)
		case <-time.After(30 * time.Second):
			t.Fatal("Close waits longer than its context")
		}
		hangs.Store(false)
	})
}

func TestFailedTouchesStayPending(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		var broken atomic.Bool
		db := e.openHooked(t, dsn, func(_ context.Context, query string, _ []driver.NamedValue, do func() error) error {
			if broken.Load() && isTouch(query) {
				return io.ErrUnexpectedEOF
			}
			return do()
		})
		var log bytes.Buffer
		store := e.newStore(t, db, sqlstore.Options{TouchInterval: time.Hour, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, store.Migrate(t.Context()))
		addKeys(t, store, 0, 2)
		broken.Store(true)
		start := time.Now().Truncate(time.Second)
		store.Touch(digestOf(0), apikey.Use{At: start})
		store.Touch(digestOf(1), apikey.Use{At: start})
		require.ErrorIs(t, store.Flush(t.Context()), io.ErrUnexpectedEOF)
		store.Touch(digestOf(1), apikey.Use{At: start.Add(time.Second)})
		require.ErrorIs(t, store.Flush(t.Context()), io.ErrUnexpectedEOF)
		broken.Store(false)
		require.NoError(t, store.Flush(t.Context()))
		assert.True(t, start.Equal(lastUse(t, store, 0)))
		assert.True(t, start.Add(time.Second).Equal(lastUse(t, store, 1)))
		assert.Zero(t, store.Dropped())
		assert.Zero(t, db.Stats().InUse)
	})
}

func TestCloseWritesTouches(t *testing.T) { // not parallel, because it examines all goroutines
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			e.requireServer(t)
			testCloseWritesTouches(t, e)
		})
	}
}

func testCloseWritesTouches(t *testing.T, e engine) {
	dsn := e.create(t)
	reader := e.openStore(t, dsn, sqlstore.Options{})
	addKeys(t, reader, 0, 2)
	db := e.openDB(t, dsn)
	store, err := sqlstore.New(db, e.dialect, sqlstore.Options{TouchInterval: time.Hour})
	require.NoError(t, err)
	start := time.Now().Truncate(time.Second)
	store.Touch(digestOf(0), apikey.Use{At: start})
	require.NoError(t, store.Close(t.Context()))
	assert.True(t, start.Equal(lastUse(t, reader, 0)))

	store.Touch(digestOf(1), apikey.Use{At: start})
	assert.EqualValues(t, 1, store.Dropped(), "a use after Close")
	require.NoError(t, store.Close(t.Context()), "Close again")
	assert.Zero(t, lastUse(t, reader, 1))

	require.NoError(t, reader.Close(t.Context()))
	var left string
	eventually(t, 10*time.Second, "no goroutine of the store is left", func() bool {
		stacks := make([]byte, 1<<20)
		left = ""
		for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			if strings.Contains(stack, "sqlstore.(*Store)") {
				left += stack
			}
		}
		return left == ""
	})
}

// Requests update the last use in the database, even through a cache.
func TestRequestsUpdateLastUse(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		for _, test := range []struct {
			name string
			wrap func(*testing.T, *sqlstore.Store) apikey.KeyStore
		}{
			{"store", func(_ *testing.T, s *sqlstore.Store) apikey.KeyStore { return s }},
			{"cache", func(t *testing.T, s *sqlstore.Store) apikey.KeyStore {
				cache, err := cachestore.New(s, cachestore.Options{})
				require.NoError(t, err)
				t.Cleanup(cache.Close)
				return cache
			}},
		} {
			t.Run(test.name, func(t *testing.T) {
				store := e.openStore(t, e.create(t), sqlstore.Options{})
				issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
				require.NoError(t, err)
				secret, key, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup"})
				require.NoError(t, err)
				auth, err := apikey.New(test.wrap(t, store), apikey.Options{RecordAddress: true})
				require.NoError(t, err)
				handler := auth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
				begin := time.Now().Truncate(time.Second)
				for range 3 {
					r := httptest.NewRequest("GET", "/", nil)
					r.Header.Set("X-Emby-Token", secret.Reveal())
					r.RemoteAddr = "[2001:db8::7]:1234"
					w := httptest.NewRecorder()
					handler.ServeHTTP(w, r)
					require.Equal(t, 200, w.Code, w.Body)
				}
				require.NoError(t, store.Flush(t.Context()))
				got, err := store.Get(t.Context(), key.ID)
				require.NoError(t, err)
				assert.WithinRange(t, got.LastUsedAt, begin, time.Now())
				assert.Equal(t, "2001:db8::7", got.LastUsedAddr.String())
			})
		}
	})
}
