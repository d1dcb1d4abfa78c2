package memstore

import (
	"context"

	"github.com/latchkey-dev/apikey"
)

// maxChanges bounds how far back Changes can tell what changed.
const maxChanges = 10_000

// A changeLog holds the latest changes, the oldest first.
type changeLog struct {
	changes []change
	lost    uint64 // the last revision that is no longer in it
}

type change struct {
	revision uint64
	digest   apikey.Digest
}

func (l *changeLog) add(c change) {
	if len(l.changes) == 2*maxChanges {
		l.lost = l.changes[maxChanges-1].revision
		l.changes = append(l.changes[:0], l.changes[maxChanges:]...)
	}
	l.changes = append(l.changes, c)
}

// publish tells of a write that is done. The caller holds the lock.
func (s *Store) publish(e *entry, existed bool) {
	revision := s.state.Add(1)
	if existed {
		s.log.add(change{revision, e.Digest})
	}
	for _, f := range s.subs {
		f(e.Digest, s.head())
	}
}

func (s *Store) head() apikey.Cursor {
	return apikey.Cursor{Epoch: s.epoch, Revision: s.state.Load()}
}

// Changes returns the digests of keys that were changed after since. It can tell of the
// last 10,000 changes; who asks for more gets a Reset.
func (s *Store) Changes(ctx context.Context, since apikey.Cursor) (apikey.Changes, error) {
	if err := ctx.Err(); err != nil {
		return apikey.Changes{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	c := apikey.Changes{Head: s.head()}
	if since == (apikey.Cursor{}) {
		return c, nil
	}
	if since.Epoch != s.epoch || since.Revision < s.log.lost || since.Revision > c.Head.Revision {
		c.Reset = true
		return c, nil
	}
	for i := len(s.log.changes) - 1; i >= 0 && s.log.changes[i].revision > since.Revision; i-- {
		c.Digests = append(c.Digests, s.log.changes[i].digest)
	}
	return c, nil
}

// Subscribe has f called for every write, before the method that writes returns. f must
// not call the Store.
func (s *Store) Subscribe(f func(apikey.Digest, apikey.Cursor)) (cancel func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.nextID
	s.nextID++
	s.subs[id] = f
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.subs, id)
	}
}
