DROP INDEX transactions_auth_type;
DROP INDEX transactions_settled_at;
DROP INDEX transactions_token_id;
CREATE INDEX transactions_auth_type ON transactions (auth_type, id);
CREATE INDEX transactions_settled_at ON transactions (settled_at);
CREATE INDEX transactions_token_id ON transactions (token_id);
