-- Version 1 of the schema. Each statement ends with ";" at the end of a line. Migrate executes them one by
-- one. MySQL commits each statement before Migrate can record it, so a statement must also succeed if its
-- effect exists already. Text is compared as bytes: no collation ignores case or trailing spaces.

CREATE TABLE IF NOT EXISTS apikey_meta (
	-- Always 1, so that the table has one row.
	one SMALLINT PRIMARY KEY CHECK (one = 1),
	-- A random number that distinguishes this database from one that replaces it. Caches drop all entries
	-- when it changes.
	epoch BIGINT NOT NULL,
	-- The revision, which every change increments.
	rev BIGINT NOT NULL,
	-- The random number of the last change. It distinguishes a restored backup from the original.
	tag BIGINT NOT NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS apikey_keys (
	-- The revision that created the key, and so the order of creation. It never changes.
	seq BIGINT PRIMARY KEY,
	-- Key.ID.
	id VARBINARY(64) NOT NULL UNIQUE,
	-- The digest of the secret. It never changes.
	digest BINARY(32) NOT NULL UNIQUE,
	-- Key.Name.
	name VARCHAR(100) NOT NULL,
	-- The name, case-folded by this package. Lists sort and search by it.
	fold VARBINARY(400) NOT NULL,
	-- The ID, a line feed and the hint, case-folded by this package. Searches read it.
	fold_id VARBINARY(500) NOT NULL,
	-- Key.Owner; '' means no owner.
	owner VARBINARY(400) NOT NULL,
	-- Key.Hint.
	hint VARCHAR(100) NOT NULL,
	-- Key.Scopes, separated by spaces; '' means no scopes.
	scopes TEXT NOT NULL,
	-- Key.Metadata as a JSON object; '' means no metadata.
	metadata TEXT NOT NULL,
	-- The ID of the key that a rotation replaced by this one; '' means no key.
	replaces VARBINARY(64) NOT NULL,
	-- Key.CreatedAt in microseconds since 1970 UTC; 0 is the zero time.
	created_at BIGINT NOT NULL,
	-- Key.ExpiresAt in microseconds since 1970 UTC; 0 means never.
	expires_at BIGINT NOT NULL,
	-- Key.RevokedAt in microseconds since 1970 UTC; 0 means not revoked.
	revoked_at BIGINT NOT NULL,
	-- 1 if the key is revoked, 2 if it is suspended (version 2), otherwise 0. Indexes by status begin with it.
	dead SMALLINT NOT NULL,
	-- The revision that last changed the key; 0 means unchanged since its creation. Polls of caches read it.
	changed BIGINT NOT NULL,
	INDEX apikey_keys_changed (changed),
	INDEX apikey_keys_name (fold, seq),
	INDEX apikey_keys_state (dead, seq),
	INDEX apikey_keys_expires (expires_at, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS apikey_used (
	-- The seq of the key.
	seq BIGINT PRIMARY KEY,
	-- The last use of the key in microseconds since 1970 UTC.
	at BIGINT NOT NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS apikey_audit (
	-- The revision of the change.
	rev BIGINT PRIMARY KEY,
	-- The random number of the change, as in apikey_meta.
	tag BIGINT NOT NULL,
	-- The time of the change in microseconds since 1970 UTC.
	at BIGINT NOT NULL,
	-- The actor of the change, as the program reported it; '' means unknown.
	actor VARCHAR(200) NOT NULL,
	-- The kind of change: create, update, replace, revoke or, in version 2, revoke_all.
	action VARCHAR(20) NOT NULL,
	-- The ID of the key; '' for revoke_all.
	key_id VARBINARY(64) NOT NULL,
	-- The seq of the key; 0 for revoke_all.
	key_seq BIGINT NOT NULL,
	-- A description of the change: names of fields, or the other key of a rotation.
	detail VARCHAR(1000) NOT NULL,
	INDEX apikey_audit_key (key_seq, rev)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
