package drivertest

import (
	"context"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/sqlstore"
)

func TestListen(t *testing.T) {
	t.Parallel()
	e := engineNamed("PostgreSQL")
	e.requireServer(t)
	// Notifications reach the whole database, so this test needs one of its own.
	name := randomName()
	administer(t, "pgx", os.Getenv(e.env), "CREATE DATABASE "+name, "DROP DATABASE "+name+" WITH (FORCE)")
	u, err := url.Parse(os.Getenv(e.env))
	require.NoError(t, err)
	u.Path = "/" + name
	dsn := u.String()
	store := e.openStore(t, dsn, sqlstore.Options{})
	addKeys(t, store, 0, 1)

	wakes := make(chan struct{}, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- sqlstore.Listen(ctx, pgx.Connect, withParameter(t, e, dsn, "application_name", name), func() { wakes <- struct{}{} })
	}()
	requireWake := func(when string) {
		t.Helper()
		select {
		case <-wakes:
		case <-time.After(30 * time.Second):
			t.Fatal("no wake " + when)
		}
	}
	requireWake("after connecting")
	for _, write := range []struct {
		name string
		do   func() error
	}{
		{"Create", func() error { return store.Create(t.Context(), digestOf(1), keyOf(1)) }},
		{"Replace", func() error {
			return errorOf(store.Replace(t.Context(), keyOf(1).ID, time.Now().Add(time.Hour), digestOf(2), keyOf(2)))
		}},
		{"Revoke", func() error { return errorOf(store.Revoke(t.Context(), keyOf(0).ID)) }},
	} {
		require.Empty(t, wakes)
		require.NoError(t, write.do())
		requireWake("after " + write.name)
	}

	db := e.openDB(t, dsn)
	require.EqualValues(t, 1, queryInt(t, db, "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '"+name+"'"))
	requireWake("after reconnecting")
	require.NoError(t, store.Create(t.Context(), digestOf(3), keyOf(3)))
	requireWake("after a write after reconnecting")

	cancel()
	select {
	case err := <-ended:
		assert.ErrorIs(t, err, context.Canceled)
	case <-time.After(30 * time.Second):
		t.Fatal("Listen does not end with its context")
	}
	eventually(t, 10*time.Second, "the connection of Listen is closed", func() bool {
		return queryInt(t, db, "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = '"+name+"'") == 0
	})
}
