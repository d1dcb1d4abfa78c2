package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// A figure is a row of a table with a column for each engine.
type figure struct{ what, value string }

// timed calls f n times and returns how many seconds each call took.
func timed(n int, f func(i int) error) ([]float64, error) {
	took := make([]float64, n)
	for i := range took {
		begin := time.Now()
		err := f(i)
		took[i] = time.Since(begin).Seconds()
		if err != nil {
			return nil, err
		}
	}
	return took, nil
}

// measureStore measures what the store costs where the cache does not help.
func measureStore(d *database, s scale) ([]figure, error) {
	f := newFilling(max(s.touches, s.writes))
	p, err := d.filled(f, 0)
	if err != nil {
		return nil, err
	}
	lookups, err := measureLookups(p.store, f, s.lookups)
	if err != nil {
		return nil, err
	}
	flushes, err := measureFlushes(p.store, f[:s.touches])
	if err != nil {
		return nil, err
	}
	creations, err := measureCreations(p.store, s.writes)
	if err != nil {
		return nil, err
	}
	revocations, err := measureRevocations(p.store, f, s.writes)
	if err != nil {
		return nil, err
	}
	return []figure{
		lookupFigure(lookups),
		{fmt.Sprintf("flush of %d last uses, the first of each key, ms", s.touches), millis(flushes[0])},
		{fmt.Sprintf("flush of %d last uses, not the first, median, ms", s.touches), millis(median(flushes[1:]))},
		{"Create, one writer, a second", rate(creations)},
		{"Revoke, one writer, a second", rate(revocations)},
	}, nil
}

func lookupFigure(took []float64) figure {
	return figure{"uncached lookup, median / p95, µs", micros(median(took)) + " / " + micros(quantile(took, 0.95))}
}

// measureLookups reads keys in random order.
func measureLookups(store *sqlstore.Store, f filling, n int) ([]float64, error) {
	ctx := context.Background()
	asked, got := make([]int, n), make([]*apikey.Key, n)
	for i := range asked {
		asked[i] = rand.IntN(len(f))
	}
	look := func(i int) (err error) {
		got[i], err = store.Lookup(ctx, f[asked[i]])
		return err
	}
	if _, err := timed(min(n, 100), look); err != nil { // prepares the statement, opens connections
		return nil, fmt.Errorf("a lookup: %w", err)
	}
	took, err := timed(n, look)
	if err != nil {
		return nil, fmt.Errorf("a lookup: %w", err)
	}
	for i, k := range got {
		if k.ID != f.id(asked[i]) {
			return nil, fmt.Errorf("a lookup returned key %s, want %s", k.ID, f.id(asked[i]))
		}
	}
	if _, err := store.Lookup(ctx, sha256.Sum256([]byte("nobody's"))); !errors.Is(err, apikey.ErrNotFound) {
		return nil, fmt.Errorf("lookup of nobody's digest: %v", err)
	}
	return took, nil
}

// measureFlushes writes the last uses of all keys. The first time rows are added, then
// they are changed.
func measureFlushes(store *sqlstore.Store, f filling) ([]float64, error) {
	const rounds = 6
	ctx, begin := context.Background(), time.Now().UTC().Truncate(time.Second)
	var flushes []float64
	for round := range rounds {
		at := begin.Add(time.Duration(round) * time.Minute)
		for _, digest := range f {
			store.Touch(digest, at)
		}
		took, err := timed(1, func(int) error { return store.Flush(ctx) })
		if err != nil {
			return nil, err
		}
		flushes = append(flushes, took[0])
		for _, i := range []int{0, len(f) - 1} {
			if k, err := store.Get(ctx, f.id(i)); err != nil || !k.LastUsedAt.Equal(at) {
				return nil, fmt.Errorf("last use at %v, and the store has %v, %v", at, k.LastUsedAt, err)
			}
		}
	}
	if n := store.Dropped(); n > 0 {
		return nil, fmt.Errorf("%d last uses were dropped", n)
	}
	return flushes, nil
}

// measureCreations makes keys one after another.
func measureCreations(store *sqlstore.Store, n int) ([]float64, error) {
	issuer, err := apikey.NewIssuer(store, keyFormat)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	var last apikey.Secret
	took, err := timed(n, func(i int) (err error) {
		last, _, err = issuer.Issue(ctx, apikey.Key{Name: "Restore job", Scopes: []string{"library:read"}})
		return err
	})
	if err != nil {
		return nil, err
	}
	if _, err := store.Lookup(ctx, sha256.Sum256([]byte(last.Reveal()))); err != nil {
		return nil, fmt.Errorf("a key that was created: %w", err)
	}
	return took, nil
}

// measureRevocations revokes keys one after another.
func measureRevocations(store *sqlstore.Store, f filling, n int) ([]float64, error) {
	ctx := context.Background()
	took, err := timed(n, func(i int) error {
		_, err := store.Revoke(ctx, f.id(i))
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range n {
		if k, err := store.Lookup(ctx, f[i]); err != nil || !errors.Is(k.Check(time.Now()), apikey.ErrRevoked) {
			return nil, fmt.Errorf("key %s was revoked, and the store has %+v, %v", f.id(i), k, err)
		}
	}
	return took, nil
}
