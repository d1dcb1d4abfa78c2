package keys

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/database"
)

// The store examines a limited number of keys for a page of a search.
func TestAnIDIsCompletedAmongManyKeys(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys.db")
	db, err := database.Open(apikey.NewSecret(file), "")
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.Store.Migrate(t.Context()))
	const n = 12_000
	for i := 0; i < n; i += 500 {
		var digests []apikey.Digest
		var keys []apikey.Key
		for j := i; j < i+500; j++ {
			digests = append(digests, apikey.Digest{byte(j), byte(j >> 8)})
			keys = append(keys, apikey.Key{ID: fmt.Sprintf("%05d", j), Name: "Job", CreatedAt: time.Unix(int64(j)+1, 0)})
		}
		_, err := db.Store.CreateAll(t.Context(), digests, keys)
		require.NoError(t, err)
	}
	app := cli.New(cli.Streams{}, func(name string) string {
		return map[string]string{"APIKEY_DATABASE": file, "APIKEY_ACTOR": "ann"}[name]
	})
	ids := idsFrom(t.Context(), app, "0000")
	require.Len(t, ids, 10)
	assert.True(t, strings.HasPrefix(ids[9], "00000"))
}
