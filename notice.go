package apikey

import (
	"context"
	"time"
)

// MaxNotices is the maximum number of IDs in a call of SentNotices.
const MaxNotices = maxLimit

// A Noticer is a KeyManager that records which notices about keys were sent. The processes of a service
// can thus send each notice once. Package manage sends notices.
//
// A process claims a notice, sends it, and then finishes or releases the claim. Only one claim of a
// notice is in force at a time. If a process ends without doing either, the claim ends at its Until.
type Noticer interface {
	// SentNotices returns the set of the given notices that were finished. It ignores unknown IDs, and
	// returns [ErrInvalid] for more than [MaxNotices] IDs.
	SentNotices(ctx context.Context, ids []string) (map[string]bool, error)

	// ClaimNotice reports whether the caller has the claim and must send the notice. It returns false
	// if the notice was finished, or if an earlier claim has neither been released nor ended before
	// c.At. It returns [ErrNotFound] for an unknown key, and [ErrInvalid] as
	// [NoticeClaim.Validate] does.
	ClaimNotice(ctx context.Context, c NoticeClaim) (bool, error)

	// FinishNotice records that the notice was sent, even if the claim has ended since. It ignores a
	// notice that was never claimed, and a notice whose key was deleted.
	FinishNotice(ctx context.Context, c NoticeClaim) error

	// ReleaseNotice ends the claim, so that another process can claim the notice at once. It changes
	// nothing if the notice was finished, or if a later claim is in force.
	ReleaseNotice(ctx context.Context, c NoticeClaim) error
}

// A NoticeClaim is the right to send a notice, for a limited time.
type NoticeClaim struct {
	// ID identifies the notice. It has the form of an ID that [ValidID] accepts.
	ID string
	// KeyID is the ID of the key that the notice is about.
	KeyID string
	// At is the time at which the caller claims the notice. Until is the end of the claim, which is
	// later. If the clocks of two processes differ by more than the length of a claim, both may send
	// the notice.
	At, Until time.Time
}

// Validate returns the claim with its times in UTC and truncated to the microsecond. It returns an error
// that wraps [ErrInvalid] if a field is out of its limits. Validate is for authors of stores.
func (c NoticeClaim) Validate() (NoticeClaim, error) {
	c.At, c.Until = c.At.UTC().Truncate(time.Microsecond), c.Until.UTC().Truncate(time.Microsecond)
	switch {
	case !ValidID(c.ID):
		return c, invalid("ID", "%s: want 1 to %d characters of A-Z, a-z, 0-9, _ and -", quote(c.ID), maxID)
	case c.At.IsZero() || !validTime(c.At):
		return c, invalid("At", "%v: want a time between 1970 and 9999", c.At)
	case !validTime(c.Until) || !c.Until.After(c.At):
		return c, invalid("Until", "%v: want a time after At, %v", c.Until, c.At)
	}
	return c, nil
}
