#include "octroi/vault/late_prices.h"

#include <algorithm>
#include <utility>

#include "octroi/base/log.h"
#include "octroi/vault/reconcile.h"

namespace octroi::vault {

namespace {
using ledger::SpendRecord;
using ledger::SpendState;

constexpr AskLimits kPrice{.max_body = 256 * 1024, .deadline = Millis(10'000)};
constexpr int kAtOnce = 1000;   // that wait; more wait for their turn
constexpr int kQuestions = 20;  // in one look, so that a vendor's limits are not ours
}  // namespace

std::optional<MicroUsd> dollars_of(const VendorItem& item, const Snapshot& snapshot,
                                   UnixMillis now) {
  if (item.usd) return item.usd;
  if (!item.minor) return std::nullopt;
  static const policy::Rates kNone;
  const auto usd = policy::to_usd(*item.minor, snapshot.rates ? *snapshot.rates : kNone, now);
  return usd ? std::optional(*usd) : std::nullopt;
}

Correction correction_of(const Vendor& vendor, const SpendRecord& record,
                         std::optional<MicroUsd> spent, std::string object, std::string_view reason,
                         UnixMillis now) {
  using To = ledger::SpendChange::To;
  Correction out;
  // What was counted as spent because nobody knew cannot be released any more: it cost nothing.
  const bool settles = spent || record.state == SpendState::settled;
  out.change = {settles ? To::settled : To::released,
                record.id,
                spent.value_or(MicroUsd{}),
                object,
                now,
                true};
  audit::Event& e = out.row;
  e.kind = std::string(kCallReconciled);
  e.id = record.id;
  e.run = record.run;
  e.key_id = record.key_id;
  e.vendor = vendor.settings.name;
  e.operation = record.operation;
  e.policy = record.policy;
  e.reserved = record.amount;
  e.verdict = spent ? audit::Verdict::allowed : audit::Verdict::failed;
  e.reason = std::string(reason);
  e.mode = vendor.live ? "live" : "test";
  if (settles) {
    e.settled = out.change.actual;
  } else {
    e.released = record.amount;
  }
  if (!object.empty()) e.details.emplace_back("object", std::move(object));
  return out;
}

Task<Result<>> LatePrices::look(std::shared_ptr<const Snapshot> snapshot) {
  std::map<std::string, Due> seen;
  for (const Vendor& vendor : snapshot->vendors) {
    if (!can_be_asked(*vendor.pack) || vendor.real == nullptr) continue;
    OCTROI_CO_CHECK(co_await look_at(&vendor, snapshot, &seen));
  }
  due_ = std::move(seen);  // what is over is forgotten
  co_return Result<>{};
}

Task<Result<>> LatePrices::look_at(const Vendor* vendor, std::shared_ptr<const Snapshot> snapshot,
                                   std::map<std::string, Due>* seen) {
  ledger::SpendFilter filter;
  filter.vendor = vendor->settings.name;
  filter.state = SpendState::unknown;
  filter.limit = kAtOnce;
  OCTROI_CO_TRY(const auto records, co_await spends_.list_spends(filter));
  int asked = 0;
  for (const SpendRecord& record : records) {
    if (record.object.empty() || record.object.starts_with(kMatch)) continue;
    const auto known = due_.find(record.id);
    Due due = known == due_.end() ? Due{record.changed + kFirst, kFirst} : known->second;
    const UnixMillis now = clock_.now();
    if (due.at <= now && asked < kQuestions) {
      ++asked;
      if (co_await settle(vendor, &record, snapshot.get())) continue;
      due.pause = std::min(due.pause * 2, kLongest);
      due.at = clock_.now() + due.pause;
    }
    seen->emplace(record.id, due);
  }
  co_return Result<>{};
}

/// Whether that was the end of it.
Task<bool> LatePrices::settle(const Vendor* vendor, const SpendRecord* record,
                              const Snapshot* snapshot) {
  const VendorQuestions& questions = *vendor->pack->questions();
  std::string target = questions.object(record->operation, record->object);
  if (target.empty()) co_return false;
  metrics_
      .counter("octroi_vault_questions_total", "What octroi itself asked vendors.",
               {{"vendor", vendor->settings.name}, {"what", "price"}})
      .add();
  const auto doc = co_await ask(&clients_, vendor, std::move(target), kPrice);
  if (!doc) {
    OCTROI_LOG(info, "vault", "a late price could not be asked for",
               {{"reservation", record->id}, {"error", doc.error().message()}});
    co_return false;
  }
  const auto item = questions.read_object(doc->root());
  if (!item || item->object != record->object || (item->spent && item->price_due)) co_return false;
  std::optional<MicroUsd> spent;
  const UnixMillis now = clock_.now();
  if (item->spent) spent = dollars_of(*item, *snapshot, now).value_or(record->amount);
  Correction c = correction_of(*vendor, *record, spent, record->object, "late_price", now);
  co_return (co_await calls_.end(std::move(c.change), std::move(c.row))).has_value();
}

}  // namespace octroi::vault
