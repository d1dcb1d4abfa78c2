package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"sync"
	"sync/atomic"
)

// A sqliteFile is the connector of a pool that OpenSQLite returned. It knows the name of the file.
type sqliteFile struct {
	connector driver.Connector
	name      string
}

// Connect opens a connection to the file.
func (f *sqliteFile) Connect(ctx context.Context) (driver.Conn, error) {
	return f.connector.Connect(ctx)
}

// Open opens a connection as the driver does.
func (f *sqliteFile) Open(dsn string) (driver.Conn, error) { return f.connector.Driver().Open(dsn) }

// Driver returns the sqliteFile itself, so that New finds the name through sql.DB.Driver.
func (f *sqliteFile) Driver() driver.Driver { return f }

// A fileWatch detects that the files of an SQLite database were replaced or deleted while they are
// open. The operating system keeps such a file for the processes that have it open. A revocation
// could otherwise go to a file that no other process can open. A nil *fileWatch does nothing.
type fileWatch struct {
	db *sql.DB

	watched atomic.Pointer[[]openFile] // nil before the first check
	failed  atomic.Pointer[error]      // the first failure, which is permanent

	mu     sync.Mutex
	anchor *sql.DB // a connection that stays open, because closing the last one deletes the write-ahead log
}

// An openFile is a file as it was when the database was opened.
type openFile struct {
	name string
	info fs.FileInfo
}

// fileName returns the absolute name of the file, or "" if OpenSQLite did not open the database.
func (w *fileWatch) fileName() string {
	if w == nil {
		return ""
	}
	if file, ok := w.db.Driver().(*sqliteFile); ok {
		return file.name
	}
	return ""
}

func newFileWatch(db *sql.DB) *fileWatch { return &fileWatch{db: db} }

// check returns an error if a file differs from the one that was opened. The first check records
// the files.
func (w *fileWatch) check(ctx context.Context) error { return w.checkFirst(ctx, math.MaxInt) }

// checkFile checks only the database file. It is for reads, which are frequent.
func (w *fileWatch) checkFile(ctx context.Context) error { return w.checkFirst(ctx, 1) }

// checkFirst checks at most n files.
func (w *fileWatch) checkFirst(ctx context.Context, n int) error {
	if w == nil {
		return nil
	}
	if err := w.failure(); err != nil {
		return err
	}
	watched := w.watched.Load()
	if watched == nil {
		return w.start(ctx)
	}
	for _, f := range (*watched)[:min(n, len(*watched))] {
		info, err := os.Stat(f.name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return w.fail(fmt.Errorf("file %s: deleted while it was open; open the database again", f.name))
		case err != nil:
			return fmt.Errorf("file %w", err)
		case !os.SameFile(f.info, info):
			return w.fail(fmt.Errorf("file %s: replaced while it was open; open the database again", f.name))
		}
	}
	return nil
}

// failure returns the first failure, or nil.
func (w *fileWatch) failure() error {
	if failed := w.failed.Load(); failed != nil {
		return *failed
	}
	return nil
}

// fail makes err the permanent failure unless there is one already, and returns it.
func (w *fileWatch) fail(err error) error {
	w.failed.CompareAndSwap(nil, &err)
	return w.failure()
}

// start records the files. If OpenSQLite did not open the database, it records only the database
// file, because the service may want to close all connections.
func (w *fileWatch) start(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watched.Load() != nil {
		return nil
	}
	file, _ := w.db.Driver().(*sqliteFile)
	if file != nil && w.anchor == nil {
		w.anchor = sql.OpenDB(file)
		w.anchor.SetMaxOpenConns(1)
	}
	path, err := pathOf(ctx, cmp.Or(w.anchor, w.db))
	if err != nil {
		return err
	}
	if path == "" { // in memory
		w.watched.Store(&[]openFile{})
		return nil
	}
	before, err := stat(path)
	if err != nil {
		return fmt.Errorf("file %w", err)
	}
	names := []string{path}
	if file != nil {
		var n int
		// A query makes SQLite open the write-ahead log.
		if err := w.anchor.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n); err != nil {
			return err
		}
		// If the name is a symbolic link, path is its target.
		names = []string{file.name, path, path + "-wal", path + "-shm"}
	}
	var watched []openFile
	for _, name := range names {
		info, err := stat(name)
		if errors.Is(err, fs.ErrNotExist) && name != path && name != names[0] {
			continue // not in WAL mode
		}
		if err != nil {
			return fmt.Errorf("file %w", err)
		}
		watched = append(watched, openFile{name, info})
	}
	if !os.SameFile(before, watched[0].info) {
		return w.fail(fmt.Errorf("file %s: replaced while it was being opened; open the database again", path))
	}
	w.watched.Store(&watched)
	return nil
}

// pathOf returns the name of the database file with links resolved, or "" for a database in memory.
func pathOf(ctx context.Context, db *sql.DB) (string, error) {
	var path sql.NullString
	err := db.QueryRowContext(ctx, "SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&path)
	return path.String, err
}

// close ends the watch.
func (w *fileWatch) close() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.anchor != nil {
		w.anchor.Close()
		w.anchor = nil
	}
}

// stat returns the FileInfo of a file. It calls os.SameFile at once, because on Windows that reads
// the file's identity by name on first use.
func stat(name string) (fs.FileInfo, error) {
	info, err := os.Stat(name)
	if err == nil {
		os.SameFile(info, info)
	}
	return info, err
}
