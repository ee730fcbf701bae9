// octroi/adapters/sqlite/store.h: ledger::Store in one SQLite file, for one process.
//
// Durability   write-ahead log with synchronous=FULL: a caller goes on only after its commit is on
//              the disk. When a commit fails, all its callers fail and the store is read-only until
//              a restart; ping() says so.
// Lock         opening takes an exclusive lock beside the file (ledger::Errc::locked); every way to
//              open the store, also for reading, takes the same one.
// At rest      the file and its log are 0600 and hold secrets as they are: whoever can read
//              them can mint challenges. Put the file where only octroi's user comes.
// Thread       operations from any thread (see adapters/sql/lane.h). Outside a loop they block.
// Source       architecture 3.6.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "octroi/adapters/sql/migrations.h"
#include "octroi/base/clock.h"
#include "octroi/base/random.h"
#include "octroi/base/result.h"
#include "octroi/ledger/store.h"

namespace octroi::sqlite {

using sql::MigrationStatus;

struct SqliteOptions {
  std::string path;                        // the folder's last part is created when missing
  bool migrate = true;                     // false: a database that is behind is refused
  std::size_t max_batch = 256;             // operations a commit
  std::size_t max_queue = 65536;           // operations waiting; beyond it they are refused
  int checkpoint_frames = 4000;            // pages in the log before they are moved into the file
  std::chrono::microseconds gather{3000};  // under load, the longest wait for more to commit
  std::string vfs;                         // tests only: a registered SQLite file system
};

/// `clock` and `random` must outlive the store; `random` gives the boot id.
[[nodiscard]] Result<std::unique_ptr<ledger::Store>> open_sqlite_store(
    SqliteOptions options, Clock& clock, Random& random = system_random());

/// For `octroi migrate`, under the same lock as a server.
[[nodiscard]] Result<std::vector<MigrationStatus>> sqlite_migration_status(
    const SqliteOptions& options);
/// Up or down to `target` (kLatestSchema: the newest known). Returns the number of steps.
inline constexpr std::int64_t kLatestSchema = -1;
[[nodiscard]] Result<int> migrate_sqlite(const SqliteOptions& options, std::int64_t target,
                                         Clock& clock);
/// A consistent copy at `to`, which must not exist (0600), also while a server runs.
[[nodiscard]] Result<> backup_sqlite(const SqliteOptions& options, const std::string& to);
/// From such a copy, which is checked as a whole, to options.path, where nothing may be yet. A copy
/// of an older octroi is brought up to date at the next start.
[[nodiscard]] Result<> restore_sqlite(const SqliteOptions& options, const std::string& from);
/// The newest schema, as SQLite tells it.
[[nodiscard]] Result<std::string> sqlite_schema();

}  // namespace octroi::sqlite
