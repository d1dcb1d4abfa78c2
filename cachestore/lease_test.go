package cachestore_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestTheLeaseIsCountedFromTheSendingOfThePoll(t *testing.T) {
	t.Parallel()
	for _, hold := range []time.Duration{0, 900 * time.Millisecond, 2900 * time.Millisecond, 5 * time.Second} {
		t.Run(hold.String(), func(t *testing.T) {
			t.Parallel()
			inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
				d := w.db.create(t, 1)
				wants(t, w.there, d, nil)
				// The next poll reads its answer, and then is held back. The key is
				// revoked in between, and no poll after it is answered.
				var sent time.Time
				asked := make(chan struct{})
				w.remote.through(func(_ context.Context, ask poll) (apikey.Changes, error) {
					w.remote.fail()
					sent = time.Now()
					c, err := ask()
					close(asked)
					time.Sleep(hold)
					return c, err
				})
				<-asked
				w.db.revoke(t, 1)
				last := lastAccepted(t, w.there, d, sent, 10*time.Second)
				if last >= 3*time.Second {
					t.Errorf("the key was accepted %v after the poll was sent, held back for %v", last, hold)
				}
				if last < 1900*time.Millisecond { // the lease of the poll before this one
					t.Errorf("the key was not accepted any more after %v", last)
				}
			})
		})
	}
}

func TestRevocationIsSeenElsewhereWithinThePollInterval(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		for i := range 20 {
			d := w.db.create(t, i)
			wants(t, w.there, d, nil)
			time.Sleep(time.Duration(i) * 77 * time.Millisecond)
			wants(t, w.there, d, nil)
			w.db.revoke(t, i)
			wants(t, w.here, d, apikey.ErrRevoked)
			if last := lastAccepted(t, w.there, d, time.Now(), 2*time.Second); last > time.Second {
				t.Errorf("the key was accepted for %v after its revocation", last)
			}
		}
	})
}

// The lease is published after the removals: nobody may see the one without the other. A
// poll that removes much is watched from another core.
func TestNoEntryIsUsedBetweenTheLeaseAndTheRemovals(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		cancelled, cancel := context.WithCancel(t.Context())
		cancel() // hits are answered, all else returns at once
		many := make([]apikey.Digest, 100_000)
		for i := range many {
			many[i] = digestOf(-1 - i)
		}
		for i := range 5 {
			d := w.db.create(t, i)
			wants(t, w.there, d, nil)
			w.remote.fail()
			time.Sleep(4 * time.Second)
			w.db.revoke(t, i)

			asked, polled := make(chan struct{}), make(chan struct{})
			var done atomic.Bool
			w.remote.through(func(_ context.Context, ask poll) (apikey.Changes, error) {
				w.remote.heal()
				close(asked)
				c, err := ask()
				c.Digests = append(many, c.Digests...)
				return c, err
			})
			go func() {
				defer close(polled)
				<-asked
				for !done.Load() {
					if key, err := w.there.Lookup(cancelled, d); err == nil && key.RevokedAt.IsZero() {
						t.Error("an entry that the poll removes was used after the lease was published")
						return
					}
				}
			}()
			<-asked
			for w.there.Stats().LeaseRemaining == 0 { // waits for the lock
			}
			done.Store(true)
			<-polled
			wants(t, w.there, d, apikey.ErrRevoked)
		}
	})
}

func TestKeysAreUnavailableNotUnknownWhenTheLeaseEnds(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		issuer, err := apikey.NewIssuer(w.db, nil)
		if err != nil {
			t.Fatal(err)
		}
		secret, key, err := issuer.Issue(t.Context(), apikey.Key{Name: "Backup job", Scopes: []string{"read"}})
		if err != nil {
			t.Fatal(err)
		}
		auth, err := apikey.New(w.there, apikey.Options{Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		// The scopes count also when the key came from the cache.
		mux := http.NewServeMux()
		mux.Handle("/read", apikey.Require("read")(http.NotFoundHandler()))
		mux.Handle("/write", apikey.Require("write")(http.NotFoundHandler()))
		status := func(path string) int {
			r := httptest.NewRequest("GET", path, nil)
			r.Header.Set("X-API-Key", secret.Reveal())
			rec := httptest.NewRecorder()
			auth.Handler(mux).ServeHTTP(rec, r)
			if rec.Code == 503 && rec.Header().Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			return rec.Code
		}
		is := func(want int) {
			t.Helper()
			if got := status("/read"); got != want {
				t.Errorf("at %v: status %d; want %d", clockTime(), got, want)
			}
		}
		is(404)
		is(404)
		if got := status("/write"); got != 403 {
			t.Errorf("without the scope: status %d", got)
		}
		time.Sleep(500 * time.Millisecond)
		w.remote.fail()
		w.db.before.Store(new(func(context.Context) error { return errDown }))
		time.Sleep(2499 * time.Millisecond)
		is(404)
		time.Sleep(time.Millisecond) // now the lease of the poll at 0 has ended
		is(503)
		time.Sleep(time.Hour)
		is(503)
		if _, err := w.db.Revoke(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
		w.remote.heal()
		w.db.before.Store(nil)
		time.Sleep(251 * time.Millisecond) // the next poll
		is(401)
	})
}

func TestTheFirstGoodPollIsRecovery(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		for i := range 1000 {
			wants(t, w.there, w.db.create(t, i), nil)
		}
		reads := w.db.reads.Load()
		w.remote.fail()
		time.Sleep(20*time.Second + 100*time.Millisecond) // between two polls
		polls := w.remote.polls.Load()
		for i := range 2000 { // cached and not: only the poller probes
			wants(t, w.there, digestOf(i), apikey.ErrUnavailable)
		}
		if n := w.db.reads.Load() - reads + w.remote.polls.Load() - polls; n != 0 {
			t.Errorf("lookups probed %d times", n)
		}
		w.remote.heal()
		time.Sleep(250 * time.Millisecond)
		synctest.Wait()
		for i := range 1000 {
			wants(t, w.there, digestOf(i), nil)
		}
		if n := w.db.reads.Load() - reads; n != 0 {
			t.Errorf("%d keys were read again after the outage, and none had changed", n)
		}
		if st := w.there.Stats(); st.PollFailures == 0 || st.Refused != 2000 {
			t.Errorf("%+v", st)
		}
	})
}

func TestLookupsThatWaitForAPollShareIt(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		d := w.db.create(t, 1)
		wants(t, w.there, d, nil)
		time.Sleep(500 * time.Millisecond)
		gate := make(chan struct{})
		w.remote.through(func(_ context.Context, ask poll) (apikey.Changes, error) {
			c, err := ask()
			<-gate
			return c, err
		})
		time.Sleep(2600 * time.Millisecond) // the poll was sent at 1 s, the lease ends at 3 s
		polls := w.remote.polls.Load()
		var waits []func() error
		for range 50 {
			waits = append(waits, background(t.Context(), w.there, d))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := background(ctx, w.there, d)(); err != context.DeadlineExceeded {
			t.Errorf("who does not wait gets %v", err)
		}
		close(gate)
		for _, wait := range waits {
			if err := wait(); err != nil {
				t.Errorf("who waited for the poll gets %v", err)
			}
		}
		if n := w.remote.polls.Load() - polls; n > 1 { // that poll was used up when it came
			t.Errorf("%d polls for 50 lookups", n)
		}
	})
}

func TestAFeedThatHangsDelaysALookupByTheQueryTimeout(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		d := w.db.create(t, 1)
		wants(t, w.there, d, nil)
		w.remote.through(func(context.Context, poll) (apikey.Changes, error) {
			time.Sleep(time.Minute)
			return apikey.Changes{}, errDown
		})
		time.Sleep(10 * time.Second)
		begun := time.Now()
		wants(t, w.there, d, apikey.ErrUnavailable)
		if took := time.Since(begun); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAKeyIsNeverUsedPastItsExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		cache := open(t, store, store, cachestore.Options{})
		issuer, _ := apikey.NewIssuer(store, nil)
		secret, _, err := issuer.Issue(t.Context(), apikey.Key{Name: "short", ExpiresAt: time.Now().Add(90 * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		auth, _ := apikey.New(cache, apikey.Options{Logger: quiet})
		for range 900 {
			if _, err := auth.Verify(t.Context(), secret); err != nil {
				t.Fatalf("at %v: %v", clockTime(), err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if _, err := auth.Verify(t.Context(), secret); !errors.Is(err, apikey.ErrExpired) {
			t.Errorf("at %v: %v", clockTime(), err)
		}
		if st := cache.Stats(); st.Loads != 1 {
			t.Errorf("%d loads; the key was to come from the cache", st.Loads)
		}
	})
}
