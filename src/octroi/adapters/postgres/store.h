// octroi/adapters/postgres/store.h: ledger::Store in a PostgreSQL database, shared by replicas.
//
// Durability   a caller goes on only after the server has acknowledged its commit. A server whose
//              synchronous_commit would acknowledge before the disk has it is refused at start.
// Failing      while the server cannot be reached every operation answers Errc::unavailable, and
//              nothing is accepted; it heals by itself. An operation whose connection was lost
//              during its commit fails too, though it may have been written; a consume() that ended
//              so is completed by the next one with the same credential in this process.
// Sharing      any number of processes; each operation is right under READ COMMITTED.
// Thread       operations from any thread (see adapters/sql/lane.h). Outside a loop they block.
// Source       architecture 3.6.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "octroi/adapters/postgres/session.h"
#include "octroi/adapters/sql/migrations.h"
#include "octroi/base/clock.h"
#include "octroi/base/random.h"
#include "octroi/base/result.h"
#include "octroi/ledger/store.h"

namespace octroi::postgres {

struct PostgresOptions {
  SessionOptions session;
  bool migrate = true;          // false: a database that is behind is refused
  int writers = 4;              // connections that write
  int readers = 2;              // connections for look-ups
  std::size_t max_batch = 256;  // operations a commit
  std::size_t max_queue =
      16384;  // operations waiting at one connection; beyond it they are refused
};

/// `clock` and `random` must outlive the store; `random` gives the boot id.
[[nodiscard]] Result<std::unique_ptr<ledger::Store>> open_postgres_store(
    PostgresOptions options, Clock& clock, Random& random = system_random());

/// For `octroi migrate`; servers may be running.
[[nodiscard]] Result<std::vector<sql::MigrationStatus>> postgres_migration_status(
    const SessionOptions& options);
/// Up or down to `target`. Returns the number of steps.
[[nodiscard]] Result<int> migrate_postgres(const SessionOptions& options, std::int64_t target,
                                           Clock& clock);

}  // namespace octroi::postgres
