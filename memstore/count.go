package memstore

import (
	"context"
	"time"

	"github.com/latchkey-dev/apikey"
)

// Count returns the number of keys that the options select. It reads every key, unless it finds more
// than [apikey.MaxCount]. Writes wait for it to finish.
func (s *Store) Count(ctx context.Context, o apikey.ListOptions) (apikey.Count, error) {
	if err := ctx.Err(); err != nil {
		return apikey.Count{}, err
	}
	o.Sort, o.Cursor, o.Limit = "", "", 0
	o, err := o.Validate()
	if err != nil {
		return apikey.Count{}, err
	}
	selected := selection(o, time.Now())
	s.mu.RLock()
	defer s.mu.RUnlock()
	var count apikey.Count
	for _, e := range s.bySeq {
		if !selected(&e.Value) {
			continue
		}
		if count.Keys == apikey.MaxCount {
			count.More = true
			break
		}
		count.Keys++
	}
	return count, nil
}
