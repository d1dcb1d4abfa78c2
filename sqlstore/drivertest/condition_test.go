package drivertest

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// An owner must always be able to revoke a key, even if a newer program restricted it. Check still
// protects the keys of other owners, and its error takes precedence over the error about the rules.
func TestConditionOfAKeyWithUnknownRules(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		db := e.openDB(t, e.openTables(t))
		store := e.newStore(t, db, sqlstore.Options{})
		issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
		require.NoError(t, err)
		_, key, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Restricted", Owner: "alice"})
		require.NoError(t, err)
		execute(t, db, "UPDATE apikey_keys SET networks = '10.0.0.0/8 friends'")
		desk, err := manage.New(issuer)
		require.NoError(t, err)
		session := func(owner string) *manage.Session {
			return must(desk.As(manage.Access{Actor: owner, Owner: owner}))
		}
		require.ErrorIs(t, errorOf(session("bob").Revoke(t.Context(), key.ID)), apikey.ErrNotFound)
		require.ErrorIs(t, errorOf(session("bob").Update(t.Context(), key.ID, "", apikey.Patch{})), apikey.ErrNotFound)
		require.ErrorIs(t, errorOf3(session("bob").Rotate(t.Context(), key.ID, 0, "")), apikey.ErrNotFound)
		require.ErrorContains(t, errorOf(session("alice").Update(t.Context(), key.ID, "", apikey.Patch{})), "use a newer one")
		revoked, err := session("alice").Revoke(t.Context(), key.ID)
		require.NoError(t, err)
		assert.NotZero(t, revoked.RevokedAt)
	})
}

// An error of Check is never classified as an error of the database, even if it wraps one.
func TestErrorOfCheckIsReturnedAsItIs(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		store := e.openStore(t, e.create(t), sqlstore.Options{})
		addKeys(t, store, 0, 1)
		for _, cause := range []error{context.DeadlineExceeded, driver.ErrBadConn, apikey.ErrUncertain, apikey.ErrUnavailable, errors.New("database is locked")} {
			calls, refused := 0, fmt.Errorf("refused: %w", cause)
			_, err := store.If(apikey.Condition{Check: func(apikey.Key) error { calls++; return refused }}).Revoke(t.Context(), keyOf(0).ID)
			require.True(t, err == refused, "%v", err)
			require.Equal(t, 1, calls, "calls of Check")
		}
		require.NoError(t, errorOf(store.Revoke(t.Context(), keyOf(0).ID)))
	})
}

// MaxKeys counts the keys of an owner in an index, and stops counting at the limit.
func TestLimitOfKeysUsesItsIndex(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("skipped: it has no concurrency, and the race detector makes it slow")
	}
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		e.openStore(t, dsn, sqlstore.Options{})
		db := e.openDB(t, dsn)
		e.fill(t, db, 20_000, strconv.FormatInt(time.Now().Add(time.Hour).UnixMicro(), 10))
		execute(t, db, "UPDATE apikey_keys SET owner = 'alice' WHERE seq > 10000")
		e.analyze(t, db)
		var record recorder
		store := e.newStore(t, e.openHooked(t, dsn, record.hook), sqlstore.Options{})
		for _, owner := range []string{"alice", "bob"} {
			key := keyOf(1)
			key.Owner = owner
			statements, err := record.during(func() error { return store.If(apikey.Condition{MaxKeys: 5}).Create(t.Context(), digestOf(1), key) })
			if owner == "alice" {
				require.ErrorIs(t, err, apikey.ErrTooManyKeys)
			} else {
				require.NoError(t, err)
			}
			counts := slices.DeleteFunc(selects(statements), func(s statement) bool { return !strings.Contains(s.query, "COUNT(*)") })
			require.Len(t, counts, 2)
			for _, s := range counts {
				plan := e.plan(t, db, s)
				assert.NotRegexp(t, scans[e.name], plan)
				assert.Contains(t, plan, "apikey_keys_owner", s.query)
				for _, rows := range rowsOfPlan.FindAllStringSubmatch(plan, -1) {
					n := must(strconv.ParseFloat(rows[1], 64)) * must(strconv.ParseFloat(rows[2], 64))
					assert.LessOrEqual(t, n, 6.0, "rows read\n%s", plan)
				}
			}
		}
	})
}
