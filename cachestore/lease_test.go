package cachestore_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestLeaseCountsFromSendingThePoll(t *testing.T) {
	t.Parallel()
	for _, hold := range []time.Duration{0, 900 * time.Millisecond, 2900 * time.Millisecond, 5 * time.Second} {
		t.Run(hold.String(), func(t *testing.T) {
			t.Parallel()
			withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
				d := cl.db.create(t, 1)
				wantLookup(t, cl.remote, d, nil)
				// The next poll reads its answer and is then held back. The key is revoked in
				// between, and every later poll fails.
				var sent time.Time
				asked := make(chan struct{})
				cl.remoteFeed.intercept(func(_ context.Context, ask poll) (apikey.Changes, error) {
					cl.remoteFeed.fail()
					sent = time.Now()
					c, err := ask()
					close(asked)
					time.Sleep(hold)
					return c, err
				})
				<-asked
				cl.db.revoke(t, 1)
				last := lastAccepted(t, cl.remote, d, sent, 10*time.Second)
				assert.Less(t, last, 3*time.Second, "poll held back for %v: last accepted %v after it was sent; want less than the lease of 3 s", hold, last)
				if last < 1900*time.Millisecond { // the lease of the poll before this one
					t.Errorf("poll held back for %v: last accepted after %v; want the lease of the poll before", hold, last)
				}
			})
		})
	}
}

func TestRemoteRevocationTakesOnePollInterval(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		for i := range 20 {
			d := cl.db.create(t, i)
			wantLookup(t, cl.remote, d, nil)
			time.Sleep(time.Duration(i) * 77 * time.Millisecond)
			wantLookup(t, cl.remote, d, nil)
			cl.db.revoke(t, i)
			wantLookup(t, cl.local, d, apikey.ErrRevoked)
			last := lastAccepted(t, cl.remote, d, time.Now(), 2*time.Second)
			assert.LessOrEqual(t, last, time.Second, "key accepted for %v after its revocation; want at most the Poll interval of 1 s", last)
		}
	})
}

// The lease is renewed after the removals. This test watches a poll with many removals from another
// core, for a lookup that sees the new lease and an old entry.
func TestLeaseIsRenewedAfterRemovals(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		cancelled, cancel := context.WithCancel(t.Context())
		cancel() // a hit is answered, any other lookup returns at once
		many := make([]apikey.Digest, 100_000)
		for i := range many {
			many[i] = digestOf(-1 - i)
		}
		for i := range 5 {
			d := cl.db.create(t, i)
			wantLookup(t, cl.remote, d, nil)
			cl.remoteFeed.fail()
			time.Sleep(4 * time.Second)
			cl.db.revoke(t, i)

			asked, polled := make(chan struct{}), make(chan struct{})
			var done atomic.Bool
			cl.remoteFeed.intercept(func(_ context.Context, ask poll) (apikey.Changes, error) {
				cl.remoteFeed.heal()
				close(asked)
				c, err := ask()
				c.Digests = append(many, c.Digests...)
				return c, err
			})
			go func() {
				defer close(polled)
				<-asked
				for !done.Load() {
					if key, err := cl.remote.Lookup(cancelled, d); err == nil && key.RevokedAt.IsZero() {
						t.Error("Lookup returned an entry that the poll removes under the lease that it renews")
						return
					}
				}
			}()
			<-asked
			for cl.remote.Stats().LeaseRemaining == 0 { // Stats waits for the lock
			}
			done.Store(true)
			<-polled
			wantLookup(t, cl.remote, d, apikey.ErrRevoked)
		}
	})
}

func TestEndOfLeaseIsUnavailableNotUnknown(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		issuer, err := apikey.NewIssuer(cl.db, apikey.IssuerOptions{})
		require.NoError(t, err)
		secret, key, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job", Scopes: []string{"read"}})
		require.NoError(t, err)
		auth, err := apikey.New(cl.remote, apikey.Options{Logger: quiet})
		require.NoError(t, err)
		// Scopes are checked on cached keys too.
		mux := http.NewServeMux()
		mux.Handle("/read", apikey.Require("read")(http.NotFoundHandler()))
		mux.Handle("/write", apikey.Require("write")(http.NotFoundHandler()))
		status := func(path string) int {
			r := httptest.NewRequest("GET", path, nil)
			r.Header.Set("X-API-Key", secret.Reveal())
			rec := httptest.NewRecorder()
			auth.Handler(mux).ServeHTTP(rec, r)
			assert.True(t, rec.Code != 503 || rec.Header().Get("Retry-After") != "", "503 without Retry-After")
			return rec.Code
		}
		wantStatus := func(want int) {
			t.Helper()
			assert.Equal(t, want, status("/read"), "status at %v", clockTime())
		}
		wantStatus(404)
		wantStatus(404)
		assert.Equal(t, 403, status("/write"), "status without the scope")
		time.Sleep(500 * time.Millisecond)
		cl.remoteFeed.fail()
		cl.db.before.Store(new(func(context.Context) error { return errDown }))
		time.Sleep(2499 * time.Millisecond)
		wantStatus(404)
		time.Sleep(time.Millisecond) // the lease of the poll at 0 ends
		wantStatus(503)
		time.Sleep(time.Hour)
		wantStatus(503)
		_, err = cl.db.Revoke(t.Context(), key.ID)
		require.NoError(t, err)
		cl.remoteFeed.heal()
		cl.db.before.Store(nil)
		time.Sleep(251 * time.Millisecond) // the next poll
		wantStatus(401)
	})
}

func TestFirstGoodPollRevalidatesTheCache(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		for i := range 1000 {
			wantLookup(t, cl.remote, cl.db.create(t, i), nil)
		}
		reads := cl.db.reads.Load()
		cl.remoteFeed.fail()
		time.Sleep(20*time.Second + 100*time.Millisecond) // between two polls
		polls := cl.remoteFeed.polls.Load()
		for i := range 2000 { // half of them are cached; only the poller probes the database
			wantLookup(t, cl.remote, digestOf(i), apikey.ErrUnavailable)
		}
		assert.Zero(t, cl.db.reads.Load()-reads+cl.remoteFeed.polls.Load()-polls, "probes of the database by lookups")
		cl.remoteFeed.heal()
		time.Sleep(250 * time.Millisecond)
		synctest.Wait()
		for i := range 1000 {
			wantLookup(t, cl.remote, digestOf(i), nil)
		}
		assert.Zero(t, cl.db.reads.Load()-reads, "unchanged keys that were read again after the outage")
		st := cl.remote.Stats()
		assert.True(t, st.PollFailures != 0 && st.Refused == 2000, "Stats() = %+v; want PollFailures and 2000 Refused", st)
	})
}

func TestLookupsShareAPoll(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		d := cl.db.create(t, 1)
		wantLookup(t, cl.remote, d, nil)
		time.Sleep(500 * time.Millisecond)
		gate := make(chan struct{})
		cl.remoteFeed.intercept(func(_ context.Context, ask poll) (apikey.Changes, error) {
			c, err := ask()
			<-gate
			return c, err
		})
		time.Sleep(2600 * time.Millisecond) // the poll was sent at 1 s, the lease ends at 3 s
		polls := cl.remoteFeed.polls.Load()
		var waits []func() error
		for range 50 {
			waits = append(waits, lookupAsync(t.Context(), cl.remote, d))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		assert.Equal(t, context.DeadlineExceeded, lookupAsync(ctx, cl.remote, d)(), "lookup past its deadline")
		close(gate)
		for _, wait := range waits {
			assert.NoError(t, wait(), "lookup that waited for the poll")
		}
		if n := cl.remoteFeed.polls.Load() - polls; n > 1 { // the lease of the slow poll had ended when it was answered
			t.Errorf("%d polls for 50 lookups; want at most 1", n)
		}
	})
}

func TestHangingFeedDelaysLookupByQueryTimeout(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		d := cl.db.create(t, 1)
		wantLookup(t, cl.remote, d, nil)
		cl.remoteFeed.intercept(func(context.Context, poll) (apikey.Changes, error) {
			time.Sleep(time.Minute)
			return apikey.Changes{}, errDown
		})
		time.Sleep(10 * time.Second)
		begun := time.Now()
		wantLookup(t, cl.remote, d, apikey.ErrUnavailable)
		assert.LessOrEqual(t, time.Since(begun), time.Second, "duration of the lookup")
	})
}

func TestCachedKeyExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		cache := open(t, store, store, cachestore.Options{})
		issuer, _ := apikey.NewIssuer(store, apikey.IssuerOptions{})
		secret, _, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "short", ExpiresAt: time.Now().Add(90 * time.Second)})
		require.NoError(t, err)
		auth, _ := apikey.New(cache, apikey.Options{Logger: quiet})
		for range 900 {
			_, err := auth.Verify(t.Context(), secret)
			require.NoError(t, err, "at %v", clockTime())
			time.Sleep(100 * time.Millisecond)
		}
		_, err = auth.Verify(t.Context(), secret)
		assert.ErrorIs(t, err, apikey.ErrExpired, "at %v: Verify", clockTime())
		assert.EqualValues(t, 1, cache.Stats().Loads, "Loads: the key is cached")
	})
}
