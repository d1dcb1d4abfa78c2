package sqlstore

import (
	"context"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/listing"
)

// Count returns the number of keys that the options select, up to [apikey.MaxCount]. Without
// Search, Scope and UnusedSince the database counts entries of an index. With one of them Count
// examines at most 5,000 keys. More in the result reports that there may be more keys. The error is
// [apikey.ErrInvalid] for invalid options.
func (s *Store) Count(ctx context.Context, o apikey.ListOptions) (apikey.Count, error) {
	o.Sort, o.Cursor, o.Limit = apikey.SortExpires, "", 0 // the indexes in this order contain the status
	o, err := o.Validate()
	if err != nil {
		return apikey.Count{}, err
	}
	var count apikey.Count
	l := list{store: s, o: o, now: time.Now().UnixMicro(), search: listing.Fold(o.Search)}
	err = s.read(ctx, func(ctx context.Context) (err error) {
		count, err = l.count(ctx)
		return err
	})
	return count, err
}

// count counts the keys of a list.
func (l *list) count(ctx context.Context) (count apikey.Count, err error) {
	if l.readsRows() {
		candidates, err := l.candidates(ctx, listing.Position{}, false, searchBudget+1)
		if count.More = len(candidates) > searchBudget; count.More {
			candidates = candidates[:searchBudget]
		}
		for i := range candidates {
			if l.selects(&candidates[i]) {
				count.Keys++
			}
		}
		return count, err
	}
	for _, r := range indexRanges(l.o, listing.Position{}, false, l.now) {
		where, args := r.where, append([]any{}, r.args...)
		if l.o.Owner != "" && l.o.Status != "" {
			where += " AND dead = ?" // the indexes of an owner contain the column
			args = append(args, deadOfStatus(l.o.Status))
		}
		n, err := l.countRange(ctx, r.index, where, append(args, apikey.MaxCount+1-count.Keys))
		if err != nil {
			return apikey.Count{}, err
		}
		if count.Keys += n; count.Keys > apikey.MaxCount {
			return apikey.Count{Keys: apikey.MaxCount, More: true}, nil
		}
	}
	return count, nil
}

// countRange counts the keys of an index range up to a limit, which is the last argument.
func (l *list) countRange(ctx context.Context, index, where string, args []any) (n int, err error) {
	rows, err := l.store.query(ctx, "SELECT COUNT(*) FROM (SELECT seq FROM "+l.store.d.from(index)+" WHERE "+where+" LIMIT ?) AS found", args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&n); err != nil {
			return 0, err
		}
	}
	return n, rows.Err()
}

// deadOfStatus returns the value of the column dead for keys of a status.
func deadOfStatus(status apikey.Status) int {
	switch status {
	case apikey.StatusRevoked:
		return revoked
	case apikey.StatusSuspended:
		return suspended
	}
	return alive
}
