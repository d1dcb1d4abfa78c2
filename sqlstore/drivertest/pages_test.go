package drivertest

import (
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// manyKeys is the number of keys in large tables.
const manyKeys = 100_000

// The tests of large tables share one table per engine.
func TestListOfManyKeys(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("skipped: it has no concurrency, and the race detector makes it slow")
	}
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		e.openStore(t, dsn, sqlstore.Options{})
		db := e.openDB(t, dsn)
		db.SetMaxOpenConns(1) // because MySQL counts rows per session
		e.fill(t, db, manyKeys, "4000000000000000")
		store := e.newStore(t, db, sqlstore.Options{ReadTimeout: 10 * time.Minute})
		t.Run("budget", func(t *testing.T) { testListBudget(t, e, dsn, db) })
		t.Run("pages", func(t *testing.T) { testPages(t, e, db, store) })
		t.Run("search", func(t *testing.T) { testSearch(t, e, db, store) })
	})
}

// testPages requires that, if all keys have the same name and expiry, every page costs the same and
// every key is on exactly one page.
func testPages(t *testing.T, e engine, db *sql.DB, store *sqlstore.Store) {
	for _, sort := range []apikey.Sort{apikey.SortNewest, apikey.SortName, apikey.SortExpires} {
		t.Run(string(sort), func(t *testing.T) {
			seen := make([]bool, manyKeys+1)
			o := apikey.ListOptions{Sort: sort, Limit: 500}
			for pages := 1; ; pages++ {
				var page apikey.Page
				n := rowsRead(t, e, db, func() { page = must(store.List(t.Context(), o)) })
				require.Less(t, n, 7*o.Limit, "rows read for page %d", pages)
				for _, key := range page.Keys {
					n := must(strconv.Atoi(strings.TrimPrefix(key.ID, "filled-")))
					require.False(t, seen[n], "%s twice", key.ID)
					seen[n] = true
				}
				if o.Cursor = page.Next; o.Cursor == "" {
					require.Equal(t, manyKeys/o.Limit, pages)
					break
				}
			}
		})
	}
}

// rowsRead returns the number of rows that MySQL reads during f on the only connection of db.
func rowsRead(t testing.TB, e engine, db *sql.DB, f func()) int {
	if e.name != "MySQL" {
		f()
		return 0 // TestReadsUseTheirIndex checks the plans of the other databases
	}
	count := func() (n int) {
		rows, err := db.Query("SHOW SESSION STATUS LIKE 'Handler_read%'")
		require.NoError(t, err)
		defer rows.Close()
		for rows.Next() {
			var name string
			var value int
			require.NoError(t, rows.Scan(&name, &value))
			n += value
		}
		return n
	}
	before := count()
	f()
	return count() - before
}

// testSearch searches for keys on both sides of the end of a page's budget, and for a text without
// matches.
func testSearch(t *testing.T, e engine, db *sql.DB, store *sqlstore.Store) {
	const budget = 5_000
	for _, row := range []int{1, budget, budget + 1, 2 * budget, 2*budget + 1, manyKeys} {
		// The key with this number in the order of names, and in the order of age.
		execute(t, db, fmt.Sprintf("UPDATE apikey_keys SET fold_id = CONCAT(fold_id, ' needle') WHERE seq = %d", row))
		execute(t, db, fmt.Sprintf("UPDATE apikey_keys SET fold_id = CONCAT(fold_id, ' thread') WHERE seq = %d", manyKeys+1-row))
	}
	for _, test := range []struct {
		sort   apikey.Sort
		search string
		hits   int
		limits []int
	}{
		{apikey.SortName, "needle", 6, []int{1, 50}},
		{apikey.SortExpires, "needle", 6, []int{1}},
		{apikey.SortNewest, "thread", 6, []int{1, 2}},
		{apikey.SortName, "haystack", 0, []int{50}},
	} {
		for _, limit := range test.limits {
			o := apikey.ListOptions{Sort: test.sort, Search: test.search, Limit: limit}
			var found []string
			steps := 1
			for ; ; steps++ {
				var page apikey.Page
				n := rowsRead(t, e, db, func() { page = must(store.List(t.Context(), o)) })
				assert.Less(t, n, 6*budget, "rows read for a page")
				for _, key := range page.Keys {
					found = append(found, key.ID)
				}
				if o.Cursor = page.Next; o.Cursor == "" {
					break
				}
			}
			what := fmt.Sprintf("%s by %s, %d per page: %s", test.search, test.sort, limit, strings.Join(found, " "))
			assert.Len(t, found, test.hits, what)
			distinct := map[string]bool{}
			for _, id := range found {
				distinct[id] = true
			}
			assert.Len(t, distinct, test.hits, what)
			assert.LessOrEqual(t, steps, manyKeys/budget+1+test.hits, what)
			assert.GreaterOrEqual(t, steps, manyKeys/budget, what)
		}
	}
}
