package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/listing"
	"github.com/latchkey-dev/apikey/sqlstore"
)

const (
	pageSize = 50    // what a ListOptions without a Limit has
	stepRows = 5_000 // that one step of a search looks at
)

// measureManyKeys measures what the number of keys could make dear.
func measureManyKeys(d *database, s scale) ([]figure, error) {
	f := newFilling(s.keys)
	p, err := d.filled(f, 0)
	if err != nil {
		return nil, err
	}
	lookups, err := measureLookups(p.store, f, s.lookups)
	if err != nil {
		return nil, err
	}
	figures := []figure{lookupFigure(lookups)}
	for _, sort := range []string{apikey.SortNewest, apikey.SortName, apikey.SortExpires} {
		first, err := measurePage(p.store, f, apikey.ListOptions{Sort: sort}, false, s.pages)
		if err != nil {
			return nil, err
		}
		last, err := measurePage(p.store, f, apikey.ListOptions{Sort: sort}, true, s.pages)
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure{"list by " + sort + ", first / last page, ms", millis(median(first)) + " / " + millis(median(last))})
	}
	search, err := measureSearch(p.store, len(f), s.pages)
	if err != nil {
		return nil, err
	}
	shown, err := measureDashboard(p.store, f, s.pages)
	if err != nil {
		return nil, err
	}
	size, err := p.size(d)
	if err != nil {
		return nil, err
	}
	figures = append(figures, figure{"one step of a search without a hit, ms", millis(median(search))})
	figures = append(figures, shown...)
	figures = append(figures,
		figure{"bytes a key on disk, with indexes and audit", fmt.Sprintf("%.0f", float64(size)/float64(len(f)))})
	if d.env != "" {
		return figures, nil // what is in memory does not depend on where it comes from
	}
	cached, err := measureCache(p, f)
	return append(figures, cached), err
}

// measurePage reads the first or the last page of a list.
func measurePage(store *sqlstore.Store, f filling, o apikey.ListOptions, last bool, n int) ([]float64, error) {
	o, err := o.Validate()
	if err != nil {
		return nil, err
	}
	begin := 0
	if last {
		begin = len(f) - pageSize
		o.Cursor = listing.Cursor(o, f.position(o.Sort, begin))
	}
	var page apikey.Page
	took, err := timed(n, func(int) error {
		page, err = store.List(context.Background(), o)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("a page by %s from key %d on: %w", o.Sort, begin, err)
	}
	if len(page.Keys) != pageSize || last != (page.Next == "") {
		return nil, fmt.Errorf("by %s: a page of %d keys and Next %q is not the right one", o.Sort, len(page.Keys), page.Next)
	}
	return took, nil
}

// position is that of the last key before the page that begins with the key in this place.
func (f filling) position(sort string, begin int) listing.Position {
	n := len(f)
	switch sort {
	case apikey.SortName:
		for i := range f {
			if f.rank(i) == begin-1 {
				return listing.Position{Seq: int64(i + 1), Text: listing.Fold(f.key(i).Name)}
			}
		}
	case apikey.SortExpires: // those that do not expire come last, in the order of seq
		after := n - begin
		for i := n - 1; i >= 0; i-- {
			if !f.forever(i) {
				continue
			}
			if after == 0 {
				return listing.Position{Seq: int64(i + 1)}
			}
			after--
		}
	}
	return listing.Position{Seq: int64(n - begin + 1)}
}

// measureSearch looks for what no key has, until the store says that there is more.
func measureSearch(store *sqlstore.Store, keys, n int) ([]float64, error) {
	var page apikey.Page
	took, err := timed(n, func(int) (err error) {
		page, err = store.List(context.Background(), apikey.ListOptions{Search: "zzzz"})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("a search: %w", err)
	}
	if len(page.Keys) > 0 || (page.Next != "") != (keys > stepRows) {
		return nil, fmt.Errorf("a search without a hit found %d keys, with Next %q", len(page.Keys), page.Next)
	}
	return took, nil
}

// size returns the bytes that the database has on disk.
func (p *process) size(d *database) (n int64, err error) {
	if _, err := p.db.Exec(d.settle); err != nil {
		return 0, err
	}
	err = p.db.QueryRow(d.size).Scan(&n)
	return n, err
}

// measureCache looks at the heap while a cache of its usual size fills.
func measureCache(p *process, f filling) (figure, error) {
	const usual = 100_000 // MaxKeys
	cache, err := newCache(p.store, 0)
	if err != nil {
		return figure{}, err
	}
	defer cache.Close()
	start := heap()
	for _, digest := range f[:min(usual, len(f))] {
		if _, err := cache.Lookup(context.Background(), digest); err != nil {
			return figure{}, err
		}
	}
	grown := heap() - start
	keys := cache.Stats().Keys
	runtime.KeepAlive(cache)
	runtime.KeepAlive(f) // or the heap would shrink by the digests meanwhile
	if keys < min(usual, len(f)) {
		return figure{}, errors.New("not all keys are in memory")
	}
	return figure{fmt.Sprintf("bytes a key in the cache, with %d", keys), fmt.Sprintf("%.0f", float64(grown)/float64(keys))}, nil
}
