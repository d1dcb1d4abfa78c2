-- Version 1. Statements end with ";" at the end of a line and are carried out one by one.

CREATE TABLE apikey_meta (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	epoch INTEGER NOT NULL,
	rev INTEGER NOT NULL,
	tag INTEGER NOT NULL
) STRICT;

CREATE TABLE apikey_keys (
	seq INTEGER PRIMARY KEY,
	id TEXT NOT NULL UNIQUE,
	digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
	name TEXT NOT NULL,
	fold TEXT NOT NULL,
	fold_id TEXT NOT NULL,
	owner TEXT NOT NULL,
	hint TEXT NOT NULL,
	scopes TEXT NOT NULL,
	metadata TEXT NOT NULL,
	replaces TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	revoked_at INTEGER NOT NULL,
	dead INTEGER NOT NULL,
	changed INTEGER NOT NULL
) STRICT;

CREATE INDEX apikey_keys_changed ON apikey_keys (changed) WHERE changed > 0;
CREATE INDEX apikey_keys_name ON apikey_keys (fold, seq);
CREATE INDEX apikey_keys_state ON apikey_keys (dead, seq);
CREATE INDEX apikey_keys_expires ON apikey_keys (expires_at, seq);

CREATE TABLE apikey_used (
	seq INTEGER PRIMARY KEY,
	at INTEGER NOT NULL
) STRICT;

CREATE TABLE apikey_audit (
	rev INTEGER PRIMARY KEY,
	tag INTEGER NOT NULL,
	at INTEGER NOT NULL,
	actor TEXT NOT NULL,
	action TEXT NOT NULL,
	key_id TEXT NOT NULL,
	key_seq INTEGER NOT NULL,
	detail TEXT NOT NULL
) STRICT;

CREATE INDEX apikey_audit_key ON apikey_audit (key_seq, rev);
