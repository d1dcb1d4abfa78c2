-- Version 2 of the schema. Programs of version 1 still read and write these tables, so the default of each
-- new column is right for the rows that they insert. If a column or index exists already, Migrate
-- assumes that an interrupted migration created it. MySQL has no partial indexes.

ALTER TABLE apikey_keys
	-- Key.SuspendedAt in microseconds since 1970 UTC; 0 means not suspended.
	ADD COLUMN suspended_at BIGINT NOT NULL DEFAULT 0,
	-- Key.Networks, separated by spaces; '' means any network.
	ADD COLUMN networks VARBINARY(16000) NOT NULL DEFAULT '',
	-- Key.Limits in the form of Limit.String, separated by spaces; '' means no limits. Programs refuse a key
	-- whose limits they do not know.
	ADD COLUMN limits VARBINARY(16000) NOT NULL DEFAULT '',
	-- Key.Origin; '' means that the key replaces no other, or that a program of version 1 rotated it.
	ADD COLUMN origin VARBINARY(64) NOT NULL DEFAULT '',
	-- The expires_at before a rotation shortened it, in microseconds since 1970 UTC; -1 means never. 0 means
	-- that no program of version 2 or later rotated the key. If the key then has a successor, a program of
	-- version 1 rotated it, and the first successor got the lifetime that the key had.
	ADD COLUMN own_expires_at BIGINT NOT NULL DEFAULT 0,
	ALGORITHM = INSTANT;

-- The changed fields as a JSON array with their old and new values; '' means that a program of version 1
-- made the change, and that only detail describes it.
ALTER TABLE apikey_audit ADD COLUMN changes MEDIUMTEXT NOT NULL DEFAULT ('') /*M!100300 , ALGORITHM = INSTANT */;

-- Key.LastUsedAddr; '' means not recorded. A program of version 1 changes the time alone.
ALTER TABLE apikey_used ADD COLUMN addr VARBINARY(45) NOT NULL DEFAULT '', ALGORITHM = INSTANT;

-- Indexes for lists of one owner, in each order. They contain the columns that determine the status.
ALTER TABLE apikey_keys ADD INDEX apikey_keys_owner (owner, seq, dead, expires_at), ALGORITHM = INPLACE, LOCK = NONE;
ALTER TABLE apikey_keys ADD INDEX apikey_keys_owner_name (owner, fold, seq, dead, expires_at), ALGORITHM = INPLACE, LOCK = NONE;
ALTER TABLE apikey_keys ADD INDEX apikey_keys_owner_expires (owner, expires_at, seq, dead), ALGORITHM = INPLACE, LOCK = NONE;

-- Indexes for lists by status.
ALTER TABLE apikey_keys ADD INDEX apikey_keys_state_name (dead, fold, seq, expires_at), ALGORITHM = INPLACE, LOCK = NONE;
ALTER TABLE apikey_keys ADD INDEX apikey_keys_state_expires (dead, expires_at, seq), ALGORITHM = INPLACE, LOCK = NONE;

-- Indexes for successors and for suspended keys.
ALTER TABLE apikey_keys ADD INDEX apikey_keys_replaces (replaces, seq), ALGORITHM = INPLACE, LOCK = NONE;
ALTER TABLE apikey_keys ADD INDEX apikey_keys_suspended (suspended_at, seq), ALGORITHM = INPLACE, LOCK = NONE;

-- The notices about keys. Programs of version 1 do not know this table, so a key that they delete leaves its rows.
CREATE TABLE IF NOT EXISTS apikey_notices (
	-- NoticeClaim.ID.
	id VARBINARY(64) PRIMARY KEY,
	-- The seq of the key that the notice is about.
	key_seq BIGINT NOT NULL,
	-- NoticeClaim.Until of the last claim in microseconds since 1970 UTC; 0 means that it was released.
	claimed_until BIGINT NOT NULL,
	-- The time of sending in microseconds since 1970 UTC; 0 means not yet.
	sent_at BIGINT NOT NULL,
	INDEX apikey_notices_key (key_seq)
) ENGINE = InnoDB;
