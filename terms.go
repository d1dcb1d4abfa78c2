package apikey

import (
	"fmt"
	"time"
)

// Terms are the terms on which a management tool, such as package manage, lets a caller make a key;
// see [Issuer.With].
type Terms struct {
	// ID is the ID of the next new key; "" means a random one. If a key has this ID, Issue and Rotate
	// return [ErrExists]. A tool that derives the ID from a request can thus repeat the request.
	ID string
	// NotAfter is the latest ExpiresAt of a new key, in addition to IssuerOptions.MaxLifetime. It is in
	// the future; the zero time means no limit. Issue refuses a later ExpiresAt and shortens the
	// DefaultLifetime. Rotate shortens the lifetime of the successor.
	NotAfter time.Time
	// Condition holds for Issue and Rotate. Rotate calls Check with the old key. MaxKeys limits the
	// owner of the new key.
	Condition Condition
}

// With returns a copy of the Issuer that makes keys on the given Terms, which replace earlier ones.
// Import ignores NotAfter. The error wraps [ErrInvalid] if a field is out of its limits, or if there is
// a Condition and the KeyManager is not a [Conditional].
func (i *Issuer) With(t Terms) (*Issuer, error) {
	if t.ID != "" && !ValidID(t.ID) {
		return nil, invalid("ID", "%s: want 1 to %d characters of A-Z, a-z, 0-9, _ and -", quote(t.ID), maxID)
	}
	if !t.NotAfter.IsZero() && !t.NotAfter.After(time.Now()) {
		return nil, invalid("NotAfter", "%v: want a time in the future, or the zero time", t.NotAfter)
	}
	if err := checkTime("NotAfter", t.NotAfter); err != nil {
		return nil, err
	}
	if t.Condition.MaxKeys < 0 {
		return nil, invalid("Condition.MaxKeys", "%d: want 0 or more", t.Condition.MaxKeys)
	}
	c := *i
	c.id, c.notAfter, c.writer = t.ID, t.NotAfter, i.manager
	if t.Condition.Check != nil || t.Condition.MaxKeys != 0 {
		conditional, ok := i.manager.(Conditional)
		if !ok {
			return nil, invalid("Condition", "%T has no method If; want an apikey.Conditional", i.manager)
		}
		c.writer = conditional.If(t.Condition)
	}
	return &c, nil
}

// latest returns the latest ExpiresAt of a key that is made now, and the limit that it comes from; the
// zero time means never.
func (i *Issuer) latest(now time.Time) (at time.Time, limit string) {
	if i.o.MaxLifetime > 0 {
		at, limit = now.Add(i.o.MaxLifetime), fmt.Sprintf("MaxLifetime is %v", i.o.MaxLifetime)
	}
	if !i.notAfter.IsZero() && (at.IsZero() || i.notAfter.Before(at)) {
		at, limit = i.notAfter, "keys of this caller end then at the latest"
	}
	return at, limit
}

// newID returns the ID of the next key.
func (i *Issuer) newID() (string, error) {
	if i.id != "" {
		return i.id, nil
	}
	return randomText(i.random, idLen)
}
