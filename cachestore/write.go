package cachestore

import "github.com/latchkey-dev/apikey"

// announced is told of this process's writes before they return, so that whoever made one
// finds it done. The zero Cursor tells of a write that failed and may have happened.
//
// It is called under the store's locks, and so it calls nothing.
func (s *Store) announced(d apikey.Digest, at apikey.Cursor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.forget(d)
	if at == (apikey.Cursor{}) || s.cur != (apikey.Cursor{}) && at.Epoch != s.cur.Epoch {
		// Only a poll can tell what the state is now.
		s.doubts++
		s.lease(never)
		s.Wake()
		return
	}
	s.raise(at)
	if s.written.Epoch != at.Epoch || s.written.Revision < at.Revision {
		s.written = at
	}
}

// forget removes what is known of a digest, and keeps the read that is under way from
// bringing it back and from answering those who come now. The caller holds the lock.
func (s *Store) forget(d apikey.Digest) {
	s.known.remove(&d)
	s.unknown.remove(&d)
	if f := s.flights[d]; f != nil {
		f.void = true
		delete(s.flights, d)
	}
}

// raise remembers that a state is known of. The caller holds the lock.
func (s *Store) raise(at apikey.Cursor) {
	if s.floor == (apikey.Cursor{}) || at.Epoch == s.floor.Epoch && at.Revision > s.floor.Revision {
		s.floor = at
	}
}
