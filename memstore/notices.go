package memstore

import (
	"context"
	"fmt"
	"time"

	"github.com/latchkey-dev/apikey"
)

// A notice is the state of a notice about a key.
type notice struct {
	until time.Time // the end of the last claim; the zero time means that it was released
	sent  bool
}

// SentNotices returns the set of the given notices that were finished. It returns an
// [apikey.InvalidError] for more than [apikey.MaxNotices] IDs.
func (s *Store) SentNotices(ctx context.Context, ids []string) (map[string]bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(ids) > apikey.MaxNotices {
		return nil, fmt.Errorf("memstore: %w", &apikey.InvalidError{Field: "ids", Problem: fmt.Sprintf("%d IDs; want at most %d", len(ids), apikey.MaxNotices)})
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	sent := map[string]bool{}
	for _, id := range ids {
		if n := s.notices[id]; n != nil && n.sent {
			sent[id] = true
		}
	}
	return sent, nil
}

// ClaimNotice reports whether the caller has the claim and must send the notice. It returns
// [apikey.ErrNotFound] for an unknown key.
func (s *Store) ClaimNotice(ctx context.Context, c apikey.NoticeClaim) (claimed bool, err error) {
	err = s.withNotice(ctx, c, func(n *notice, c apikey.NoticeClaim) error {
		switch {
		case s.byID[c.KeyID] == nil:
			return apikey.ErrNotFound
		case n == nil:
			s.notices[c.ID] = &notice{until: c.Until}
		case n.sent || n.until.After(c.At):
			return nil
		default:
			n.until = c.Until
		}
		claimed = true
		return nil
	})
	return claimed, err
}

// FinishNotice records that the notice was sent. It ignores a notice that was never claimed.
func (s *Store) FinishNotice(ctx context.Context, c apikey.NoticeClaim) error {
	return s.withNotice(ctx, c, func(n *notice, _ apikey.NoticeClaim) error {
		if n != nil {
			n.sent = true
		}
		return nil
	})
}

// ReleaseNotice ends the claim, unless a later claim is in force or the notice was finished.
func (s *Store) ReleaseNotice(ctx context.Context, c apikey.NoticeClaim) error {
	return s.withNotice(ctx, c, func(n *notice, c apikey.NoticeClaim) error {
		if n != nil && n.until.Equal(c.Until) {
			n.until = time.Time{}
		}
		return nil
	})
}

// withNotice calls f with the state of a notice, or nil if it was never claimed, and the validated claim.
func (s *Store) withNotice(ctx context.Context, c apikey.NoticeClaim, f func(*notice, apikey.NoticeClaim) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c, err := c.Validate()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return f(s.notices[c.ID], c)
}
