-- Whether a sale has its row in the audit. Those before this migration count as told; what is
-- settled from now on says 0 itself (sale_operations.cc).
ALTER TABLE transactions ADD COLUMN told BIGINT NOT NULL DEFAULT 1 CHECK (told IN (0, 1));
CREATE INDEX transactions_untold ON transactions (id) WHERE told = 0;
