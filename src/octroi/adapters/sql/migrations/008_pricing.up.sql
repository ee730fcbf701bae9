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
CREATE INDEX usage_reports_due ON usage_reports (due_at);
CREATE INDEX usage_reports_subject ON usage_reports (subject);

-- Of the reference price server: what is left of the bundle that a token bought.
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
CREATE INDEX allowances_unused ON allowances (created_at) WHERE first_used_at IS NULL;

-- Reports that were settled, so that one which comes again is not settled again.
CREATE TABLE settled_reports (
  id         TEXT   NOT NULL PRIMARY KEY,
  settled_at BIGINT NOT NULL
);
CREATE INDEX settled_reports_at ON settled_reports (settled_at);
