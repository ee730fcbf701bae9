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
  return_hash  BLOB NOT NULL PRIMARY KEY CHECK (length(return_hash) = 32)
);

CREATE INDEX sessions_over ON sessions (closed_at)
  WHERE refund_stage IN ('skipped', 'succeeded');
