package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"sync"
	"time"
)

const (
	// maxPollConnIdle is how long a connection is reserved for the next poll. When a connection
	// comes from the pool, drivers spend a round trip on checking that it is alive.
	maxPollConnIdle = 5 * time.Second
	// maxPollConnAge bounds the whole time that one connection is reserved, so that the pool's own
	// limits apply.
	maxPollConnAge = time.Minute
)

// pollConns reserves one open connection with its prepared statement for the next poll.
type pollConns struct {
	db      *sql.DB
	d       *dialect
	queue   *connQueue
	enabled bool // the pool is large enough to reserve a connection

	mu       sync.Mutex
	reserved *pollConn
	expiry   *time.Timer
	closed   bool
}

// A pollConn is a connection with its statement.
type pollConn struct {
	conn   *sql.Conn
	stmt   *sql.Stmt // nil if the driver prepares
	opened time.Time
}

func (p *pollConns) init(db *sql.DB, d *dialect, q *connQueue) {
	const smallest = 3 // for a read, a write and the poll
	n := db.Stats().MaxOpenConnections
	p.db, p.d, p.queue, p.enabled = db, d, q, d.server && (n == 0 || n >= smallest)
}

// take returns the reserved connection, or nil.
func (p *pollConns) take() *pollConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.reserved
	p.reserved = nil
	return c
}

// open opens a connection and prepares the query.
func (p *pollConns) open(ctx context.Context, query string) (*pollConn, error) {
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	c := &pollConn{conn: conn, opened: time.Now()}
	if p.d.prepare {
		if c.stmt, err = conn.PrepareContext(ctx, query); err != nil {
			c.discard()
			return nil, err
		}
	}
	return c, nil
}

// keep reserves a connection for the next poll, or returns it to the pool.
func (p *pollConns) keep(c *pollConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.reserved != nil || p.queue.refusedRecently() || time.Since(c.opened) > maxPollConnAge {
		c.release()
		return
	}
	p.reserved = c
	if p.expiry == nil {
		p.expiry = time.AfterFunc(maxPollConnIdle, p.drop)
	} else {
		p.expiry.Reset(maxPollConnIdle)
	}
}

// drop returns the reserved connection to the pool.
func (p *pollConns) drop() {
	if c := p.take(); c != nil {
		c.release()
	}
}

// close returns the reserved connection to the pool and reserves no other one.
func (p *pollConns) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.drop()
}

func (c *pollConn) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if c.stmt != nil {
		return c.stmt.QueryContext(ctx, args...)
	}
	return c.conn.QueryContext(ctx, query, args...)
}

// release returns the connection to its pool.
func (c *pollConn) release() {
	if c.stmt != nil {
		c.stmt.Close()
	}
	c.conn.Close()
}

// discard closes the connection instead of returning it to the pool.
func (c *pollConn) discard() {
	c.conn.Raw(func(any) error { return driver.ErrBadConn })
	c.conn.Close()
}
