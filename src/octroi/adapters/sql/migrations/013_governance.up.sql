-- Keys below keys, keys that nobody should use, where keys may be used from, keys that follow one
-- another; and the policies that were made while octroi ran.

-- The key that this one is narrower than.
ALTER TABLE vault_keys ADD COLUMN parent TEXT NOT NULL DEFAULT '';
-- Whoever uses it raises an alarm.
ALTER TABLE vault_keys ADD COLUMN canary BIGINT NOT NULL DEFAULT 0 CHECK (canary IN (0, 1));
-- Ranges of addresses, with commas; empty: from everywhere.
ALTER TABLE vault_keys ADD COLUMN networks TEXT NOT NULL DEFAULT '';
-- The first key that this one goes on with, after rotations; empty: it is that itself.
ALTER TABLE vault_keys ADD COLUMN line TEXT NOT NULL DEFAULT '';
CREATE INDEX vault_keys_parent ON vault_keys (parent) WHERE parent <> '';

CREATE TABLE vault_policies (
  name        TEXT   NOT NULL PRIMARY KEY,
  document    TEXT   NOT NULL CHECK (document <> ''),
  version     BIGINT NOT NULL CHECK (version > 0),
  created_at  BIGINT NOT NULL,
  updated_at  BIGINT NOT NULL
);

-- Every version that there ever was; one without a document is a removal.
CREATE TABLE vault_policy_versions (
  name      TEXT   NOT NULL,
  version   BIGINT NOT NULL CHECK (version > 0),
  document  TEXT   NOT NULL,
  at        BIGINT NOT NULL,
  PRIMARY KEY (name, version)
);

CREATE TABLE vault_policy_list (
  id       BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
  version  BIGINT NOT NULL CHECK (version >= 0)
);
INSERT INTO vault_policy_list (id, version) VALUES (1, 0);
