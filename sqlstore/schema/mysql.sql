-- Version 1. Statements end with ";" at the end of a line and are carried out one by one. Each
-- is committed before it is noted as done, so it must pass over what it finds done.
-- What is compared is binary: no collation folds case, or passes over a blank at the end.

CREATE TABLE IF NOT EXISTS apikey_meta (
	one SMALLINT PRIMARY KEY CHECK (one = 1),
	epoch BIGINT NOT NULL,
	rev BIGINT NOT NULL,
	tag BIGINT NOT NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS apikey_keys (
	seq BIGINT PRIMARY KEY,
	id VARBINARY(64) NOT NULL UNIQUE,
	digest BINARY(32) NOT NULL UNIQUE,
	name VARCHAR(100) NOT NULL,
	fold VARBINARY(400) NOT NULL,
	fold_id VARBINARY(500) NOT NULL,
	owner VARBINARY(400) NOT NULL,
	hint VARCHAR(100) NOT NULL,
	scopes TEXT NOT NULL,
	metadata TEXT NOT NULL,
	replaces VARBINARY(64) NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	revoked_at BIGINT NOT NULL,
	dead SMALLINT NOT NULL,
	changed BIGINT NOT NULL,
	INDEX apikey_keys_changed (changed),
	INDEX apikey_keys_name (fold, seq),
	INDEX apikey_keys_state (dead, seq),
	INDEX apikey_keys_expires (expires_at, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS apikey_used (
	seq BIGINT PRIMARY KEY,
	at BIGINT NOT NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS apikey_audit (
	rev BIGINT PRIMARY KEY,
	tag BIGINT NOT NULL,
	at BIGINT NOT NULL,
	actor VARCHAR(200) NOT NULL,
	action VARCHAR(20) NOT NULL,
	key_id VARBINARY(64) NOT NULL,
	key_seq BIGINT NOT NULL,
	detail VARCHAR(1000) NOT NULL,
	INDEX apikey_audit_key (key_seq, rev)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
