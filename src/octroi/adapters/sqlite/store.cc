#include "octroi/adapters/sqlite/store.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "octroi/adapters/sqlite/database.h"
#include "octroi/adapters/sqlite/lane.h"
#include "octroi/adapters/sqlite/operations.h"
#include "octroi/adapters/sqlite/store_file.h"

namespace octroi::sqlite {
namespace {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words

/// Read by nobody: writing it is the proof that the store can commit.
constexpr std::string_view kPingName = "octroi.ping";

Result<Database> open_for_writing(const std::string& path, const std::string& vfs) {
  OCTROI_TRY(Database db, Database::open(path, Access::read_write, vfs));
  {
    OCTROI_TRY(Query q, db.query("PRAGMA journal_mode = WAL"));
    OCTROI_TRY(const bool row, q.step());
    if (!row || q.text(0) != "wal") {
      return fail(Errc::unavailable,
                  fmt::format("store {}: this file system cannot hold a write-ahead log; use a "
                              "local disk",
                              path));
    }
  }
  OCTROI_CHECK(db.script("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;"));
  return db;
}

/// A lane's database must be at the newest schema.
Result<> bring_up_to_date(Database& db, bool migrate, UnixMillis now) {
  const auto known = embedded_migrations();
  const auto newest = static_cast<std::int64_t>(known.size());
  OCTROI_TRY(const std::int64_t at, schema_version(db, known));
  if (at == newest) return {};
  if (!migrate) {
    return fail(
        Errc::unavailable,
        fmt::format("the store has schema {} and needs {}: run octroi migrate", at, newest));
  }
  OCTROI_CHECK(migrate_to(db, known, newest, now));
  return {};
}

class SqliteStore final : public Store {
 public:
  SqliteStore(StoreFile file, Database writer, Database reader, const SqliteOptions& o,
              Clock& clock, std::string boot)
      : file_(std::move(file)),
        clock_(clock),
        boot_(std::make_shared<const std::string>(std::move(boot))),
        writer_(Lane::Kind::writer, std::move(writer),
                {o.max_batch, o.max_queue, o.checkpoint_frames}),
        reader_(Lane::Kind::reader, std::move(reader),
                {o.max_batch, o.max_queue, o.checkpoint_frames}) {}

  Task<Result<>> record_invoices(std::vector<InvoiceRecord> invoices) override {
    return writer_.call<>(
        [v = std::move(invoices)](Database& db) { return sqlite::record_invoices(db, v); });
  }
  Task<Result<std::optional<InvoiceRecord>>> find_invoice(PaymentHash hash) override {
    return reader_.call<std::optional<InvoiceRecord>>(
        [hash](Database& db) { return sqlite::find_invoice(db, hash); });
  }
  Task<Result<bool>> is_consumed(PaymentHash hash) override {
    return reader_.call<bool>([hash](Database& db) { return sqlite::is_consumed(db, hash); });
  }
  Task<Result<>> record_transactions(std::vector<TransactionRecord> rows) override {
    return writer_.call<>(
        [v = std::move(rows)](Database& db) { return sqlite::record_transactions(db, v); });
  }
  Task<Result<bool>> settle(PaymentHash hash, UnixMillis when) override {
    return writer_.call<bool>(
        [hash, when](Database& db) { return sqlite::settle(db, hash, when); });
  }
  Task<Result<std::vector<Transaction>>> list_transactions(TransactionFilter filter) override {
    return reader_.call<std::vector<Transaction>>(
        [f = std::move(filter)](Database& db) { return sqlite::list_transactions(db, f); });
  }
  Task<Result<>> extend_invoice(PaymentHash hash, UnixMillis keep_until) override {
    return writer_.call<>(
        [hash, keep_until](Database& db) { return sqlite::extend_invoice(db, hash, keep_until); });
  }
  Task<Result<ConsumeOutcome>> consume(ConsumeRequest request) override {
    return writer_.call<ConsumeOutcome>([r = std::move(request), boot = boot_](Database& db) {
      return sqlite::consume(db, r, *boot);
    });
  }
  Task<Result<>> finish_consume(PaymentHash hash, StoredResponse response) override {
    return writer_.call<>([hash, r = std::move(response), boot = boot_](Database& db) {
      return sqlite::finish_consume(db, hash, r, *boot);
    });
  }
  Task<Result<bool>> claim_nonce(std::string scope, Digest nonce, UnixMillis keep_until) override {
    return writer_.call<bool>([s = std::move(scope), nonce, keep_until](Database& db) {
      return sqlite::claim_nonce(db, s, nonce, keep_until);
    });
  }
  Task<Result<>> revoke_token(TokenId id, UnixMillis keep_until, UnixMillis now) override {
    return writer_.call<>([id, keep_until, now](Database& db) {
      return sqlite::revoke_token(db, id, keep_until, now);
    });
  }
  Task<Result<std::vector<TokenId>>> revoked_tokens() override {
    return reader_.call<std::vector<TokenId>>(
        [](Database& db) { return sqlite::revoked_tokens(db); });
  }
  Task<Result<bool>> take_free(std::string service, std::string client, std::int64_t limit,
                               Millis window, UnixMillis now) override {
    return writer_.call<bool>(
        [s = std::move(service), c = std::move(client), limit, window, now](Database& db) {
          return sqlite::take_free(db, s, c, limit, window, now);
        });
  }
  Task<Result<Secret>> get_or_put_secret(std::string name, Secret initial) override {
    return writer_.call<Secret>(
        [n = std::move(name), s = std::move(initial), now = clock_.now()](Database& db) {
          return sqlite::get_or_put_secret(db, n, s, now);
        });
  }
  Task<Result<std::optional<std::string>>> get_value(std::string name) override {
    return reader_.call<std::optional<std::string>>(
        [n = std::move(name)](Database& db) { return sqlite::get_value(db, n); });
  }
  Task<Result<>> put_value(std::string name, std::string value) override {
    return writer_.call<>([n = std::move(name), v = std::move(value)](Database& db) {
      return sqlite::put_value(db, n, v);
    });
  }
  Task<Result<PruneReport>> prune(UnixMillis now) override {
    PruneReport total;
    for (bool more = true; more;) {
      OCTROI_CO_TRY(const PruneStep step,
                    co_await writer_.call<PruneStep>([horizon = now - kPruneMargin](Database& db) {
                      return prune_step(db, horizon);
                    }));
      total.invoices += step.report.invoices;
      total.transactions += step.report.transactions;
      total.consumed += step.report.consumed;
      more = step.more;
    }
    co_return total;
  }
  Task<Result<>> ping() override {
    return writer_.call<>([now = clock_.now()](Database& db) {
      return sqlite::put_value(db, kPingName, std::to_string(now.value));
    });
  }

 private:
  StoreFile file_;  // first in, last out: the lock is held while any lane lives
  Clock& clock_;
  std::shared_ptr<const std::string> boot_;
  Lane writer_;
  Lane reader_;
};

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(SqliteOptions options, Clock& clock,
                                                 Random& random) {
  OCTROI_TRY(StoreFile file, StoreFile::open(options.path));
  OCTROI_TRY(Database writer, open_for_writing(file.path(), options.vfs));
  if (auto ready = bring_up_to_date(writer, options.migrate, clock.now()); !ready) {
    return fail(std::move(ready).error().within("store " + file.path()));
  }
  OCTROI_TRY(Database reader, Database::open(file.path(), Access::read_only, options.vfs));
  return std::make_unique<SqliteStore>(std::move(file), std::move(writer), std::move(reader),
                                       options, clock, to_hex(random.bytes<16>()));
}

Result<std::vector<MigrationStatus>> sqlite_migration_status(const SqliteOptions& options) {
  OCTROI_TRY(StoreFile file, StoreFile::open(options.path));
  OCTROI_TRY(Database db, open_for_writing(file.path(), options.vfs));
  return migration_status(db, embedded_migrations());
}

Result<int> migrate_sqlite(const SqliteOptions& options, std::int64_t target, Clock& clock) {
  OCTROI_TRY(StoreFile file, StoreFile::open(options.path));
  OCTROI_TRY(Database db, open_for_writing(file.path(), options.vfs));
  const auto known = embedded_migrations();
  if (target == kLatestSchema) target = static_cast<std::int64_t>(known.size());
  return migrate_to(db, known, target, clock.now());
}

Result<> backup_sqlite(const SqliteOptions& options, const std::string& to) {
  OCTROI_TRY(StoreFile file, StoreFile::open(options.path));
  OCTROI_TRY(Database db, open_for_writing(file.path(), options.vfs));
  // SQLite takes an empty file as the target; making it first gives it our mode and no one else's.
  const int fd = ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    return fail(Errc::unavailable,
                fmt::format("backup {}: {}", to, std::generic_category().message(errno)));
  }
  ::close(fd);
  OCTROI_TRY(Query q, db.prepare("VACUUM INTO ?", /*cached=*/false));
  q.bind(std::string_view(to));
  return q.run();
}

}  // namespace octroi::sqlite
