// Package sqlstore keeps API keys in SQLite, PostgreSQL, MariaDB or MySQL through database/sql.
// It imports no driver.
//
//	db, err := sql.Open("pgx", dsn)
//	...
//	store, err := sqlstore.New(db, sqlstore.Postgres, sqlstore.Options{})
//	...
//	err = store.Migrate(ctx)
//	...
//	defer store.Close(context.Background())
//
// A lookup is one indexed read. A service with more than a few hundred requests a second puts
// package cachestore in front and uses the Store as its ChangeFeed. Revocations then reach every
// node within the bound that cachestore states.
//
// # Guarantees
//
// A method that writes a key returns nil only after the database has committed. The change then
// survives a crash of the process and of the database, unless the database loses an acknowledged
// commit. A failover with asynchronous commit can lose one, and a Galera cluster without
// wsrep_sync_wait can return data from before the commit.
//
// A write whose commit returned an error may have happened. Its error wraps
// [apikey.ErrUncertain]. Repeat an Update or a Revoke. After a Create or a Replace, an
// [apikey.Issuer] finds out whether the write happened.
//
// Reads go to the primary. Do not use a *sql.DB of read replicas, because a replica lags behind.
//
// One transaction contains a change of a key, its entry in the audit trail and the next value of
// the revision counter. [Store.Changes] uses that counter and therefore misses no change.
//
// # Databases
//
// SQLite: open the file with [OpenSQLite], or set a busy timeout on every connection.
//
// PostgreSQL: behind PgBouncer in transaction mode, use pgx with
// default_query_exec_mode=exec. [Listen] needs a direct connection.
//
// With its default options a Store works over networks with a round trip of up to a second.
// Opening a connection with TLS and a password takes up to six round trips. A first request may
// wait that long or get an error, but the attempt to connect continues for the next request.
// If the server permits fewer connections than the pool, callers wait for a connection in use.
//
// Set a connect timeout for PostgreSQL and MySQL: connect_timeout=10 in a DSN of pgx,
// timeout=10s&readTimeout=30s in one of go-sql-driver. database/sql sets no timeout when it
// connects on behalf of waiting callers. Without these settings, a bounded pool that the Store
// shares with other code can hang on a network that drops packets. A separate pool for the Store
// is better still.
//
// A firewall or NAT can drop idle connections silently. If a connection does not answer for about
// a second, the Store opens another one and evicts dead connections from the pool. To make this
// rare, call SetConnMaxIdleTime with less than the idle timeout of the network; a minute is usual.
//
// # Backups of SQLite
//
// In WAL mode SQLite writes new data to keys.db-wal first. A copy of keys.db alone, made while a
// process has keys.db open, is therefore outdated or empty. Use one of these commands, which work
// while a server is running:
//
//	sqlite3 keys.db ".backup backup.db"
//	sqlite3 keys.db "VACUUM INTO 'backup.db'"
//
// Copying keys.db is enough if every process that uses it has stopped cleanly.
//
// To restore a backup, stop every process that uses the file. Delete the write-ahead log with the
// file, because otherwise SQLite would apply it to the backup. Then start the processes again:
//
//	rm -f keys.db keys.db-wal keys.db-shm
//	cp backup.db keys.db
//
// A restored backup does not contain later revocations. Revoke those keys again.
//
// A Store detects that the open file was replaced or deleted, because it would otherwise keep
// using a file that no other process can open. Every method then returns an error that names the
// file until the service opens the database again, so requests get 503. Reads check the database
// file. If [OpenSQLite] opened the database, polls and writes also check the -wal and -shm files.
// A write returns nil only if the files are in place after the commit. Overwriting the contents of
// an open file, as cp does, corrupts the file and is not detected.
//
// # Tables, privileges and upgrades
//
// Migrate creates the tables. Their names begin with Options.TablePrefix, by default "apikey_".
// The database user that owns the tables needs no other privileges. A service can also run as a
// user that cannot change the tables. Their owner then calls Migrate first, at every upgrade, and
// grants the service's user these privileges, in PostgreSQL also USAGE on the schema:
//
//	GRANT SELECT ON apikey_schema TO service;
//	GRANT SELECT, UPDATE ON apikey_meta TO service;
//	GRANT SELECT, INSERT, UPDATE ON apikey_keys TO service;
//	GRANT SELECT, INSERT, UPDATE ON apikey_used TO service;
//	GRANT SELECT, INSERT ON apikey_audit TO service;
//	GRANT SELECT, INSERT, UPDATE ON apikey_notices TO service;
//
// A service that calls Purge, or sets Options.PurgeAfter, also needs these:
//
//	GRANT DELETE ON apikey_keys TO service;
//	GRANT DELETE ON apikey_used TO service;
//	GRANT DELETE ON apikey_audit TO service;
//	GRANT DELETE ON apikey_notices TO service;
//
// In PostgreSQL, Migrate rejects tables in a schema where PUBLIC may create objects, unless a
// trusted role owns them. Trusted are the current user, its roles, superusers, and the owners of
// the schema and of the database. Migrate also rejects tables that the search_path finds outside
// the connection's current schema.
//
// Programs of the previous version keep running during and after a migration, so nodes can be
// upgraded one after the other. They cannot be started again afterwards. Lookups continue, except
// for the moment in which a table changes. Writes wait while an index is built. With a million
// keys or a slow disk that can take longer than their timeout. They then fail and must be
// repeated.
//
// If one of the tables was restored from a backup without the others, call Migrate. If the revision
// counter is behind the tables, Migrate raises it above every number in use, and caches drop all
// entries. Otherwise caches read the restored keys within the MaxAge of package cachestore.
//
// # Changing keys by SQL
//
// Change keys through the methods of a Store. An UPDATE that only sets revoked_at leaves caches
// and lists wrong permanently, because caches read the column changed, and lists read the column
// dead. To revoke a key by SQL, execute the statements below in one transaction. :id is the key's
// ID, and :actor is a name for the audit trail. :tag is a new random number from 1 to
// 9223372036854775807, and :now is the time in microseconds since 1970.
//
//	UPDATE apikey_meta SET rev = rev + 1, tag = :tag WHERE one = 1;
//	UPDATE apikey_keys SET revoked_at = :now, dead = 1, changed = (SELECT rev FROM apikey_meta WHERE one = 1)
//		WHERE id = :id AND revoked_at = 0;
//	INSERT INTO apikey_audit (rev, tag, at, actor, action, key_id, key_seq, detail)
//		SELECT m.rev, m.tag, :now, :actor, 'revoke', k.id, k.seq, '' FROM apikey_meta m, apikey_keys k
//		WHERE m.one = 1 AND k.id = :id AND k.changed = m.rev;
//
// If the second statement changes no row, roll back: the key does not exist or is already
// revoked. Caches apply the revocation at their next poll.
//
// # Deleting old keys and audit entries
//
// A Store deletes nothing unless [Options.PurgeAfter] is set or [Store.Purge] is called. To delete by
// SQL, execute the statements below in one transaction. They delete the keys that were revoked or
// expired before :before, and the audit entries made before it. :before is a time at least 30 days
// ago, in microseconds since 1970.
//
//	UPDATE apikey_meta SET rev = rev WHERE one = 1;
//	DELETE FROM apikey_keys
//		WHERE (revoked_at > 0 AND revoked_at < :before OR expires_at > 0 AND expires_at < :before)
//		AND NOT EXISTS (SELECT 1 FROM apikey_audit a WHERE a.rev IN (apikey_keys.seq, apikey_keys.changed) AND a.at >= :before)
//		AND NOT EXISTS (SELECT 1 FROM (SELECT DISTINCT id FROM apikey_keys) p WHERE p.id = apikey_keys.replaces);
//	DELETE FROM apikey_used WHERE NOT EXISTS (SELECT 1 FROM apikey_keys k WHERE k.seq = apikey_used.seq);
//	DELETE FROM apikey_notices WHERE NOT EXISTS (SELECT 1 FROM apikey_keys k WHERE k.seq = apikey_notices.key_seq);
//	DELETE FROM apikey_audit WHERE at < :before;
//
// The first statement locks out other writes, which wait until the transaction ends. If there is
// much to delete, start with an early :before. A successor is deleted in a later run than the key
// that it replaces, because a rotation looks for successors. A suspended key stays until it is
// revoked or has expired. Afterwards each cache reads its keys again, at most once.
package sqlstore
