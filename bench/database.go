package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// A database is one that was made to be measured, and what was opened on it.
type database struct {
	engine
	dsn string
	closer
}

func newDatabase(e engine) (*database, error) {
	dsn, drop, err := e.create(os.Getenv(e.env))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.name, err)
	}
	d := &database{engine: e, dsn: dsn}
	d.later(drop)
	return d, nil
}

// with calls f with an empty database, which is gone afterwards.
func (e engine) with(f func(*database) error) error {
	d, err := newDatabase(e)
	if err != nil {
		return err
	}
	if err = errors.Join(f(d), d.close()); err != nil {
		return fmt.Errorf("%s: %w", e.name, err)
	}
	return nil
}

// pool opens a pool of connections.
func (d *database) pool() (*sql.DB, error) {
	db, err := d.open(d.dsn)
	if err != nil {
		return nil, err
	}
	d.later(db.Close)
	return db, nil
}

// A process is what one process has of a database: nothing is shared with another.
type process struct {
	db    *sql.DB
	store *sqlstore.Store
	cache *cachestore.Store
}

// process opens the database as a service does. poll is that of its cache; 0 is the usual.
func (d *database) process(poll time.Duration) (*process, error) {
	db, err := d.pool()
	if err != nil {
		return nil, err
	}
	store, err := sqlstore.New(db, d.dialect, sqlstore.Options{})
	if err != nil {
		return nil, err
	}
	d.later(func() error { return store.Close(context.Background()) })
	if err := store.Migrate(context.Background()); err != nil {
		return nil, err
	}
	cache, err := newCache(store, poll)
	if err != nil {
		return nil, err
	}
	d.later(func() error { cache.Close(); return nil })
	return &process{db: db, store: store, cache: cache}, nil
}

// newCache returns a cache that is at work: it keeps nothing before its first poll was
// answered.
func newCache(store *sqlstore.Store, poll time.Duration) (*cachestore.Store, error) {
	cache, err := cachestore.New(store, store, cachestore.Options{Poll: poll})
	if err != nil {
		return nil, err
	}
	for begin := time.Now(); cache.Stats().LeaseRemaining == 0; time.Sleep(time.Millisecond) {
		if time.Since(begin) > 5*time.Second {
			cache.Close()
			return nil, errors.New("the cache does not begin")
		}
	}
	return cache, nil
}
