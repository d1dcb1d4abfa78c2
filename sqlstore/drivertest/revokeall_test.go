package drivertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

func TestRevokeAllUsesSeveralTransactions(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("skipped: it has no concurrency, and the race detector makes it slow")
	}
	forEachEngine(t, func(t *testing.T, e engine) {
		const n = 2500
		dsn := e.create(t)
		e.openStore(t, dsn, sqlstore.Options{})
		db := e.openDB(t, dsn)
		e.fill(t, db, n, "0")
		execute(t, db, "UPDATE apikey_keys SET owner = 'grace' WHERE seq <= 2400")
		execute(t, db, "UPDATE apikey_keys SET dead = 1, revoked_at = 1 WHERE seq = 1200")
		store := e.newStore(t, db, sqlstore.Options{WriteTimeout: patience * 5 * time.Second})
		other, err := e.newStore(t, db, sqlstore.Options{}).Changes(t.Context(), apikey.Version{})
		require.NoError(t, err)

		revoked, err := store.RevokeAll(apikey.WithActor(t.Context(), "ann"), "grace")
		require.NoError(t, err)
		assert.Equal(t, 2399, revoked)
		assert.EqualValues(t, 2400, queryInt(t, db, "SELECT COUNT(*) FROM apikey_keys WHERE dead = 1 AND revoked_at > 0 AND owner = 'grace'"))
		assert.EqualValues(t, 100, queryInt(t, db, "SELECT COUNT(*) FROM apikey_keys WHERE dead = 0"))
		assert.EqualValues(t, 1, queryInt(t, db, "SELECT revoked_at FROM apikey_keys WHERE seq = 1200"), "a key that was revoked before")
		assert.EqualValues(t, 2399, queryInt(t, db, "SELECT COUNT(*) FROM apikey_audit a JOIN apikey_keys k ON k.seq = a.key_seq AND k.id = a.key_id "+
			"AND k.changed BETWEEN a.rev AND a.rev + 1000 WHERE a.action = 'revoke' AND a.actor = 'ann'"), "keys with an audit entry of their transaction")
		assert.EqualValues(t, 1, queryInt(t, db, "SELECT COUNT(*) FROM apikey_audit WHERE action = 'revoke_all'"))
		c, err := store.Changes(t.Context(), other.Head)
		require.NoError(t, err)
		assert.Len(t, c.Digests, 2399)

		again, err := store.RevokeAll(t.Context(), "grace")
		require.NoError(t, err)
		assert.Zero(t, again)
	})
}

func TestInterruptedRevokeAllResumes(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("skipped: it has no concurrency, and the race detector makes it slow")
	}
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		e.openStore(t, dsn, sqlstore.Options{})
		db := e.openDB(t, dsn)
		e.fill(t, db, 2500, "0")
		execute(t, db, "UPDATE apikey_keys SET owner = 'grace'")
		store := e.newStore(t, db, sqlstore.Options{WriteTimeout: patience * 5 * time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		published := 0
		defer store.Subscribe(func(apikey.Digest, apikey.Version) {
			if published++; published == 1500 { // after the commit of the second transaction
				cancel()
			}
		})()
		first, err := store.RevokeAll(ctx, "grace")
		assert.True(t, errors.Is(err, context.Canceled), "%v", err)
		assert.Equal(t, 2000, first)
		second, err := store.RevokeAll(t.Context(), "grace")
		require.NoError(t, err)
		assert.Equal(t, 500, second)
		assert.EqualValues(t, 2500, queryInt(t, db, "SELECT COUNT(*) FROM apikey_audit WHERE action = 'revoke'"))
	})
}

// An older key that gets the owner during the call is revoked too.
func TestRevokeAllLeavesNoKeyOfTheOwner(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		db := e.openDB(t, e.openTables(t))
		e.fill(t, db, 1500, "0")
		execute(t, db, "UPDATE apikey_keys SET owner = 'grace' WHERE seq <> 5")
		o := sqlstore.Options{WriteTimeout: patience * 5 * time.Second} // SQLite needs seconds for a thousand keys under the race detector
		store, other := e.newStore(t, db, o), e.newStore(t, db, o)
		fifth := make(chan error, 1)
		published := 0
		defer store.Subscribe(func(apikey.Digest, apikey.Version) {
			if published++; published == 1 { // after the first transaction
				_, err := other.Update(context.WithoutCancel(t.Context()), "filled-000005", apikey.Patch{Owner: new("grace")})
				fifth <- err
			}
		})()
		n, err := store.RevokeAll(t.Context(), "grace")
		require.NoError(t, err)
		require.NoError(t, <-fifth)
		assert.Equal(t, 1500, n)
		assert.Zero(t, queryInt(t, db, "SELECT COUNT(*) FROM apikey_keys WHERE dead = 0"))
		assert.EqualValues(t, 1, queryInt(t, db, "SELECT COUNT(*) FROM apikey_audit WHERE action = 'revoke_all'"))
	})
}
