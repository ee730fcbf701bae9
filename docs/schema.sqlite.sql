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

CREATE TABLE free_quota (
  service       TEXT   NOT NULL,
  client        TEXT   NOT NULL,
  window_start  BIGINT NOT NULL,
  window_end    BIGINT NOT NULL,
  used          BIGINT NOT NULL CHECK (used >= 0),
  PRIMARY KEY (service, client)
);

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

CREATE TABLE key_values (
  name   TEXT NOT NULL PRIMARY KEY,
  value  BLOB NOT NULL
);

CREATE TABLE nonces (
  scope       TEXT   NOT NULL,
  nonce       BLOB   NOT NULL CHECK (length(nonce) = 32),
  keep_until  BIGINT NOT NULL,
  PRIMARY KEY (scope, nonce)
);

CREATE TABLE offers (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
/**/
/*pg
CREATE TABLE offers (
  id            BIGINT NOT NULL PRIMARY KEY
                DEFAULT nextval(pg_get_serial_sequence('transactions', 'id')),
*/
  hash          BLOB   NOT NULL CHECK (length(hash) = 32),
  auth_type     TEXT   NOT NULL CHECK (auth_type IN ('l402', 'mpp_charge', 'mpp_session')),
  service       TEXT   NOT NULL,
  amount_msat   BIGINT NOT NULL CHECK (amount_msat >= 0),
  challenge_id  TEXT   NOT NULL,
  token_id      BLOB   CHECK (token_id IS NULL OR length(token_id) = 32),
  request_id    TEXT   NOT NULL,
  created_at    BIGINT NOT NULL,
  expires_at    BIGINT NOT NULL
);

CREATE TABLE revoked_tokens (
  token_id    BLOB   NOT NULL PRIMARY KEY CHECK (length(token_id) = 32),
  revoked_at  BIGINT NOT NULL,
  keep_until  BIGINT NOT NULL
);

CREATE TABLE schema_migrations ( version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL);

CREATE TABLE secrets (
  name        TEXT   NOT NULL PRIMARY KEY,
  value       BLOB   NOT NULL,
  created_at  BIGINT NOT NULL
);

CREATE TABLE sessions (
  -- The order in which they were opened.
  seq              INTEGER PRIMARY KEY AUTOINCREMENT,
  -- The first deposit's payment hash; its claim stays as long as the session.
  id               BLOB   NOT NULL UNIQUE REFERENCES consumed (hash),
  service          TEXT   NOT NULL,
  return_invoice   TEXT   NOT NULL,
  -- One return invoice, one refund: also over sessions that ended long ago.
  return_hash      BLOB   NOT NULL UNIQUE CHECK (length(return_hash) = 32),
  deposit_msat     BIGINT NOT NULL CHECK (deposit_msat > 0),
  spent_msat       BIGINT NOT NULL CHECK (spent_msat >= 0),
  opened_at        BIGINT NOT NULL,
  last_used_at     BIGINT NOT NULL,
  idle_ms          BIGINT NOT NULL CHECK (idle_ms >= 0),
  -- Not later than the moment at which it is idle; moved twice in an idle time and not with every
  -- debit, so that a debit mostly leaves the indexes alone.
  look_at          BIGINT NOT NULL,
  state            TEXT   NOT NULL CHECK (state IN ('open', 'closed')),
  close_reason     TEXT   NOT NULL CHECK (close_reason IN ('', 'client', 'idle', 'operator')),
  closed_at        BIGINT,
  refund_stage     TEXT   NOT NULL CHECK (refund_stage IN
                     ('none', 'skipped', 'due', 'sending', 'succeeded', 'failed')),
  refund_msat      BIGINT NOT NULL CHECK (refund_msat >= 0),
  rounding_msat    BIGINT NOT NULL CHECK (rounding_msat BETWEEN 0 AND 999),
  refund_fee_msat  BIGINT NOT NULL CHECK (refund_fee_msat >= 0),
  refund_attempts  BIGINT NOT NULL CHECK (refund_attempts >= 0),
  refund_at        BIGINT NOT NULL,
  refund_detail    TEXT   NOT NULL,
  -- The process that sends it. Under another boot its outcome is to be asked of the node.
  refund_boot      TEXT   NOT NULL,
  CHECK (spent_msat <= deposit_msat),
  CHECK (look_at <= last_used_at + idle_ms),
  CHECK ((state = 'closed') = (closed_at IS NOT NULL)),
  CHECK ((state = 'open') = (refund_stage = 'none')),
  -- What is closed is divided to the millisatoshi.
  CHECK (state = 'open' OR deposit_msat = spent_msat + refund_msat + rounding_msat)
);

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

CREATE INDEX free_quota_window_end ON free_quota (window_end);

CREATE INDEX invoices_keep_until ON invoices (keep_until);

CREATE INDEX nonces_keep_until ON nonces (keep_until);

CREATE INDEX sessions_look_at ON sessions (look_at) WHERE state = 'open';

CREATE INDEX sessions_service ON sessions (service, seq);

CREATE INDEX sessions_unfinished ON sessions (refund_at) WHERE refund_stage IN ('due', 'sending');

CREATE INDEX transactions_auth_type ON transactions (auth_type, id) WHERE settled_at IS NOT NULL;

CREATE INDEX transactions_created_at ON transactions (created_at);

CREATE INDEX transactions_service ON transactions (service, id);

CREATE INDEX transactions_settled_at ON transactions (settled_at) WHERE settled_at IS NOT NULL;

CREATE INDEX transactions_token_id ON transactions (token_id) WHERE settled_at IS NOT NULL;
