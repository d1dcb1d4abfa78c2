package sqlstore

import "fmt"

// postgresUntrusted selects a table that another service or an attacker may own:
//   - a table that the search_path finds outside the current schema, in which this connection
//     creates tables
//   - a table in a schema where PUBLIC may create, unless a trusted role owns it
//
// Trusted are the current user, its roles, superusers, and the owners of the schema and of the
// database. The query does not use pg_has_role, because that regards a superuser as a member of
// every role.
const postgresUntrusted = `WITH RECURSIVE mine (role) AS (
	SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user
	UNION SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN mine ON m.member = mine.role)
SELECT c.relname, n.nspname, COALESCE(current_schema(), ''), r.rolname, n.nspname IS DISTINCT FROM current_schema()
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
WHERE c.oid IN (to_regclass('apikey_schema'), to_regclass('apikey_meta'), to_regclass('apikey_keys'), to_regclass('apikey_used'), to_regclass('apikey_audit'),
	to_regclass('apikey_notices'))
AND (n.nspname IS DISTINCT FROM current_schema() OR
	has_schema_privilege('public', n.oid, 'CREATE') AND NOT r.rolsuper AND c.relowner <> n.nspowner
	AND c.relowner NOT IN (SELECT role FROM mine)
	AND c.relowner <> (SELECT datdba FROM pg_catalog.pg_database WHERE datname = current_database()))
ORDER BY c.relname LIMIT 1`

// checkOwners rejects tables that another service or an attacker may own. The owner of a table can
// read and change every key, and can run code as this database user through a trigger.
func (t *tx) checkOwners() error {
	if t.d.untrusted == "" {
		return nil
	}
	rows, err := t.query(t.d.untrusted)
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		return rows.Err()
	}
	var table, schema, current, owner string
	var elsewhere bool
	if err := rows.Scan(&table, &schema, &current, &owner, &elsewhere); err != nil {
		return err
	}
	if elsewhere {
		return fmt.Errorf("table %s: the search_path finds it in schema %s, but this connection creates tables in schema %q: "+
			"put schema %[2]s first in the search_path to share its keys, remove it, or set Options.TablePrefix", table, schema, current)
	}
	return fmt.Errorf("table %s: role %s owns it in schema %s, where PUBLIC may create: drop it, or change its owner "+
		"(ALTER TABLE … OWNER TO …) and run REVOKE CREATE ON SCHEMA %[3]s FROM PUBLIC", table, owner, schema)
}
