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

// A planner that expects a filter to let few rows through would rather look at the whole table
// than at the rows that one step may look at. MySQL's rows are counted by TestPagesOfEqualKeys,
// and SQLite's planner takes the tables in the order in which they stand.
func TestAStepOfAFilteredListReadsNoMoreThanItsBudget(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("skipped: nothing happens at once here, and without the race detector it runs")
	}
	e := engineNamed("PostgreSQL")
	e.mustBeThere(t)
	const budget = 10_000
	dsn := e.create(t)
	e.openStore(t, dsn, sqlstore.Options{})
	db := e.openDB(t, dsn)
	e.fill(t, db, manyKeys, "4000000000000000")
	var record record
	store := e.newStore(t, e.openHooked(t, dsn, record.hook), sqlstore.Options{ReadTimeout: time.Minute})
	for _, sort := range []string{apikey.SortNewest, apikey.SortName, apikey.SortExpires} {
		for name, o := range map[string]apikey.ListOptions{
			"a search without a hit": {Search: "haystack"},
			"another owner":          {Owner: "nobody"},
			"expired":                {Status: apikey.StatusExpired},
		} {
			t.Run(sort+", "+name, func(t *testing.T) {
				o.Sort = sort
				statements, err := record.of(func() error { return errorOf(store.List(t.Context(), o)) })
				require.NoError(t, err)
				for _, statement := range statements {
					plan := e.plan(t, db, statement)
					assert.NotRegexp(t, scans[e.name], plan)
					for _, match := range readByPlan.FindAllStringSubmatch(plan, -1) {
						n := must(strconv.ParseFloat(match[1], 64))
						if match[2] != "" {
							n *= must(strconv.ParseFloat(match[2], 64))
						}
						assert.LessOrEqual(t, n, float64(budget), "rows read")
					}
					if t.Failed() {
						t.Log(statement.query, "\n"+plan)
					}
				}
			})
		}
	}
}
