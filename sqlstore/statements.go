package sqlstore

import (
	"context"
	"database/sql"
	"sync"
)

// statements are the prepared statements of a Store, each made when it is first needed. They are
// the few that are asked for all the time: a server bounds how many its clients may have. On
// PostgreSQL there are none: its drivers keep their own.
type statements struct {
	d  *dialect
	mu sync.Mutex
	m  map[string]*sql.Stmt
}

func (p *statements) init(d *dialect) { p.d, p.m = d, make(map[string]*sql.Stmt) }

// query runs a statement that is used often.
func (p *statements) query(ctx context.Context, db *sql.DB, query string, args ...any) (*sql.Rows, error) {
	if !p.d.prepare {
		return db.QueryContext(ctx, p.d.rebind(query), args...)
	}
	stmt, err := p.prepared(ctx, db, query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}

func (p *statements) prepared(ctx context.Context, db *sql.DB, query string) (*sql.Stmt, error) {
	p.mu.Lock()
	stmt := p.m[query]
	p.mu.Unlock()
	if stmt != nil {
		return stmt, nil
	}
	// Not under the lock, which must not wait for a database.
	stmt, err := db.PrepareContext(ctx, query)
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
