DROP INDEX transactions_untold;
ALTER TABLE transactions DROP COLUMN told;
