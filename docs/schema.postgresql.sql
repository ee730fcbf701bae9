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

-- 005 bundles

-- Counted L402 tokens: one row each, from the first time that the paid token was shown until no
-- copy of it can be good any more.

CREATE TABLE bundles (
  -- The order in which they were opened.
  seq           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  token_id      BYTEA   NOT NULL UNIQUE CHECK (length(token_id) = 32),
  -- Of the payment: one payment, one token, one count.
  hash          BYTEA   NOT NULL UNIQUE CHECK (length(hash) = 32),
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

INSERT INTO schema_migrations (version, name, checksum, applied_at)
VALUES (5, 'bundles', '69f777631cc98ee54a1ba77629806aff0bbb2481c1cc6f67fdc3f385560dc261', 0);

-- 006 services

-- Services that were added while octroi ran. The document is what the service's section of the
-- configuration file would hold, as canonical JSON: nothing can be lost between the two. The other
-- columns are what is looked for without reading it.

CREATE TABLE services (
  -- The order in which they were made, which is the order in which they are matched.
  seq          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name         TEXT   NOT NULL UNIQUE,
  document     TEXT   NOT NULL,
  enabled      BIGINT NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
  auth_scheme  TEXT   NOT NULL DEFAULT 'l402'
               CHECK (auth_scheme IN ('l402', 'payment', 'l402+payment')),
  -- Of the list as a whole when this service was changed last.
  version      BIGINT NOT NULL CHECK (version > 0),
  created_at   BIGINT NOT NULL,
  updated_at   BIGINT NOT NULL
);

-- One row: counts the changes. A change is made only from the version that it was judged against.
CREATE TABLE service_list (
  id       BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
  version  BIGINT NOT NULL CHECK (version >= 0)
);
INSERT INTO service_list (id, version) VALUES (1, 0);

INSERT INTO schema_migrations (version, name, checksum, applied_at)
VALUES (6, 'services', '703e2a73efa0693fd049d4f6f7b40dc575d9454875ac4de0caf4627c297732a6', 0);

-- 007 sums

-- Sums that are kept with each settlement and each close, in its transaction, so that reading them
-- costs the same after a year, and so that old rows may go and their money stays in the books.
--
-- `lane`: each connection of PostgreSQL adds to rows of its own and waits for no other; what was
-- added on earlier days is brought together in lane 0. A sum is that over all lanes.

CREATE TABLE revenue (
  day          BIGINT NOT NULL,  -- days since the Unix epoch, of settlement
  service      TEXT   NOT NULL,
  auth_type    TEXT   NOT NULL CHECK (auth_type IN ('l402', 'mpp_charge', 'mpp_session')),
  lane         BIGINT NOT NULL,
  sales        BIGINT NOT NULL CHECK (sales >= 0),
  amount_msat  BIGINT NOT NULL CHECK (amount_msat >= 0),
  PRIMARY KEY (day, service, auth_type, lane)
);
INSERT INTO revenue (day, service, auth_type, lane, sales, amount_msat)
SELECT settled_at / 86400000, service, auth_type, 0, COUNT(*), CAST(SUM(amount_msat) AS BIGINT)
FROM transactions WHERE settled_at IS NOT NULL
GROUP BY settled_at / 86400000, service, auth_type;

-- Sessions that have ended; those that are open are summed when somebody asks.
CREATE TABLE session_sums (
  day            BIGINT NOT NULL,  -- of the close, and of the refund's success
  service        TEXT   NOT NULL,
  lane           BIGINT NOT NULL,
  sessions       BIGINT NOT NULL CHECK (sessions >= 0),
  deposit_msat   BIGINT NOT NULL CHECK (deposit_msat >= 0),
  spent_msat     BIGINT NOT NULL CHECK (spent_msat >= 0),
  refund_msat    BIGINT NOT NULL CHECK (refund_msat >= 0),    -- to be given back
  refunded_msat  BIGINT NOT NULL CHECK (refunded_msat >= 0),  -- of that, paid
  fee_msat       BIGINT NOT NULL CHECK (fee_msat >= 0),
  rounding_msat  BIGINT NOT NULL CHECK (rounding_msat >= 0),
  PRIMARY KEY (day, service, lane)
);
INSERT INTO session_sums (day, service, lane, sessions, deposit_msat, spent_msat, refund_msat,
                          refunded_msat, fee_msat, rounding_msat)
SELECT closed_at / 86400000, service, 0, COUNT(*), CAST(SUM(deposit_msat) AS BIGINT),
       CAST(SUM(spent_msat) AS BIGINT), CAST(SUM(refund_msat) AS BIGINT),
       CAST(SUM(CASE WHEN refund_stage = 'succeeded' THEN refund_msat ELSE 0 END) AS BIGINT),
       CAST(SUM(refund_fee_msat) AS BIGINT), CAST(SUM(rounding_msat) AS BIGINT)
FROM sessions WHERE state = 'closed' GROUP BY closed_at / 86400000, service;

-- Its settled rows are summed and gone: nothing that comes over this hash later is booked again.
ALTER TABLE invoices ADD COLUMN booked BIGINT NOT NULL DEFAULT 0 CHECK (booked IN (0, 1));

-- Of sessions that were pruned: one return invoice, one refund, for good.
CREATE TABLE past_return_invoices (
  return_hash  BYTEA NOT NULL PRIMARY KEY CHECK (length(return_hash) = 32)
);

CREATE INDEX sessions_over ON sessions (closed_at)
  WHERE refund_stage IN ('skipped', 'succeeded');

INSERT INTO schema_migrations (version, name, checksum, applied_at)
VALUES (7, 'sums', '1528586dd021f256ee3ca7f930d407fe6e84cf0b5bf78c9576f68baf4b51db3b', 0);

-- 008 pricing

-- Reports to price sources, each until it was taken, and what the reference price server keeps.

CREATE TABLE usage_reports (
  id               TEXT   NOT NULL PRIMARY KEY,
  source           TEXT   NOT NULL,
  kind             TEXT   NOT NULL CHECK (kind IN ('token', 'session')),
  subject          TEXT   NOT NULL,
  service          TEXT   NOT NULL,
  path             TEXT   NOT NULL,
  reserved         BIGINT NOT NULL,
  estimate_msat    BIGINT NOT NULL CHECK (estimate_msat >= 0),
  request_text     BYTEA   NOT NULL,
  created_at       BIGINT NOT NULL,
  -- The process that serves the request while it is open.
  boot             TEXT   NOT NULL,
  state            TEXT   NOT NULL CHECK (state IN ('open', 'due')),
  -- due: when it is told, or told again; open: when nobody serves its request any more.
  due_at           BIGINT NOT NULL,
  attempts         BIGINT NOT NULL CHECK (attempts >= 0),
  status           BIGINT NOT NULL,
  content_type     TEXT   NOT NULL,
  content_encoding TEXT   NOT NULL,
  complete         BIGINT NOT NULL CHECK (complete IN (0, 1)),
  tail             BYTEA   NOT NULL
);
CREATE INDEX usage_reports_due ON usage_reports (due_at);
CREATE INDEX usage_reports_subject ON usage_reports (subject);

-- Of the reference price server: what is left of the bundle that a token bought.
CREATE TABLE allowances (
  token_id      BYTEA   NOT NULL PRIMARY KEY CHECK (length(token_id) = 32),
  service       TEXT   NOT NULL,
  model         TEXT   NOT NULL,
  funds_msat    BIGINT NOT NULL CHECK (funds_msat > 0),
  spent_msat    BIGINT NOT NULL CHECK (spent_msat >= 0),
  held_msat     BIGINT NOT NULL CHECK (held_msat >= 0),
  created_at    BIGINT NOT NULL,
  first_used_at BIGINT,
  CHECK (spent_msat + held_msat <= funds_msat)
);
CREATE INDEX allowances_unused ON allowances (created_at) WHERE first_used_at IS NULL;

-- Reports that were settled, so that one which comes again is not settled again.
CREATE TABLE settled_reports (
  id         TEXT   NOT NULL PRIMARY KEY,
  settled_at BIGINT NOT NULL
);
CREATE INDEX settled_reports_at ON settled_reports (settled_at);

INSERT INTO schema_migrations (version, name, checksum, applied_at)
VALUES (8, 'pricing', '0edda72c4c7ee0633cff7d59e327bd4dac562f8c3697e203500c8698c8583d35', 0);

-- 009 audit

-- The audit: rows that are only ever added. The text is what counts; the other columns repeat parts
-- of it, or of its chain, to be searched by, and `octroi audit verify` compares them.

CREATE TABLE audit_writers (
  writer      TEXT   NOT NULL PRIMARY KEY,
  started_at  BIGINT NOT NULL
);

CREATE TABLE audit_rows (
  writer     TEXT   NOT NULL,
  seq        BIGINT NOT NULL CHECK (seq > 0),
  at         BIGINT NOT NULL,
  kind       TEXT   NOT NULL,
  call_id    TEXT   NOT NULL,
  run        TEXT   NOT NULL,
  agent      TEXT   NOT NULL,
  key_id     TEXT   NOT NULL,
  vendor     TEXT   NOT NULL,
  operation  TEXT   NOT NULL,
  policy     TEXT   NOT NULL,
  verdict    TEXT   NOT NULL,
  row_text   TEXT   NOT NULL,
  prev_hash  BYTEA   NOT NULL CHECK (length(prev_hash) = 32),
  row_hash   BYTEA   NOT NULL CHECK (length(row_hash) = 32),
  PRIMARY KEY (writer, seq)
);
CREATE INDEX audit_rows_at ON audit_rows (at, writer, seq);
CREATE INDEX audit_rows_run ON audit_rows (run, at, writer, seq) WHERE run <> '';

CREATE TABLE audit_checkpoints (
  writer      TEXT   NOT NULL,
  seq         BIGINT NOT NULL CHECK (seq > 0),
  row_hash    BYTEA   NOT NULL CHECK (length(row_hash) = 32),
  at          BIGINT NOT NULL,
  public_key  BYTEA   NOT NULL CHECK (length(public_key) = 32),
  signature   BYTEA   NOT NULL CHECK (length(signature) = 64),
  PRIMARY KEY (writer, seq)
);

INSERT INTO schema_migrations (version, name, checksum, applied_at)
VALUES (9, 'audit', '6048f45f094c3b8eff75dd94fd9046d806493bd8511ba37b4befa784b11b26a2', 0);

-- 010 spends

-- What vault keys spend. A reservation counts in one window of each scope that it is held against;
-- `settled + held` of a window never passes its limit by a reservation, and only the vendor's truth
-- can bring it over. The limit is not here: it is that of the policy which asks.

CREATE TABLE spend_windows (
  id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  scope      TEXT  COLLATE "C" NOT NULL,
  unit       TEXT   NOT NULL CHECK (unit IN ('micro_usd', 'calls')),
  starts_at  BIGINT NOT NULL,
  ends_at    BIGINT NOT NULL CHECK (ends_at > starts_at),
  -- Far below the end of the numbers, so that no sum of the two overflows.
  held       BIGINT NOT NULL CHECK (held >= 0 AND held <= 4000000000000000000),
  settled    BIGINT NOT NULL CHECK (settled >= 0 AND settled <= 4000000000000000000),
  -- The latest call that it counted: a clock that is behind it went back.
  seen_at    BIGINT NOT NULL,
  UNIQUE (scope, starts_at)
);
CREATE INDEX spend_windows_by_end ON spend_windows (ends_at);

CREATE TABLE spends (
  id            TEXT  COLLATE "C" NOT NULL PRIMARY KEY,
  fingerprint   BYTEA   NOT NULL,
  state         TEXT   NOT NULL CHECK (state IN ('held', 'unknown', 'settled', 'released')),
  amount        BIGINT NOT NULL CHECK (amount >= 0),
  settled       BIGINT NOT NULL CHECK (settled >= 0),
  -- 1: counted as spent because nobody found out.
  assumed       BIGINT NOT NULL CHECK (assumed IN (0, 1)),
  attempt       BIGINT NOT NULL CHECK (attempt > 0),
  created_at    BIGINT NOT NULL,
  changed_at    BIGINT NOT NULL,
  answer_by     BIGINT NOT NULL,
  give_up_at    BIGINT NOT NULL,
  replay_until  BIGINT NOT NULL,
  vendor        TEXT   NOT NULL,
  operation     TEXT   NOT NULL,
  policy        TEXT   NOT NULL,
  key_id        TEXT   NOT NULL,
  run           TEXT   NOT NULL,
  -- What the vendor made of it (ch_…, SM…), once that is known.
  object        TEXT   NOT NULL,
  -- In the order of their scopes: window, unit (u: micro-dollars, c: calls), amount, and what a
  -- release does with it (r: returns it, k: keeps it), as in "12u500000r,13c1k".
  holds         TEXT   NOT NULL,
  -- The row of spend_dedupe that it owns.
  dedupe        BYTEA
);
CREATE INDEX spends_open ON spends (state, answer_by) WHERE state IN ('held', 'unknown');
CREATE INDEX spends_by_object ON spends (vendor, object) WHERE object <> '';
CREATE INDEX spends_by_creation ON spends (created_at);

-- What was done a moment ago, by the hash of its content.
CREATE TABLE spend_dedupe (
  content   BYTEA   NOT NULL PRIMARY KEY,
  spend     TEXT  COLLATE "C" NOT NULL,
  until_at  BIGINT NOT NULL
);
CREATE INDEX spend_dedupe_by_end ON spend_dedupe (until_at);

INSERT INTO schema_migrations (version, name, checksum, applied_at)
VALUES (10, 'spends', '2e8b7ee0e3e163111b72056bce9e1879bcc662f52538532ba82e2bbdfa0b8394', 0);

-- 011 vault_keys

-- Keys of the vault door. Of a key only digests are here: whoever reads them can neither use nor
-- guess one.

CREATE TABLE vault_keys (
  -- The order in which they were made.
  seq          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id           TEXT   NOT NULL UNIQUE,
  secret_hash  BYTEA   NOT NULL,
  pair_id      TEXT   NOT NULL UNIQUE,
  pair_hash    BYTEA   NOT NULL,
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

INSERT INTO schema_migrations (version, name, checksum, applied_at)
VALUES (11, 'vault_keys', 'bf2877c0001aeb5bece2c26eb03c942de5bba483507b1e370ccd98d94d294854', 0);

-- 012 approvals

-- What waits for a human: one ticket for each exact request of a vault key.

CREATE TABLE approvals (
  -- The order in which they were asked.
  seq         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id          TEXT   NOT NULL UNIQUE,
  -- Of key, operation, path, query and canonical body.
  request     BYTEA   NOT NULL,
  body        BYTEA   NOT NULL,
  key_id      TEXT   NOT NULL,
  vendor      TEXT   NOT NULL,
  operation   TEXT   NOT NULL,
  method      TEXT   NOT NULL,
  path        TEXT   NOT NULL,
  customer    TEXT   NOT NULL,
  policy      TEXT   NOT NULL,
  run         TEXT   NOT NULL,
  agent       TEXT   NOT NULL,
  amount      BIGINT NOT NULL CHECK (amount >= 0),
  reason      TEXT   NOT NULL,
  state       TEXT   NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'used', 'expired')),
  asked_at    BIGINT NOT NULL,
  -- Pending: may be decided until then. Approved: may be used until then.
  expires_at  BIGINT NOT NULL,
  decided_at  BIGINT,
  decided_by  TEXT   NOT NULL,
  -- The reservation that it let pass.
  used_by     TEXT   NOT NULL,
  used_at     BIGINT,
  CHECK ((state = 'used') = (used_by <> '' AND used_at IS NOT NULL))
);
CREATE INDEX approvals_by_request ON approvals (request, seq);
CREATE INDEX approvals_open ON approvals (expires_at) WHERE state IN ('pending', 'approved');
CREATE INDEX approvals_pending ON approvals (key_id) WHERE state = 'pending';

-- One row: counts the changes, so that whoever waits notices what another process decided.
CREATE TABLE approval_list (
  id       BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
  version  BIGINT NOT NULL CHECK (version >= 0)
);
INSERT INTO approval_list (id, version) VALUES (1, 0);

INSERT INTO schema_migrations (version, name, checksum, applied_at)
VALUES (12, 'approvals', '3977d4c12fbc7e036fa06651fc749a07e318e9cbb470f4923f566ed7b2f23842', 0);

-- 013 governance

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

INSERT INTO schema_migrations (version, name, checksum, applied_at)
VALUES (13, 'governance', '2d74a1776ba66a202fb34d4fe6550b80c2a0fe9bcfeb804458d30e197b88793e', 0);

-- 014 sales

-- Whether a sale has its row in the audit. Those before this migration count as told; what is
-- settled from now on says 0 itself (sale_operations.cc).
ALTER TABLE transactions ADD COLUMN told BIGINT NOT NULL DEFAULT 1 CHECK (told IN (0, 1));
CREATE INDEX transactions_untold ON transactions (id) WHERE told = 0;

INSERT INTO schema_migrations (version, name, checksum, applied_at)
VALUES (14, 'sales', '24a28e4c9b8ac8e6b54ff3d9d1a72869b87a9cc7ec276a773eb2ed4cdc7f37cd', 0);

-- 015 credentials

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

INSERT INTO schema_migrations (version, name, checksum, applied_at)
VALUES (15, 'credentials', 'c12dd4e6811d995268e25a51c6b6e18451ebf97c09efcbfd788da1bd73dcc8c0', 0);

-- 016 compared_checks

-- To see whether a value is one of three or more, SQLite builds a table of them for every row that
-- is written. The two tables that get a row with every challenge and every call compare instead;
-- PostgreSQL does so by itself.



INSERT INTO schema_migrations (version, name, checksum, applied_at)
VALUES (16, 'compared_checks', '1c92381c69914789e9c1786441f6fee8cd5b3735da22c4a6263dd5b85cf7b07a', 0);

-- 017 audit_order

-- The order in which chains of the audit began, whatever the clocks said: each names the one that began
-- before it.

ALTER TABLE audit_writers ADD COLUMN number BIGINT;


UPDATE audit_writers SET number = numbered.number FROM
  (SELECT writer, ROW_NUMBER() OVER (ORDER BY started_at, writer) AS number FROM audit_writers) numbered
  WHERE numbered.writer = audit_writers.writer;

CREATE UNIQUE INDEX audit_writers_number ON audit_writers (number);

INSERT INTO schema_migrations (version, name, checksum, applied_at)
VALUES (17, 'audit_order', '07fec75fdab10a240ca16ab1850a3afc8d9249c75e2fa746a6a43ad29ac3065e', 0);

COMMIT;
