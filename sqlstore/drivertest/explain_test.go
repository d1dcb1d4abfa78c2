package drivertest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// A statement of a store, with its arguments.
type statement struct {
	query string
	args  []any
}

// A recorder records the statements of a hooked database.
type recorder struct {
	mu   sync.Mutex
	list []statement
}

func (r *recorder) hook(_ context.Context, query string, args []driver.NamedValue, do func() error) error {
	values := make([]any, len(args))
	for i := range args {
		values[i] = args[i].Value
	}
	r.mu.Lock()
	r.list = append(r.list, statement{query, values})
	r.mu.Unlock()
	return do()
}

// during returns the statements that f executes, and its error.
func (r *recorder) during(f func() error) ([]statement, error) {
	r.mu.Lock()
	r.list = nil
	r.mu.Unlock()
	err := f()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.list, err
}

// selects returns the SELECT statements.
func selects(statements []statement) []statement {
	return slices.DeleteFunc(statements, func(s statement) bool { return !strings.HasPrefix(s.query, "SELECT ") })
}

// plan returns the plan of a statement, one node per line.
func (e engine) plan(t testing.TB, db *sql.DB, s statement) string {
	explain := map[string]string{"SQLite": "EXPLAIN QUERY PLAN ", "PostgreSQL": "EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) ", "MySQL": "EXPLAIN "}[e.name]
	rows, err := db.Query(explain+s.query, s.args...)
	require.NoError(t, err, s.query)
	defer rows.Close()
	columns := must(rows.Columns())
	var lines []string
	for rows.Next() {
		fields, pointers := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range fields {
			pointers[i] = &fields[i]
		}
		require.NoError(t, rows.Scan(pointers...))
		line := ""
		for i, field := range fields {
			line += " " + columns[i] + "=" + field.String
		}
		lines = append(lines, line)
	}
	require.NoError(t, rows.Err())
	return strings.Join(lines, "\n")
}

// analyze updates the statistics of the query planner.
func (e engine) analyze(t testing.TB, db *sql.DB) {
	for _, table := range []string{"apikey_keys", "apikey_audit", "apikey_used", "apikey_meta"} {
		if e.name == "MySQL" {
			table = "TABLE " + table
		}
		execute(t, db, "ANALYZE "+table)
	}
}

var (
	// scans matches plans that scan all keys or all audit entries.
	scans = map[string]*regexp.Regexp{
		"SQLite":     regexp.MustCompile(`(?m)detail=SCAN (k|apikey_keys|a|apikey_audit)$`),
		"PostgreSQL": regexp.MustCompile(`Seq Scan on apikey_(keys|audit)`),
		"MySQL":      regexp.MustCompile(`(?m)table=(k|apikey_keys|a|apikey_audit) .*type=ALL`),
	}
	// rowsOfPlan matches the rows that a node of a PostgreSQL plan returned.
	rowsOfPlan = regexp.MustCompile(`actual rows=([0-9.]+) loops=(\d+)`)
)

func TestReadsUseTheirIndex(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("skipped: it has no concurrency, and the race detector makes it slow")
	}
	forEachEngine(t, func(t *testing.T, e engine) {
		const keys = 20_000
		dsn := e.create(t)
		e.openStore(t, dsn, sqlstore.Options{})
		db := e.openDB(t, dsn)
		expires := time.Now().Add(time.Hour)
		e.fill(t, db, keys, strconv.FormatInt(expires.UnixMicro(), 10))
		// Half of the keys share a name and an expiry, the others differ.
		execute(t, db, "UPDATE apikey_keys SET name = fold_id, fold = fold_id, expires_at = expires_at - 100000 + seq WHERE seq % 2 = 1")
		execute(t, db, "UPDATE apikey_keys SET owner = 'alice' WHERE seq > 19000")
		e.analyze(t, db)
		var record recorder
		store := e.newStore(t, e.openHooked(t, dsn, record.hook), sqlstore.Options{ReadTimeout: time.Minute})
		ctx, seen := t.Context(), head(t, store)
		require.NoError(t, errorOf(store.Revoke(ctx, "filled-010000")))
		list := func(o apikey.ListOptions, pages int) func() error {
			o.Limit = 10
			return func() (err error) {
				page := apikey.Page{Next: ""}
				for range pages {
					o.Cursor = page.Next
					_, err = record.during(func() error { page, err = store.List(ctx, o); return err })
				}
				return err
			}
		}
		type wants map[string]string
		all := func(index string) wants { return wants{"SQLite": index, "PostgreSQL": index, "MySQL": index} }
		for _, test := range []struct {
			name  string
			index wants // of the first statement
			read  func() error
		}{
			{"a poll", all("apikey_keys_changed"), func() error { return errorOf(store.Changes(ctx, seen)) }},
			{"the first poll", all("apikey_keys_changed"), func() error { return errorOf(store.Changes(ctx, apikey.Version{})) }},
			{"a lookup", all("digest"), func() error { return errorOf(store.Lookup(ctx, filledDigest(77))) }},
			{"a lookup of an unknown key", all("digest"), func() error { store.Lookup(ctx, digestOf(77)); return nil }},
			{"Get", wants{"SQLite": "(id=?)", "PostgreSQL": "apikey_keys_id_key", "MySQL": "key=id"}, func() error { return errorOf(store.Get(ctx, "filled-000077")) }},
			{"the audit trail of a key", all("apikey_audit_key"), func() error { return errorOf(store.Audit(ctx, apikey.AuditOptions{KeyID: "filled-000077"})) }},
			{"the newest keys, a later page", wants{"SQLite": "rowid<?", "PostgreSQL": "apikey_keys_pkey", "MySQL": "key=PRIMARY"}, list(apikey.ListOptions{}, 2)},
			{"keys by name", all("apikey_keys_name"), list(apikey.ListOptions{Sort: apikey.SortName}, 1)},
			{"keys by name, a later page", all("apikey_keys_name"), list(apikey.ListOptions{Sort: apikey.SortName}, 2)},
			{"keys by expiry", all("apikey_keys_expires"), list(apikey.ListOptions{Sort: apikey.SortExpires}, 1)},
			{"keys by expiry, a later page", all("apikey_keys_expires"), list(apikey.ListOptions{Sort: apikey.SortExpires}, 2)},
			{"revoked keys", all("apikey_keys_state"), list(apikey.ListOptions{Status: apikey.StatusRevoked}, 1)},
			{"revoked keys by name", all("apikey_keys_state_name"), list(apikey.ListOptions{Status: apikey.StatusRevoked, Sort: apikey.SortName}, 1)},
			{"active keys by expiry", all("apikey_keys_state_expires"), list(apikey.ListOptions{Status: apikey.StatusActive, Sort: apikey.SortExpires}, 2)},
			{"expired keys by expiry", all("apikey_keys_state_expires"), list(apikey.ListOptions{Status: apikey.StatusExpired, Sort: apikey.SortExpires}, 1)},
			{"an owner's newest keys, a later page", all("apikey_keys_owner"), list(apikey.ListOptions{Owner: "alice"}, 2)},
			{"an owner's keys by name, a later page", all("apikey_keys_owner_name"), list(apikey.ListOptions{Owner: "alice", Sort: apikey.SortName}, 2)},
			{"an owner's keys by expiry, a later page", all("apikey_keys_owner_expires"), list(apikey.ListOptions{Owner: "alice", Sort: apikey.SortExpires}, 2)},
			{"keys of an owner without keys", all("apikey_keys_owner"), list(apikey.ListOptions{Owner: "bob"}, 1)},
			{"active keys by expiry of an owner without keys", all("apikey_keys_owner_expires"), list(apikey.ListOptions{Owner: "bob", Status: apikey.StatusActive, Sort: apikey.SortExpires}, 1)},
		} {
			t.Run(test.name, func(t *testing.T) {
				statements, err := record.during(test.read)
				require.NoError(t, err)
				require.NotEmpty(t, statements)
				for i, statement := range selects(statements) {
					plan := e.plan(t, db, statement)
					if i == 0 {
						assert.Contains(t, plan, test.index[e.name])
					}
					assert.NotRegexp(t, scans[e.name], plan)
					if strings.Contains(statement.query, " FROM apikey_keys ") { // of a list
						assert.NotContains(t, plan, "TEMP B-TREE", "sorting")
					}
					for _, rows := range rowsOfPlan.FindAllStringSubmatch(plan, -1) {
						n := must(strconv.ParseFloat(rows[1], 64)) * must(strconv.ParseFloat(rows[2], 64))
						assert.LessOrEqual(t, n, 20.0, "rows read")
					}
					if t.Failed() {
						t.Log(statement.query, "\n"+plan)
					}
				}
			})
		}
	})
}
