package cachestore

import "github.com/latchkey-dev/apikey"

// onWrite removes the entry of a key that this process wrote. The store calls it before the write
// returns, so that the caller's next lookup sees the write. The zero Version announces a write that
// failed but may have happened.
//
// The store calls onWrite under its own locks, so onWrite does not call the store.
func (s *Store) onWrite(d apikey.Digest, at apikey.Version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.invalidate(d)
	if at == (apikey.Version{}) || s.version != (apikey.Version{}) && at.Epoch != s.version.Epoch {
		// Only a poll can find the current Version.
		s.uncertainWrites++
		s.setLease(never)
		s.Wake()
		return
	}
	s.raiseMinVersion(at)
	if s.announced.Epoch != at.Epoch || s.announced.Revision < at.Revision {
		s.announced = at
	}
}

// invalidate removes the entry of a digest. It also keeps a running call from caching its answer and
// from answering requests that begin now. The caller holds s.mu.
func (s *Store) invalidate(d apikey.Digest) {
	s.known.remove(&d)
	s.unknown.remove(&d)
	if c := s.calls[d]; c != nil {
		c.invalidated = true
		delete(s.calls, d)
	}
}

// raiseMinVersion raises minVersion to a later Version of the same epoch. The caller holds s.mu.
func (s *Store) raiseMinVersion(at apikey.Version) {
	if s.minVersion == (apikey.Version{}) || at.Epoch == s.minVersion.Epoch && at.Revision > s.minVersion.Revision {
		s.minVersion = at
	}
}
