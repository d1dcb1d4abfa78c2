-- Version 2 of the schema. Programs of version 1 still read and write these tables, so the default of each
-- new column is right for the rows that they insert.

-- Key.SuspendedAt in microseconds since 1970 UTC; 0 means not suspended.
ALTER TABLE apikey_keys ADD COLUMN suspended_at INTEGER NOT NULL DEFAULT 0;

-- Key.Networks, separated by spaces; '' means any network.
ALTER TABLE apikey_keys ADD COLUMN networks TEXT NOT NULL DEFAULT '';

-- Key.Limits in the form of Limit.String, separated by spaces; '' means no limits. Programs refuse a key
-- whose limits they do not know.
ALTER TABLE apikey_keys ADD COLUMN limits TEXT NOT NULL DEFAULT '';

-- Key.Origin; '' means that the key replaces no other, or that a program of version 1 rotated it.
ALTER TABLE apikey_keys ADD COLUMN origin TEXT NOT NULL DEFAULT '';

-- The expires_at before a rotation shortened it, in microseconds since 1970 UTC; -1 means never. 0 means
-- that no program of version 2 or later rotated the key. If the key then has a successor, a program of
-- version 1 rotated it, and the first successor got the lifetime that the key had.
ALTER TABLE apikey_keys ADD COLUMN own_expires_at INTEGER NOT NULL DEFAULT 0;

-- The changed fields as a JSON array with their old and new values; '' means that a program of version 1
-- made the change, and that only detail describes it.
ALTER TABLE apikey_audit ADD COLUMN changes TEXT NOT NULL DEFAULT '';

-- Key.LastUsedAddr; '' means not recorded. A program of version 1 changes the time alone.
ALTER TABLE apikey_used ADD COLUMN addr TEXT NOT NULL DEFAULT '';

-- Indexes for lists of one owner, in each order. They contain the columns that determine the status.
CREATE INDEX apikey_keys_owner ON apikey_keys (owner, seq, dead, expires_at) WHERE owner <> '';
CREATE INDEX apikey_keys_owner_name ON apikey_keys (owner, fold, seq, dead, expires_at) WHERE owner <> '';
CREATE INDEX apikey_keys_owner_expires ON apikey_keys (owner, expires_at, seq, dead) WHERE owner <> '';

-- Indexes for lists by status.
CREATE INDEX apikey_keys_state_name ON apikey_keys (dead, fold, seq, expires_at);
CREATE INDEX apikey_keys_state_expires ON apikey_keys (dead, expires_at, seq);

-- Indexes for successors and for suspended keys.
CREATE INDEX apikey_keys_replaces ON apikey_keys (replaces, seq) WHERE replaces <> '';
CREATE INDEX apikey_keys_suspended ON apikey_keys (seq) WHERE suspended_at > 0;

-- The notices about keys. Programs of version 1 do not know this table, so a key that they delete leaves its rows.
CREATE TABLE apikey_notices (
	-- NoticeClaim.ID.
	id TEXT PRIMARY KEY,
	-- The seq of the key that the notice is about.
	key_seq INTEGER NOT NULL,
	-- NoticeClaim.Until of the last claim in microseconds since 1970 UTC; 0 means that it was released.
	claimed_until INTEGER NOT NULL,
	-- The time of sending in microseconds since 1970 UTC; 0 means not yet.
	sent_at INTEGER NOT NULL
) STRICT;

CREATE INDEX apikey_notices_key ON apikey_notices (key_seq);
