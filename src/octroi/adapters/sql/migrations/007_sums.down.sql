DROP INDEX sessions_over;
DROP TABLE past_return_invoices;
ALTER TABLE invoices DROP COLUMN booked;
DROP TABLE session_sums;
DROP TABLE revenue;
