package database

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// OpenSource opens the database of another system for reading: a file of SQLite, or a URL as for [Open]. It opens a
// file read-only. The caller must read the other databases in read-only transactions.
func OpenSource(source apikey.Secret) (*sql.DB, sqlstore.Dialect, error) {
	text := source.Reveal()
	if !strings.Contains(text, "://") && !HasPassword(text) {
		if _, err := os.Stat(text); err != nil {
			return nil, 0, err
		}
		pool, err := sql.Open("sqlite", "file:"+(&url.URL{Path: text}).EscapedPath()+"?mode=ro&_pragma=query_only(1)&_pragma=busy_timeout(5000)")
		return pool, sqlstore.SQLite, err
	}
	var db Database
	dialect, err := db.connect(text)
	if err != nil {
		return nil, 0, fmt.Errorf("source: %w", err)
	}
	return db.pool, dialect, nil
}
