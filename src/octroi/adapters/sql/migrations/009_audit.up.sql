-- The audit: rows that are only ever added. The text is what counts; the other columns repeat parts
-- of it, or of its chain, to be searched by, and `octroi audit verify` compares them.

CREATE TABLE audit_writers (
  writer      TEXT   NOT NULL PRIMARY KEY,
  started_at  BIGINT NOT NULL
);

CREATE TABLE audit_rows (
  writer     TEXT   NOT NULL,
  seq        BIGINT NOT NULL CHECK (seq > 0),
  at         BIGINT NOT NULL,
  kind       TEXT   NOT NULL,
  call_id    TEXT   NOT NULL,
  run        TEXT   NOT NULL,
  agent      TEXT   NOT NULL,
  key_id     TEXT   NOT NULL,
  vendor     TEXT   NOT NULL,
  operation  TEXT   NOT NULL,
  policy     TEXT   NOT NULL,
  verdict    TEXT   NOT NULL,
  row_text   TEXT   NOT NULL,
  prev_hash  BLOB   NOT NULL CHECK (length(prev_hash) = 32),
  row_hash   BLOB   NOT NULL CHECK (length(row_hash) = 32),
  PRIMARY KEY (writer, seq)
);
CREATE INDEX audit_rows_at ON audit_rows (at, writer, seq);
CREATE INDEX audit_rows_run ON audit_rows (run, at, writer, seq) WHERE run <> '';

CREATE TABLE audit_checkpoints (
  writer      TEXT   NOT NULL,
  seq         BIGINT NOT NULL CHECK (seq > 0),
  row_hash    BLOB   NOT NULL CHECK (length(row_hash) = 32),
  at          BIGINT NOT NULL,
  public_key  BLOB   NOT NULL CHECK (length(public_key) = 32),
  signature   BLOB   NOT NULL CHECK (length(signature) = 64),
  PRIMARY KEY (writer, seq)
);
