package drivertest

import (
	"database/sql"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// rowsOfNode matches the rows that a node of a PostgreSQL plan returned or filtered out.
var rowsOfNode = regexp.MustCompile(`(?:actual rows=|Rows Removed by Filter: )([0-9.]+)(?: loops=(\d+))?`)

// testListBudget requires that one call of List reads few rows more than its budget. A query
// planner must not scan or sort all keys because it expects a condition to select few rows. db has
// one connection, because MySQL counts rows per session.
func testListBudget(t *testing.T, e engine, dsn string, db *sql.DB) {
	var record recorder
	recorded := e.newStore(t, e.openHooked(t, dsn, record.hook), sqlstore.Options{ReadTimeout: 10 * time.Minute})
	counted := e.newStore(t, db, sqlstore.Options{ReadTimeout: 10 * time.Minute})
	const searched, byStatus, none = 5_000, 50_000, 0
	for _, sort := range []apikey.Sort{apikey.SortNewest, apikey.SortName, apikey.SortExpires} {
		for _, test := range []struct {
			name   string
			o      apikey.ListOptions
			budget int
		}{
			{"a search without a hit", apikey.ListOptions{Search: "haystack"}, searched},
			{"an owner without keys", apikey.ListOptions{Owner: "bob"}, none},
			{"a search of an owner without keys", apikey.ListOptions{Owner: "bob", Search: "filled"}, none},
			{"active", apikey.ListOptions{Status: apikey.StatusActive}, 250},
			{"active keys of an owner without keys", apikey.ListOptions{Status: apikey.StatusActive, Owner: "bob"}, none},
			{"expired", apikey.ListOptions{Status: apikey.StatusExpired}, byStatus},
			{"revoked", apikey.ListOptions{Status: apikey.StatusRevoked}, none},
			{"a search of revoked keys", apikey.ListOptions{Status: apikey.StatusRevoked, Search: "haystack"}, none},
		} {
			t.Run(string(sort)+", "+test.name, func(t *testing.T) {
				o, budget := test.o, test.budget
				o.Sort = sort
				if sort == apikey.SortExpires && o.Status == apikey.StatusExpired {
					budget = none // the index selects by status
				}
				budget += 100 // the rows of the page, and a few others
				n := rowsRead(t, e, db, func() { must(counted.List(t.Context(), o)) })
				assert.LessOrEqual(t, n, budget+budget/2, "rows read")
				statements, err := record.during(func() error { return errorOf(recorded.List(t.Context(), o)) })
				require.NoError(t, err)
				total := 0.0
				for _, statement := range selects(statements) {
					plan := e.plan(t, db, statement)
					assert.NotRegexp(t, scans[e.name], plan)
					assert.NotContains(t, plan, "AUTOMATIC", "an index made for this list")
					assert.NotContains(t, plan, "TEMP B-TREE", "sorting")
					most := 0.0 // the maximum, because nodes pass rows on to each other
					for _, match := range rowsOfNode.FindAllStringSubmatch(plan, -1) {
						n := must(strconv.ParseFloat(match[1], 64))
						if match[2] != "" {
							n *= must(strconv.ParseFloat(match[2], 64))
						}
						most = max(most, n)
					}
					total += most
					if t.Failed() {
						t.Log(statement.query, "\n"+plan)
					}
				}
				assert.LessOrEqual(t, total, float64(budget), "rows read")
			})
		}
	}
}

// Up to 40,000 keys of another status do not make a page short.
func TestListByStatusFindsEveryKey(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("skipped: it has no concurrency, and the race detector makes it slow")
	}
	forEachEngine(t, func(t *testing.T, e engine) {
		const others = 40_000
		dsn := e.create(t)
		store := e.openStore(t, dsn, sqlstore.Options{ReadTimeout: 10 * time.Minute})
		db := e.openDB(t, dsn)
		e.fill(t, db, others+2, "4000000000000000")
		// In every order, two keys follow all others.
		execute(t, db, "UPDATE apikey_keys SET owner = 'alice'")
		execute(t, db, "UPDATE apikey_keys SET fold = 'z', expires_at = 4100000000000000 WHERE seq <= 2")
		for _, test := range []struct {
			status        apikey.Status
			others, these string
		}{
			{apikey.StatusActive, "expires_at = 1", "expires_at = 4100000000000000"},
			{apikey.StatusActive, "dead = 1, revoked_at = 1, expires_at = 1", "dead = 0, revoked_at = 0"},
			{apikey.StatusRevoked, "dead = 0, revoked_at = 0", "dead = 1, revoked_at = 1"},
			{apikey.StatusExpired, "expires_at = 0", "dead = 0, revoked_at = 0, expires_at = 1"},
		} {
			execute(t, db, "UPDATE apikey_keys SET "+test.others+" WHERE seq > 2")
			execute(t, db, "UPDATE apikey_keys SET "+test.these+" WHERE seq <= 2")
			for _, sort := range []apikey.Sort{apikey.SortNewest, apikey.SortName, apikey.SortExpires} {
				for _, owner := range []string{"", "alice"} {
					page, err := store.List(t.Context(), apikey.ListOptions{Status: test.status, Sort: sort, Owner: owner})
					require.NoError(t, err)
					assert.Len(t, page.Keys, 2, "%s keys of %q by %s", test.status, owner, sort)
				}
			}
		}
	})
}
