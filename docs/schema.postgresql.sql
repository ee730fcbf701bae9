BEGIN;

CREATE TABLE IF NOT EXISTS schema_migrations ( version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL);

-- 001 ledger

-- The ledger: what our node asked for, what was handed out, what was spent.
--
-- Portable: PostgreSQL takes this text after BLOB is read as BYTEA and the one identity column as
-- BIGINT GENERATED ALWAYS AS IDENTITY. Times are milliseconds since the Unix epoch, amounts are
-- millisatoshi, hashes are raw bytes.

CREATE TABLE invoices (
  hash         BYTEA   NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
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
  id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  hash          BYTEA   NOT NULL CHECK (length(hash) = 32),
  auth_type     TEXT   NOT NULL CHECK (auth_type IN ('l402', 'mpp_charge', 'mpp_session')),
  service       TEXT   NOT NULL,
  amount_msat   BIGINT NOT NULL CHECK (amount_msat >= 0),
  challenge_id  TEXT   NOT NULL,
  token_id      BYTEA   CHECK (token_id IS NULL OR length(token_id) = 32),
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
  hash             BYTEA   NOT NULL PRIMARY KEY REFERENCES invoices (hash),
  auth_type        TEXT   NOT NULL CHECK (auth_type IN ('l402', 'mpp_charge', 'mpp_session')),
  service          TEXT   NOT NULL,
  challenge_id     TEXT   NOT NULL,
  payload_digest   BYTEA   NOT NULL CHECK (length(payload_digest) = 32),
  idempotency_key  TEXT   NOT NULL,
  -- The process that claimed it. Pending under another boot means that its answer was lost.
  boot_id          TEXT   NOT NULL,
  consumed_at      BIGINT NOT NULL,
  -- Null until the answer is known.
  status           BIGINT,
  headers          BYTEA,
  body             BYTEA,
  body_kept        BIGINT NOT NULL CHECK (body_kept IN (0, 1))
);

CREATE TABLE nonces (
  scope       TEXT   NOT NULL,
  nonce       BYTEA   NOT NULL CHECK (length(nonce) = 32),
  keep_until  BIGINT NOT NULL,
  PRIMARY KEY (scope, nonce)
);
CREATE INDEX nonces_keep_until ON nonces (keep_until);

CREATE TABLE revoked_tokens (
  token_id    BYTEA   NOT NULL PRIMARY KEY CHECK (length(token_id) = 32),
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
  value       BYTEA   NOT NULL,
  created_at  BIGINT NOT NULL
);

CREATE TABLE key_values (
  name   TEXT NOT NULL PRIMARY KEY,
  value  BYTEA NOT NULL
);

INSERT INTO schema_migrations (version, name, checksum, applied_at)
VALUES (1, 'ledger', 'c65d750ba5c985c0c62a748f8132b9ac814212e7f8eeb87e05d8654ddb3c1370', 0);

-- 002 fewer_indexes

-- Most rows are challenges that nobody pays. They are found by their hash, by their service and by
-- the time at which they may go; only what was paid is looked for in other ways.

DROP INDEX transactions_auth_type;
DROP INDEX transactions_settled_at;
DROP INDEX transactions_token_id;
CREATE INDEX transactions_auth_type ON transactions (auth_type, id) WHERE settled_at IS NOT NULL;
CREATE INDEX transactions_settled_at ON transactions (settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX transactions_token_id ON transactions (token_id) WHERE settled_at IS NOT NULL;

INSERT INTO schema_migrations (version, name, checksum, applied_at)
VALUES (2, 'fewer_indexes', '3072a357c321d021cd9106ee74a41ca88ebc01a0b8af8c6fdca5cf1632843081', 0);

-- 003 offers

-- Challenges that nobody has paid move to a table of their own, to which rows are only added and from
-- whose old end they are only taken: anybody can make such rows, by asking. `transactions` is the
-- books: what was paid. Both draw their ids from one sequence, so that a row keeps its id.



CREATE TABLE offers (
  id            BIGINT NOT NULL PRIMARY KEY
                DEFAULT nextval(pg_get_serial_sequence('transactions', 'id')),

  hash          BYTEA   NOT NULL CHECK (length(hash) = 32),
  auth_type     TEXT   NOT NULL CHECK (auth_type IN ('l402', 'mpp_charge', 'mpp_session')),
  service       TEXT   NOT NULL,
  amount_msat   BIGINT NOT NULL CHECK (amount_msat >= 0),
  challenge_id  TEXT   NOT NULL,
  token_id      BYTEA   CHECK (token_id IS NULL OR length(token_id) = 32),
  request_id    TEXT   NOT NULL,
  created_at    BIGINT NOT NULL,
  expires_at    BIGINT NOT NULL
);

INSERT INTO offers (id, hash, auth_type, service, amount_msat, challenge_id, token_id, request_id,
                    created_at, expires_at)
SELECT id, hash, auth_type, service, amount_msat, challenge_id, token_id, request_id,
       created_at, expires_at
FROM transactions WHERE settled_at IS NULL ORDER BY id;
DELETE FROM transactions WHERE settled_at IS NULL;



CREATE INDEX offers_hash ON offers USING hash (hash);


DROP INDEX transactions_state;

INSERT INTO schema_migrations (version, name, checksum, applied_at)
VALUES (3, 'offers', 'c6c7cff84a57d337a00e010ce8d4923b9975fee216f951fb8c8188cf93f5120f', 0);

-- 004 sessions

-- Prepaid sessions: one row each, from the deposit to the refund, kept for good.

CREATE TABLE sessions (
  -- The order in which they were opened.
  seq              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- The first deposit's payment hash; its claim stays as long as the session.
  id               BYTEA   NOT NULL UNIQUE REFERENCES consumed (hash),
  service          TEXT   NOT NULL,
  return_invoice   TEXT   NOT NULL,
  -- One return invoice, one refund: also over sessions that ended long ago.
  return_hash      BYTEA   NOT NULL UNIQUE CHECK (length(return_hash) = 32),
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
CREATE INDEX sessions_service ON sessions (service, seq);
CREATE INDEX sessions_look_at ON sessions (look_at) WHERE state = 'open';
CREATE INDEX sessions_unfinished ON sessions (refund_at) WHERE refund_stage IN ('due', 'sending');

INSERT INTO schema_migrations (version, name, checksum, applied_at)
VALUES (4, 'sessions', '3f7d6bbd8d6e0a1b60ccf76d9bd606ac39930b4f6fa59124563e436797c6fef3', 0);

COMMIT;
