package drivertest

import (
	"database/sql"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
	"github.com/latchkey-dev/apikey/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		tables := tablePool{t: t, e: e}
		storetest.Run(t, func(t *testing.T) apikey.KeyManager {
			if raceDetector {
				skipLargeRule(t)
			}
			return tables.newStore(t)
		})
	})
}

// skipLargeRule skips the rule that writes thousands of keys. It has no concurrency, and
// TestConformance without the race detector checks it.
func skipLargeRule(t *testing.T) {
	if strings.HasSuffix(t.Name(), "/a_list_does_not_depend_on_other_keys") {
		t.Skip("skipped: the rule writes thousands of keys")
	}
}

// A tablePool provides empty tables for the rules of a suite. It reuses the tables and their
// connections, because emptying tables is much faster than creating them, and a new connection to a
// server learns about its tables first.
type tablePool struct {
	t          *testing.T // of the suite; the tables exist until it ends
	e          engine
	parameters string // of the DSN, separated by "&"

	mu   sync.Mutex
	free []emptyTables
}

// emptyTables are the tables of a store without keys, and the connections to them.
type emptyTables struct {
	dsn string
	db  *sql.DB
}

// take returns empty tables, which no other rule uses until t has ended.
func (p *tablePool) take(t *testing.T) emptyTables {
	p.mu.Lock()
	var tables emptyTables
	if last := len(p.free) - 1; last >= 0 {
		tables, p.free = p.free[last], p.free[:last]
	}
	p.mu.Unlock()
	if tables.db == nil {
		tables = p.create()
	}
	t.Cleanup(func() {
		if !tables.empty(t) {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.free = append(p.free, tables)
	})
	return tables
}

func (p *tablePool) create() emptyTables {
	dsn := p.e.create(p.t)
	db, err := p.e.open(dsn)
	require.NoError(p.t, err)
	defer db.Close()
	require.NoError(p.t, p.e.newStore(p.t, db, sqlstore.Options{}).Migrate(p.t.Context()))
	for parameter := range strings.SplitSeq(p.parameters, "&") {
		name, value, _ := strings.Cut(parameter, "=")
		dsn = withParameter(p.t, p.e, dsn, name, value)
	}
	return emptyTables{dsn, p.e.openDB(p.t, dsn)}
}

// newStore returns a store on empty tables for one rule.
func (p *tablePool) newStore(t *testing.T) *sqlstore.Store {
	return p.e.newStore(t, p.take(t).db, sqlstore.Options{})
}

// empty resets the tables to the state of a new database, and closes all connections but one. It
// returns false if that fails.
func (e emptyTables) empty(t *testing.T) bool {
	for _, statement := range []string{
		"DELETE FROM apikey_keys", "DELETE FROM apikey_used", "DELETE FROM apikey_audit", "DELETE FROM apikey_notices", "UPDATE apikey_meta SET rev = 0, tag = 0",
	} {
		if _, err := e.db.Exec(statement); !assert.NoError(t, err, statement) {
			return false
		}
	}
	if most := e.db.Stats().MaxOpenConnections; most > 1 { // of a server, whose connections all suites share
		e.db.SetMaxIdleConns(1)
		e.db.SetMaxIdleConns(most)
	}
	return true
}
