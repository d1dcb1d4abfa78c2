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

// An actor is often what somebody typed at a login, or a header of a proxy.
func TestNoActorKeepsAKeyFromBeingRevoked(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, e engine) {
		store := e.openStore(t, e.create(t), sqlstore.Options{})
		for i, actor := range []string{"", "a\x00b", "a\xffb", "a\r\nb", strings.Repeat("é", 1000), strings.Repeat("x", 1<<20), "Ана 🔑"} {
			ctx := apikey.WithActor(t.Context(), actor)
			key := apikey.Key{ID: strings.Repeat("k", i+1), Name: "Backup job"}
			require.NoError(t, store.Create(ctx, apikey.Digest{byte(i + 1)}, key))
			_, err := store.Revoke(ctx, key.ID)
			require.NoError(t, err, "%.20q", actor)
			entries, _, err := store.Audit(ctx, key.ID, "", 1)
			require.NoError(t, err)
			require.Len(t, entries, 1)
			assert.LessOrEqual(t, utf8.RuneCountInString(entries[0].Actor), 200)
			if utf8.ValidString(actor) && utf8.RuneCountInString(actor) < 200 && !strings.ContainsAny(actor, "\x00\r\n") {
				assert.Equal(t, actor, entries[0].Actor)
			}
		}
	})
}

// Another process may have revoked it a moment ago, and this one's cache not know.
func TestARevocationThatChangesNothingStillTellsThisProcess(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		here, there := e.openStore(t, dsn, sqlstore.Options{}), e.openStore(t, dsn, sqlstore.Options{})
		d := apikey.Digest{1}
		require.NoError(t, there.Create(t.Context(), d, apikey.Key{ID: "1", Name: "Backup job"}))
		_, err := there.Revoke(t.Context(), "1")
		require.NoError(t, err)
		_, at, err := here.LookupAt(t.Context(), d)
		require.NoError(t, err)

		var told []apikey.Cursor
		here.Subscribe(func(got apikey.Digest, c apikey.Cursor) {
			assert.Equal(t, d, got)
			told = append(told, c)
		})
		_, err = here.Revoke(t.Context(), "1")
		require.NoError(t, err)
		require.Len(t, told, 1)
		assert.Equal(t, apikey.Cursor{Epoch: at.Epoch, Revision: at.Revision}, told[0], "no revision was made")
	})
}
