package storetest_test

import (
	"context"
	"fmt"
	"time"

	"github.com/latchkey-dev/apikey"
)

// conditions breaks If: f changes the Condition that the view enforces.
func conditions(f func(*broken, *apikey.Condition)) func(*broken) {
	return func(b *broken) {
		b.conditional = func(c apikey.Condition) apikey.KeyManager {
			f(b, &c)
			return b.full.If(c)
		}
	}
}

// A naive view checks a Condition before the change, outside its transaction. Its fields skip checks.
type naive struct {
	apikey.KeyManager
	c                                   apikey.Condition
	skipUpdate, skipReplace, skipRevoke bool // whether Check is not called
	counts                              func(key apikey.Key, owner string) bool
}

func (n *naive) check(ctx context.Context, id string) error {
	key, err := n.Get(ctx, id)
	if err != nil || n.c.Check == nil {
		return err
	}
	return n.c.Check(key)
}

// limit counts the keys that n.counts selects, even if the change adds no key.
func (n *naive) limit(ctx context.Context, owner string, more int) error {
	yield()
	found := 0
	for key := range apikey.Keys(ctx, n.KeyManager, apikey.ListOptions{}) {
		if n.counts(key, owner) {
			found++
		}
	}
	yield()
	if n.c.MaxKeys > 0 && found+more > n.c.MaxKeys {
		return apikey.ErrTooManyKeys
	}
	return nil
}

func (n *naive) Create(ctx context.Context, d apikey.Digest, key apikey.Key) error {
	if n.counts == nil {
		return n.KeyManager.Create(ctx, d, key)
	}
	if err := n.limit(ctx, key.Owner, 1); err != nil {
		return err
	}
	return n.KeyManager.Create(ctx, d, key)
}

func (n *naive) Update(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
	if !n.skipUpdate {
		if err := n.check(ctx, id); err != nil {
			return apikey.Key{}, err
		}
		yield()
	}
	return n.KeyManager.Update(ctx, id, p)
}

func (n *naive) Replace(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
	if !n.skipReplace {
		if err := n.check(ctx, id); err != nil {
			return apikey.Key{}, err
		}
	}
	return n.KeyManager.Replace(ctx, id, expiresAt, d, successor)
}

func (n *naive) Revoke(ctx context.Context, id string) (apikey.Key, error) {
	if !n.skipRevoke {
		if err := n.check(ctx, id); err != nil {
			return apikey.Key{}, err
		}
	}
	return n.KeyManager.Revoke(ctx, id)
}

// naively breaks If: the view is a naive one that f changes.
func naively(f func(*naive)) func(*broken) {
	return func(b *broken) {
		b.conditional = func(c apikey.Condition) apikey.KeyManager {
			n := &naive{KeyManager: b.full, c: c}
			f(n)
			return n
		}
	}
}

const refused = "Check/a change that Check refuses writes nothing"

var conditionalDefects = []defect{
	{"If ignores Check", rules(refused, "Check/Check gets the current key", "Check/one of several changes of the same version succeeds"),
		conditions(func(_ *broken, c *apikey.Condition) { c.Check = nil })},
	{"Update skips Check", rules(refused), naively(func(n *naive) { n.skipUpdate = true })},
	{"Replace skips Check", rules(refused), naively(func(n *naive) { n.skipReplace = true })},
	{"Revoke skips Check", rules(refused), naively(func(n *naive) { n.skipRevoke = true })},
	{"Check runs before the transaction", rules("Check/one of several changes of the same version succeeds"), naively(func(*naive) {})},
	{"the error of Check is wrapped", rules(refused, "Check/the error of Check comes before other reasons"), conditions(func(_ *broken, c *apikey.Condition) {
		if check := c.Check; check != nil {
			c.Check = func(key apikey.Key) error {
				if err := check(key); err != nil {
					return fmt.Errorf("store: %w", err)
				}
				return nil
			}
		}
	})},
	{"a refused change leaves an audit entry", rules(refused), naively(func(n *naive) {
		check := n.c.Check
		n.c.Check = func(key apikey.Key) error {
			if err := check(key); err != nil {
				n.KeyManager.Update(context.Background(), key.ID, apikey.Patch{})
				return err
			}
			return nil
		}
	})},
	{"Check gets a key without its scopes", rules("Check/Check gets the current key"), conditions(func(_ *broken, c *apikey.Condition) {
		if check := c.Check; check != nil {
			c.Check = func(key apikey.Key) error {
				key.Scopes = nil
				return check(key)
			}
		}
	})},
	{"Check gets the stored key", rules("Check/Check cannot change the key"), func(b *broken) {
		b.conditional = func(c apikey.Condition) apikey.KeyManager {
			return &naive{KeyManager: b.full, c: apikey.Condition{Check: func(key apikey.Key) error {
				err := c.Check(key)
				b.full.Update(context.Background(), key.ID, apikey.Patch{Scopes: &key.Scopes, Metadata: &key.Metadata})
				return err
			}}}
		}
	}},
	{"Check is called for unknown IDs", rules("Check/an unknown ID is ErrNotFound without a Check"), func(b *broken) {
		b.conditional = func(c apikey.Condition) apikey.KeyManager {
			return &naive{KeyManager: &unknownChecked{b.full, c}, c: c}
		}
	}},
	{"a revoked key needs no Check", rules("Check/the error of Check comes before other reasons"), func(b *broken) {
		b.conditional = func(c apikey.Condition) apikey.KeyManager {
			n := &naive{KeyManager: b.full, c: apikey.Condition{Check: func(key apikey.Key) error {
				if !key.RevokedAt.IsZero() {
					return nil
				}
				return c.Check(key)
			}}}
			return n
		}
	}},
	{"a Check that panics leaves a lock", rules("Check/the store works after a Check that panics"), func(b *broken) {
		b.conditional = func(c apikey.Condition) apikey.KeyManager {
			return &naive{KeyManager: b.full, c: apikey.Condition{Check: func(key apikey.Key) error {
				defer b.full.Revoke(context.Background(), key.ID) // a half-made change instead of a lock, which would hang the test
				return c.Check(key)
			}}}
		}
	}},
	{"a view reads another store", rules("Check/a view reads the keys of the store"), func(b *broken) {
		b.conditional = func(apikey.Condition) apikey.KeyManager { return newFull() }
	}},
	{"the zero Condition refuses creations", rules("Check/the zero Condition permits every change"), func(b *broken) {
		b.conditional = func(c apikey.Condition) apikey.KeyManager {
			return &naive{KeyManager: b.full, c: apikey.Condition{MaxKeys: max(c.MaxKeys, 1)}, counts: func(apikey.Key, string) bool { return true }}
		}
	}},

	{"If ignores MaxKeys", rules("MaxKeys/counts the keys of the owner that are neither revoked nor expired", "MaxKeys/20 concurrent creations with a limit of 5 make 5 keys",
		"MaxKeys/limits an Update that adds a living key to an owner", "MaxKeys/counts both keys of a Replace until the old one ends"),
		conditions(func(_ *broken, c *apikey.Condition) { c.MaxKeys = 0 })},
	{"MaxKeys permits one key more", rules("MaxKeys/counts the keys of the owner that are neither revoked nor expired"),
		conditions(func(_ *broken, c *apikey.Condition) { c.MaxKeys++ })},
	{"the largest limit overflows", rules("MaxKeys/the largest int permits every change"), conditions(func(_ *broken, c *apikey.Condition) {
		if c.MaxKeys+1 < c.MaxKeys {
			c.MaxKeys = 1
		}
	})},
	{"suspended keys do not count", rules("MaxKeys/counts the keys of the owner that are neither revoked nor expired"), naively(func(n *naive) {
		n.counts = func(key apikey.Key, owner string) bool {
			return key.Owner == owner && key.Check(time.Now()) == nil
		}
	})},
	{"expired keys count", rules("MaxKeys/counts the keys of the owner that are neither revoked nor expired"), naively(func(n *naive) {
		n.counts = func(key apikey.Key, owner string) bool { return key.Owner == owner && key.RevokedAt.IsZero() }
	})},
	{"keys of all owners count", rules("MaxKeys/counts the keys of the owner that are neither revoked nor expired"), naively(func(n *naive) {
		n.counts = func(key apikey.Key, owner string) bool { return living(key) }
	})},
	{"every new key is limited", rules("MaxKeys/a key that cannot be used does not count"), naively(func(n *naive) {
		n.counts = func(key apikey.Key, owner string) bool { return living(key) && key.Owner == "ada" }
	})},
	{"the count precedes the creation", rules("MaxKeys/20 concurrent creations with a limit of 5 make 5 keys"), naively(func(n *naive) {
		n.counts = func(key apikey.Key, owner string) bool { return living(key) && key.Owner == owner }
	})},
	{"a taken ID is not seen before the limit", rules("MaxKeys/ErrExists and ErrReplaced come before ErrTooManyKeys"), naively(func(n *naive) {
		n.counts = func(key apikey.Key, owner string) bool { return living(key) && key.Owner == owner }
	})},
	{"every Update is limited", rules("MaxKeys/does not limit a change that adds no key"), func(b *broken) {
		b.conditional = func(c apikey.Condition) apikey.KeyManager {
			n := &naive{KeyManager: b.full, c: c, counts: func(key apikey.Key, owner string) bool { return living(key) && key.Owner == owner }}
			n.c.Check = func(key apikey.Key) error { return n.limit(context.Background(), key.Owner, 0) }
			return n
		}
	}},
}

func living(key apikey.Key) bool {
	err := key.Check(time.Now())
	return err == nil || err == apikey.ErrSuspended && (key.ExpiresAt.IsZero() || key.ExpiresAt.After(time.Now()))
}

// unknownChecked calls Check for an ID that the store does not know.
type unknownChecked struct {
	*full
	c apikey.Condition
}

func (u *unknownChecked) Get(ctx context.Context, id string) (apikey.Key, error) {
	key, err := u.full.Get(ctx, id)
	if err != nil {
		return key, u.c.Check(key)
	}
	return key, nil
}
