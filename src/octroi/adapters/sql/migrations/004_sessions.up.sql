-- Prepaid sessions: one row each, from the deposit to the refund, kept for good.

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
CREATE INDEX sessions_service ON sessions (service, seq);
CREATE INDEX sessions_look_at ON sessions (look_at) WHERE state = 'open';
CREATE INDEX sessions_unfinished ON sessions (refund_at) WHERE refund_stage IN ('due', 'sending');
