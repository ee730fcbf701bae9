-- Keys of the vault door. Of a key only digests are here: whoever reads them can neither use nor
-- guess one.

CREATE TABLE vault_keys (
  -- The order in which they were made.
  seq          INTEGER PRIMARY KEY AUTOINCREMENT,
  id           TEXT   NOT NULL UNIQUE,
  secret_hash  BLOB   NOT NULL,
  pair_id      TEXT   NOT NULL UNIQUE,
  pair_hash    BLOB   NOT NULL,
  live         BIGINT NOT NULL CHECK (live IN (0, 1)),
  vendor       TEXT   NOT NULL,
  policy       TEXT   NOT NULL,
  name         TEXT   NOT NULL,
  server       TEXT   NOT NULL,
  agent        TEXT   NOT NULL,
  run          TEXT   NOT NULL,
  expires_at   BIGINT,
  state        TEXT   NOT NULL CHECK (state IN ('active', 'paused', 'revoked')),
  created_at   BIGINT NOT NULL,
  changed_at   BIGINT NOT NULL
);

-- One row: counts the changes, so that every server notices what another process changed.
CREATE TABLE vault_key_list (
  id       BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
  version  BIGINT NOT NULL CHECK (version >= 0)
);
INSERT INTO vault_key_list (id, version) VALUES (1, 0);

-- The real keys of vendors, sealed (AES-256-GCM) under a key that is not in this database.
CREATE TABLE vault_credentials (
  vendor      TEXT   NOT NULL PRIMARY KEY,
  sealed      TEXT   NOT NULL,
  updated_at  BIGINT NOT NULL
);
