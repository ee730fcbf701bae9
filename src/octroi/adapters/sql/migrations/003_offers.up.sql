-- Challenges that nobody has paid move to a table of their own, to which rows are only added and from
-- whose old end they are only taken: anybody can make such rows, by asking. `transactions` is the
-- books: what was paid. Both draw their ids from one sequence, so that a row keeps its id.

/*sqlite*/
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

INSERT INTO offers (id, hash, auth_type, service, amount_msat, challenge_id, token_id, request_id,
                    created_at, expires_at)
SELECT id, hash, auth_type, service, amount_msat, challenge_id, token_id, request_id,
       created_at, expires_at
FROM transactions WHERE settled_at IS NULL ORDER BY id;
DELETE FROM transactions WHERE settled_at IS NULL;

/*sqlite*/
-- A row is found by a hash that the process keeps in memory.
DELETE FROM sqlite_sequence WHERE name = 'offers';
INSERT INTO sqlite_sequence (name, seq)
SELECT 'offers', seq FROM sqlite_sequence WHERE name = 'transactions';
/**/
/*pg
CREATE INDEX offers_hash ON offers USING hash (hash);
*/

DROP INDEX transactions_state;
