#include "octroi/adapters/sqlite/store.h"

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "octroi/adapters/sql/store.h"
#include "octroi/adapters/sqlite/database.h"
#include "octroi/adapters/sqlite/store_file.h"
#include "octroi/adapters/sqlite/workers.h"

namespace octroi::sqlite {
namespace {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words

Result<std::unique_ptr<Database>> open_for_writing(const std::string& path,
                                                   const std::string& vfs) {
  OCTROI_TRY(auto db, Database::open(path, Access::read_write, vfs));
  {
    OCTROI_TRY(Query q, db->query("PRAGMA journal_mode = WAL"));
    OCTROI_TRY(const bool row, q.step());
    if (!row || q.text(0) != "wal") {
      return fail(Errc::unavailable,
                  fmt::format("store {}: this file system cannot hold a write-ahead log; use a "
                              "local disk",
                              path));
    }
  }
  OCTROI_CHECK(
      db->script("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA cache_size = -16384;"));
  return db;
}

class SqliteLanes final : public sql::Lanes {
 public:
  SqliteLanes(StoreFile file, std::unique_ptr<Database> writer, std::unique_ptr<CallLog> log,
              std::unique_ptr<Database> reader, const SqliteOptions& o)
      : file_(std::move(file)),
        calls_(*writer->calls()),
        writer_(std::make_unique<Writer>(std::move(writer), std::move(log), o.checkpoint_frames),
                {o.max_batch, o.max_queue, o.gather}),
        reader_(std::make_unique<Reader>(std::move(reader)), {o.max_batch, o.max_queue}) {}
  sql::Lane& writer(std::uint64_t /*key*/) override { return writer_; }
  sql::Lane& reader() override { return reader_; }
  [[nodiscard]] bool shared() const override { return false; }
  sql::Lane& calls() override { return has_hidden_calls() ? writer_ : reader_; }
  Task<Result<>> show_calls() override {
    if (!has_hidden_calls()) co_return Result<>{};
    co_return co_await writer_.call<>(0,
                                      [](sql::Connection& db) { return sql::write_out_calls(db); });
  }

 private:
  [[nodiscard]] bool has_hidden_calls() const { return writer_.has_posted() || calls_.pending(); }

  StoreFile file_;                // first in, last out: the lock is held while any lane lives
  const sql::CallBuffer& calls_;  // the writer's
  sql::Lane writer_;
  sql::Lane reader_;
};

tl::unexpected<Error> refused_by_system(const std::string& what, int error) {
  return fail(Errc::unavailable,
              fmt::format("{}: {}", what, std::generic_category().message(error)));
}

Result<> sync_path(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return refused_by_system(path, errno);
  const int error = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (error != 0) return refused_by_system(path, error);
  return {};
}

/// SQLite does not sync what it copies: a copy that is gone after a power cut is none.
Result<> copy_into(Database& db, const std::string& to) {
  // SQLite takes an empty file as the target; making it first gives it our mode and no one else's.
  const int fd = ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return refused_by_system("backup " + to, errno);
  ::close(fd);
  {
    OCTROI_TRY(Query q, db.prepare("VACUUM INTO ?"));
    q.bind(std::string_view(to));
    OCTROI_CHECK(q.run());
  }
  return sync_path(to);
}

/// Nothing is overwritten, also not what only looks empty because its pages are in the log.
Result<> check_free(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-calls"}) {
    std::error_code missing;
    const auto size = std::filesystem::file_size(path + suffix, missing);
    if (!missing && size > 0) {
      return fail(Errc::locked, fmt::format("store {} is there already: stop its server and move "
                                            "the file away first, with its -wal, -shm and -calls",
                                            path));
    }
  }
  return {};
}

Result<> check_whole(Database& db) {
  OCTROI_TRY(Query q, db.query("PRAGMA integrity_check(1)"));
  OCTROI_TRY(const bool row, q.step());
  if (!row || q.text(0) != "ok") return fail(Errc::corrupt, "it is damaged; take another one");
  OCTROI_TRY(const std::int64_t schema, sql::schema_version(db, sql::embedded_migrations()));
  if (schema == 0) return fail(Errc::corrupt, "it is empty");
  return {};
}

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(SqliteOptions options, Clock& clock,
                                                 Random& random) {
  OCTROI_TRY(StoreFile file, StoreFile::open(options.path));
  OCTROI_TRY(auto writer, open_for_writing(file.path(), options.vfs));
  if (auto ready = sql::bring_up_to_date(*writer, options.migrate, clock.now()); !ready) {
    return fail(std::move(ready).error().within("store " + file.path()));
  }
  auto log = std::make_unique<CallLog>(file.path(), options.vfs);
  OCTROI_CHECK(replay_calls(*writer, *log));
  OCTROI_CHECK(writer->keep_offer_index());
  writer->keep_calls();
  OCTROI_TRY(auto reader, Database::open(file.path(), Access::read_only, options.vfs));
  return std::make_unique<sql::SqlStore>(
      std::make_unique<SqliteLanes>(std::move(file), std::move(writer), std::move(log),
                                    std::move(reader), options),
      clock, to_hex(random.bytes<16>()));
}

Result<std::vector<MigrationStatus>> sqlite_migration_status(const SqliteOptions& options) {
  OCTROI_TRY(StoreFile file, StoreFile::open(options.path));
  OCTROI_TRY(auto db, open_for_writing(file.path(), options.vfs));
  return sql::migration_status(*db, sql::embedded_migrations());
}

Result<int> migrate_sqlite(const SqliteOptions& options, std::int64_t target, Clock& clock) {
  OCTROI_TRY(StoreFile file, StoreFile::open(options.path));
  OCTROI_TRY(auto db, open_for_writing(file.path(), options.vfs));
  OCTROI_TRY(const bool has_calls, db->has_table("spends"));
  if (has_calls) {
    CallLog log(file.path(), options.vfs);
    OCTROI_CHECK(replay_calls(*db, log));
  }
  const auto known = sql::embedded_migrations();
  if (target == kLatestSchema) target = static_cast<std::int64_t>(known.size());
  return sql::migrate_to(*db, known, target, clock.now());
}

// A connection of its own reads one moment of the database, whoever writes meanwhile, and holds up
// no commit: only the log grows until it is done. So it does not take the lock, which is the
// servers'. It may write all the same, because it may be the one that recovers what a crash left in
// the log.
//
// What calls changed may be in their log only. It is read before the copy: if the copy is of its
// generation, it lacks just that; if it is of a later one, it has all of it.
Result<> backup_sqlite(const SqliteOptions& options, const std::string& to) {
  OCTROI_TRY(auto db, Database::open(options.path, Access::read_write, options.vfs));
  OCTROI_TRY(const bool has_calls, db->has_table("spends"));
  std::int64_t generation = 0;
  std::vector<Bytes> frames;
  if (has_calls) {
    OCTROI_TRY(generation, sql::call_generation(*db));
    // Beside the file itself, as SQLite's own log, by whatever name the file is called here.
    std::error_code unknown;
    const auto file = std::filesystem::canonical(options.path, unknown);
    if (unknown) return refused_by_system("store " + options.path, unknown.value());
    OCTROI_TRY(frames, CallLog(file.string(), options.vfs).frames(generation));
  }
  OCTROI_CHECK(copy_into(*db, to));
  if (frames.empty()) return {};
  {
    OCTROI_TRY(auto copy, Database::open(to, Access::read_write, options.vfs));
    OCTROI_CHECK(replay_frames(*copy, generation, frames));
  }
  return sync_path(to);
}

Result<> restore_sqlite(const SqliteOptions& options, const std::string& from) {
  OCTROI_CHECK(check_free(options.path));
  OCTROI_TRY(auto copy, Database::open(from, Access::read_only, options.vfs));
  if (auto good = check_whole(*copy); !good) {
    return fail(std::move(good).error().within("backup " + from));
  }
  OCTROI_TRY(StoreFile file, StoreFile::open(options.path));
  const std::string half = file.path() + ".restoring";
  ::unlink(half.c_str());  // of a restore that was killed
  OCTROI_CHECK(copy_into(*copy, half));
  if (::rename(half.c_str(), file.path().c_str()) != 0) {
    return refused_by_system("store " + file.path(), errno);
  }
  return sync_path(std::filesystem::path(file.path()).parent_path().string());
}

Result<std::string> sqlite_schema() {
  OCTROI_TRY(auto db, Database::open(":memory:", Access::read_write, ""));
  const auto known = sql::embedded_migrations();
  OCTROI_CHECK(sql::migrate_to(*db, known, static_cast<std::int64_t>(known.size()), UnixMillis{0}));
  OCTROI_TRY(Query q, db->query("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"
                                " AND name NOT LIKE 'sqlite%' ORDER BY type = 'index', name"));
  std::string out;
  for (;;) {
    OCTROI_TRY(const bool row, q.step());
    if (!row) return out;
    if (!out.empty()) out += '\n';
    out += q.text(0) + ";\n";
  }
}

}  // namespace octroi::sqlite
