CREATE TABLE allowances (
  token_id      BLOB   NOT NULL PRIMARY KEY CHECK (length(token_id) = 32),
  service       TEXT   NOT NULL,
  model         TEXT   NOT NULL,
  funds_msat    BIGINT NOT NULL CHECK (funds_msat > 0),
  spent_msat    BIGINT NOT NULL CHECK (spent_msat >= 0),
  held_msat     BIGINT NOT NULL CHECK (held_msat >= 0),
  created_at    BIGINT NOT NULL,
  first_used_at BIGINT,
  CHECK (spent_msat + held_msat <= funds_msat)
);

CREATE TABLE approval_list (
  id       BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
  version  BIGINT NOT NULL CHECK (version >= 0)
);

CREATE TABLE approvals (
  -- The order in which they were asked.
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  id          TEXT   NOT NULL UNIQUE,
  -- Of key, operation, path, query and canonical body.
  request     BLOB   NOT NULL,
  body        BLOB   NOT NULL,
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

CREATE TABLE audit_checkpoints (
  writer      TEXT   NOT NULL,
  seq         BIGINT NOT NULL CHECK (seq > 0),
  row_hash    BLOB   NOT NULL CHECK (length(row_hash) = 32),
  at          BIGINT NOT NULL,
  public_key  BLOB   NOT NULL CHECK (length(public_key) = 32),
  signature   BLOB   NOT NULL CHECK (length(signature) = 64),
  PRIMARY KEY (writer, seq)
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
  prev_hash  BLOB   NOT NULL CHECK (length(prev_hash) = 32),
  row_hash   BLOB   NOT NULL CHECK (length(row_hash) = 32),
  PRIMARY KEY (writer, seq)
);

CREATE TABLE audit_writers (
  writer      TEXT   NOT NULL PRIMARY KEY,
  started_at  BIGINT NOT NULL
, number BIGINT);

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
, booked BIGINT NOT NULL DEFAULT 0 CHECK (booked IN (0, 1)));

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

CREATE TABLE "offers" (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  hash          BLOB   NOT NULL CHECK (length(hash) = 32),
  auth_type     TEXT   NOT NULL CHECK (auth_type = 'l402' OR auth_type = 'mpp_charge'
                       OR auth_type = 'mpp_session'),
  service       TEXT   NOT NULL,
  amount_msat   BIGINT NOT NULL CHECK (amount_msat >= 0),
  challenge_id  TEXT   NOT NULL,
  token_id      BLOB   CHECK (token_id IS NULL OR length(token_id) = 32),
  request_id    TEXT   NOT NULL,
  created_at    BIGINT NOT NULL,
  expires_at    BIGINT NOT NULL
);

CREATE TABLE past_return_invoices (
  return_hash  BLOB NOT NULL PRIMARY KEY CHECK (length(return_hash) = 32)
);

CREATE TABLE revenue (
  day          BIGINT NOT NULL,  -- days since the Unix epoch, of settlement
  service      TEXT   NOT NULL,
  auth_type    TEXT   NOT NULL CHECK (auth_type IN ('l402', 'mpp_charge', 'mpp_session')),
  lane         BIGINT NOT NULL,
  sales        BIGINT NOT NULL CHECK (sales >= 0),
  amount_msat  BIGINT NOT NULL CHECK (amount_msat >= 0),
  PRIMARY KEY (day, service, auth_type, lane)
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

CREATE TABLE service_list (
  id       BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
  version  BIGINT NOT NULL CHECK (version >= 0)
);

CREATE TABLE services (
  -- The order in which they were made, which is the order in which they are matched.
  seq          INTEGER PRIMARY KEY AUTOINCREMENT,
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

CREATE TABLE settled_reports (
  id         TEXT   NOT NULL PRIMARY KEY,
  settled_at BIGINT NOT NULL
);

CREATE TABLE spend_dedupe (
  content   BLOB   NOT NULL PRIMARY KEY,
  spend     TEXT /*pg COLLATE "C"*/ NOT NULL,
  until_at  BIGINT NOT NULL
);

CREATE TABLE spend_windows (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  scope      TEXT /*pg COLLATE "C"*/ NOT NULL,
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

CREATE TABLE "spends" (
  id            TEXT   NOT NULL PRIMARY KEY,
  fingerprint   BLOB   NOT NULL,
  state         TEXT   NOT NULL CHECK (state = 'held' OR state = 'unknown' OR state = 'settled'
                       OR state = 'released'),
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
  dedupe        BLOB
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
  settled_at    BIGINT, told BIGINT NOT NULL DEFAULT 1 CHECK (told IN (0, 1)),
  UNIQUE (hash, auth_type),
  CHECK ((state = 'settled') = (settled_at IS NOT NULL))
);

CREATE TABLE usage_reports (
  id               TEXT   NOT NULL PRIMARY KEY,
  source           TEXT   NOT NULL,
  kind             TEXT   NOT NULL CHECK (kind IN ('token', 'session')),
  subject          TEXT   NOT NULL,
  service          TEXT   NOT NULL,
  path             TEXT   NOT NULL,
  reserved         BIGINT NOT NULL,
  estimate_msat    BIGINT NOT NULL CHECK (estimate_msat >= 0),
  request_text     BLOB   NOT NULL,
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
  tail             BLOB   NOT NULL
);

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

CREATE TABLE vault_key_list (
  id       BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
  version  BIGINT NOT NULL CHECK (version >= 0)
);

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
, parent TEXT NOT NULL DEFAULT '', canary BIGINT NOT NULL DEFAULT 0 CHECK (canary IN (0, 1)), networks TEXT NOT NULL DEFAULT '', line TEXT NOT NULL DEFAULT '');

CREATE TABLE vault_policies (
  name        TEXT   NOT NULL PRIMARY KEY,
  document    TEXT   NOT NULL CHECK (document <> ''),
  version     BIGINT NOT NULL CHECK (version > 0),
  created_at  BIGINT NOT NULL,
  updated_at  BIGINT NOT NULL
);

CREATE TABLE vault_policy_list (
  id       BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
  version  BIGINT NOT NULL CHECK (version >= 0)
);

CREATE TABLE vault_policy_versions (
  name      TEXT   NOT NULL,
  version   BIGINT NOT NULL CHECK (version > 0),
  document  TEXT   NOT NULL,
  at        BIGINT NOT NULL,
  PRIMARY KEY (name, version)
);

CREATE INDEX allowances_unused ON allowances (created_at) WHERE first_used_at IS NULL;

CREATE INDEX approvals_by_request ON approvals (request, seq);

CREATE INDEX approvals_open ON approvals (expires_at) WHERE state IN ('pending', 'approved');

CREATE INDEX approvals_pending ON approvals (key_id) WHERE state = 'pending';

CREATE INDEX audit_rows_at ON audit_rows (at, writer, seq);

CREATE INDEX audit_rows_run ON audit_rows (run, at, writer, seq) WHERE run <> '';

CREATE UNIQUE INDEX audit_writers_number ON audit_writers (number);

CREATE INDEX bundles_keep_until ON bundles (keep_until);

CREATE INDEX bundles_service ON bundles (service, seq);

CREATE INDEX free_quota_window_end ON free_quota (window_end);

CREATE INDEX invoices_keep_until ON invoices (keep_until);

CREATE INDEX nonces_keep_until ON nonces (keep_until);

CREATE INDEX sessions_look_at ON sessions (look_at) WHERE state = 'open';

CREATE INDEX sessions_over ON sessions (closed_at)
  WHERE refund_stage IN ('skipped', 'succeeded');

CREATE INDEX sessions_service ON sessions (service, seq);

CREATE INDEX sessions_unfinished ON sessions (refund_at) WHERE refund_stage IN ('due', 'sending');

CREATE INDEX settled_reports_at ON settled_reports (settled_at);

CREATE INDEX spend_dedupe_by_end ON spend_dedupe (until_at);

CREATE INDEX spend_windows_by_end ON spend_windows (ends_at);

CREATE INDEX spends_by_creation ON spends (created_at);

CREATE INDEX spends_by_object ON spends (vendor, object) WHERE object <> '';

CREATE INDEX spends_open ON spends (state, answer_by) WHERE state IN ('held', 'unknown');

CREATE INDEX transactions_auth_type ON transactions (auth_type, id) WHERE settled_at IS NOT NULL;

CREATE INDEX transactions_created_at ON transactions (created_at);

CREATE INDEX transactions_service ON transactions (service, id);

CREATE INDEX transactions_settled_at ON transactions (settled_at) WHERE settled_at IS NOT NULL;

CREATE INDEX transactions_token_id ON transactions (token_id) WHERE settled_at IS NOT NULL;

CREATE INDEX transactions_untold ON transactions (id) WHERE told = 0;

CREATE INDEX usage_reports_due ON usage_reports (due_at);

CREATE INDEX usage_reports_subject ON usage_reports (subject);

CREATE UNIQUE INDEX vault_credential_states ON vault_credential_versions (vendor, state);

CREATE INDEX vault_keys_parent ON vault_keys (parent) WHERE parent <> '';
