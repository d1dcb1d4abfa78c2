package sqlstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Migrate creates the tables or upgrades them to the current version. Call it at every start.
// Several processes may call it concurrently. If the tables are current, Migrate only reads, so the
// service's database user then needs no privilege to create tables.
//
// Programs of the previous version keep running during and after the upgrade. Each change of a
// table is a separate transaction, so their requests wait for one statement at most. Migrate
// returns an error if the tables have a later version than this package supports. ctx bounds the
// wait for locks.
func (s *Store) Migrate(ctx context.Context) error {
	if err := s.migrate(ctx); err != nil {
		return err
	}
	return s.repairStatus(ctx)
}

// migrate executes steps until none is left. It repeats a step that met a lock or a full server.
func (s *Store) migrate(ctx context.Context) error {
	select {
	case s.writeSlot <- struct{}{}:
		defer func() { <-s.writeSlot }()
	case <-ctx.Done():
		return fmt.Errorf("sqlstore: waiting to migrate: %w", ctx.Err())
	}
	var conflict error // the last lock conflict or refused connection
	connect := newDeadline(ctx, "Options.WriteTimeout", s.writeTimeout())
	for {
		done, err := s.migrateStep(ctx)
		if done {
			err = cmp.Or(s.file.check(ctx), s.raiseCounter(ctx))
		}
		switch {
		case err == nil && done:
			return nil
		case err == nil:
			continue
		case ctx.Err() != nil:
			return fmt.Errorf("sqlstore: migrate: %w", errors.Join(ctx.Err(), cmp.Or(conflict, err)))
		case isTooManyConnections(err) && time.Now().After(connect.at):
			return fmt.Errorf("sqlstore: migrate: %w", connect.explain("no connection", err))
		case !isLockConflict(err) && !isTooManyConnections(err):
			return fmt.Errorf("sqlstore: migrate: %w", s.explainAccess(err))
		}
		conflict = err
		select {
		case <-time.After(50*time.Millisecond + rand.N(50*time.Millisecond)):
		case <-ctx.Done():
		}
	}
}

// migrateStep executes the next step. done reports that no step is left.
func (s *Store) migrateStep(ctx context.Context) (done bool, err error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return false, err
	}
	t := &tx{ctx: ctx, conn: conn, d: s.d}
	done, inUse, err := t.isUpToDate(s.options.PurgeAfter > 0)
	if done || err != nil {
		conn.Close()
		return done, err
	}
	if inUse && s.d.blockWrites {
		release, err := s.blockWrites(ctx)
		if err != nil {
			conn.Close()
			return false, err
		}
		defer release()
	}
	err = t.execAll(ctx, s.d.lock)
	if err == nil {
		done, err = t.executeStep()
		if err != nil {
			err = fmt.Errorf("table %s to version %d: %w", s.d.bind("apikey_schema"), schemaVersion, err)
		}
	}
	if err == nil {
		err = t.execAll(ctx, s.d.unlock)
	}
	if err != nil {
		t.discard() // because it may hold the lock
		return false, err
	}
	return done, conn.Close()
}

// blockWrites blocks other writes until release is called. The server ends this idle transaction as
// it ends that of a frozen client, so that a long step does not make other writes fail.
func (s *Store) blockWrites(ctx context.Context) (release func(), err error) {
	if s.db.Stats().MaxOpenConnections == 1 {
		return func() {}, nil // the migration uses the only connection
	}
	t, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.exec("UPDATE apikey_meta SET rev = rev WHERE one = 1"); err != nil {
		return nil, t.rollback(err)
	}
	return func() { t.rollback(nil) }, nil
}

// isUpToDate reports whether all steps are done, and whether other processes may be using the tables.
// It needs no lock, because the version of the tables only increases.
func (t *tx) isUpToDate(purges bool) (done, inUse bool, err error) {
	primary := t.checkPrimary() // the first statement, which reads no table
	if isForeignSyntax(primary) {
		primary = fmt.Errorf("the database does not understand %s; want its own Dialect: %w", t.d.name, primary)
	}
	if err := cmp.Or(primary, t.checkOwners()); err != nil {
		return false, false, err
	}
	version, number, err := t.version()
	if isUndefinedTable(err) {
		return false, false, nil
	}
	if err := cmp.Or(err, checkVersion(version)); err != nil {
		return false, false, err
	}
	if version == 0 || len(stepsAfter(t.d.steps, version, number)) > 0 || t.checkWAL() != nil {
		return false, version > 0, nil
	}
	if err := cmp.Or(t.checkPrivileges(purges), t.readHead()); !errors.Is(err, errNoMeta) {
		return err == nil, true, err
	}
	return false, true, nil
}

func checkVersion(version int) error {
	if version > schemaVersion {
		return fmt.Errorf("the tables have version %d, and this program knows %d: use a newer program", version, schemaVersion)
	}
	return nil
}

var errNoWAL = errors.New("the file does not support WAL mode; want a file on a local disk")

// checkWAL checks that the database is in WAL mode. A copy made by VACUUM INTO or from a dump is
// not.
func (t *tx) checkWAL() error {
	if t.d.walEnabled == "" {
		return nil
	}
	enabled, err := t.number(t.d.walEnabled)
	if err == nil && enabled == 0 {
		err = errNoWAL
	}
	return err
}

var errLocked = errors.New("another process is migrating")

// checkLock checks that this connection holds the migration lock.
func (t *tx) checkLock() error {
	if t.d.lockHolder == "" {
		return nil
	}
	holder, err := t.number(t.d.lockHolder)
	if err == nil && holder != 0 {
		err = fmt.Errorf("%w: connection %d of SHOW PROCESSLIST holds the migration lock", errLocked, holder)
	}
	return err
}

// executeStep executes and records the next step, and reports whether all steps are done. It
// executes all steps at once for new tables, because no other process waits for them.
func (t *tx) executeStep() (done bool, err error) {
	if err := cmp.Or(t.checkPrimary(), t.checkLock(), t.checkWAL()); err != nil {
		return false, err
	}
	if err := t.exec("CREATE TABLE IF NOT EXISTS apikey_schema (version INTEGER NOT NULL, step INTEGER NOT NULL, PRIMARY KEY (version, step))"); err != nil {
		return false, err
	}
	if err := t.checkOwners(); err != nil {
		return false, err
	}
	version, number, err := t.version()
	if err := cmp.Or(err, checkVersion(version)); err != nil {
		return false, err
	}
	for _, step := range stepsAfter(t.d.steps, version, number) {
		// MySQL commits a step before it is recorded, so an interrupted migration may have executed it.
		if err := t.exec(step.statement); err != nil && !isDuplicateObject(err) {
			return false, err
		}
		if err := t.exec("INSERT INTO apikey_schema (version, step) VALUES (?, ?)", step.version, step.number); err != nil {
			return false, err
		}
		if version > 0 {
			return false, nil
		}
	}
	err = t.readHead()
	if errors.Is(err, errNoMeta) {
		err = t.exec("INSERT INTO apikey_meta (one, epoch, rev, tag) VALUES (1, ?, 0, 0)", newEpoch())
	}
	return err == nil, err
}

// version returns the version and the number of the last recorded step.
func (t *tx) version() (version, number int, err error) {
	rows, err := t.query("SELECT version, step FROM apikey_schema ORDER BY version DESC, step DESC LIMIT 1")
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	if rows.Next() {
		err = rows.Scan(&version, &number)
	}
	return version, number, errors.Join(err, rows.Err())
}
