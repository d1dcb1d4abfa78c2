package memstore

import (
	"context"
	"errors"
	"time"

	"github.com/latchkey-dev/apikey"
)

// If returns a view of the Store whose Create, Update, Replace and Revoke enforce a Condition. A change
// to which MaxKeys applies reads every key while other writers wait.
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

func (c *conditional) Create(ctx context.Context, d apikey.Digest, key apikey.Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := key.Validate(); err != nil {
		return err
	}
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exists(key.ID, d) {
		return apikey.ErrExists
	}
	if err := c.limit(&apikey.Key{}, &key, time.Now()); err != nil {
		return err
	}
	s.create(ctx, d, key)
	return nil
}

func (c *conditional) Update(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
	return c.change(ctx, "update", id, p.Apply)
}

func (c *conditional) Revoke(ctx context.Context, id string) (apikey.Key, error) {
	return c.change(ctx, "revoke", id, func(key apikey.Key, now time.Time) (apikey.Key, error) {
		if !key.RevokedAt.IsZero() {
			return apikey.Key{}, errUnchanged
		}
		key.RevokedAt = now
		return key.Clone(), nil
	})
}

// errUnchanged reports that a change has nothing to write.
var errUnchanged = errors.New("unchanged")

// change replaces a key by the result of f. If f returns errUnchanged, it writes nothing and returns the
// key as it is.
func (c *conditional) change(ctx context.Context, action, id string, f func(apikey.Key, time.Time) (apikey.Key, error)) (apikey.Key, error) {
	if err := ctx.Err(); err != nil {
		return apikey.Key{}, err
	}
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := c.find(id)
	if err != nil {
		return apikey.Key{}, err
	}
	now, old := time.Now(), e.Value.key.Load()
	key, err := f(*old, now)
	if errors.Is(err, errUnchanged) {
		return e.Value.snapshot(), nil
	}
	if err == nil {
		err = c.limit(old, &key, now)
	}
	if err != nil {
		return apikey.Key{}, err
	}
	s.put(ctx, action, e, &key)
	return e.Value.snapshot(), nil
}

func (c *conditional) Replace(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
	if err := ctx.Err(); err != nil {
		return apikey.Key{}, err
	}
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := c.find(id)
	if err != nil {
		return apikey.Key{}, err
	}
	now, key := time.Now(), e.Value.key.Load()
	old, next, err := key.ReplacedBy(now, expiresAt, successor, s.lineage(e))
	if err != nil {
		return apikey.Key{}, err
	}
	if s.exists(next.ID, d) {
		return apikey.Key{}, apikey.ErrExists
	}
	if old.RevokedAt.IsZero() {
		if err := c.limit(&apikey.Key{}, &next, now); err != nil {
			return apikey.Key{}, err
		}
	}
	s.create(ctx, d, next)
	if e.Value.unshortened == nil {
		e.Value.unshortened = &key.ExpiresAt
	}
	s.put(ctx, "replace", e, &old, apikey.FieldChange{Field: "replaced_by", New: next.ID})
	return next, nil
}

// find returns the entry of a key, or the error with which Check refuses the change. The caller holds
// Store.mu.
func (c *conditional) find(id string) (*entry, error) {
	e := c.store.byID[id]
	if e == nil {
		return nil, apikey.ErrNotFound
	}
	if c.condition.Check == nil {
		return e, nil
	}
	return e, c.condition.Check(e.Value.snapshot())
}

// limit returns ErrTooManyKeys if a change from old to new adds a living key to an owner that already
// has MaxKeys living keys. The caller holds Store.mu.
func (c *conditional) limit(old, new *apikey.Key, now time.Time) error {
	if !c.condition.Limits(old, new, now) {
		return nil
	}
	limit := c.condition.MaxKeys
	for _, e := range c.store.bySeq {
		if key := e.Value.key.Load(); c.condition.Limits(&apikey.Key{}, key, now) && key.Owner == new.Owner {
			if limit--; limit == 0 {
				return apikey.ErrTooManyKeys
			}
		}
	}
	return nil
}
