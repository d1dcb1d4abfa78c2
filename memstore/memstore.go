// Package memstore keeps API keys in memory: for tests, for demonstrations, and for
// services that create their few keys at start.
//
// Lookups take no lock and cost some 20 ns, or what the memory costs where a key is not in the
// processor's cache. What is kept is gone with the process.
package memstore

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/digesttable"
)

// A Store is an [apikey.KeyManager] in memory, and also an [apikey.Toucher], an
// [apikey.StampedStore] and an [apikey.ChangeFeed]. It is safe for concurrent use; make
// it with [New]. It starts no goroutine and needs no Close.
//
// Methods return ctx's error if it is done when they are called, and are otherwise never
// delayed by anything but each other: writers wait for writers and lists, lookups for
// nobody.
type Store struct {
	table digesttable.Table[record]
	state atomic.Uint64 // the revision that Lookup sees at least

	mu     sync.RWMutex
	epoch  uint64
	byID   map[string]*entry
	bySeq  []*entry // in order of creation; none is ever removed
	log    changeLog
	nextID int
	subs   map[int]func(apikey.Digest, apikey.Cursor)
}

type entry = digesttable.Entry[record]

// A record is one key. Writers replace the Key and never write to it, since lookups hand
// it out.
type record struct {
	key  atomic.Pointer[apikey.Key]
	used atomic.Int64 // Unix seconds; 0 is never
	seq  int64        // position in bySeq, from 1
	fold string       // Name, folded
}

// New returns an empty Store.
func New() *Store {
	return &Store{
		epoch: rand.Uint64() | 1, // never that of the zero Cursor
		byID:  make(map[string]*entry),
		subs:  make(map[int]func(apikey.Digest, apikey.Cursor)),
	}
}

// Lookup returns the key with this digest, or [apikey.ErrNotFound].
func (s *Store) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := s.table.Get((*[32]byte)(&d))
	if r == nil {
		return nil, apikey.ErrNotFound
	}
	return r.key.Load(), nil
}

// LookupAt is Lookup, and tells a state that the answer is not older than.
func (s *Store) LookupAt(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Cursor, error) {
	// Before the lookup: what comes in between makes the answer newer, not older.
	at := apikey.Cursor{Epoch: s.epoch, Revision: s.state.Load()}
	key, err := s.Lookup(ctx, d)
	return key, at, err
}

// Touch remembers when the key with this digest was last used, to the second.
func (s *Store) Touch(d apikey.Digest, at time.Time) {
	r := s.table.Get((*[32]byte)(&d))
	if r == nil {
		return
	}
	// Written only when the second changes, or cores that serve the same key would
	// wait for each other. The latest wins.
	for now := at.Unix(); ; {
		before := r.used.Load()
		if now <= before || r.used.CompareAndSwap(before, now) {
			return
		}
	}
}

// Create adds a key.
func (s *Store) Create(ctx context.Context, d apikey.Digest, key apikey.Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := key.Validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.create(d, key)
}

// create adds a valid key. The caller holds the lock.
func (s *Store) create(d apikey.Digest, key apikey.Key) error {
	if s.byID[key.ID] != nil || s.table.Get((*[32]byte)(&d)) != nil {
		return apikey.ErrExists
	}
	key = key.Clone()
	key.LastUsedAt = time.Time{}
	e := &entry{Digest: d}
	e.Value.seq = int64(len(s.bySeq) + 1)
	e.Value.set(&key)
	s.table.Add(e)
	s.byID[key.ID] = e
	s.bySeq = append(s.bySeq, e)
	s.publish(e, false)
	return nil
}

func (r *record) set(key *apikey.Key) {
	r.key.Store(key)
	r.fold = fold(key.Name)
}

// Get returns the key with this ID.
func (s *Store) Get(ctx context.Context, id string) (apikey.Key, error) {
	if err := ctx.Err(); err != nil {
		return apikey.Key{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	e := s.byID[id]
	if e == nil {
		return apikey.Key{}, apikey.ErrNotFound
	}
	return e.Value.snapshot(), nil
}

// snapshot returns the caller's own copy of a key, with its last use.
func (r *record) snapshot() apikey.Key {
	key := r.key.Load().Clone()
	if used := r.used.Load(); used != 0 {
		key.LastUsedAt = time.Unix(used, 0).UTC()
	}
	return key
}

// Update changes what the Patch sets.
func (s *Store) Update(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
	return s.change(ctx, id, p.Apply)
}

// Revoke ends a key for good.
func (s *Store) Revoke(ctx context.Context, id string) (apikey.Key, error) {
	return s.change(ctx, id, func(key apikey.Key) (apikey.Key, error) {
		if key.RevokedAt.IsZero() {
			key.RevokedAt = time.Now()
		}
		return key.Clone(), nil
	})
}

// change replaces a key by what f makes of it.
func (s *Store) change(ctx context.Context, id string, f func(apikey.Key) (apikey.Key, error)) (apikey.Key, error) {
	if err := ctx.Err(); err != nil {
		return apikey.Key{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byID[id]
	if e == nil {
		return apikey.Key{}, apikey.ErrNotFound
	}
	key, err := f(*e.Value.key.Load())
	if err != nil {
		return apikey.Key{}, err
	}
	e.Value.set(&key)
	s.publish(e, true)
	return e.Value.snapshot(), nil
}

// Replace rotates a key.
func (s *Store) Replace(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
	if err := ctx.Err(); err != nil {
		return apikey.Key{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byID[id]
	if e == nil {
		return apikey.Key{}, apikey.ErrNotFound
	}
	old, heir, err := e.Value.key.Load().ReplacedBy(time.Now(), expiresAt, successor)
	if err != nil {
		return apikey.Key{}, err
	}
	if err := s.create(d, heir); err != nil {
		return apikey.Key{}, err
	}
	e.Value.set(&old)
	s.publish(e, true)
	return heir, nil
}
