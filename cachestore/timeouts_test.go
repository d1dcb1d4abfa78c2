package cachestore_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/memstore"
)

// A remoteDatabase has its own time limits.
type remoteDatabase struct {
	*database
	lookup, poll time.Duration
}

func (db remoteDatabase) Timeouts() (lookup, poll time.Duration) { return db.lookup, db.poll }

// A remoteFeed has the time limits of its database.
type remoteFeed struct {
	*feed
	db remoteDatabase
}

func (f remoteFeed) Timeouts() (lookup, poll time.Duration) { return f.db.Timeouts() }

func TestTimeoutsOfTheStoreAreUsed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name         string
		o            cachestore.Options
		lookup, poll time.Duration
	}{
		{"the zero Options", cachestore.Options{}, 8 * time.Second, 1500 * time.Millisecond},
		{"a poll timeout that does not fit into the Lease", cachestore.Options{Lease: 2200 * time.Millisecond}, 8 * time.Second, time.Second},
		{"QueryTimeout is set", cachestore.Options{QueryTimeout: 700 * time.Millisecond}, 700 * time.Millisecond, 700 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				db := remoteDatabase{&database{Store: memstore.New()}, 8 * time.Second, 1500 * time.Millisecond}
				f := remoteFeed{&feed{ChangeFeed: db.Store}, db}
				var polled time.Duration
				f.intercept(func(ctx context.Context, _ poll) (apikey.Changes, error) {
					deadline, _ := ctx.Deadline()
					polled = time.Until(deadline)
					return apikey.Changes{}, errDown
				})
				hook, resume := pause()
				defer resume()
				db.before.Store(&hook)
				cache := open(t, db, f, test.o)
				assert.Equal(t, test.poll, polled, "timeout of a poll")
				f.heal()
				time.Sleep(300 * time.Millisecond)
				begun := time.Now()
				_, err := cache.Lookup(t.Context(), digestOf(1))
				assert.Equal(t, test.lookup, time.Since(begun), "duration of the lookup")
				assert.True(t, err != nil && strings.Contains(err.Error(), "Options.QueryTimeout of "+test.lookup.String()), "Lookup = %v; want an error that names the limit of %v", err, test.lookup)
			})
		})
	}
}

// The answer of a call may be as old as the call. A request does not join a call older than the Lease,
// because the key may have been revoked since.
func TestRequestJoinsNoCallOlderThanTheLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := remoteDatabase{&database{Store: memstore.New()}, 8 * time.Second, time.Second}
		f := &feed{ChangeFeed: db.Store, mute: true}
		d := db.create(t, 1)
		cache := open(t, db, f, cachestore.Options{})
		hook, resume := pause()
		db.after.Store(&hook) // holds the answer back
		first := lookupAsync(t.Context(), cache, d)
		time.Sleep(2 * time.Second)
		second := lookupAsync(t.Context(), cache, d)
		synctest.Wait()
		assert.EqualValues(t, 1, db.reads.Load(), "reads: the second request joins the first")
		time.Sleep(1100 * time.Millisecond)
		db.after.Store(nil)
		third := lookupAsync(t.Context(), cache, d)
		assert.NoError(t, third())
		assert.EqualValues(t, 2, db.reads.Load(), "reads: the third request joins no old call")
		resume()
		for _, wait := range []func() error{first, second} {
			assert.NoError(t, wait())
		}
	})
}
