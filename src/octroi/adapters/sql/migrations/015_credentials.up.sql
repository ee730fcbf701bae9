-- Real keys by version: one takes the place of another with both there for a while, so that it is
-- tried before it is used, and there is a way back.

CREATE TABLE vault_credential_versions (
  vendor       TEXT   NOT NULL,
  -- Drawn from vault_key_list, so never the same twice.
  version      BIGINT NOT NULL,
  state        TEXT   NOT NULL CHECK (state IN ('current', 'pending', 'previous')),
  -- AES-256-GCM under a key that is not in this database.
  sealed       TEXT   NOT NULL,
  -- Whose it is, as the vendor said; empty: it did not.
  account      TEXT   NOT NULL,
  since        BIGINT NOT NULL,
  -- When it goes; of the current one: never.
  wipe_at      BIGINT,
  verified_at  BIGINT,
  PRIMARY KEY (vendor, version)
);
CREATE UNIQUE INDEX vault_credential_states ON vault_credential_versions (vendor, state);

INSERT INTO vault_credential_versions (vendor, version, state, sealed, account, since)
  SELECT c.vendor, l.version, 'current', c.sealed, '', c.updated_at
  FROM vault_credentials c, vault_key_list l WHERE l.id = 1;
DROP TABLE vault_credentials;
