package sqlstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/latchkey-dev/apikey"
)

// explain is explainAccess for the methods of a Store, which need the tables. It adds the remedy if a
// table or a column is missing.
func (s *Store) explain(err error) error {
	if isUndefinedTable(err) || isUndefinedColumn(err) {
		err = fmt.Errorf("%w; the tables are missing or those of an earlier version: call Migrate", err)
	}
	return s.explainAccess(err)
}

// explainAccess adds the name of the SQLite file to an error of the database, and the required
// privileges if one is missing.
func (s *Store) explainAccess(err error) error {
	if name := s.file.fileName(); name != "" && !strings.Contains(err.Error(), name) {
		err = fmt.Errorf("file %s: %w", name, err)
	}
	if isPermissionDenied(err) {
		err = fmt.Errorf("%w; a service needs the privileges %s; to create or change tables, Migrate needs those of their owner",
			err, s.d.bind(requiredPrivileges+purgePrivileges))
	}
	return err
}

// isLockConflict reports whether a lock timed out or a deadlock or conflict ended the transaction.
func isLockConflict(err error) bool {
	return errors.Is(err, errLocked) || hasCode(err,
		[]string{"55P03", "40P01", "40001"}, // lock_not_available, deadlock_detected, serialization_failure
		"SQLITE_BUSY", "database is locked", "database table is locked",
		"Error 1205", "Error 1213") // ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK
}

// isTooManyConnections reports whether a server refused a connection because of a limit.
func isTooManyConnections(err error) bool {
	return hasCode(err,
		[]string{"53300", "53400"},                  // too_many_connections, configuration_limit_exceeded
		"Error 1040", "Error 1203", "Error 1226") || // ER_CON_COUNT_ERROR, ER_TOO_MANY_USER_CONNECTIONS, ER_USER_LIMIT_REACHED
		err != nil && strings.Contains(err.Error(), "no more connections allowed") // PgBouncer
}

// isDuplicateObject reports whether MySQL rejected a column or an index that exists already.
func isDuplicateObject(err error) bool { return hasCode(err, nil, "Error 1060", "Error 1061") }

// isUndefinedTable reports whether a table does not exist.
func isUndefinedTable(err error) bool {
	return hasCode(err, []string{"42P01"}, "no such table", "Error 1146")
}

// isUndefinedColumn reports whether a column does not exist.
func isUndefinedColumn(err error) bool {
	return hasCode(err, []string{"42703"}, "no such column", "has no column named", "Error 1054")
}

// isForeignSyntax reports whether a database did not understand a statement for another Dialect.
func isForeignSyntax(err error) bool {
	return isUndefinedTable(err) || isUndefinedColumn(err) || hasCode(err,
		[]string{"42601", "42883"},                                           // syntax_error, undefined_function
		"no such function", "unrecognized token", "Error 1064", "Error 1305") // ER_PARSE_ERROR, ER_SP_DOES_NOT_EXIST
}

// isPermissionDenied reports whether the database user lacks a privilege.
func isPermissionDenied(err error) bool {
	return hasCode(err, []string{"42501"}, "Error 1142", "Error 1143", "Error 1044", "Error 1227")
}

// isReadOnlyTransaction reports whether MySQL rejected a statement in a read-only transaction.
func isReadOnlyTransaction(err error) bool { return hasCode(err, nil, "Error 1792") }

// isUniqueViolation reports whether a value violates a unique constraint.
func isUniqueViolation(err error) bool {
	return hasCode(err, []string{"23505"}, "UNIQUE constraint failed", "Error 1062")
}

// hasCode reports whether an error has one of the SQLSTATEs. For an error without an SQLSTATE it
// looks for one of the texts. This package imports no driver, so it cannot use the drivers' types.
func hasCode(err error, states []string, texts ...string) bool {
	if err == nil {
		return false
	}
	var coded interface{ SQLState() string }
	if errors.As(err, &coded) {
		return slices.Contains(states, coded.SQLState())
	}
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(err.Error(), text) })
}

// invalid returns an [apikey.InvalidError] with this package's prefix.
func invalid(field, format string, args ...any) error {
	return fmt.Errorf("sqlstore: %w", &apikey.InvalidError{Field: field, Problem: fmt.Sprintf(format, args...)})
}
