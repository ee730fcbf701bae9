#include "octroi/paywall/bundle_account.h"

#include <algorithm>

#include "octroi/base/log.h"
#include "octroi/http/sse.h"
#include "octroi/json/writer.h"
#include "octroi/paywall/payment_checks.h"

namespace octroi::paywall {

using ledger::BundleOutcome;

namespace {

constexpr std::string_view kModule = "paywall";

/// One unit stands as one millisatoshi of the meter's tab.
std::int64_t units_of(Msat amount) { return amount.count(); /* raw: units of a bundle */ }
Msat tab_of(std::int64_t units) {
  return Msat::from_raw(std::max<std::int64_t>(units, 0)).value_or(Msat());
}

std::string unit_name(pricing::Unit unit) { return std::string(pricing::to_string(unit)); }

}  // namespace

std::int64_t left_within(const ledger::Bundle& bundle, std::int64_t bound) {
  return std::max<std::int64_t>(std::min(bundle.granted, bound) - bundle.used, 0);
}

std::string format_balance(std::int64_t left, pricing::Unit unit, std::int64_t of) {
  return fmt::format("{};unit={};of={}", left, pricing::to_string(unit), of);
}

std::optional<pricing::UnitPrice> metered_price(const BundleUse& use) {
  if (use.unit == pricing::Unit::request) return std::nullopt;
  const auto at_once = static_cast<std::int64_t>(
      std::clamp<std::uint64_t>(use.per, 1, static_cast<std::uint64_t>(ledger::kMostUnits)));
  return pricing::UnitPrice{use.unit, tab_of(at_once), static_cast<std::uint64_t>(at_once)};
}

void reserve_for(BundleUse& use, std::uint64_t units) {
  constexpr auto kMost = static_cast<std::uint64_t>(ledger::kMostUnits);
  use.debit = std::max(use.debit, static_cast<std::int64_t>(std::min(units, kMost)));
}

BundleAccount::BundleAccount(Shared& shared, std::string service, const BundleUse& use)
    : shared_(shared), service_(std::move(service)), use_(use), left_(use.left) {
  balance_ = tab_of(left_);
}

std::int64_t BundleAccount::units(Msat amount) { return units_of(amount); }

Msat BundleAccount::reserved(const BundleUse& use) { return tab_of(use.debit); }

Task<Funds> BundleAccount::debit(Msat amount) {
  auto taken = co_await shared_.store.bundles()->debit_bundle(use_.token, units_of(amount),
                                                              use_.bound, shared_.clock.now());
  if (!taken) {
    OCTROI_LOG(warn, kModule, "a token could not be counted",
               {{"service", service_}, {"error", taken.error().message()}});
    co_return Funds::unavailable;
  }
  see(taken->bundle);
  switch (taken->outcome) {
    case BundleOutcome::applied:
      co_return Funds::enough;
    case BundleOutcome::exhausted:
      co_return Funds::dry;
    case BundleOutcome::not_found:
      break;
  }
  co_return Funds::ended;
}

void BundleAccount::see(const std::optional<ledger::Bundle>& bundle) {
  if (!bundle) return;
  left_ = left_within(*bundle, use_.bound);
  balance_ = tab_of(left_);
}

Task<Funds> BundleAccount::look(Msat missing) { return debit(missing); }

Task<void> BundleAccount::give_back(Msat surplus) {
  const auto returned = co_await shared_.store.bundles()->return_units(
      use_.token, units_of(surplus), shared_.clock.now());
  if (!returned) {
    OCTROI_LOG(error, kModule, "what a token had set aside was not given back",
               {{"service", service_},
                {"units", units_of(surplus)},
                {"error", returned.error().message()}});
    co_return;
  }
  see(returned->bundle);
}

void BundleAccount::leave(Msat surplus) { shared_.returns->add(use_.token, units_of(surplus)); }

std::string BundleAccount::dry(Msat missing) const {
  json::Writer w;
  w.begin_object();
  w.field("unit", pricing::to_string(use_.unit));
  w.field("left", left_);
  w.field("required", units_of(missing));
  w.end_object();
  return http::format_sse(kExhaustedEvent, std::move(w).take());
}

// A comment, because the consumers of streams that are sold by the token read every event as a part
// of the answer.
std::string BundleAccount::receipt(const pricing::Tab&) const {
  return fmt::format(": {} {}\n\n", kBalanceField, format_balance(left_, use_.unit, use_.bound));
}

Refusal BundleAccount::too_dear(Msat missing) const {
  return refuse_exhausted(use_, left_ + use_.debit, use_.debit + units_of(missing));
}

Refusal BundleAccount::has_ended() const { return refuse_exhausted(use_, 0, 1); }

Refusal BundleAccount::unavailable() const {
  return refuse_for_now("the token cannot be counted now; try again", Millis(1'000));
}

void BundleAccount::billed(std::uint64_t units) {
  count_bundle_units(shared_.metrics, service_, use_.unit, static_cast<std::int64_t>(units));
}

void BundleAccount::unpaid(Msat lost) {
  shared_.metrics
      .counter("octroi_token_unpaid_units_total",
               "What was delivered to counted tokens that held no more",
               {{"service", service_}, {"unit", unit_name(use_.unit)}})
      .add(units_of(lost));
  OCTROI_LOG(warn, kModule, "an answer held more than its token",
             {{"service", service_}, {"token", use_.token.hex()}, {"lost", units_of(lost)}});
}

Refusal refuse_exhausted(const BundleUse& use, std::int64_t left, std::int64_t needed) {
  Refusal r = refuse_payment(
      mpp::ProblemType::verification_failed,
      fmt::format(
          "the token has {} of its {} units ({}) left and this needs {}; nothing was taken: "
          "buy a new one with the fresh challenge",
          left, use.bound, pricing::to_string(use.unit), needed),
      Judged::used_up);
  if (needed > use.sold) {  // another one of the same kind would be bought for nothing
    r.status = 403;
    r.problem.detail = fmt::format(
        "this needs {} units ({}), more than the {} that a whole token holds; nothing was taken: "
        "ask for less",
        needed, pricing::to_string(use.unit), use.sold);
  }
  r.balance = format_balance(left, use.unit, use.bound);
  return r;
}

void count_bundle_units(MetricRegistry& metrics, const std::string& service, pricing::Unit unit,
                        std::int64_t units) {
  metrics
      .counter("octroi_token_units_total", "What counted tokens were billed",
               {{"service", service}, {"unit", unit_name(unit)}})
      .add(units);
}

}  // namespace octroi::paywall
