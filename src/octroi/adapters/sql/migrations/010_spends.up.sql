-- What vault keys spend. A reservation counts in one window of each scope that it is held against;
-- `settled + held` of a window never passes its limit by a reservation, and only the vendor's truth
-- can bring it over. The limit is not here: it is that of the policy which asks.

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
CREATE INDEX spend_windows_by_end ON spend_windows (ends_at);

CREATE TABLE spends (
  id            TEXT /*pg COLLATE "C"*/ NOT NULL PRIMARY KEY,
  fingerprint   BLOB   NOT NULL,
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
  dedupe        BLOB
);
CREATE INDEX spends_open ON spends (state, answer_by) WHERE state IN ('held', 'unknown');
CREATE INDEX spends_by_object ON spends (vendor, object) WHERE object <> '';
CREATE INDEX spends_by_creation ON spends (created_at);

-- What was done a moment ago, by the hash of its content.
CREATE TABLE spend_dedupe (
  content   BLOB   NOT NULL PRIMARY KEY,
  spend     TEXT /*pg COLLATE "C"*/ NOT NULL,
  until_at  BIGINT NOT NULL
);
CREATE INDEX spend_dedupe_by_end ON spend_dedupe (until_at);
