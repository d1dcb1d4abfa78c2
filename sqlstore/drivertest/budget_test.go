package drivertest

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// readByPlan are the rows that a node of a plan handed on, and those that it threw away.
var readByPlan = regexp.MustCompile(`(?:actual rows=|Rows Removed by Filter: )([0-9.]+)(?: loops=(\d+))?`)

// positionLookup is how SQLite finds one key at a position.
var positionLookup = regexp.MustCompile(`SEARCH k USING (INTEGER PRIMARY KEY \(rowid=\?\)|INDEX apikey_keys_state \(dead=\? AND seq=\?)`)

// A planner that expects a filter to let few rows through would rather look at all keys, or at
// all of one status, than at the rows that one step may look at. That the tables have no
// statistics, as in a database that nobody has asked to ANALYZE, must not tempt it either.
func TestAStepOfAFilteredListReadsNoMoreThanItsBudget(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("skipped: nothing happens at once here, and without the race detector it runs")
	}
	onEach(t, func(t *testing.T, e engine) {
		const budget = 5_000
		dsn := e.create(t)
		e.openStore(t, dsn, sqlstore.Options{})
		db := e.openDB(t, dsn)
		db.SetMaxOpenConns(1) // so that MySQL's rows can be counted
		e.fill(t, db, manyKeys, "4000000000000000")
		var record record
		recorded := e.newStore(t, e.openHooked(t, dsn, record.hook), sqlstore.Options{ReadTimeout: time.Minute})
		counted := e.newStore(t, db, sqlstore.Options{ReadTimeout: time.Minute})
		for _, sort := range []string{apikey.SortNewest, apikey.SortName, apikey.SortExpires} {
			for name, o := range map[string]apikey.ListOptions{
				"a search without a hit":   {Search: "haystack"},
				"another owner":            {Owner: "nobody"},
				"active":                   {Status: apikey.StatusActive},
				"active, another owner":    {Status: apikey.StatusActive, Owner: "nobody"},
				"expired":                  {Status: apikey.StatusExpired},
				"revoked":                  {Status: apikey.StatusRevoked},
				"revoked, and no such one": {Status: apikey.StatusRevoked, Search: "haystack"},
			} {
				t.Run(sort+", "+name, func(t *testing.T) {
					o.Sort = sort
					n := rowsRead(t, e, db, func() { must(counted.List(t.Context(), o)) })
					assert.Less(t, n, 6*budget, "rows read")
					statements, err := record.of(func() error { return errorOf(recorded.List(t.Context(), o)) })
					require.NoError(t, err)
					for _, statement := range selects(statements) {
						plan := e.plan(t, db, statement)
						switch e.name {
						case "SQLite":
							assert.Regexp(t, positionLookup, plan, "each position is looked up")
							assert.NotContains(t, plan, "AUTOMATIC", "an index made for this list")
							assert.NotContains(t, plan, "TEMP B-TREE", "sorting")
						case "PostgreSQL":
							assert.NotRegexp(t, scans[e.name], plan)
							for _, match := range readByPlan.FindAllStringSubmatch(plan, -1) {
								n := must(strconv.ParseFloat(match[1], 64))
								if match[2] != "" {
									n *= must(strconv.ParseFloat(match[2], 64))
								}
								assert.LessOrEqual(t, n, float64(budget), "rows read")
							}
						}
						if t.Failed() {
							t.Log(statement.query, "\n"+plan)
						}
					}
				})
			}
		}
	})
}
