package memstore

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/listing"
)

func fold(s string) string { return listing.Fold(s) }

// List returns a page of keys. In the order [apikey.SortNewest] it reads keys until the page is full.
// In other orders it reads every key. Writes wait for a list to finish.
func (s *Store) List(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
	if err := ctx.Err(); err != nil {
		return apikey.Page{}, err
	}
	o, err := o.Validate()
	if err != nil {
		return apikey.Page{}, err
	}
	from, follows, err := listing.Parse(o)
	if err != nil {
		return apikey.Page{}, err
	}
	selected := selection(o, time.Now())

	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []*record
	if o.Sort == apikey.SortNewest {
		i := int64(len(s.bySeq))
		if follows {
			i = min(i, max(0, from.Seq-1))
		}
		for ; i > 0 && len(found) <= o.Limit; i-- {
			if r := &s.bySeq[i-1].Value; selected(r) {
				found = append(found, r)
			}
		}
	} else {
		order := orders[o.Sort]
		for _, e := range s.bySeq {
			r := &e.Value
			if selected(r) && (!follows || order(position(r), from) > 0) {
				found = append(found, r)
			}
		}
		slices.SortFunc(found, func(a, b *record) int { return order(position(a), position(b)) })
	}
	var page apikey.Page
	if len(found) > o.Limit {
		found = found[:o.Limit]
		page.Next = listing.Cursor(o, position(found[o.Limit-1]))
	}
	for _, r := range found {
		page.Keys = append(page.Keys, r.snapshot())
	}
	return page, nil
}

// selection returns a function that reports whether the options select a record, on any page.
func selection(o apikey.ListOptions, now time.Time) func(*record) bool {
	search := fold(o.Search)
	return func(r *record) bool {
		key := r.key.Load()
		return (o.Owner == "" || key.Owner == o.Owner) &&
			(o.Status == "" || status(key, now) == o.Status) &&
			(o.Scope == "" || slices.Contains(key.Scopes, o.Scope)) &&
			(o.ExpiresBefore.IsZero() || !key.ExpiresAt.IsZero() && key.ExpiresAt.Before(o.ExpiresBefore)) &&
			(o.UnusedSince.IsZero() || r.unusedSince(o.UnusedSince)) &&
			(search == "" || strings.Contains(r.fold, search) ||
				strings.Contains(fold(key.ID), search) || strings.Contains(fold(key.Hint), search) ||
				strings.Contains(fold(key.Owner), search) || strings.Contains(fold(strings.Join(key.Scopes, " ")), search))
	}
}

// unusedSince reports whether a key was created before t and not used since then.
func (r *record) unusedSince(t time.Time) bool {
	used := r.used.Load()
	return r.key.Load().CreatedAt.Before(t) && (used == 0 || time.Unix(used, 0).Before(t))
}

func status(key *apikey.Key, now time.Time) apikey.Status {
	switch key.Check(now) {
	case nil:
		return apikey.StatusActive
	case apikey.ErrRevoked:
		return apikey.StatusRevoked
	case apikey.ErrSuspended:
		return apikey.StatusSuspended
	}
	return apikey.StatusExpired
}

// position returns the place of a record in every order.
func position(r *record) listing.Position {
	p := listing.Position{Seq: r.seq, Text: r.fold}
	if t := r.key.Load().ExpiresAt; !t.IsZero() {
		p.Time = t.UnixMicro()
	}
	return p
}

// orders compares positions in each Sort except SortNewest, which is the order of bySeq.
var orders = map[apikey.Sort]func(a, b listing.Position) int{
	apikey.SortName: func(a, b listing.Position) int {
		return cmp.Or(cmp.Compare(a.Text, b.Text), cmp.Compare(a.Seq, b.Seq))
	},
	apikey.SortExpires: func(a, b listing.Position) int {
		// Keys that never expire come last.
		never := func(p listing.Position) int { return cmp.Compare(0, p.Time) + 1 }
		return cmp.Or(cmp.Compare(never(a), never(b)), cmp.Compare(a.Time, b.Time), cmp.Compare(a.Seq, b.Seq))
	},
}
