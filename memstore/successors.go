package memstore

import (
	"context"
	"fmt"

	"github.com/latchkey-dev/apikey"
)

// Successors maps the ID of each rotated key to the ID of its successor. It returns the successor
// that is not revoked, or the newest one if all are revoked. It ignores unknown IDs, and returns an
// [apikey.InvalidError] for more than [apikey.MaxSuccessors] IDs.
func (s *Store) Successors(ctx context.Context, ids []string) (map[string]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(ids) > apikey.MaxSuccessors {
		return nil, fmt.Errorf("memstore: %w", &apikey.InvalidError{Field: "ids", Problem: fmt.Sprintf("%d IDs; want at most %d", len(ids), apikey.MaxSuccessors)})
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := map[string]string{}
	for _, id := range ids {
		for _, successor := range s.successors[id] { // at most one of them is not revoked
			key := successor.Value.key.Load()
			if found[id] = key.ID; key.RevokedAt.IsZero() {
				break
			}
		}
	}
	return found, nil
}
