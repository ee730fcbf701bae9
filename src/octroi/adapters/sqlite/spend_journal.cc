#include "octroi/adapters/sqlite/spend_journal.h"

#include <utility>

#include "octroi/adapters/sqlite/database.h"
#include "octroi/adapters/sqlite/spend_audit.h"
#include "octroi/adapters/sqlite/spend_file.h"

namespace octroi::sqlite {

namespace {

using audit::Verdict;
using ledger::Spend;
using ledger::SpendEntry;
using ledger::SpendErrc;
using ledger::SpendLimits;
using ledger::SpendStage;

constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kDay = 86'400'000;

Error unavailable(const Error& e) {
  return {SpendErrc::unavailable, "the wallet's journal: " + std::string(e.message())};
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
  entry.spend.by = {q.text(9), q.text(10), q.text(11)};
  return entry;
}

#define OCTROI_PAYMENTS                                                             \
  "SELECT hash, host, scheme, amount_msat, fee_limit_msat, fee_msat, stage, at_ms," \
  " COALESCE((SELECT r.amount_msat FROM refunds r WHERE r.hash = spends.hash), 0)," \
  " run, agent, name FROM spends"

class SqliteSpendJournal final : public ledger::SpendJournal {
 public:
  SqliteSpendJournal(std::unique_ptr<Database> db, std::unique_ptr<SpendAudit> audit)
      : db_(std::move(db)), audit_(std::move(audit)) {}

  Result<> reserve(const Spend& spend, const SpendLimits& limits) override {
    Result<> refused;
    auto kept = in_turn([&]() -> Result<> {
      auto held = reserve_locked(spend, limits);
      if (held) return tell(spend, {Verdict::allowed, "intent", spend.fee_limit, {}, {}});
      if (!held.error().is(SpendErrc::over_limit) && !held.error().is(SpendErrc::already_seen))
        return held;
      refused = held;
      return tell(spend, {Verdict::denied, "refused", spend.fee_limit, held.error().code(), {}});
    });
    return refused ? kept : refused;
  }

  Result<> advance(const PaymentHash& hash, SpendStage stage, Msat fee) override {
    return in_turn([&]() -> Result<> {
      OCTROI_TRY(const auto entry, find(hash));
      if (!entry || entry->stage == SpendStage::settled)
        return fail(SpendErrc::no_entry, "this payment was not reserved, or is settled already");
      OCTROI_CHECK(told(db_->run("UPDATE spends SET stage=?, fee_msat=? WHERE hash=?",
                                 static_cast<std::int64_t>(stage), fee.count() /* raw: storage */,
                                 hash.bytes())));
      return tell_outcome(entry->spend, stage, fee);
    });
  }

  Result<> note_refund(const PaymentHash& hash, Msat amount, UnixMillis when) override {
    return in_turn([&]() -> Result<> {
      OCTROI_TRY(const auto entry, find(hash));
      if (!entry || entry->stage != SpendStage::settled)
        return fail(SpendErrc::no_entry, "nothing was paid under this hash");
      OCTROI_CHECK(
          told(db_->run("INSERT INTO refunds(hash, amount_msat, at_ms) VALUES(?,?,?)"
                        " ON CONFLICT(hash) DO UPDATE SET amount_msat=excluded.amount_msat,"
                        " at_ms=excluded.at_ms",
                        hash.bytes(), amount.count() /* raw: storage */, when.value)));
      if (amount == entry->refunded) return {};  // told before, or nothing to tell
      return tell(entry->spend, {Verdict::allowed, "refunded", {}, {}, amount});
    });
  }

  Result<std::optional<SpendEntry>> find(const PaymentHash& hash) override {
    auto q = db_->query(OCTROI_PAYMENTS " WHERE hash=?", hash.bytes());
    if (!q) return fail(unavailable(q.error()));
    auto row = q->step();
    if (!row) return fail(unavailable(row.error()));
    if (!*row) return std::optional<SpendEntry>{};
    return std::optional(read_entry(*q));
  }

  Result<std::vector<SpendEntry>> open_entries() override {
    auto q = db_->query(OCTROI_PAYMENTS " WHERE stage IN (0,1,4) ORDER BY at_ms");
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
  template <class T>
  static Result<> told(const Result<T>& r) {
    if (!r) return fail(unavailable(r.error()));
    return {};
  }

  /// One commit of what `work` wrote and of the rows that tell it. The write lock is taken before
  /// anything is read: no other process can reserve between.
  template <class Work>
  Result<> in_turn(Work work) {
    OCTROI_CHECK(told(db_->begin()));
    Result<> done = work();
    if (done) return told(audit_->commit(*db_));
    audit_->undo(*db_);
    return done;
  }

  Result<> tell(const Spend& spend, const PaymentTold& what) {
    return told(audit_->add(*db_, payment_event(spend, what)));
  }

  /// A row for each outcome: that it is not known is one, and what the node tells later another.
  Result<> tell_outcome(const Spend& spend, SpendStage stage, Msat fee) {
    const auto row = [&](Verdict verdict, Msat told_fee) {
      return tell(spend, {verdict, std::string(to_string(stage)), told_fee, {}, {}});
    };
    switch (stage) {
      case SpendStage::reserved:
      case SpendStage::submitted:
        return {};  // the intent stands
      case SpendStage::settled:
        return row(Verdict::allowed, fee);
      case SpendStage::failed:
        return row(Verdict::failed, spend.fee_limit);
      case SpendStage::unknown:
        return row(Verdict::unknown, spend.fee_limit);
    }
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
        "INSERT OR REPLACE INTO spends(hash,host,scheme,amount_msat,fee_limit_msat,stage,at_ms,"
        "run,agent,name) VALUES(?,?,?,?,?,0,?,?,?,?)",
        spend.hash.bytes(), std::string_view(spend.host), std::string_view(spend.scheme),
        spend.amount.count() /* raw: storage */, spend.fee_limit.count() /* raw: storage */,
        spend.when.value, std::string_view(spend.by.run), std::string_view(spend.by.agent),
        std::string_view(spend.by.name)));
  }

  std::unique_ptr<Database> db_;
  std::unique_ptr<SpendAudit> audit_;
};

}  // namespace

Result<std::unique_ptr<ledger::SpendJournal>> open_spend_journal(const std::string& path,
                                                                 const SpendJournalOptions& o) {
  OCTROI_TRY(auto db, open_spend_file(path, o.vfs));
  auto audit = SpendAudit::open(path, o.clock != nullptr ? *o.clock : system_clock());
  if (!audit) return fail(unavailable(audit.error()));
  return std::unique_ptr<ledger::SpendJournal>(
      std::make_unique<SqliteSpendJournal>(std::move(db), *std::move(audit)));
}

}  // namespace octroi::sqlite
