INSERT INTO transactions (id, hash, auth_type, service, amount_msat, challenge_id, token_id,
                          request_id, state, created_at, expires_at, settled_at)
/*pg OVERRIDING SYSTEM VALUE */
SELECT id, hash, auth_type, service, amount_msat, challenge_id, token_id, request_id, 'pending',
       created_at, expires_at, NULL
FROM offers WHERE true ON CONFLICT (hash, auth_type) DO NOTHING;
DROP TABLE offers;
CREATE INDEX transactions_state ON transactions (state, expires_at);
