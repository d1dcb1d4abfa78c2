-- Version 1 of the schema. Each statement ends with ";" at the end of a line. Migrate executes them one by
-- one.

CREATE TABLE apikey_meta (
	-- Always 1, so that the table has one row.
	one smallint PRIMARY KEY CHECK (one = 1),
	-- A random number that distinguishes this database from one that replaces it. Caches drop all entries
	-- when it changes.
	epoch bigint NOT NULL,
	-- The revision, which every change increments.
	rev bigint NOT NULL,
	-- The random number of the last change. It distinguishes a restored backup from the original.
	tag bigint NOT NULL
) WITH (fillfactor = 10);

CREATE TABLE apikey_keys (
	-- The revision that created the key, and so the order of creation. It never changes.
	seq bigint PRIMARY KEY,
	-- Key.ID.
	id text COLLATE "C" NOT NULL UNIQUE,
	-- The digest of the secret. It never changes.
	digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
	-- Key.Name.
	name text NOT NULL,
	-- The name, case-folded by this package. Lists sort and search by it.
	fold text COLLATE "C" NOT NULL,
	-- The ID, a line feed and the hint, case-folded by this package. Searches read it.
	fold_id text COLLATE "C" NOT NULL,
	-- Key.Owner; '' means no owner.
	owner text COLLATE "C" NOT NULL,
	-- Key.Hint.
	hint text NOT NULL,
	-- Key.Scopes, separated by spaces; '' means no scopes.
	scopes text NOT NULL,
	-- Key.Metadata as a JSON object; '' means no metadata.
	metadata text NOT NULL,
	-- The ID of the key that a rotation replaced by this one; '' means no key.
	replaces text NOT NULL,
	-- Key.CreatedAt in microseconds since 1970 UTC; 0 is the zero time.
	created_at bigint NOT NULL,
	-- Key.ExpiresAt in microseconds since 1970 UTC; 0 means never.
	expires_at bigint NOT NULL,
	-- Key.RevokedAt in microseconds since 1970 UTC; 0 means not revoked.
	revoked_at bigint NOT NULL,
	-- 1 if the key is revoked, 2 if it is suspended (version 2), otherwise 0. Indexes by status begin with it.
	dead smallint NOT NULL,
	-- The revision that last changed the key; 0 means unchanged since its creation. Polls of caches read it.
	changed bigint NOT NULL
);

CREATE INDEX apikey_keys_changed ON apikey_keys (changed) WHERE changed > 0;
CREATE INDEX apikey_keys_name ON apikey_keys (fold, seq);
CREATE INDEX apikey_keys_state ON apikey_keys (dead, seq);
CREATE INDEX apikey_keys_expires ON apikey_keys (expires_at, seq);

CREATE TABLE apikey_used (
	-- The seq of the key.
	seq bigint PRIMARY KEY,
	-- The last use of the key in microseconds since 1970 UTC.
	at bigint NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE apikey_audit (
	-- The revision of the change.
	rev bigint PRIMARY KEY,
	-- The random number of the change, as in apikey_meta.
	tag bigint NOT NULL,
	-- The time of the change in microseconds since 1970 UTC.
	at bigint NOT NULL,
	-- The actor of the change, as the program reported it; '' means unknown.
	actor text NOT NULL,
	-- The kind of change: create, update, replace, revoke or, in version 2, revoke_all.
	action text NOT NULL,
	-- The ID of the key; '' for revoke_all.
	key_id text NOT NULL,
	-- The seq of the key; 0 for revoke_all.
	key_seq bigint NOT NULL,
	-- A description of the change: names of fields, or the other key of a rotation.
	detail text NOT NULL
);

CREATE INDEX apikey_audit_key ON apikey_audit (key_seq, rev);
