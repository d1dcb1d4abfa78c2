package sqlstore

import (
	"errors"
	"math"

	"github.com/latchkey-dev/apikey"
)

// If returns a view of the Store whose Create, Update, Replace and Revoke enforce a Condition in their
// transaction. A change to which MaxKeys applies counts the living keys of the owner in an index. It
// also reads the revoked keys of the owner that would not have expired yet.
func (s *Store) If(c apikey.Condition) apikey.KeyManager { return &conditional{s, s, c} }

// unconditional returns a view that permits every change.
func (s *Store) unconditional() *conditional { return &conditional{s, s, apikey.Condition{}} }

// A conditional is a view of a Store that enforces a Condition. It embeds an interface instead of the
// Store, because the optional interfaces of the Store ignore the Condition.
type conditional struct {
	apikey.KeyManager
	store     *Store
	condition apikey.Condition
}

// check returns a checkError if Check prevents the change of a key.
func (c *conditional) check(key *apikey.Key) error {
	if c.condition.Check == nil {
		return nil
	}
	if err := c.condition.Check(key.Clone()); err != nil {
		return &checkError{err}
	}
	return nil
}

// A checkError wraps an error of Condition.Check. It is not an error of the database, even if it wraps
// one. The caller gets the error of Check itself.
type checkError struct{ cause error }

func (r *checkError) Error() string { return r.cause.Error() }

// causeOfCheck returns the error of Check if it prevented a change.
func causeOfCheck(err error) (cause error, ok bool) {
	var r *checkError
	if errors.As(err, &r) {
		return r.cause, true
	}
	return nil, false
}

// limit returns ErrTooManyKeys if the owner of new has more than MaxKeys living keys after the change from
// old to new, which t has made.
func (c *conditional) limit(t *tx, old, new *apikey.Key) error {
	if !c.condition.Limits(old, new, t.now) {
		return nil
	}
	most := min(c.condition.MaxKeys, math.MaxInt-1) // because livingKeys needs one more
	n, err := t.livingKeys(new.Owner, most+1)
	if err == nil && n > int64(most) {
		err = apikey.ErrTooManyKeys
	}
	return err
}

// livingKeys returns the number of keys of an owner that are neither revoked nor expired, at most a
// limit. It reads two ranges of an index, because the expiry 0 means never. Without the order of that
// index PostgreSQL would scan the table for an owner of many keys.
func (t *tx) livingKeys(owner string, limit int) (n int64, err error) {
	from := t.d.from("apikey_keys_owner_expires")
	for _, expiry := range []struct {
		where string
		at    int64
	}{{"expires_at = ?", 0}, {"expires_at > ?", microsOf(t.now)}} {
		found, err := t.numbers("SELECT COUNT(*) FROM (SELECT seq FROM "+from+
			" WHERE owner = ? AND owner <> '' AND "+expiry.where+" AND dead <> 1 ORDER BY expires_at, seq LIMIT ?) AS found", owner, expiry.at, limit)
		if err != nil {
			return 0, err
		}
		n += found[0]
	}
	return n, nil
}
