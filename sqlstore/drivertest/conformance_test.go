package drivertest

import (
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
			return e.openStore(t, tables.take(t), sqlstore.Options{})
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

// A tablePool provides empty tables for the rules of a suite. It reuses tables, because emptying
// them is much faster than creating them.
type tablePool struct {
	t *testing.T // of the suite; the tables exist until it ends
	e engine

	mu   sync.Mutex
	free []string // the DSNs of empty tables
}

// take returns the DSN of empty tables, which no other rule uses until t has ended.
func (p *tablePool) take(t *testing.T) (dsn string) {
	p.mu.Lock()
	if last := len(p.free) - 1; last >= 0 {
		dsn, p.free = p.free[last], p.free[:last]
	}
	p.mu.Unlock()
	if dsn == "" {
		dsn = p.e.openTables(p.t)
	}
	t.Cleanup(func() {
		if !p.empty(t, dsn) {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.free = append(p.free, dsn)
	})
	return dsn
}

// empty resets the tables to the state of a new database. It returns false if that fails.
func (p *tablePool) empty(t *testing.T, dsn string) bool {
	db, err := p.e.open(dsn)
	require.NoError(t, err)
	defer db.Close()
	for _, statement := range []string{
		"DELETE FROM apikey_keys", "DELETE FROM apikey_used", "DELETE FROM apikey_audit", "DELETE FROM apikey_notices", "UPDATE apikey_meta SET rev = 0, tag = 0",
	} {
		if _, err := db.Exec(statement); !assert.NoError(t, err, statement) {
			return false
		}
	}
	return true
}
