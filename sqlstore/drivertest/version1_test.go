package drivertest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// A program of version 1 of the schema writes neither own_expires_at nor changes.
const asVersion1 = "UPDATE apikey_keys SET own_expires_at = 0"

func TestSecondSuccessorHasTheFirstLifetime(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	created := time.Now().Add(-10 * day).UTC().Truncate(time.Microsecond)
	for _, test := range []struct {
		name     string
		expires  time.Time
		version1 bool // a program of version 1 rotates the key and its successor
		purged   bool // the successors are deleted after their revocation
		want     time.Duration
	}{
		{"after a rotation by this version", created.Add(90 * day), false, false, 90 * day},
		{"when its successors are deleted", created.Add(90 * day), false, true, 90 * day},
		{"after a rotation by this version of a key that never expires", time.Time{}, false, false, 0},
		{"after a rotation by version 1", created.Add(90 * day), true, false, 90 * day},
		{"after a rotation by version 1 of a key that never expires", time.Time{}, true, false, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			forEachEngine(t, func(t *testing.T, e engine) {
				dsn := e.create(t)
				store, ctx := e.openStore(t, dsn, sqlstore.Options{}), t.Context()
				key := apikey.Key{ID: "first", Name: "Backup job", CreatedAt: created, ExpiresAt: test.expires}
				require.NoError(t, store.Create(ctx, digestOf(1), key))
				rotate := func(id string, n int, successor string) apikey.Key {
					key, err := store.Replace(ctx, id, time.Now().Add(day), digestOf(n), apikey.Key{ID: successor, CreatedAt: created.Add(10 * day)})
					require.NoError(t, err)
					return key
				}
				rotate("first", 2, "second")
				rotate("second", 3, "third") // shortens the lifetime of the second key
				if test.version1 {
					require.NoError(t, errorOf(e.openDB(t, dsn).ExecContext(ctx, asVersion1)))
				}
				for _, id := range []string{"second", "third"} {
					_, err := store.Revoke(ctx, id)
					require.NoError(t, err)
				}
				if test.purged {
					require.NoError(t, errorOf(e.openDB(t, dsn).ExecContext(ctx, "DELETE FROM apikey_keys WHERE revoked_at > 0")))
				}
				fourth := rotate("first", 4, "fourth")
				if test.want == 0 {
					require.Zero(t, fourth.ExpiresAt)
				} else {
					require.Equal(t, test.want, fourth.ExpiresAt.Sub(fourth.CreatedAt))
				}
			})
		})
	}
}

func TestVersion1AuditEntriesHaveNoValues(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		store, ctx := e.openStore(t, dsn, sqlstore.Options{}), t.Context()
		require.NoError(t, store.Create(ctx, digestOf(1), keyOf(1)))
		name, end := "renamed", time.Now().Add(time.Hour)
		_, err := store.Update(ctx, keyOf(1).ID, apikey.Patch{Name: &name, ExpiresAt: &end})
		require.NoError(t, err)
		successor, err := store.Replace(ctx, keyOf(1).ID, end, digestOf(2), keyOf(2))
		require.NoError(t, err)
		_, err = store.Revoke(ctx, keyOf(1).ID)
		require.NoError(t, err)
		require.NoError(t, errorOf(e.openDB(t, dsn).ExecContext(ctx, "UPDATE apikey_audit SET changes = ''")))

		page, err := store.Audit(ctx, apikey.AuditOptions{})
		require.NoError(t, err)
		var changes [][]apikey.FieldChange
		for _, entry := range page.Entries {
			changes = append(changes, entry.Changes)
		}
		require.Equal(t, [][]apikey.FieldChange{
			nil,
			{{Field: "replaced_by", New: successor.ID}},
			{{Field: "replaces", New: keyOf(1).ID}},
			{{Field: "name"}, {Field: "expires"}},
			nil,
		}, changes)
	})
}
