DROP TABLE key_values;
DROP TABLE secrets;
DROP TABLE free_quota;
DROP TABLE revoked_tokens;
DROP TABLE nonces;
DROP TABLE consumed;
DROP TABLE transactions;
DROP TABLE invoices;
