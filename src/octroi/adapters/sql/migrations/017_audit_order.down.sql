DROP INDEX audit_writers_number;
ALTER TABLE audit_writers DROP COLUMN number;
