-- What was staged, or was kept as the way back, is wiped.
CREATE TABLE vault_credentials (
  vendor      TEXT   NOT NULL PRIMARY KEY,
  sealed      TEXT   NOT NULL,
  updated_at  BIGINT NOT NULL
);
INSERT INTO vault_credentials (vendor, sealed, updated_at)
  SELECT vendor, sealed, since FROM vault_credential_versions WHERE state = 'current';
DROP TABLE vault_credential_versions;
