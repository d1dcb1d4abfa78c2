package bench

import (
	"crypto/sha256"
	"database/sql"
	"fmt"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql" // the drivers of the engines in testdb
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/internal/testdb"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// A dataset is the digests of the keys in a database, in the order of their insertion.
type dataset []apikey.Digest

func newDataset(n int) dataset {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprint(i)
	}
	return datasetOf(keys)
}

// datasetOf returns the dataset of keys.
func datasetOf(keys []string) dataset {
	d := make(dataset, len(keys))
	for i, key := range keys {
		d[i] = sha256.Sum256([]byte(key))
	}
	return d
}

// createdAt is the time of creation of the keys of a dataset.
var createdAt = time.Now().UTC().Truncate(time.Second).Add(-time.Hour)

// key returns key number i. The order of names and expiries differs from the order of insertion, so that indexes do
// not grow only at one end. A hundred owners share the keys, and each fourth key does not expire.
func (d dataset) key(i int) (apikey.Digest, apikey.Key) {
	rank := i * 7919 % len(d) // a prime that divides no number of keys here
	k := apikey.Key{
		ID: d.id(i), Name: fmt.Sprintf("Backup job %07d", rank), Owner: fmt.Sprintf("owner%d", i%100),
		Hint: fmt.Sprintf("key_…%x", d[i][8:10]), Scopes: []string{"library:read"}, CreatedAt: createdAt,
	}
	if i%4 != 3 {
		k.ExpiresAt = createdAt.Add(24*time.Hour + time.Duration(rank)*time.Second)
	}
	return d[i], k
}

// id returns the ID of key number i, which is as long as an ID of an Issuer.
func (d dataset) id(i int) string { return fmt.Sprintf("%x", d[i][:8]) }

// A process is the connections, store and cache of one process. Two processes share only the database.
type process struct {
	dsn   string
	db    *sql.DB
	store *sqlstore.Store
	cache *cachestore.Store
}

// openFilled creates a database, inserts a dataset, and checks that the store finds a key.
func openFilled(tb testing.TB, e testdb.Engine, d dataset) *process {
	tb.Helper()
	e.Require(tb)
	p := openProcess(tb, e, e.Create(tb))
	e.Fill(tb, p.db, len(d), d.key)
	digest, want := d.key(len(d) / 2)
	got, err := p.store.Lookup(tb.Context(), digest)
	require.NoError(tb, err)
	require.Equal(tb, want, *got)
	return p
}

// openProcess opens a database as a service does. It waits for the first poll of the cache, which stores nothing
// before.
func openProcess(tb testing.TB, e testdb.Engine, dsn string) *process {
	tb.Helper()
	store, db := e.OpenStore(tb, dsn)
	cache, err := cachestore.New(store, cachestore.Options{Poll: poll})
	require.NoError(tb, err)
	tb.Cleanup(cache.Close)
	require.Eventually(tb, func() bool { return cache.Stats().LeaseRemaining > 0 }, 10*time.Second, time.Millisecond)
	return &process{dsn, db, store, cache}
}
