package manage

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/latchkey-dev/apikey"
)

// A NoticeKind says why a key needs attention.
type NoticeKind string

// The kinds of notices.
const (
	NoticeExpiring      NoticeKind = "expiring"        // the key expires soon and was not rotated
	NoticeUnused        NoticeKind = "unused"          // the key was not used for a long time and was not rotated
	NoticeReplacedInUse NoticeKind = "replaced_in_use" // the key was rotated and will soon end, but is still used
)

// A Notice says that a key needs attention.
type Notice struct {
	// ID identifies the Notice: every process computes the same ID, and no other Notice has it. Send it
	// along, so that a receiver can drop a repetition: as the header field webhook-id of Standard
	// Webhooks, or as a Message-ID. [apikey.ValidID] accepts it.
	ID string
	// Kind says why the key needs attention.
	Kind NoticeKind
	// Key is the key as the store returned it when the Notice was computed.
	Key apikey.Key
	// Threshold is the element of [NoticeRules.Before] for NoticeExpiring, [NoticeRules.Unused] for
	// NoticeUnused, and 0 for NoticeReplacedInUse.
	Threshold time.Duration
	// At is the time at which the Notice became due.
	At time.Time
	// Successor is the ID of the key to use instead, for NoticeReplacedInUse. It is "" if the session may not
	// see that key.
	Successor string
}

// NoticeRules says which keys need attention. Revoked, suspended and expired keys never do. The zero value
// means the times that Before states, and no Notice for unused keys.
type NoticeRules struct {
	// Before are the times before the expiry of a key at which it needs attention, at most 10. Nil means 30
	// days, 7 days and 1 day. An empty slice means that keys may expire without a Notice. If several
	// times have passed, only the last one counts. A time before the creation of the key does not count.
	// A key whose ExpiresAt changes gets new Notices.
	Before []time.Duration

	// Unused is the time without a use after which a key needs attention, at most 50 years; 0 means that keys
	// may stay unused. It begins when the key was last used, or created if that is later. After a later use
	// the key gets a new Notice.
	Unused time.Duration
}

const (
	day = 24 * time.Hour
	// graceWindow is the time before the end of a rotated key in which it can get a NoticeReplacedInUse.
	graceWindow = 30 * day
	maxBefore   = 10
	maxUnused   = 50 * 365 * day // stores have no times before 1970
)

// validate returns the rules with their defaults, the longest time before the expiry first.
func (r NoticeRules) validate() (NoticeRules, error) {
	if r.Before == nil {
		r.Before = []time.Duration{30 * day, 7 * day, day}
	}
	if len(r.Before) > maxBefore {
		return r, invalid("Before", "%d times; want at most %d", len(r.Before), maxBefore)
	}
	for _, before := range r.Before {
		if before <= 0 {
			return r, invalid("Before", "%v: want more than 0", before)
		}
	}
	if r.Unused < 0 || r.Unused > maxUnused {
		return r, invalid("Unused", "%v: want more than 0 and at most %v, or 0 for never", r.Unused, maxUnused)
	}
	r.Before = slices.Clone(r.Before)
	slices.SortFunc(r.Before, func(a, b time.Duration) int { return cmp.Compare(b, a) })
	return r, nil
}

// window returns how long before its expiry a key can need attention.
func (r NoticeRules) window() time.Duration {
	return slices.Max(append([]time.Duration{graceWindow}, r.Before...))
}

// expiring returns the Notice of a key that expires soon, or false if the key needs none now.
func (r NoticeRules) expiring(key *apikey.Key, now time.Time) (n Notice, due bool) {
	for _, before := range r.Before {
		at := key.ExpiresAt.Add(-before)
		if !key.ExpiresAt.IsZero() && !at.After(now) && at.After(key.CreatedAt) {
			n, due = newNotice(NoticeExpiring, key, before, at, key.ExpiresAt), true
		}
	}
	return n, due
}

// unused returns the Notice of a key that was not used for a long time, or false if the key needs none now.
func (r NoticeRules) unused(key *apikey.Key, now time.Time) (n Notice, due bool) {
	since := key.CreatedAt
	if key.LastUsedAt.After(since) {
		since = key.LastUsedAt
	}
	if r.Unused == 0 || since.IsZero() || since.Add(r.Unused).After(now) {
		return n, false
	}
	return newNotice(NoticeUnused, key, r.Unused, since.Add(r.Unused), since), true
}

// replacedInUse returns the Notice of a key that was rotated at a time and is still used. It is due from the
// middle of the grace on. A use in the first tenth does not count, because a new key needs time to reach
// its clients.
func replacedInUse(key *apikey.Key, rotated, now time.Time) (n Notice, due bool) {
	grace := key.ExpiresAt.Sub(rotated)
	at := key.ExpiresAt.Add(-min(grace/2, graceWindow))
	if key.ExpiresAt.IsZero() || grace <= 0 || at.After(now) || !key.LastUsedAt.After(rotated.Add(grace/10)) {
		return n, false
	}
	return newNotice(NoticeReplacedInUse, key, 0, at, key.ExpiresAt), true
}

// newNotice returns a Notice. The time of an event distinguishes it from earlier Notices of the same kind.
func newNotice(kind NoticeKind, key *apikey.Key, threshold time.Duration, at, event time.Time) Notice {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%d\n%d", kind, key.ID, threshold.Microseconds(), event.UnixMicro()))
	return Notice{ID: "notice_" + hex.EncodeToString(sum[:16]), Kind: kind, Key: *key, Threshold: threshold, At: at}
}
