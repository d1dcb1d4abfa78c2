package sqlstore

import "cmp"

// requiredPrivileges lists the privileges on existing tables that the package documentation
// requires.
const requiredPrivileges = "SELECT on apikey_schema; SELECT, UPDATE on apikey_meta; " +
	"SELECT, INSERT, UPDATE on apikey_keys, apikey_used and apikey_notices; SELECT, INSERT on apikey_audit"

// privilegedStatements need the required privileges. EXPLAIN needs the same privileges as executing
// them.
var privilegedStatements = [...]string{
	"UPDATE apikey_meta SET rev = rev WHERE one = 1",
	"UPDATE apikey_keys SET name = name WHERE seq = 0", "INSERT INTO apikey_keys (seq) VALUES (0)",
	"UPDATE apikey_used SET at = at WHERE seq = 0", "INSERT INTO apikey_used (seq, at) VALUES (0, 0)",
	"UPDATE apikey_notices SET sent_at = sent_at WHERE key_seq = 0", "INSERT INTO apikey_notices (key_seq) VALUES (0)",
	"SELECT rev FROM apikey_audit WHERE rev = 0", "INSERT INTO apikey_audit (rev) VALUES (0)",
}

// purgePrivileges lists the additional privileges that Purge requires, and purgeStatements need them.
const purgePrivileges = "; for Purge also DELETE on apikey_keys, apikey_used, apikey_notices and apikey_audit"

var purgeStatements = [...]string{
	"DELETE FROM apikey_keys WHERE seq = 0", "DELETE FROM apikey_used WHERE seq = 0",
	"DELETE FROM apikey_notices WHERE key_seq = 0", "DELETE FROM apikey_audit WHERE rev = 0",
}

// checkPrivileges checks at the start that the database user has the required privileges.
func (t *tx) checkPrivileges(purges bool) error {
	statements := privilegedStatements[:]
	if purges {
		statements = append(statements, purgeStatements[:]...)
	}
	for _, statement := range statements {
		rows, err := t.query("EXPLAIN " + statement)
		if isReadOnlyTransaction(err) {
			return nil // a session that is read-only by default cannot explain writes, but begin overrides it
		}
		if err != nil {
			return err
		}
		for rows.Next() {
		}
		if err := cmp.Or(rows.Err(), rows.Close()); err != nil {
			return err
		}
	}
	return nil
}
