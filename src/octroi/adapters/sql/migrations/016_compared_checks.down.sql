/*sqlite*/
CREATE TABLE offers_listed (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
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
INSERT INTO offers_listed (id, hash, auth_type, service, amount_msat, challenge_id, token_id,
                             request_id, created_at, expires_at)
SELECT id, hash, auth_type, service, amount_msat, challenge_id, token_id, request_id,
       created_at, expires_at
FROM offers ORDER BY id;
-- The ids of what is gone stay used: `transactions` draws from the same sequence.
DELETE FROM sqlite_sequence WHERE name = 'offers_listed';
INSERT INTO sqlite_sequence (name, seq)
SELECT 'offers_listed', seq FROM sqlite_sequence WHERE name = 'offers';
DROP TABLE offers;
ALTER TABLE offers_listed RENAME TO offers;

CREATE TABLE spends_listed (
  id            TEXT   NOT NULL PRIMARY KEY,
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
INSERT INTO spends_listed (id, fingerprint, state, amount, settled, assumed, attempt, created_at,
                             changed_at, answer_by, give_up_at, replay_until, vendor, operation, policy,
                             key_id, run, object, holds, dedupe)
SELECT id, fingerprint, state, amount, settled, assumed, attempt, created_at, changed_at,
       answer_by, give_up_at, replay_until, vendor, operation, policy, key_id,
       run, object, holds, dedupe
FROM spends ORDER BY rowid;
DROP TABLE spends;
ALTER TABLE spends_listed RENAME TO spends;
CREATE INDEX spends_open ON spends (state, answer_by) WHERE state IN ('held', 'unknown');
CREATE INDEX spends_by_object ON spends (vendor, object) WHERE object <> '';
CREATE INDEX spends_by_creation ON spends (created_at);
/**/
