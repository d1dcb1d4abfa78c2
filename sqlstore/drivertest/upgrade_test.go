//go:build long && unix

package drivertest

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/memstore"
	"github.com/latchkey-dev/apikey/sqlstore"
)

var upgradeKeys = flag.Int("upgrade-keys", 20_000, "number of keys in the upgraded tables")

// An upgrade is a rolling upgrade. The program of version 1 serves while this program migrates the
// tables, and continues beside it.
type upgrade struct {
	t       *testing.T
	old     *oldProgram
	node    *cacheNode // this program; ready when migrated is closed
	manager apikey.Secret
	steady  []apikey.Secret // never revoked

	migrated, ended chan struct{}
	workers         sync.WaitGroup
	issued, revoked atomic.Int64
	requests        atomic.Int64
	slowest         atomic.Int64 // request to the old program, in nanoseconds
}

// accepts asserts that the old program, and the new one if it serves, accept a key.
func (u *upgrade) accepts(secret apikey.Secret) {
	status, err := u.old.status(secret)
	assert.NoError(u.t, err)
	assert.Equal(u.t, http.StatusOK, status, "of the old program")
	if u.serves() {
		assert.Equal(u.t, http.StatusOK, u.node.status(u.t, secret), "of the new program")
	}
}

// refuses requires that both programs refuse a key within the lease.
func (u *upgrade) refuses(secret apikey.Secret) {
	eventually(u.t, 4*time.Second, "a revoked key is refused by both programs", func() bool {
		status, err := u.old.status(secret)
		return err == nil && status == http.StatusUnauthorized &&
			(!u.serves() || u.node.status(u.t, secret) == http.StatusUnauthorized)
	})
}

// serves reports whether the new program answers requests, because the migration has ended.
func (u *upgrade) serves() bool {
	select {
	case <-u.migrated:
		return true
	default:
		return false
	}
}

// loop repeats f in a goroutine until the upgrade has ended or f returns false.
func (u *upgrade) loop(f func(n int) bool) {
	u.workers.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-u.ended:
				return
			default:
			}
			if !f(n) || u.t.Failed() {
				return
			}
		}
	})
}

// read makes a request to the old program with a key that is always valid.
func (u *upgrade) read(n int) bool {
	begun := time.Now()
	status, err := u.old.status(u.steady[n%len(u.steady)])
	u.note(time.Since(begun))
	return assert.NoError(u.t, err) && assert.Equal(u.t, http.StatusOK, status)
}

// readUnknown makes a request with a new unknown key, so that the old program reads the database.
func (u *upgrade) readUnknown(int) bool {
	secret, _, err := elsewhere.Issue(context.Background(), apikey.NewKey{Name: "Unknown"})
	if !assert.NoError(u.t, err) {
		return false
	}
	begun := time.Now()
	status, err := u.old.status(secret)
	u.note(time.Since(begun))
	return assert.NoError(u.t, err) && assert.Equal(u.t, http.StatusUnauthorized, status)
}

// elsewhere issues keys that are unknown to the databases of the tests.
var elsewhere = must(apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{}))

// note counts a request and records the slowest.
func (u *upgrade) note(took time.Duration) {
	u.requests.Add(1)
	for most := u.slowest.Load(); int64(took) > most && !u.slowest.CompareAndSwap(most, int64(took)); most = u.slowest.Load() {
	}
}

// writeByServer issues and revokes a key through the old server.
func (u *upgrade) writeByServer(n int) bool {
	secret, err := u.old.create(u.manager, fmt.Sprintf("By the server %d", n))
	if !assert.NoError(u.t, err) {
		return false
	}
	u.issued.Add(1)
	u.accepts(secret)
	if !assert.NoError(u.t, u.old.revoke(u.manager, secret)) {
		return false
	}
	u.revoked.Add(1)
	u.refuses(secret)
	return true
}

// writeByCommand issues and revokes a key through the old command line, until the tables are too new
// for it.
func (u *upgrade) writeByCommand(n int) bool {
	id, secret, err := u.old.issue(fmt.Sprintf("By command %d", n))
	if err != nil {
		return assert.ErrorContains(u.t, err, "this program knows 1") && false
	}
	u.issued.Add(1)
	u.accepts(secret)
	if _, err := u.old.command("-revoke", id); err != nil {
		assert.ErrorContains(u.t, err, "this program knows 1")
		u.accepts(secret) // the command failed before any write
		return false
	}
	u.revoked.Add(1)
	u.refuses(secret)
	return true
}

// writeByNew issues, rotates and revokes keys through the new program.
func (u *upgrade) writeByNew(n int) bool {
	ctx := context.Background()
	secret, key, err := u.node.issuer.Issue(ctx, apikey.NewKey{Name: fmt.Sprintf("By the new program %d", n)})
	if !assert.NoError(u.t, err) {
		return false
	}
	u.accepts(secret)
	successor, next, err := u.node.issuer.Rotate(ctx, key.ID, time.Hour)
	if !assert.NoError(u.t, err) {
		return false
	}
	u.issued.Add(2)
	u.accepts(secret)
	u.accepts(successor)
	for id, secret := range map[string]apikey.Secret{key.ID: secret, next.ID: successor} {
		if !assert.NoError(u.t, errorOf(u.node.store.Revoke(ctx, id))) {
			return false
		}
		u.revoked.Add(1)
		u.refuses(secret)
	}
	return true
}

// The test is not parallel, because the old program answers 503 after one second.
func TestRollingUpgrade(t *testing.T) {
	binary := buildOldProgram(t)
	inParallel(t, func(t *testing.T, e engine) {
		filled := *upgradeKeys
		dsn := e.create(t)
		old := &oldProgram{binary: binary, dsn: dsn}
		_, err := old.command("-revoke", "none") // creates the tables
		require.ErrorContains(t, err, "no such key")
		db := e.openDB(t, dsn)
		require.EqualValues(t, 1, queryInt(t, db, "SELECT MAX(version) FROM apikey_schema"))
		e.fill(t, db, filled, "0")

		u := &upgrade{t: t, old: old, migrated: make(chan struct{}), ended: make(chan struct{})}
		_, u.manager, err = old.issue("Manager", "apikeys:manage")
		require.NoError(t, err)
		var steadyIDs []string
		for n := range 5 {
			id, secret, err := old.issue(fmt.Sprintf("Steady %d", n))
			require.NoError(t, err)
			steadyIDs, u.steady = append(steadyIDs, id), append(u.steady, secret)
		}
		revokedID, revokedBefore, err := old.issue("Revoked before")
		require.NoError(t, err)
		_, err = old.command("-revoke", revokedID)
		require.NoError(t, err)
		u.issued.Store(int64(filled) + 1 + 5 + 1)
		u.revoked.Store(1)

		old.serve(t)
		t.Cleanup(func() {
			if t.Failed() {
				old.server.Process.Kill()
				old.server.Wait()
				for line := range strings.Lines(old.log.String()) {
					if strings.Contains(line, "ERROR") {
						t.Log("old program: " + line)
					}
				}
			}
		})
		u.loop(u.read)
		u.loop(u.read)
		u.loop(u.readUnknown)
		want := map[string]bool{"": true, "command line": true}
		if filled <= 100_000 { // with more keys, a write can wait for an index longer than its timeout
			want["API key Manager"] = true
			u.loop(u.writeByServer)
			u.loop(u.writeByCommand)
		}
		time.Sleep(time.Second) // load before the migration

		u.node = e.openNode(t, dsn, sqlstore.Options{}, cachestore.Options{})
		begun := time.Now()
		require.NoError(t, u.node.store.Migrate(t.Context()))
		t.Logf("migrated in %v, while the slowest of %d requests took %v", time.Since(begun), u.requests.Load(), time.Duration(u.slowest.Load()))
		u.node.awaitLease(t)
		close(u.migrated)
		u.loop(u.writeByNew)
		time.Sleep(5 * time.Second) // load after the migration
		close(u.ended)
		u.workers.Wait()
		require.False(t, t.Failed())

		_, _, err = old.issue("Too late")
		require.ErrorContains(t, err, "the tables have version 2, and this program knows 1")
		u.refuses(revokedBefore)
		status, list, err := old.request("GET", "/Auth/Keys?Limit=10", u.manager)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status, "%s", list)

		// Each program writes the last use of a key that the other has not used for a while.
		started := time.Now().Truncate(time.Second)
		u.accepts(u.steady[0])
		require.Equal(t, http.StatusOK, u.node.status(t, u.steady[1]))
		require.NoError(t, u.node.store.Flush(t.Context()))
		old.stop(t)
		assert.NotContains(t, old.log.String(), "ERROR")
		for n, id := range steadyIDs[:2] {
			key, err := u.node.store.Get(t.Context(), id)
			require.NoError(t, err)
			assert.False(t, key.LastUsedAt.Before(started), "last use of steady key %d", n)
		}

		requireConsistentRevisions(t, db)
		assert.EqualValues(t, u.issued.Load(), queryInt(t, db, "SELECT COUNT(*) FROM apikey_audit WHERE action = 'create'"))
		assert.EqualValues(t, u.revoked.Load(), queryInt(t, db, "SELECT COUNT(*) FROM apikey_audit WHERE action = 'revoke'"))
		assert.EqualValues(t, u.revoked.Load(), queryInt(t, db, "SELECT COUNT(*) FROM apikey_keys WHERE revoked_at > 0 AND dead = 1"))
		actors := map[string]bool{}
		for o := (apikey.AuditOptions{Limit: 500}); ; {
			page, err := u.node.store.Audit(t.Context(), o)
			require.NoError(t, err)
			for _, entry := range page.Entries {
				actors[strings.Split(entry.Actor, " (")[0]] = true
			}
			if o.Cursor = page.Next; page.Next == "" || len(actors) == len(want) {
				break
			}
		}
		assert.Equal(t, want, actors, "actors in the audit trail")
		t.Logf("%d requests to the old program, the slowest in %v; %d keys issued, %d revoked",
			u.requests.Load(), time.Duration(u.slowest.Load()), u.issued.Load()-int64(filled), u.revoked.Load())
	})
}
