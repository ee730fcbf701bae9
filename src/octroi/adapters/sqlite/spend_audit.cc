#include "octroi/adapters/sqlite/spend_audit.h"

#include <filesystem>
#include <utility>

#include "octroi/adapters/sqlite/spend_file.h"
#include "octroi/audit/checkpoint_file.h"
#include "octroi/audit/filter.h"
#include "octroi/audit/row.h"
#include "octroi/base/bytes.h"
#include "octroi/base/file.h"
#include "octroi/base/log.h"
#include "octroi/base/random.h"

namespace octroi::sqlite {

using namespace octroi::audit;  // NOLINT(google-build-using-namespace): the port's words

Event payment_event(const ledger::Spend& spend, const PaymentTold& told) {
  Event e;
  e.kind = kPayment;
  e.id = spend.hash.hex();
  e.run = spend.by.run;
  e.agent = spend.by.agent;
  e.key_name = spend.by.name;
  e.vendor = spend.host;
  e.operation = spend.scheme;
  e.amount = told.refund.value_or(spend.amount).count() /* raw: the row's number */;
  e.currency = "msat";
  e.direction = told.refund ? "refund" : "payout";
  e.verdict = told.verdict;
  e.reason = told.why;
  e.details.emplace_back("stage", told.stage);
  if (!told.refund) {
    e.details.emplace_back(told.stage == "settled" ? "fee_msat" : "fee_limit_msat",
                           fmt::format("{}", told.fee.count() /* raw: the row's text */));
  }
  return e;
}

std::string spend_audit_key_file(const std::string& journal) { return journal + ".audit-key"; }
std::string spend_checkpoint_file(const std::string& journal) { return journal + ".checkpoints"; }

Result<Secret> spend_audit_seed(const std::string& journal) {
  return load_or_create_secret_file(spend_audit_key_file(journal), {32, 32},
                                    [] { return system_random().secret(32); });
}

Result<std::unique_ptr<SpendAudit>> SpendAudit::open(const std::string& journal, Clock& clock) {
  OCTROI_TRY(const Secret seed, spend_audit_seed(journal));
  OCTROI_TRY(auto signer, Signer::from_seed(seed));
  redactor().add(seed);
  return std::unique_ptr<SpendAudit>(new SpendAudit(journal, std::move(signer), clock));
}

/// The chain that the processes before this one wrote, or a new one.
Result<> SpendAudit::find_chain(Database& db) {
  if (tip_.connection == &db && tip_.transaction == db.transactions()) return {};
  OCTROI_TRY(Query q,
             db.query("SELECT writer FROM audit_writers ORDER BY started_at, writer LIMIT 1"));
  OCTROI_TRY(const bool begun, q.step());
  tip_ = {begun ? q.text(0) : to_hex(system_random().bytes<16>()), 0, {}, nullptr, 0};
  return {};
}

Result<RowId> SpendAudit::add(Database& db, Event event) {
  OCTROI_TRY(const Event fit, prepared(std::move(event)));
  OCTROI_CHECK(find_chain(db));
  OCTROI_TRY(auto row, sql::append_row(db, tip_, clock_.now(), fit));
  added_ = true;
  return row;
}

Result<> SpendAudit::sign(Database& db) {
  if (!std::exchange(added_, false)) return {};
  const Checkpoint c = signer_.sign(tip_.writer, tip_.seq, tip_.hash, clock_.now());
  OCTROI_CHECK(sql::keep_checkpoint(db, c));
  line_ = checkpoint_line(c);
  return {};
}

Result<> SpendAudit::commit(Database& db) {
  Result<> done = sign(db);
  if (done) done = db.commit();
  if (done) {
    tell_outside();
  } else {
    undo(db);
  }
  return done;
}

void SpendAudit::undo(Database& db) {
  db.rollback();
  added_ = false;
}

void SpendAudit::tell_outside() {
  const std::string line = std::exchange(line_, {});
  if (line.empty()) return;
  Result<> told = [&]() -> Result<> {
    // Of two processes each writes whole lines.
    OCTROI_TRY(const FileLock turn, FileLock::wait_for(journal_ + ".lock"));
    return append_checkpoint(spend_checkpoint_file(journal_), line, Sync::later);
  }();
  if (!told) {
    OCTROI_LOG(warn, "wallet", "a checkpoint stands in the journal only",
               {{"error", told.error().message()}});
  }
}

namespace {

/// The port over the wallet's file. What it is asked is done at once.
class SpendAuditJournal final : public Journal {
 public:
  SpendAuditJournal(std::unique_ptr<Database> db, std::unique_ptr<SpendAudit> chain)
      : db_(std::move(db)), chain_(std::move(chain)) {}

  [[nodiscard]] std::string writer() const override {
    const auto heads = sql::audit_heads(*db_);
    return heads && !heads->empty() ? heads->front().writer : std::string();
  }

  Task<Result<RowId>> append(Event event) override { co_return add(std::move(event)); }

  Task<Result<Page>> query(Filter filter) override {
    OCTROI_CO_CHECK(check_limit(filter.limit));
    co_return sql::query_rows(*db_, filter);
  }
  Task<Result<std::vector<StoredRow>>> rows(std::string writer, std::int64_t from,
                                            int limit) override {
    OCTROI_CO_CHECK(check_limit(limit));
    co_return sql::audit_rows(*db_, writer, from, limit);
  }
  Task<Result<std::vector<Head>>> heads() override { co_return sql::audit_heads(*db_); }
  Task<Result<>> keep_checkpoint(Checkpoint checkpoint) override {
    co_return sql::keep_checkpoint(*db_, checkpoint);
  }
  Task<Result<std::vector<Checkpoint>>> checkpoints(std::string writer, std::int64_t after,
                                                    int limit) override {
    OCTROI_CO_CHECK(check_limit(limit));
    co_return sql::audit_checkpoints(*db_, writer, after, limit);
  }

 private:
  Result<RowId> add(Event event) {
    OCTROI_CHECK(db_->begin());
    auto row = chain_->add(*db_, std::move(event));
    if (row) {
      OCTROI_CHECK(chain_->commit(*db_));
    } else {
      chain_->undo(*db_);
    }
    return row;
  }

  std::unique_ptr<Database> db_;
  std::unique_ptr<SpendAudit> chain_;
};

}  // namespace

Result<std::unique_ptr<Journal>> open_spend_audit(const std::string& journal, Clock& clock) {
  std::error_code ec;
  if (!std::filesystem::exists(journal, ec)) {
    return fail(ledger::SpendErrc::unavailable,
                "wallet.store: there is no " + journal + ": this wallet has paid nothing yet");
  }
  OCTROI_TRY(auto db, open_spend_file(journal, ""));
  OCTROI_TRY(auto chain, SpendAudit::open(journal, clock));
  return std::unique_ptr<Journal>(
      std::make_unique<SpendAuditJournal>(std::move(db), std::move(chain)));
}

}  // namespace octroi::sqlite
