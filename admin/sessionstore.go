package admin

import (
	"sync"
	"time"
)

// A sessionStore keeps sessions in memory, as scs's memstore does, but without a goroutine that
// nobody could stop: what has expired is removed when something is written. There is something
// to write only for who knows the password, so it stays small.
type sessionStore struct {
	mu       sync.Mutex
	sessions map[string]storedSession
}

type storedSession struct {
	data   []byte
	expiry time.Time
}

// Find returns the data of a session that has not expired.
func (s *sessionStore) Find(token string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.sessions[token]
	if !ok || !time.Now().Before(found.expiry) {
		return nil, false, nil
	}
	return found.data, true, nil
}

// Commit keeps the data of a session until expiry.
func (s *sessionStore) Commit(token string, data []byte, expiry time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for t, session := range s.sessions {
		if !now.Before(session.expiry) {
			delete(s.sessions, t)
		}
	}
	if s.sessions == nil {
		s.sessions = map[string]storedSession{}
	}
	s.sessions[token] = storedSession{data, expiry}
	return nil
}

// Delete removes a session, if it is there.
func (s *sessionStore) Delete(token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, token)
	return nil
}
