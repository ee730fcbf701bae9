-- The ledger: what our node asked for, what was handed out, what was spent.
--
-- Portable: PostgreSQL takes this text after BLOB is read as BYTEA and the one identity column as
-- BIGINT GENERATED ALWAYS AS IDENTITY. Times are milliseconds since the Unix epoch, amounts are
-- millisatoshi, hashes are raw bytes.

CREATE TABLE invoices (
  hash         BLOB   NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
  amount_msat  BIGINT NOT NULL CHECK (amount_msat >= 0),
  created_at   BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL,
  -- The last moment at which something over this hash can be valid; moves forward only.
  keep_until   BIGINT NOT NULL,
  settled_at   BIGINT,
  node_index   BIGINT NOT NULL
);
CREATE INDEX invoices_keep_until ON invoices (keep_until);

CREATE TABLE transactions (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  hash          BLOB   NOT NULL CHECK (length(hash) = 32),
  auth_type     TEXT   NOT NULL CHECK (auth_type IN ('l402', 'mpp_charge', 'mpp_session')),
  service       TEXT   NOT NULL,
  amount_msat   BIGINT NOT NULL CHECK (amount_msat >= 0),
  challenge_id  TEXT   NOT NULL,
  token_id      BLOB   CHECK (token_id IS NULL OR length(token_id) = 32),
  request_id    TEXT   NOT NULL,
  state         TEXT   NOT NULL CHECK (state IN ('pending', 'settled')),
  created_at    BIGINT NOT NULL,
  expires_at    BIGINT NOT NULL,
  settled_at    BIGINT,
  UNIQUE (hash, auth_type),
  CHECK ((state = 'settled') = (settled_at IS NOT NULL))
);
CREATE INDEX transactions_service ON transactions (service, id);
CREATE INDEX transactions_state ON transactions (state, expires_at);
CREATE INDEX transactions_created_at ON transactions (created_at);
CREATE INDEX transactions_auth_type ON transactions (auth_type, id);
CREATE INDEX transactions_settled_at ON transactions (settled_at);
CREATE INDEX transactions_token_id ON transactions (token_id);

-- One row a payment hash, whatever the scheme: this primary key is what makes a proof worth one use.
CREATE TABLE consumed (
  hash             BLOB   NOT NULL PRIMARY KEY REFERENCES invoices (hash),
  auth_type        TEXT   NOT NULL CHECK (auth_type IN ('l402', 'mpp_charge', 'mpp_session')),
  service          TEXT   NOT NULL,
  challenge_id     TEXT   NOT NULL,
  payload_digest   BLOB   NOT NULL CHECK (length(payload_digest) = 32),
  idempotency_key  TEXT   NOT NULL,
  -- The process that claimed it. Pending under another boot means that its answer was lost.
  boot_id          TEXT   NOT NULL,
  consumed_at      BIGINT NOT NULL,
  -- Null until the answer is known.
  status           BIGINT,
  headers          BLOB,
  body             BLOB,
  body_kept        BIGINT NOT NULL CHECK (body_kept IN (0, 1))
);

CREATE TABLE nonces (
  scope       TEXT   NOT NULL,
  nonce       BLOB   NOT NULL CHECK (length(nonce) = 32),
  keep_until  BIGINT NOT NULL,
  PRIMARY KEY (scope, nonce)
);
CREATE INDEX nonces_keep_until ON nonces (keep_until);

CREATE TABLE revoked_tokens (
  token_id    BLOB   NOT NULL PRIMARY KEY CHECK (length(token_id) = 32),
  revoked_at  BIGINT NOT NULL,
  keep_until  BIGINT NOT NULL
);

CREATE TABLE free_quota (
  service       TEXT   NOT NULL,
  client        TEXT   NOT NULL,
  window_start  BIGINT NOT NULL,
  window_end    BIGINT NOT NULL,
  used          BIGINT NOT NULL CHECK (used >= 0),
  PRIMARY KEY (service, client)
);
CREATE INDEX free_quota_window_end ON free_quota (window_end);

CREATE TABLE secrets (
  name        TEXT   NOT NULL PRIMARY KEY,
  value       BLOB   NOT NULL,
  created_at  BIGINT NOT NULL
);

CREATE TABLE key_values (
  name   TEXT NOT NULL PRIMARY KEY,
  value  BLOB NOT NULL
);
