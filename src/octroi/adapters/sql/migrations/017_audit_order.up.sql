-- The order in which chains of the audit began, whatever the clocks said: each names the one that began
-- before it.

ALTER TABLE audit_writers ADD COLUMN number BIGINT;
/*sqlite*/
UPDATE audit_writers SET number = rowid;
/**/
/*pg
UPDATE audit_writers SET number = numbered.number FROM
  (SELECT writer, ROW_NUMBER() OVER (ORDER BY started_at, writer) AS number FROM audit_writers) numbered
  WHERE numbered.writer = audit_writers.writer;
*/
CREATE UNIQUE INDEX audit_writers_number ON audit_writers (number);
