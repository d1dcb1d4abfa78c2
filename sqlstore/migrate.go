package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// schemaVersion is what this package reads and writes.
const schemaVersion = 1

// Migrate makes the tables, or brings them up to date. It may be called by several processes
// at once, and at every start: with nothing to do it only reads, so a service's own user of
// the database need not be permitted to make tables once they are there. It is an error if
// they are of a later version of this package, which an earlier one must not touch.
func (s *Store) Migrate(ctx context.Context) error {
	for {
		err := s.migrate(ctx)
		if err == nil {
			return nil
		}
		if !isBusy(err) || ctx.Err() != nil {
			return fmt.Errorf("sqlstore: migrating: %w", err)
		}
		// Another process migrates, or reads for long.
		select {
		case <-time.After(50*time.Millisecond + rand.N(50*time.Millisecond)):
		case <-ctx.Done():
			return fmt.Errorf("sqlstore: migrating: %w", errors.Join(ctx.Err(), err))
		}
	}
}

func (s *Store) migrate(ctx context.Context) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	t := &tx{ctx: ctx, conn: conn, d: s.d}
	if done, err := t.isUpToDate(); done || err != nil {
		conn.Close()
		return err
	}
	if err := t.execAll(ctx, s.d.lock); err != nil {
		t.discard() // whatever of it was done
		return err
	}
	if err := t.bringUpToDate(); err != nil {
		t.discard()
		return err
	}
	if err := t.execAll(ctx, s.d.unlock); err != nil {
		t.discard()
		return err
	}
	conn.Close()
	return nil
}

// isUpToDate reports whether there is nothing to do. It needs no lock, since tables only ever
// become newer.
func (t *tx) isUpToDate() (bool, error) {
	version, step, err := t.version()
	if err != nil {
		// No tables yet; were it something else, it would show again.
		return false, t.ctx.Err()
	}
	if err := checkVersion(version); err != nil {
		return false, err
	}
	return version == schemaVersion && step == len(statementsOf(t.d.schema)) &&
		t.readHead() == nil && t.checkPrimary() == nil && t.checkKept() == nil, nil
}

func checkVersion(version int) error {
	if version > schemaVersion {
		return fmt.Errorf("the tables have version %d, and this program knows %d: use a newer one", version, schemaVersion)
	}
	return nil
}

// checkPrimary makes sure that what is written here is kept.
func (t *tx) checkPrimary() error {
	unfit, err := t.number("SELECT " + t.d.health)
	if err == nil && unfit != 0 {
		err = t.d.unfit()
	}
	return err
}

var errNotKept = errors.New("the file will not go into WAL mode; want one on a local disk")

// checkKept makes sure of the settings that are the database's own. A copy of it, such as one
// that was made by VACUUM INTO or from a dump, comes without them.
func (t *tx) checkKept() error {
	if t.d.kept == "" {
		return nil
	}
	kept, err := t.number(t.d.kept)
	if err == nil && kept == 0 {
		err = errNotKept
	}
	return err
}

var errLocked = errors.New("another process migrates")

// checkLock makes sure of a lock that tells by a value whether it was had.
func (t *tx) checkLock() error {
	if t.d.held == "" {
		return nil
	}
	held, err := t.number(t.d.held)
	if err == nil && held == 0 {
		err = errLocked
	}
	return err
}

// number returns the one number that a query asks for; 0 if there is none.
func (t *tx) number(query string) (n int64, err error) {
	rows, err := t.query(query)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	if rows.Next() {
		err = rows.Scan(&n)
	}
	return n, errors.Join(err, rows.Err())
}

// bringUpToDate carries out the statements that were not yet, and notes each, since some
// databases commit after every one of them.
func (t *tx) bringUpToDate() error {
	if err := t.checkPrimary(); err != nil {
		return err
	}
	if err := t.checkLock(); err != nil {
		return err
	}
	if err := t.checkKept(); err != nil {
		return err
	}
	if err := t.exec("CREATE TABLE IF NOT EXISTS apikey_schema (version INTEGER NOT NULL, step INTEGER NOT NULL, PRIMARY KEY (version, step))"); err != nil {
		return err
	}
	version, step, err := t.version()
	if err != nil {
		return err
	}
	if err := checkVersion(version); err != nil {
		return err
	}
	for i, statement := range statementsOf(t.d.schema) {
		if i < step {
			continue
		}
		if err := t.exec(statement); err != nil {
			return err
		}
		if err := t.exec("INSERT INTO apikey_schema (version, step) VALUES (?, ?)", schemaVersion, i+1); err != nil {
			return err
		}
	}
	if err := t.readHead(); !errors.Is(err, errNoMeta) {
		return err
	}
	// The epoch tells this database from another that took its place.
	return t.exec("INSERT INTO apikey_meta (one, epoch, rev, tag) VALUES (1, ?, 0, 0)", 1+rand.Int64N(1<<62))
}

// version returns the latest version in the table and how far it has come.
func (t *tx) version() (version, step int, err error) {
	rows, err := t.query("SELECT version, step FROM apikey_schema ORDER BY version DESC, step DESC LIMIT 1")
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	if rows.Next() {
		err = rows.Scan(&version, &step)
	}
	return version, step, errors.Join(err, rows.Err())
}

// statementsOf parts a schema file into its statements.
func statementsOf(schema string) (list []string) {
	for part := range strings.SplitSeq(schema, ";\n") {
		var lines []string
		for line := range strings.SplitSeq(part, "\n") {
			if !strings.HasPrefix(line, "--") && strings.TrimSpace(line) != "" {
				lines = append(lines, line)
			}
		}
		if len(lines) > 0 {
			list = append(list, strings.Join(lines, "\n"))
		}
	}
	return list
}

// isBusy reports whether an error says that a lock could not be had in time. Drivers are not
// imported, so it is known by its SQLSTATE or its text.
func isBusy(err error) bool {
	if errors.Is(err, errLocked) {
		return true
	}
	var coded interface{ SQLState() string }
	if errors.As(err, &coded) {
		switch coded.SQLState() {
		case "55P03", "40P01", "40001": // lock_not_available, deadlock_detected, serialization_failure
			return true
		}
	}
	for _, text := range [...]string{
		"SQLITE_BUSY", "database is locked", "database table is locked",
		"Error 1205", "Error 1213", // lock wait timeout, deadlock
	} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}
