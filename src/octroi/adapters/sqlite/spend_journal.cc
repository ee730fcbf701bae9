#include "octroi/adapters/sqlite/spend_journal.h"

#include <filesystem>
#include <utility>

#include <sys/stat.h>

#include "octroi/adapters/sqlite/database.h"
#include "octroi/base/file.h"

namespace octroi::sqlite {

namespace {

using ledger::Spend;
using ledger::SpendEntry;
using ledger::SpendErrc;
using ledger::SpendLimits;
using ledger::SpendStage;

constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kDay = 86'400'000;

const char* const kSchema =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
    "CREATE TABLE IF NOT EXISTS spends("
    " hash BLOB PRIMARY KEY, host TEXT NOT NULL, scheme TEXT NOT NULL,"
    " amount_msat INTEGER NOT NULL CHECK(amount_msat >= 0),"
    " fee_limit_msat INTEGER NOT NULL CHECK(fee_limit_msat >= 0),"
    " fee_msat INTEGER NOT NULL DEFAULT 0 CHECK(fee_msat >= 0),"
    " stage INTEGER NOT NULL, at_ms INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS spends_at ON spends(at_ms);"
    "CREATE INDEX IF NOT EXISTS spends_stage ON spends(stage);"
    "CREATE TABLE IF NOT EXISTS refunds("
    " hash BLOB PRIMARY KEY, amount_msat INTEGER NOT NULL CHECK(amount_msat >= 0),"
    " at_ms INTEGER NOT NULL);";

Error unavailable(const Error& e) {
  return {SpendErrc::unavailable, "the wallet's journal: " + std::string(e.message())};
}

Error store_refused(const Error& e) {
  return {SpendErrc::unavailable, "wallet.store: " + std::string(e.message())};
}

SpendEntry read_entry(const Query& q) {
  SpendEntry entry;
  if (auto hash = PaymentHash::from_bytes(q.blob(0))) entry.spend.hash = *hash;
  entry.spend.host = q.text(1);
  entry.spend.scheme = q.text(2);
  entry.spend.amount = Msat::from_raw(q.integer(3)).value_or(Msat{});
  entry.spend.fee_limit = Msat::from_raw(q.integer(4)).value_or(Msat{});
  entry.fee = Msat::from_raw(q.integer(5)).value_or(Msat{});
  entry.stage = static_cast<SpendStage>(q.integer(6));
  entry.spend.when = {q.integer(7)};
  entry.refunded = Msat::from_raw(q.integer(8)).value_or(Msat{});
  return entry;
}

constexpr std::string_view kColumns =
    "SELECT hash, host, scheme, amount_msat, fee_limit_msat, fee_msat, stage, at_ms,"
    " COALESCE((SELECT r.amount_msat FROM refunds r WHERE r.hash = spends.hash), 0) FROM spends ";

class SqliteSpendJournal final : public ledger::SpendJournal {
 public:
  explicit SqliteSpendJournal(std::unique_ptr<Database> db) : db_(std::move(db)) {}

  Result<> reserve(const Spend& spend, const SpendLimits& limits) override {
    // IMMEDIATE takes the write lock before the sums are read: no other process can reserve
    // between.
    OCTROI_CHECK(told(db_->run("BEGIN IMMEDIATE")));
    auto outcome = reserve_locked(spend, limits);
    auto ended = told(db_->run(outcome ? "COMMIT" : "ROLLBACK"));
    if (!outcome) return outcome;
    return ended;
  }

  Result<> advance(const PaymentHash& hash, SpendStage stage, Msat fee) override {
    OCTROI_CHECK(told(db_->run("UPDATE spends SET stage=?, fee_msat=? WHERE hash=? AND stage<>?",
                               static_cast<std::int64_t>(stage), fee.count() /* raw: storage */,
                               hash.bytes(), static_cast<std::int64_t>(SpendStage::settled))));
    if (db_->changes() == 0)
      return fail(SpendErrc::no_entry, "this payment was not reserved, or is settled already");
    return {};
  }

  Result<> note_refund(const PaymentHash& hash, Msat amount, UnixMillis when) override {
    OCTROI_CHECK(told(db_->run(
        "INSERT INTO refunds(hash, amount_msat, at_ms)"
        " SELECT hash, ?, ? FROM spends WHERE hash=? AND stage=?"
        " ON CONFLICT(hash) DO UPDATE SET amount_msat=excluded.amount_msat, at_ms=excluded.at_ms",
        amount.count() /* raw: storage */, when.value, hash.bytes(),
        static_cast<std::int64_t>(SpendStage::settled))));
    if (db_->changes() == 0) return fail(SpendErrc::no_entry, "nothing was paid under this hash");
    return {};
  }

  Result<std::optional<SpendEntry>> find(const PaymentHash& hash) override {
    static const std::string kSql = std::string(kColumns) + "WHERE hash=?";
    auto q = db_->query(kSql, hash.bytes());
    if (!q) return fail(unavailable(q.error()));
    auto row = q->step();
    if (!row) return fail(unavailable(row.error()));
    if (!*row) return std::optional<SpendEntry>{};
    return std::optional(read_entry(*q));
  }

  Result<std::vector<SpendEntry>> open_entries() override {
    static const std::string kSql = std::string(kColumns) + "WHERE stage IN (0,1,4) ORDER BY at_ms";
    auto q = db_->query(kSql);
    if (!q) return fail(unavailable(q.error()));
    std::vector<SpendEntry> out;
    while (true) {
      auto row = q->step();
      if (!row) return fail(unavailable(row.error()));
      if (!*row) return out;
      out.push_back(read_entry(*q));
    }
  }

 private:
  static Result<> told(Result<> r) {
    if (!r) return fail(unavailable(r.error()));
    return {};
  }

  /// What is spent or held since `from`: settled ones with their fee, the others with the fee
  /// limit.
  Result<Msat> spent_since(std::int64_t from) {
    auto q = db_->query(
        "SELECT COALESCE(SUM(amount_msat + CASE stage WHEN 2 THEN fee_msat ELSE fee_limit_msat "
        "END),0)"
        " FROM spends WHERE at_ms > ? AND stage <> 3",
        from);
    if (!q) return fail(unavailable(q.error()));
    auto row = q->step();
    if (!row) return fail(unavailable(row.error()));
    return Msat::from_raw(*row ? q->integer(0) : 0);
  }

  Result<> within(const std::optional<Msat>& limit, std::int64_t from, Msat more,
                  std::string_view name) {
    if (!limit) return {};
    OCTROI_TRY(Msat spent, spent_since(from));
    OCTROI_TRY(Msat total, spent.plus(more));
    if (total <= *limit) return {};
    const auto left = limit->minus(spent).value_or(Msat{});
    return fail(SpendErrc::over_limit, fmt::format("the limit {} is {}; {} are left, fees included",
                                                   name, format(*limit), format(left)));
  }

  Result<> reserve_locked(const Spend& spend, const SpendLimits& limits) {
    OCTROI_TRY(auto known, find(spend.hash));
    if (known && known->stage != SpendStage::failed) {
      return fail(SpendErrc::already_seen,
                  fmt::format("this invoice stands in the journal as {}; it is not paid twice",
                              to_string(known->stage)));
    }
    if (spend.amount > limits.per_payment) {
      return fail(SpendErrc::over_limit,
                  fmt::format("{} is over the limit a payment, {}", format(spend.amount),
                              format(limits.per_payment)));
    }
    OCTROI_TRY(Msat more, spend.amount.plus(spend.fee_limit));
    OCTROI_CHECK(within(limits.per_minute, spend.when.value - kMinute, more, "a minute"));
    OCTROI_CHECK(within(limits.per_day, spend.when.value - kDay, more, "a day"));
    return told(db_->run(
        "INSERT OR REPLACE INTO spends(hash,host,scheme,amount_msat,fee_limit_msat,stage,at_ms) "
        "VALUES(?,?,?,?,?,0,?)",
        spend.hash.bytes(), std::string_view(spend.host), std::string_view(spend.scheme),
        spend.amount.count() /* raw: storage */, spend.fee_limit.count() /* raw: storage */,
        spend.when.value));
  }

  std::unique_ptr<Database> db_;
};

}  // namespace

Result<std::unique_ptr<ledger::SpendJournal>> open_spend_journal(const std::string& path) {
  std::error_code ec;
  const auto folder = std::filesystem::path(path).parent_path();
  if (!folder.empty() && !std::filesystem::exists(folder, ec)) {
    std::filesystem::create_directories(folder.parent_path(), ec);
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
      return fail(SpendErrc::unavailable,
                  "wallet.store: cannot make the folder '" + folder.string() + "'");
    }
  }
  // SQLite answers "locked" at once to the second of two that turn a new file to WAL.
  auto turn = FileLock::wait_for(path + ".lock");
  if (!turn) return fail(store_refused(turn.error()));
  if (auto made = make_private_file(path); !made) return fail(store_refused(made.error()));
  auto db = Database::open(path, Access::read_write, "");
  if (!db) return fail(unavailable(db.error()));
  if (auto made = (*db)->script(kSchema); !made) return fail(unavailable(made.error()));
  return std::unique_ptr<ledger::SpendJournal>(
      std::make_unique<SqliteSpendJournal>(std::move(*db)));
}

}  // namespace octroi::sqlite
