-- Counted L402 tokens: one row each, from the first time that the paid token was shown until no
-- copy of it can be good any more.

CREATE TABLE bundles (
  -- The order in which they were opened.
  seq           INTEGER PRIMARY KEY AUTOINCREMENT,
  token_id      BLOB   NOT NULL UNIQUE CHECK (length(token_id) = 32),
  -- Of the payment: one payment, one token, one count.
  hash          BLOB   NOT NULL UNIQUE CHECK (length(hash) = 32),
  service       TEXT   NOT NULL,
  unit          TEXT   NOT NULL,
  granted       BIGINT NOT NULL CHECK (granted > 0),
  used          BIGINT NOT NULL CHECK (used >= 0),
  sold_msat     BIGINT NOT NULL CHECK (sold_msat >= 0),
  opened_at     BIGINT NOT NULL,
  last_used_at  BIGINT NOT NULL,
  keep_until    BIGINT NOT NULL,
  CHECK (used <= granted)
);
CREATE INDEX bundles_service ON bundles (service, seq);
CREATE INDEX bundles_keep_until ON bundles (keep_until);
