package drivertest

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// An actor often comes from a login form or from a header of a proxy, so it can be any text.
func TestAnyActorCanRevoke(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		store := e.openStore(t, e.create(t), sqlstore.Options{})
		for i, actor := range []string{"", "a\x00b", "a\xffb", "a\r\nb", strings.Repeat("é", 1000), strings.Repeat("x", 1<<20), "Ана 🔑"} {
			ctx := apikey.WithActor(t.Context(), actor)
			key := apikey.Key{ID: strings.Repeat("k", i+1), Name: "Backup job"}
			require.NoError(t, store.Create(ctx, apikey.Digest{byte(i + 1)}, key))
			_, err := store.Revoke(ctx, key.ID)
			require.NoError(t, err, "%.20q", actor)
			page, err := store.Audit(ctx, apikey.AuditOptions{KeyID: key.ID, Limit: 1})
			require.NoError(t, err)
			require.Len(t, page.Entries, 1)
			assert.LessOrEqual(t, utf8.RuneCountInString(page.Entries[0].Actor), 200)
			if utf8.ValidString(actor) && utf8.RuneCountInString(actor) < 200 && !strings.ContainsAny(actor, "\x00\r\n") {
				assert.Equal(t, actor, page.Entries[0].Actor)
			}
		}
	})
}

// Another process may have revoked the key before the cache of this process has read that.
func TestRepeatedRevokeNotifiesSubscribers(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		here, there := e.openStore(t, dsn, sqlstore.Options{}), e.openStore(t, dsn, sqlstore.Options{})
		d := apikey.Digest{1}
		require.NoError(t, there.Create(t.Context(), d, apikey.Key{ID: "1", Name: "Backup job"}))
		_, err := there.Revoke(t.Context(), "1")
		require.NoError(t, err)
		_, at, err := here.LookupAt(t.Context(), d)
		require.NoError(t, err)

		var published []apikey.Version
		here.Subscribe(func(got apikey.Digest, v apikey.Version) {
			assert.Equal(t, d, got)
			published = append(published, v)
		})
		_, err = here.Revoke(t.Context(), "1")
		require.NoError(t, err)
		require.Len(t, published, 1)
		assert.Equal(t, apikey.Version{Epoch: at.Epoch, Revision: at.Revision}, published[0], "the version is unchanged")
	})
}
