//go:build long

package drivertest

import (
	"context"
	"database/sql/driver"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// The time of a write is over at one of its statements, before or after the database has
// carried it out. What the caller and the caches are told is true, and nothing is held.
func TestAWriteThatRunsOutOfTimeAtAnyStep(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		store := e.openStore(t, dsn, sqlstore.Options{})
		// What is carried out by the deadline of the statement that was stopped is too late, too.
		var step, stopAt int
		var executes bool
		var stopped string
		var over time.Time
		db := e.openHooked(t, dsn, func(ctx context.Context, query string, _ []driver.NamedValue, do func() error) error {
			deadline, _ := ctx.Deadline()
			if step++; step == stopAt {
				stopped, over = query, deadline
				if executes {
					if err := do(); err != nil {
						return err
					}
				}
				return context.DeadlineExceeded
			}
			if deadline.Equal(over) {
				return context.DeadlineExceeded
			}
			return do()
		})
		hurried := e.newStore(t, db, sqlstore.Options{WriteTimeout: time.Minute})
		var told []apikey.Cursor
		defer hurried.Subscribe(func(_ apikey.Digest, at apikey.Cursor) { told = append(told, at) })()
		n, ambiguous := 0, 0
		for _, executed := range []bool{false, true} {
			executes = executed
			for at := 1; ; at++ {
				n++
				addKeys(t, store, n, n+1)
				told = nil
				step, stopAt, over = 0, at, time.Time{}
				_, err := hurried.Revoke(t.Context(), keyOf(n).ID)
				if step < at {
					require.NoError(t, err)
					break
				}
				stopAt = 0
				key, lookupErr := store.Lookup(t.Context(), digestOf(n))
				require.NoError(t, lookupErr)
				revoked := !key.RevokedAt.IsZero()
				switch {
				case err == nil: // it was over after the commit
					require.True(t, revoked, stopped)
					require.Len(t, told, 1)
					require.NotZero(t, told[0])
				case stopped == "COMMIT":
					require.Equal(t, []apikey.Cursor{{}}, told)
					require.Equal(t, executed, revoked)
					ambiguous++
				default:
					require.False(t, revoked, stopped)
					require.Empty(t, told, stopped)
				}
				over = time.Time{}
				again, err := hurried.Revoke(t.Context(), keyOf(n).ID)
				require.NoError(t, err, "repeated after %q", stopped)
				if revoked {
					require.Equal(t, key.RevokedAt, again.RevokedAt)
				}
				require.Zero(t, db.Stats().InUse)
			}
		}
		assert.Equal(t, 2, ambiguous)
		requireSoundRevisions(t, e.openDB(t, dsn))
	})
}

// The same with deadlines that come whenever they come, as drivers meet them.
func TestWritesWithRandomDeadlines(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, e engine) {
		const keys = 80
		dsn := e.create(t)
		db := e.openDB(t, dsn)
		patient := e.newStore(t, db, sqlstore.Options{WriteTimeout: time.Minute})
		require.NoError(t, patient.Migrate(t.Context()))
		addKeys(t, patient, 0, keys)
		begin := time.Now()
		addKeys(t, patient, keys, keys+10)
		usual := time.Since(begin) / 10
		failed := 0
		for n := range keys {
			hurried, err := sqlstore.New(db, e.dialect, sqlstore.Options{WriteTimeout: 1 + rand.N(2*usual)})
			require.NoError(t, err)
			var told []apikey.Cursor
			hurried.Subscribe(func(_ apikey.Digest, at apikey.Cursor) { told = append(told, at) })
			_, err = hurried.Revoke(t.Context(), keyOf(n).ID)
			key, lookupErr := patient.Lookup(t.Context(), digestOf(n))
			require.NoError(t, lookupErr)
			revoked := !key.RevokedAt.IsZero()
			if err == nil {
				require.True(t, revoked)
				require.Len(t, told, 1)
				require.NotZero(t, told[0])
			} else {
				failed++
				if revoked {
					require.Len(t, told, 1)
				}
				for _, at := range told {
					require.Zero(t, at)
				}
			}
			again, err := patient.Revoke(t.Context(), keyOf(n).ID)
			require.NoError(t, err)
			if revoked {
				require.Equal(t, key.RevokedAt, again.RevokedAt)
			}
			require.NoError(t, hurried.Close(t.Context()))
		}
		t.Logf("%d of %d ran out of time; a write takes %v", failed, keys, usual)
		assert.NotZero(t, failed)
		eventually(t, 10*time.Second, "no connection is in use", func() bool { return db.Stats().InUse == 0 })
		for n := range keys {
			key, err := patient.Lookup(t.Context(), digestOf(n))
			require.NoError(t, err)
			require.ErrorIs(t, key.Check(time.Now()), apikey.ErrRevoked)
		}
		requireSoundRevisions(t, db)
	})
}
