package memstore

import (
	"context"

	"github.com/latchkey-dev/apikey"
)

// maxChanges is the number of latest changes that Changes can always list.
const maxChanges = 10_000

// A changeLog holds the latest changes, the oldest first.
type changeLog struct {
	changes []change
	dropped uint64 // the last revision that the log no longer holds
}

// A change is the revision and the digest of a changed key.
type change struct {
	revision uint64
	digest   apikey.Digest
}

// add appends a change. It first drops the older half of a full log.
func (l *changeLog) add(c change) {
	if len(l.changes) == 2*maxChanges {
		l.dropped = l.changes[maxChanges-1].revision
		l.changes = append(l.changes[:0], l.changes[maxChanges:]...)
	}
	l.changes = append(l.changes, c)
}

// publish advances the revision after a write and calls the subscribers. It logs the digest only if
// the key existed before, because no cache can hold a stale copy of a new key. The caller holds s.mu.
func (s *Store) publish(e *entry, existed bool) {
	revision := s.revision.Add(1)
	if existed {
		s.log.add(change{revision, e.Digest})
	}
	for _, f := range s.subscribers {
		f(e.Digest, s.head())
	}
}

// head returns the current Version.
func (s *Store) head() apikey.Version {
	return apikey.Version{Epoch: s.epoch, Revision: s.revision.Load()}
}

// Changes returns the digests of the keys that changed after since. It lists at least the last 10,000
// changes. It returns a Reset for an older Version and for a Version of another Store.
func (s *Store) Changes(ctx context.Context, since apikey.Version) (apikey.Changes, error) {
	if err := ctx.Err(); err != nil {
		return apikey.Changes{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	c := apikey.Changes{Head: s.head()}
	if since == (apikey.Version{}) {
		return c, nil
	}
	if since.Epoch != s.epoch || since.Revision < s.log.dropped || since.Revision > c.Head.Revision {
		c.Reset = true
		return c, nil
	}
	for i := len(s.log.changes) - 1; i >= 0 && s.log.changes[i].revision > since.Revision; i-- {
		c.Digests = append(c.Digests, s.log.changes[i].digest)
	}
	return c, nil
}

// Subscribe calls f for every write, before the writing method returns. f must not call the Store. The
// returned function ends the subscription.
func (s *Store) Subscribe(f func(apikey.Digest, apikey.Version)) (cancel func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.nextSubscriber
	s.nextSubscriber++
	s.subscribers[id] = f
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.subscribers, id)
	}
}
