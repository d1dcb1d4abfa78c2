package storetest_test

import (
	"context"
	"time"

	"github.com/latchkey-dev/apikey"
)

var noticeDefects = []defect{
	{"every claim is in force", rules("Notices/only the first claim of a notice is in force", "Notices/a finished notice cannot be claimed again",
		"Notices/one of several concurrent claims is in force"), func(b *broken) {
		b.claimNotice = func(ctx context.Context, c apikey.NoticeClaim) (bool, error) {
			_, err := b.full.ClaimNotice(ctx, c)
			return err == nil, err
		}
	}},
	{"a claim never ends", rules("Notices/a claim ends at its Until"), func(b *broken) {
		b.claimNotice = func(ctx context.Context, c apikey.NoticeClaim) (bool, error) {
			if c.Until.After(c.At) {
				c.Until = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
			}
			return b.full.ClaimNotice(ctx, c)
		}
	}},
	{"a claim ends too early", rules("Notices/only the first claim of a notice is in force"), func(b *broken) {
		b.claimNotice = func(ctx context.Context, c apikey.NoticeClaim) (bool, error) {
			if c.Until.After(c.At) {
				c.Until = c.At.Add(time.Microsecond)
			}
			return b.full.ClaimNotice(ctx, c)
		}
	}},
	{"a release does nothing", rules("Notices/a released notice can be claimed at once"), func(b *broken) {
		b.releaseNotice = func(_ context.Context, c apikey.NoticeClaim) error {
			_, err := c.Validate()
			return err
		}
	}},
	{"a release ends the claim of another process", rules("Notices/releasing a claim that has ended keeps a later claim"), func(b *broken) {
		last := make(map[string]apikey.NoticeClaim)
		b.claimNotice = func(ctx context.Context, c apikey.NoticeClaim) (bool, error) {
			claimed, err := b.full.ClaimNotice(ctx, c)
			if b.mu.Lock(); claimed {
				last[c.ID] = c
			}
			b.mu.Unlock()
			return claimed, err
		}
		b.releaseNotice = func(ctx context.Context, c apikey.NoticeClaim) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			if current, ok := last[c.ID]; ok && c.ID != "" {
				c = current
			}
			return b.full.ReleaseNotice(ctx, c)
		}
	}},
	{"a finish does nothing", rules("Notices/a finished notice cannot be claimed again", "Notices/SentNotices returns the finished notices"), func(b *broken) {
		b.finishNotice = func(_ context.Context, c apikey.NoticeClaim) error {
			_, err := c.Validate()
			return err
		}
	}},
	{"a finish releases", rules("Notices/a finished notice cannot be claimed again"), func(b *broken) {
		b.finishNotice = b.full.ReleaseNotice
	}},
	{"a finish claims", rules("Notices/finishing or releasing a notice that was never claimed does nothing"), func(b *broken) {
		b.finishNotice = func(ctx context.Context, c apikey.NoticeClaim) error {
			if _, err := b.full.ClaimNotice(ctx, c); err != nil {
				return err
			}
			return b.full.FinishNotice(ctx, c)
		}
	}},
	{"claimed notices count as sent", rules("Notices/SentNotices returns the finished notices", "Notices/a released notice can be claimed at once"), func(b *broken) {
		claimed := make(map[string]bool)
		b.claimNotice = func(ctx context.Context, c apikey.NoticeClaim) (bool, error) {
			b.mu.Lock()
			claimed[c.ID] = true
			b.mu.Unlock()
			return b.full.ClaimNotice(ctx, c)
		}
		b.sentNotices = func(ctx context.Context, ids []string) (map[string]bool, error) {
			sent, err := b.full.SentNotices(ctx, ids)
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, id := range ids {
				if claimed[id] && err == nil {
					sent[id] = true
				}
			}
			return sent, err
		}
	}},
	{"SentNotices ignores its limit", rules("Notices/SentNotices accepts a limited number of IDs"), func(b *broken) {
		b.sentNotices = func(ctx context.Context, ids []string) (map[string]bool, error) {
			return b.full.SentNotices(ctx, ids[:min(len(ids), apikey.MaxNotices)])
		}
	}},
	{"a notice about an unknown key is claimed", rules("Notices/a claim about an unknown key is ErrNotFound"), func(b *broken) {
		b.claimNotice = func(ctx context.Context, c apikey.NoticeClaim) (bool, error) {
			if _, err := b.full.Get(ctx, c.KeyID); err != nil {
				return true, nil
			}
			return b.full.ClaimNotice(ctx, c)
		}
	}},
	{"claims are not validated", rules("Notices/an invalid claim is ErrInvalid"), func(b *broken) {
		b.claimNotice = func(ctx context.Context, c apikey.NoticeClaim) (bool, error) {
			if _, err := c.Validate(); err != nil {
				return true, nil
			}
			return b.full.ClaimNotice(ctx, c)
		}
	}},
	{"a finish writes an audit entry", rules("Notices/a notice changes neither the key nor its audit trail"), func(b *broken) {
		b.finishNotice = func(ctx context.Context, c apikey.NoticeClaim) error {
			if _, err := b.full.Update(ctx, c.KeyID, apikey.Patch{}); err != nil {
				return err
			}
			return b.full.FinishNotice(ctx, c)
		}
	}},
}
