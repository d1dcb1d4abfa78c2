package takeover

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/database"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// readTable reads the keys of a system from its database. It opens files read-only, and reads servers in a read-only
// transaction.
func readTable(ctx context.Context, s system, source apikey.Secret, table string) (rows []row, err error) {
	pool, dialect, err := database.OpenSource(source)
	if err != nil {
		return nil, cli.Usage(err)
	}
	defer pool.Close()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, unavailable(dialect, err)
	}
	defer conn.Close()
	tables := s.tables
	if table != "" {
		tables = []string{table}
	}
	var q querier = conn
	if dialect == sqlstore.SQLite {
		if table, err = existing(ctx, conn, tables); err != nil {
			return nil, err
		}
	} else {
		tx, err := conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return nil, unavailable(dialect, err)
		}
		defer tx.Rollback()
		q, table = tx, tables[0]
	}
	quoted, err := quoteTable(dialect, table)
	if err != nil {
		return nil, err
	}
	query := s.query
	if query == "" {
		query = "SELECT * FROM %s"
	}
	return s.read(ctx, q, strings.Replace(query, "%s", quoted, 1))
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// unavailable replaces the errors of drivers for servers, because they may show the URL.
func unavailable(dialect sqlstore.Dialect, err error) error {
	if dialect == sqlstore.SQLite {
		return fmt.Errorf("source: %w; if the file is a copy, it may need its -wal file and a writable directory", err)
	}
	return fmt.Errorf("source: %w: cannot connect", apikey.ErrUnavailable)
}

// existing returns the first of the tables that exists in a file.
func existing(ctx context.Context, conn *sql.Conn, tables []string) (string, error) {
	for _, table := range tables {
		var name string
		err := conn.QueryRowContext(ctx, "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE", table).Scan(&name)
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return "", unavailable(sqlstore.SQLite, err)
		}
	}
	return "", cli.Usage(fmt.Errorf("source: no table %s; set --source-table", strings.Join(tables, " or ")))
}

// quoteTable quotes the name of a table, which may begin with a schema and a dot.
func quoteTable(dialect sqlstore.Dialect, table string) (string, error) {
	quote := `"`
	if dialect == sqlstore.MySQL {
		quote = "`"
	}
	if table == "" || strings.ContainsAny(table, "\"`\x00") {
		return "", cli.Usage(errors.New("--source-table: want the name of a table"))
	}
	return quote + strings.Join(strings.Split(table, "."), quote+"."+quote) + quote, nil
}

// read reads the keys in the rows of a query.
func (s system) read(ctx context.Context, q querier, query string) (all []row, err error) {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	have := map[string]bool{}
	for i := range columns {
		columns[i] = strings.ToLower(columns[i])
		have[columns[i]] = true
	}
	for _, column := range s.required {
		if !have[strings.ToLower(column)] {
			return nil, cli.Usage(fmt.Errorf("source: the table has no column %s; is it the table of %s?", column, s.name))
		}
	}
	values, pointers := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		pointers[i] = &values[i]
	}
	for number := 1; rows.Next(); number++ {
		if err := rows.Scan(pointers...); err != nil {
			return nil, fmt.Errorf("source: %w", err)
		}
		r, ok := s.rowOf(columns, values, number)
		if !ok {
			continue
		}
		if len(all) == maxRows {
			return nil, cli.Usage(fmt.Errorf("source: more than %d keys; import them in parts", maxRows))
		}
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	return all, nil
}

// rowOf returns the row of a record in the database, or false if the record is not an API key. number is its ID if it has
// none.
func (s system) rowOf(columns []string, values []any, number int) (row, bool) {
	r := record{}
	long := ""
	for i, column := range columns {
		if n := len(record{"": values[i]}.text("")); n > maxText {
			long = column
			continue
		}
		r[column] = values[i]
	}
	out, ok := s.row(r)
	if out.id == "" {
		out.id = fmt.Sprintf("row %d", number)
	}
	for _, column := range endColumns {
		if _, err := parseTime(r.text(column)); err != nil {
			out.problem = "column " + column + " is not a time after 1970, so the key might never expire"
		}
	}
	if long != "" {
		out.problem = "column " + long + " is too long"
	}
	return out, ok
}

// endColumns are the columns of all systems that say when a key ends.
var endColumns = []string{"expires", "expires_at", "expiresat", "expiry_date", "ttl", "deleted_at_m"}
