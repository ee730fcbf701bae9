-- What waits for a human: one ticket for each exact request of a vault key.

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
CREATE INDEX approvals_by_request ON approvals (request, seq);
CREATE INDEX approvals_open ON approvals (expires_at) WHERE state IN ('pending', 'approved');
CREATE INDEX approvals_pending ON approvals (key_id) WHERE state = 'pending';

-- One row: counts the changes, so that whoever waits notices what another process decided.
CREATE TABLE approval_list (
  id       BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
  version  BIGINT NOT NULL CHECK (version >= 0)
);
INSERT INTO approval_list (id, version) VALUES (1, 0);
