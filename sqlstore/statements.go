package sqlstore

import (
	"context"
	"database/sql"
	"sync"
)

// statements caches the prepared statements of a Store. It prepares each one on first use. Only
// frequent queries are prepared, because a server bounds the number of prepared statements.
// Queries on PostgreSQL are not prepared here, because its drivers cache their own.
type statements struct {
	d  *dialect
	mu sync.Mutex
	m  map[string]*sql.Stmt
}

func (p *statements) init(d *dialect) { p.d, p.m = d, make(map[string]*sql.Stmt) }

// query executes a frequent query as a prepared statement.
func (p *statements) query(ctx context.Context, db *sql.DB, query string, args ...any) (*sql.Rows, error) {
	if !p.d.prepare {
		return db.QueryContext(ctx, p.d.bind(query), args...)
	}
	stmt, err := p.prepared(ctx, db, query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}

// prepared returns the prepared statement of a query, which it prepares on first use.
func (p *statements) prepared(ctx context.Context, db *sql.DB, query string) (*sql.Stmt, error) {
	p.mu.Lock()
	stmt := p.m[query]
	p.mu.Unlock()
	if stmt != nil {
		return stmt, nil
	}
	// Prepare outside the lock, because other queries must not wait for this one.
	stmt, err := db.PrepareContext(ctx, p.d.bind(query))
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if first := p.m[query]; first != nil {
		stmt.Close()
		return first, nil
	}
	p.m[query] = stmt
	return stmt, nil
}

func (p *statements) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for query, stmt := range p.m {
		stmt.Close()
		delete(p.m, query)
	}
}
