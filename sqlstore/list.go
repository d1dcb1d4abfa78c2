package sqlstore

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/listing"
)

const (
	// searchBudget is the maximum number of keys that one List examines if it selects by columns that
	// are in no index. It then reads whole rows, and in the order of names these are scattered over
	// the table.
	searchBudget = 5_000
	// statusBudget is the maximum number of keys that one List examines otherwise, because the indexes
	// contain the status.
	statusBudget = 50_000
	// firstStep is the number of keys that a List reads first. Each further step reads at most eight
	// times as many keys as the one before.
	firstStep = 250
	// stepShare is the ratio of ReadTimeout to the time that one List may take: 25 ms of 2 s.
	stepShare = 80
)

// List returns a page of keys. Every page costs the same, and its cost does not depend on the keys
// of other owners. One call examines at most 50,000 keys, or 5,000 if it selects by a column that is
// in no index, as for a Search. It also stops after 1/80 of ReadTimeout, by default 25 ms, because
// databases differ in speed. It then returns a short page, possibly an empty one, whose Next
// continues the list. The error is [apikey.ErrInvalid] for invalid options.
func (s *Store) List(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
	o, err := o.Validate()
	if err != nil {
		return apikey.Page{}, err
	}
	from, follows, err := listing.Parse(o)
	if err != nil {
		return apikey.Page{}, err
	}
	var page apikey.Page
	l := list{store: s, o: o, now: time.Now().UnixMicro(), search: listing.Fold(o.Search)}
	err = s.read(ctx, func(ctx context.Context) (err error) {
		page, err = l.page(ctx, from, follows)
		return err
	})
	if err != nil {
		return apikey.Page{}, err
	}
	return page, nil
}

// A list is one call of List.
type list struct {
	store  *Store
	o      apikey.ListOptions
	now    int64
	search string // folded
}

// A candidate is a key at its position in the list, before its status and text are compared.
type candidate struct {
	listing.Position
	dead       int
	searchable []string // folded
	scopes     string
	created    int64
	used       int64 // 0 means never
}

// page reads candidates until it has found a page and one more key, has read the whole list, or has
// used up the budget or the time.
func (l *list) page(ctx context.Context, from listing.Position, follows bool) (apikey.Page, error) {
	want, budget := l.o.Limit+1, l.budget() // one key more shows that there is a next page
	var found []listing.Position
	// Without the round trips in readTimeout: a slow network makes pages short rather than late.
	begun, limit := time.Now(), cmp.Or(l.store.options.ReadTimeout, defaultReadTimeout)/stepShare
	for step, read := firstStep, 0; ; {
		if l.isExact() {
			step = want
		}
		size := min(step, budget)
		candidates, err := l.candidates(ctx, from, follows, size)
		if err != nil {
			return apikey.Page{}, err
		}
		for _, c := range candidates {
			from, follows = c.Position, true
			if !l.selects(&c) {
				continue
			}
			if found = append(found, c.Position); len(found) == want {
				return l.fetch(ctx, found[:l.o.Limit], found[l.o.Limit-1:])
			}
		}
		if len(candidates) < size {
			return l.fetch(ctx, found, nil)
		}
		spent := time.Since(begun)
		if budget -= size; budget == 0 || spent >= limit {
			return l.fetch(ctx, found, []listing.Position{from})
		}
		read += size
		// A database is much slower per key if the table does not fit into its memory.
		inTime := float64(read) * float64(limit-spent) / float64(max(spent, 1))
		step = int(min(float64(step*8), max(firstStep, inTime)))
	}
}

// isExact reports whether the list selects every candidate.
func (l *list) isExact() bool {
	o := l.o
	return !l.readsRows() && o.ExpiresBefore.IsZero() && (o.Status == "" || o.Owner == "" && (o.Status == apikey.StatusRevoked || o.Status == apikey.StatusSuspended || o.Sort == apikey.SortExpires))
}

// readsRows reports whether the list selects by columns that are in no index.
func (l *list) readsRows() bool {
	return l.search != "" || l.o.Scope != "" || !l.o.UnusedSince.IsZero()
}

// budget returns the maximum number of keys that the list examines.
func (l *list) budget() int {
	if l.readsRows() || !l.o.ExpiresBefore.IsZero() && l.o.Sort != apikey.SortExpires {
		return searchBudget
	}
	return statusBudget
}

// selects reports whether the list selects a candidate.
func (l *list) selects(c *candidate) bool {
	if l.o.Status != "" && l.status(c.dead, c.Time) != l.o.Status {
		return false
	}
	o := l.o
	if o.Scope != "" && !slices.Contains(strings.Fields(c.scopes), o.Scope) ||
		!o.ExpiresBefore.IsZero() && (c.Time == 0 || c.Time >= o.ExpiresBefore.UnixMicro()) ||
		!o.UnusedSince.IsZero() && (c.created >= o.UnusedSince.UnixMicro() || c.used >= o.UnusedSince.UnixMicro()) {
		return false
	}
	if l.search == "" {
		return true
	}
	for _, text := range c.searchable {
		if strings.Contains(text, l.search) {
			return true
		}
	}
	return false
}

// status returns the status of a key with these values of the columns dead and expires_at.
func (l *list) status(dead int, expires int64) apikey.Status {
	switch {
	case dead == revoked:
		return apikey.StatusRevoked
	case dead == suspended:
		return apikey.StatusSuspended
	case expires != 0 && expires <= l.now:
		return apikey.StatusExpired
	}
	return apikey.StatusActive
}

// candidates returns the next n candidates after a position, or fewer at the end of the list.
func (l *list) candidates(ctx context.Context, from listing.Position, follows bool, n int) (all []candidate, err error) {
	columns := "seq, fold, expires_at, dead"
	if l.o.Sort != apikey.SortName {
		columns = "seq, '', expires_at, dead"
	}
	if l.readsRows() {
		used := "0"
		if !l.o.UnusedSince.IsZero() {
			used = "COALESCE((SELECT at FROM apikey_used WHERE apikey_used.seq = apikey_keys.seq), 0)"
		}
		columns = "seq, fold, expires_at, dead, fold_id, owner, scopes, created_at, " + used
	}
	for _, r := range indexRanges(l.o, from, follows, l.now) {
		found, err := l.scan(ctx, columns, r, n-len(all))
		if err != nil {
			return nil, err
		}
		if all = append(all, found...); len(all) == n {
			break
		}
	}
	return all, nil
}

// scan returns the first n candidates of an index range.
func (l *list) scan(ctx context.Context, columns string, r indexRange, n int) (all []candidate, err error) {
	s := l.store
	rows, err := s.query(ctx, "SELECT "+columns+" FROM "+s.d.from(r.index)+" WHERE "+r.where+" ORDER BY "+r.order+" LIMIT ?",
		append(r.args, n)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c candidate
		var foldID, owner string
		fields := []any{&c.Seq, &c.Text, &c.Time, &c.dead}
		if l.readsRows() {
			fields = append(fields, &foldID, &owner, &c.scopes, &c.created, &c.used)
		}
		if err := rows.Scan(fields...); err != nil {
			return nil, err
		}
		if l.search != "" {
			c.searchable = []string{c.Text, foldID, listing.Fold(owner), listing.Fold(c.scopes)}
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// stillSelects reports whether the list selects a key that was read after its position.
func (l *list) stillSelects(key *apikey.Key) bool {
	o := l.o
	return (o.Owner == "" || key.Owner == o.Owner) &&
		(o.Status == "" || l.status(deadOf(key), microsOf(key.ExpiresAt)) == o.Status) &&
		(o.Scope == "" || slices.Contains(key.Scopes, o.Scope)) &&
		(o.ExpiresBefore.IsZero() || !key.ExpiresAt.IsZero() && key.ExpiresAt.Before(o.ExpiresBefore)) &&
		(o.UnusedSince.IsZero() || key.LastUsedAt.Before(o.UnusedSince))
}

// fetch returns the page of the keys at these positions. The next page begins after end[0]; an
// empty end means that this page is the last.
func (l *list) fetch(ctx context.Context, at, end []listing.Position) (apikey.Page, error) {
	var page apikey.Page
	if len(end) > 0 {
		page.Next = listing.Cursor(l.o, end[0])
	}
	if len(at) == 0 {
		return page, nil
	}
	// Databases cache one plan per number of parameters, so use few different numbers.
	size := 1
	for size < len(at) {
		size *= 2
	}
	args := make([]any, size)
	for i := range args {
		args[i] = at[min(i, len(at)-1)].Seq
	}
	rows, err := l.store.query(ctx, selectKeys+"WHERE k.seq IN (?"+strings.Repeat(", ?", size-1)+")", args...)
	if err != nil {
		return apikey.Page{}, err
	}
	keys, err := scanKeys(rows)
	if err != nil {
		return apikey.Page{}, err
	}
	bySeq := make(map[int64]*apikey.Key, len(keys))
	for i := range keys {
		bySeq[keys[i].seq] = &keys[i].key
	}
	for _, p := range at {
		// The key may have been revoked or deleted between the two queries.
		key := bySeq[p.Seq]
		if key == nil {
			continue
		}
		if l.stillSelects(key) {
			page.Keys = append(page.Keys, *key)
		}
	}
	return page, nil
}
