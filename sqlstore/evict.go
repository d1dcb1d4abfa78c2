package sqlstore

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

// evict closes the idle connections of a pool that do not answer a ping. It is called after an
// attempt that began at begun took too long: if the network lost one connection silently, it has
// probably lost others, and each would delay its next user as much. An attempt that waited less
// than a ping timeout has learned nothing, so evict then does nothing.
func (s *Store) evict(db *sql.DB, begun time.Time) {
	timeout := s.latency.pingTimeout()
	if time.Since(begun) < timeout {
		return
	}
	s.evicting.Lock()
	defer s.evicting.Unlock()
	if s.evicted[db].After(begun) {
		return
	}
	s.evicted[db] = time.Now()
	ctx, cancel := context.WithTimeout(s.closing, timeout)
	defer cancel()
	var all sync.WaitGroup
	for range db.Stats().Idle {
		all.Go(func() {
			// Drivers close a connection that does not answer Ping. Some ping before Conn returns.
			if conn, err := db.Conn(ctx); err == nil {
				conn.PingContext(ctx)
				conn.Close()
			}
		})
	}
	all.Wait()
}
