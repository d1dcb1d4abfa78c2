//go:build long

package drivertest

import (
	"context"
	"database/sql/driver"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// The timeout of a write expires at each of its statements, before or after the database executes
// it. The caller and the subscribers get the true outcome, and no connection leaks.
func TestWriteTimesOutAtAnyStep(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		store := e.openStore(t, dsn, sqlstore.Options{})
		var step, stopAt int
		var executes bool     // whether the database executes the stopped statement
		var stopped string    // the stopped statement
		var expired time.Time // its deadline, which also stops later statements with this deadline
		db := e.openHooked(t, dsn, func(ctx context.Context, query string, _ []driver.NamedValue, do func() error) error {
			deadline, _ := ctx.Deadline()
			if step++; step == stopAt {
				stopped, expired = query, deadline
				if executes {
					if err := do(); err != nil {
						return err
					}
				}
				return context.DeadlineExceeded
			}
			if deadline.Equal(expired) {
				return context.DeadlineExceeded
			}
			return do()
		})
		hurried := e.newStore(t, db, sqlstore.Options{WriteTimeout: time.Minute})
		var published []apikey.Version
		defer hurried.Subscribe(func(_ apikey.Digest, at apikey.Version) { published = append(published, at) })()
		n, uncertain := 0, 0
		for _, executed := range []bool{false, true} {
			executes = executed
			for at := 1; ; at++ {
				n++
				addKeys(t, store, n, n+1)
				published = nil
				step, stopAt, expired = 0, at, time.Time{}
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
				case err == nil: // stopped after the commit
					require.True(t, revoked, stopped)
					require.Len(t, published, 1)
					require.NotZero(t, published[0])
				case strings.HasSuffix(stopped, "COMMIT"):
					require.Equal(t, []apikey.Version{{}}, published)
					require.Equal(t, executed, revoked)
					uncertain++
				default:
					require.False(t, revoked, stopped)
					require.Empty(t, published, stopped)
				}
				expired = time.Time{}
				again, err := hurried.Revoke(t.Context(), keyOf(n).ID)
				require.NoError(t, err, "repeated after %q", stopped)
				if revoked {
					require.Equal(t, key.RevokedAt, again.RevokedAt)
				}
				require.Zero(t, db.Stats().InUse)
			}
		}
		assert.Equal(t, 2, uncertain)
		requireConsistentRevisions(t, e.openDB(t, dsn))
	})
}

// Random deadlines of writes expire inside the drivers. The caller and the subscribers get the true
// outcome.
func TestWritesWithRandomDeadlines(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		const keys = 40
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
			var published []apikey.Version
			hurried.Subscribe(func(_ apikey.Digest, at apikey.Version) { published = append(published, at) })
			_, err = hurried.Revoke(t.Context(), keyOf(n).ID)
			key, lookupErr := patient.Lookup(t.Context(), digestOf(n))
			require.NoError(t, lookupErr)
			revoked := !key.RevokedAt.IsZero()
			if err == nil {
				require.True(t, revoked)
				require.Len(t, published, 1)
				require.NotZero(t, published[0])
			} else {
				failed++
				if revoked {
					require.Len(t, published, 1)
				}
				for _, at := range published {
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
		t.Logf("%d of %d writes timed out; a write takes %v", failed, keys, usual)
		assert.NotZero(t, failed)
		eventually(t, 10*time.Second, "no connection is in use", func() bool { return db.Stats().InUse == 0 })
		for n := range keys {
			key, err := patient.Lookup(t.Context(), digestOf(n))
			require.NoError(t, err)
			require.ErrorIs(t, key.Check(time.Now()), apikey.ErrRevoked)
		}
		requireConsistentRevisions(t, db)
	})
}
