// Package memstore keeps API keys in memory. It is for tests, demonstrations, and services that
// create a few keys when they start. All keys are lost when the process ends.
//
// A lookup takes no lock. It costs about 20 ns, or a few memory reads if the key is not in the
// processor's cache.
package memstore

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/digesttable"
)

// A Store is an [apikey.KeyManager] in memory. It also implements [apikey.Toucher],
// [apikey.StampedStore], [apikey.ChangeFeed], [apikey.SuccessorFinder], [apikey.Auditor],
// [apikey.Counter], [apikey.Noticer] and [apikey.Conditional]. [New] makes one. A Store is safe for
// concurrent use, starts no goroutine and needs no Close.
//
// A method whose context is already done returns the context's error. Writes wait for other writes
// and for lists. Lookups never wait.
type Store struct {
	table    digesttable.Table[record]
	revision atomic.Uint64 // every lookup that begins now sees at least this revision

	mu    sync.RWMutex
	epoch uint64
	byID  map[string]*entry
	bySeq []*entry // in order of creation; entries are never removed
	log   changeLog
	trail trail
	// successors maps an ID to the entries whose key has it in Replaces, the oldest first.
	successors     map[string][]*entry
	notices        map[string]*notice // by NoticeClaim.ID
	nextSubscriber int
	subscribers    map[int]func(apikey.Digest, apikey.Version)
}

type entry = digesttable.Entry[record]

// A record is one key. Writers replace the Key and never modify it, because lookups return it.
type record struct {
	key  atomic.Pointer[apikey.Key]
	used atomic.Int64             // the last use in Unix seconds; 0 means never
	from atomic.Pointer[usedFrom] // nil before the first use with an address
	seq  int64                    // position in bySeq, from 1
	fold string                   // Name, folded for search and order
	// unshortened is the ExpiresAt that the key had before its first rotation; nil before that.
	unshortened *time.Time
}

// usedFrom is the last address that was recorded. It belongs to the last use if at is equal to
// record.used.
type usedFrom struct {
	mu   sync.Mutex
	at   int64 // the time of the use with this address, in Unix seconds
	addr netip.Addr
}

// New returns an empty Store.
func New() *Store {
	return &Store{
		epoch:       rand.Uint64() | 1, // never 0, the epoch of the zero Version
		byID:        make(map[string]*entry),
		successors:  make(map[string][]*entry),
		notices:     make(map[string]*notice),
		subscribers: make(map[int]func(apikey.Digest, apikey.Version)),
	}
}

// Lookup returns the key with this digest, even if it is revoked, suspended or expired. It returns
// [apikey.ErrNotFound] if no key has the digest. All callers share the Key and must not modify it.
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

// LookupAt is like [Store.Lookup], but also returns a Version. The answer contains every change up to
// that Version.
func (s *Store) LookupAt(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Version, error) {
	// The Version is read before the key, because a write in between makes the key newer than
	// its Version. The other order would make it older.
	at := s.head()
	key, err := s.Lookup(ctx, d)
	return key, at, err
}

// Touch records the time of the last use of the key with this digest, to the second, and the address of
// the client. It keeps the first use of the latest second, and ignores an unknown digest. A last use more
// than an hour in the future is replaced, because it comes from a wrong clock.
func (s *Store) Touch(d apikey.Digest, u apikey.Use) {
	r := s.table.Get((*[32]byte)(&d))
	if r == nil {
		return
	}
	// One write a second is enough. More would make cores that serve the same key wait for each
	// other's cache line.
	for now := u.At.Unix(); ; {
		before := r.used.Load()
		if !replaces(now, before) {
			return
		}
		if r.used.CompareAndSwap(before, now) {
			if u.Addr.IsValid() {
				r.usedFrom(now, u.Addr)
			}
			return
		}
	}
}

// replaces reports whether a use replaces the last one, both in Unix seconds.
func replaces(second, last int64) bool {
	const maxClockSkew = time.Hour
	return second > last || second < last && last > time.Now().Add(maxClockSkew).Unix()
}

// usedFrom records the address of the first use in a second.
func (r *record) usedFrom(second int64, addr netip.Addr) {
	if r.from.Load() == nil {
		r.from.CompareAndSwap(nil, new(usedFrom))
	}
	f := r.from.Load()
	f.mu.Lock()
	defer f.mu.Unlock()
	if replaces(second, f.at) {
		f.at, f.addr = second, addr
	}
}

// addrAt returns the address of the use in a second, or the zero Addr if it is not recorded.
func (r *record) addrAt(second int64) netip.Addr {
	f := r.from.Load()
	if f == nil {
		return netip.Addr{}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at != second {
		return netip.Addr{}
	}
	return f.addr
}

// Create adds a key. It returns [apikey.ErrExists] if the ID or the digest is taken, and an
// [apikey.InvalidError] for a field out of its limits.
func (s *Store) Create(ctx context.Context, d apikey.Digest, key apikey.Key) error {
	return s.unconditional().Create(ctx, d, key)
}

// exists reports whether the ID or the digest of a new key is taken. The caller holds s.mu.
func (s *Store) exists(id string, d apikey.Digest) bool {
	return s.byID[id] != nil || s.table.Get((*[32]byte)(&d)) != nil
}

// create adds a valid key with a new ID and digest. The caller holds s.mu.
func (s *Store) create(ctx context.Context, d apikey.Digest, key apikey.Key) {
	key = key.Clone()
	key.LastUsedAddr = netip.Addr{}
	e := &entry{Digest: d}
	if !key.LastUsedAt.IsZero() {
		e.Value.used.Store(key.LastUsedAt.Unix())
		key.LastUsedAt = time.Time{}
	}
	e.Value.seq = int64(len(s.bySeq) + 1)
	e.Value.set(&key)
	s.table.Add(e)
	s.byID[key.ID] = e
	s.bySeq = append(s.bySeq, e)
	if key.Replaces != "" {
		s.successors[key.Replaces] = append(s.successors[key.Replaces], e)
	}
	s.record(ctx, "create", key.ID, apikey.FieldChanges(&apikey.Key{}, &key))
	s.publish(e, false)
}

// set replaces the Key. The caller holds Store.mu, or the record is new.
func (r *record) set(key *apikey.Key) {
	r.key.Store(key)
	r.fold = fold(key.Name)
}

// Get returns the key with this ID, or [apikey.ErrNotFound].
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

// snapshot returns a copy of the key with its last use.
func (r *record) snapshot() apikey.Key {
	key := r.key.Load().Clone()
	if used := r.used.Load(); used != 0 {
		key.LastUsedAt, key.LastUsedAddr = time.Unix(used, 0).UTC(), r.addrAt(used)
	}
	return key
}

// Update sets the fields of the Patch that are not nil and returns the key. It returns
// [apikey.ErrNotFound] for an unknown ID and an [apikey.InvalidError] for a value out of its limits.
func (s *Store) Update(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
	return s.unconditional().Update(ctx, id, p)
}

// Revoke revokes a key permanently and returns it. It returns [apikey.ErrNotFound] for an unknown
// ID. Revoking again changes nothing.
func (s *Store) Revoke(ctx context.Context, id string) (apikey.Key, error) {
	return s.unconditional().Revoke(ctx, id)
}

// put replaces a key, records the change in the audit trail and publishes it. The caller holds s.mu.
func (s *Store) put(ctx context.Context, action string, e *entry, key *apikey.Key, more ...apikey.FieldChange) {
	changes := append(apikey.FieldChanges(e.Value.key.Load(), key), more...)
	e.Value.set(key)
	s.record(ctx, action, key.ID, changes)
	s.publish(e, true)
}

// Replace rotates a key as [apikey.KeyManager] describes.
func (s *Store) Replace(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
	return s.unconditional().Replace(ctx, id, expiresAt, d, successor)
}

// lineage returns the effects of earlier rotations of a key. The caller holds s.mu.
func (s *Store) lineage(e *entry) apikey.Lineage {
	var l apikey.Lineage
	if before := e.Value.unshortened; before != nil {
		l.Rotated, l.ExpiresAt = true, *before
	}
	seen := map[string]bool{}
	for ids := []string{e.Value.key.Load().ID}; len(ids) > 0; ids = ids[1:] {
		if seen[ids[0]] {
			continue // Create accepts every Replaces, so keys may replace each other in a cycle
		}
		seen[ids[0]] = true
		for _, successor := range s.successors[ids[0]] {
			key := successor.Value.key.Load()
			l.Successors = append(l.Successors, *key)
			if !key.RevokedAt.IsZero() {
				ids = append(ids, key.ID)
			}
		}
	}
	return l
}
