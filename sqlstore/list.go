package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/listing"
)

// searchBudget is how many rows one step of a filtered list looks at before it returns what
// it has found, with a cursor to go on. In the order of names it finds each row in another
// place, and is to take no more than some 25 ms all the same, where the table is in memory.
const searchBudget = 5_000

// A span is a run of rows in one order, for which an index serves. A list is one span, or
// several that follow each other: a condition with OR, or with a row of values, would not be
// answered from an index on every database.
type span struct {
	where string
	args  []any
	order string
	index string // "" is the primary key
}

// spans returns where a list goes on after a position, or all of it.
func spans(sort string, from listing.Position, follows bool) []span {
	const (
		newest  = "seq DESC"
		oldest  = "seq"
		name    = "fold, seq"
		expires = "expires_at, seq"

		byName    = "apikey_keys_name"
		byExpires = "apikey_keys_expires"
	)
	switch {
	case sort == apikey.SortNewest && follows:
		return []span{{"seq < ?", []any{from.Seq}, newest, ""}}
	case sort == apikey.SortNewest:
		return []span{{"1 = 1", nil, newest, ""}}
	case sort == apikey.SortName && follows:
		return []span{{"fold = ? AND seq > ?", []any{from.Text, from.Seq}, oldest, byName}, {"fold > ?", []any{from.Text}, name, byName}}
	case sort == apikey.SortName:
		return []span{{"1 = 1", nil, name, byName}}
	}
	never := span{"expires_at = 0", nil, oldest, byExpires}
	switch {
	case follows && from.Time == 0:
		return []span{{"expires_at = 0 AND seq > ?", []any{from.Seq}, oldest, byExpires}}
	case follows:
		return []span{{"expires_at = ? AND seq > ?", []any{from.Time, from.Seq}, oldest, byExpires},
			{"expires_at > ?", []any{from.Time}, expires, byExpires}, never}
	}
	return []span{{"expires_at > 0", nil, expires, byExpires}, never}
}

// List returns a page of keys. Pages cost the same from the first to the last. With a
// filter, one call looks at some 5,000 keys and may then return a short page, even an empty
// one, with a Next to go on.
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
	filter, args := filterOf(o, time.Now())
	all := spans(o.Sort, from, follows)
	err = s.read(ctx, func(ctx context.Context) (err error) {
		if filter == "" {
			page, err = s.list(func(query string, args ...any) (*sql.Rows, error) { return s.query(ctx, query, args...) }, o, all, "", nil)
			return err
		}
		// Of one state, or what was revoked in between would move the end of the budget, and the
		// keys that it has moved over would be on no page.
		return s.snapshot(ctx, func(q querier) error {
			page, err = s.list(q, o, all, filter, args)
			return err
		})
	})
	if err != nil {
		return apikey.Page{}, err
	}
	return page, nil
}

func (s *Store) list(q querier, o apikey.ListOptions, spans []span, filter string, filterArgs []any) (apikey.Page, error) {
	var page apikey.Page
	var last stored
	for _, span := range spans {
		if o.Sort == apikey.SortNewest && o.Status != "" {
			// What can be answered from an index needs no budget.
			span.where += " AND dead = " + map[bool]string{true: "1", false: "0"}[o.Status == apikey.StatusRevoked]
			span.index = "apikey_keys_state"
		}
		inner, want := searchBudget, o.Limit+1-len(page.Keys)
		if filter == "" {
			inner = want
		}
		// One more than fits tells that there is a next page.
		query := span.keys(s.d, "LIMIT ?") + "WHERE 1 = 1" + filter + " ORDER BY " + span.outer() + " LIMIT ?"
		all := append(append(append([]any{}, span.args...), inner), filterArgs...)
		rows, err := q(query, append(all, want)...)
		if err != nil {
			return apikey.Page{}, err
		}
		found, err := scanKeys(rows)
		if err != nil {
			return apikey.Page{}, err
		}
		for _, k := range found {
			if len(page.Keys) == o.Limit {
				page.Next = listing.Cursor(o, position(&last))
				return page, nil
			}
			page.Keys = append(page.Keys, k.key)
			last = k
		}
		if filter == "" {
			continue
		}
		// Where the budget ended, if it did.
		rows, err = q(span.keys(s.d, "LIMIT 1 OFFSET ?"), append(append([]any{}, span.args...), searchBudget-1)...)
		if err != nil {
			return apikey.Page{}, err
		}
		end, err := scanKeys(rows)
		if err != nil {
			return apikey.Page{}, err
		}
		if len(end) > 0 {
			page.Next = listing.Cursor(o, position(&end[0]))
			return page, nil
		}
	}
	return page, nil
}

// keys selects keys by where they stand. What is counted off are positions, which the index holds
// entirely: were it whole rows, MariaDB would rather read and sort the table than look each up.
func (s *span) keys(d *dialect, limit string) string {
	table := "apikey_keys"
	if s.index != "" && d.force != "" {
		table += fmt.Sprintf(d.force, s.index)
	}
	return "SELECT " + keyColumns + ", u.at FROM (SELECT " + strings.TrimSuffix(s.order, " DESC") +
		" FROM " + table + " WHERE " + s.where + " ORDER BY " + s.order + " " + limit + ") s " +
		d.keyOf + " LEFT JOIN apikey_used u ON u.seq = k.seq "
}

// outer is the order of those positions.
func (s *span) outer() string {
	return "s." + strings.ReplaceAll(s.order, ", ", ", s.")
}

// filterOf returns the conditions of a list that have no index.
func filterOf(o apikey.ListOptions, now time.Time) (filter string, args []any) {
	if o.Owner != "" {
		filter, args = filter+" AND k.owner = ?", append(args, o.Owner)
	}
	switch o.Status {
	case apikey.StatusActive:
		filter, args = filter+" AND k.dead = 0 AND (k.expires_at = 0 OR k.expires_at > ?)", append(args, now.UnixMicro())
	case apikey.StatusExpired:
		filter, args = filter+" AND k.dead = 0 AND k.expires_at > 0 AND k.expires_at <= ?", append(args, now.UnixMicro())
	case apikey.StatusRevoked:
		filter += " AND k.dead = 1"
	}
	if o.Search != "" {
		pattern := "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(listing.Fold(o.Search)) + "%"
		filter, args = filter+" AND (k.fold LIKE ? ESCAPE '!' OR k.fold_id LIKE ? ESCAPE '!')", append(args, pattern, pattern)
	}
	return filter, args
}

func position(k *stored) listing.Position {
	return listing.Position{Seq: k.seq, Time: microsOf(k.key.ExpiresAt), Text: listing.Fold(k.key.Name)}
}
