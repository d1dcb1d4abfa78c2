-- Version 1. Statements end with ";" at the end of a line and are carried out one by one.

CREATE TABLE apikey_meta (
	one smallint PRIMARY KEY CHECK (one = 1),
	epoch bigint NOT NULL,
	rev bigint NOT NULL,
	tag bigint NOT NULL
) WITH (fillfactor = 10);

CREATE TABLE apikey_keys (
	seq bigint PRIMARY KEY,
	id text COLLATE "C" NOT NULL UNIQUE,
	digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
	name text NOT NULL,
	fold text COLLATE "C" NOT NULL,
	fold_id text COLLATE "C" NOT NULL,
	owner text COLLATE "C" NOT NULL,
	hint text NOT NULL,
	scopes text NOT NULL,
	metadata text NOT NULL,
	replaces text NOT NULL,
	created_at bigint NOT NULL,
	expires_at bigint NOT NULL,
	revoked_at bigint NOT NULL,
	dead smallint NOT NULL,
	changed bigint NOT NULL
);

CREATE INDEX apikey_keys_changed ON apikey_keys (changed) WHERE changed > 0;
CREATE INDEX apikey_keys_name ON apikey_keys (fold, seq);
CREATE INDEX apikey_keys_state ON apikey_keys (dead, seq);
CREATE INDEX apikey_keys_expires ON apikey_keys (expires_at, seq);

CREATE TABLE apikey_used (
	seq bigint PRIMARY KEY,
	at bigint NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE apikey_audit (
	rev bigint PRIMARY KEY,
	tag bigint NOT NULL,
	at bigint NOT NULL,
	actor text NOT NULL,
	action text NOT NULL,
	key_id text NOT NULL,
	key_seq bigint NOT NULL,
	detail text NOT NULL
);

CREATE INDEX apikey_audit_key ON apikey_audit (key_seq, rev);
