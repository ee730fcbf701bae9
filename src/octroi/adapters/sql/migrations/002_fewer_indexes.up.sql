-- Most rows are challenges that nobody pays. They are found by their hash, by their service and by
-- the time at which they may go; only what was paid is looked for in other ways.

DROP INDEX transactions_auth_type;
DROP INDEX transactions_settled_at;
DROP INDEX transactions_token_id;
CREATE INDEX transactions_auth_type ON transactions (auth_type, id) WHERE settled_at IS NOT NULL;
CREATE INDEX transactions_settled_at ON transactions (settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX transactions_token_id ON transactions (token_id) WHERE settled_at IS NOT NULL;
