package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// keys is the store with its connection pool, the cache in front of it, and the Issuer.
type keys struct {
	pool      *sql.DB
	store     *sqlstore.Store
	cache     *cachestore.Store
	format    *apikey.Format
	issuer    *apikey.Issuer
	stop      context.CancelFunc
	listening sync.WaitGroup
}

func openKeys(ctx context.Context, c config) (_ *keys, err error) {
	format, err := newFormat(c.pepper)
	if err != nil {
		return nil, err
	}
	dsn := c.database.Reveal()
	parsed, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("DATABASE_URL is not a URL of PostgreSQL") // err may show the password
	}
	if parsed.ConnectTimeout == 0 {
		parsed.ConnectTimeout = time.Second
	}
	k := &keys{format: format, pool: stdlib.OpenDB(*parsed), stop: func() {}}
	defer func() {
		if err != nil {
			k.close()
		}
	}()
	k.pool.SetMaxOpenConns(8)
	k.pool.SetMaxIdleConns(8)
	k.pool.SetConnMaxIdleTime(time.Minute) // before a firewall forgets a connection

	if k.store, err = sqlstore.New(k.pool, sqlstore.Postgres, sqlstore.Options{}); err != nil {
		return nil, err
	}
	if err = k.store.Migrate(ctx); err != nil {
		return nil, err
	}
	if k.cache, err = cachestore.New(k.store, cachestore.Options{}); err != nil {
		return nil, err
	}
	if k.issuer, err = apikey.NewIssuer(k.store, apikey.IssuerOptions{Format: k.format}); err != nil {
		return nil, err
	}
	listen, stop := context.WithCancel(context.WithoutCancel(ctx))
	k.stop = stop
	k.listening.Go(func() { sqlstore.Listen(listen, pgx.Connect, dsn, k.cache.Wake) })
	return k, nil
}

// newFormat returns the Format of this service's keys. Replace acme by a prefix of your own.
func newFormat(pepper apikey.Secret) (*apikey.Format, error) {
	format, err := apikey.NewFormat("acme", apikey.FormatOptions{Peppers: []apikey.Secret{pepper}})
	if err != nil {
		return nil, fmt.Errorf("PEPPER: %w", err)
	}
	return format, nil
}

// close closes everything that openKeys opened, in reverse order. It writes the last uses of keys.
func (k *keys) close() {
	k.stop()
	k.listening.Wait()
	if k.cache != nil {
		k.cache.Close()
	}
	if k.store != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		k.store.Close(ctx)
	}
	k.pool.Close()
}

// seed imports SEED_KEY unless the store has it already, so that another program of the same deployment
// can use it from the first start. Every process may call seed at every start.
func (k *keys) seed(ctx context.Context, c config) error {
	if c.seedKey.Reveal() == "" {
		return nil
	}
	ctx = apikey.WithActor(ctx, "seed")
	_, err := k.issuer.Import(ctx, apikey.ImportedKey{Secret: c.seedKey, Name: "Seed", Scopes: []string{"library:read"}})
	if err != nil && !errors.Is(err, apikey.ErrExists) {
		return fmt.Errorf("SEED_KEY: %w", err)
	}
	return nil
}
