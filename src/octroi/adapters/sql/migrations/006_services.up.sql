-- Services that were added while octroi ran. The document is what the service's section of the
-- configuration file would hold, as canonical JSON: nothing can be lost between the two. The other
-- columns are what is looked for without reading it.

CREATE TABLE services (
  -- The order in which they were made, which is the order in which they are matched.
  seq          INTEGER PRIMARY KEY AUTOINCREMENT,
  name         TEXT   NOT NULL UNIQUE,
  document     TEXT   NOT NULL,
  enabled      BIGINT NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
  auth_scheme  TEXT   NOT NULL DEFAULT 'l402'
               CHECK (auth_scheme IN ('l402', 'payment', 'l402+payment')),
  -- Of the list as a whole when this service was changed last.
  version      BIGINT NOT NULL CHECK (version > 0),
  created_at   BIGINT NOT NULL,
  updated_at   BIGINT NOT NULL
);

-- One row: counts the changes. A change is made only from the version that it was judged against.
CREATE TABLE service_list (
  id       BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
  version  BIGINT NOT NULL CHECK (version >= 0)
);
INSERT INTO service_list (id, version) VALUES (1, 0);
