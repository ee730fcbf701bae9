#include "octroi/app/vault_reconcile.h"

#include <utility>

#include "octroi/app/vault_keys.h"
#include "octroi/base/log.h"
#include "octroi/json/writer.h"

namespace octroi::app {

namespace {
constexpr std::string_view kModule = "vault";
constexpr Millis kPeriod = std::chrono::hours(24);
constexpr Millis kLongestGrace = std::chrono::hours(24 * 30);
}  // namespace

Result<ReconcileRequest> ReconcileRequest::from_json(const json::Value& root) {
  ReconcileRequest out;
  for (const auto& [key, value] : root.members()) {
    if (key == "vendor") {
      OCTROI_TRY(out.vendor, value.as_string());
    } else if (key == "since") {
      OCTROI_TRY(const auto text, value.as_string());
      const auto when = from_rfc3339(text);
      if (!when)
        return fail(VaultKeyErrc::bad_request,
                    "since: write a moment such as 2026-12-31T00:00:00Z");
      out.since = *when;
    } else if (key == "grace_ms") {
      OCTROI_TRY(const std::int64_t ms, value.as_int64());
      if (ms < 0 || ms > kLongestGrace.count())
        return fail(VaultKeyErrc::bad_request, "grace_ms: from 0 to 30 days");
      out.grace = Millis(ms);
    } else if (key == "dry_run") {
      OCTROI_TRY(out.dry_run, value.as_bool());
    } else if (key == "all") {
      OCTROI_TRY(out.all, value.as_bool());
    } else {
      return fail(VaultKeyErrc::bad_request, "unknown member '" + std::string(key) + "'");
    }
  }
  return out;
}

std::string ReconcileRequest::to_json() const {
  json::Writer w;
  w.begin_object();
  if (!vendor.empty()) w.field("vendor", vendor);
  if (since) w.field("since", to_rfc3339(*since));
  if (grace) w.field("grace_ms", std::int64_t{grace->count()});
  if (dry_run) w.field("dry_run", true);
  if (all) w.field("all", true);
  w.end_object();
  return std::move(w).take();
}

VaultReconcile::VaultReconcile(net::Loop& loop, ledger::Store& store, MetricRegistry& metrics)
    : loop_(loop),
      store_(store),
      clients_(loop),
      late_(*store.spends(), *store.calls(), clients_, metrics, system_clock()),
      resolved_(loop.now()) {}

Task<Result<std::string>> VaultReconcile::run(std::shared_ptr<const vault::Snapshot> snapshot,
                                              ReconcileRequest request) {
  co_await turn_.acquire();
  const Semaphore::Permit turn(turn_);
  const UnixMillis now = system_clock().now();
  vault::ReconcileRules rules;
  rules.vendor = request.vendor;
  rules.since = request.since.value_or(now - kPeriod);
  rules.grace = request.grace.value_or(snapshot->settings.reconcile_grace);
  rules.dry_run = request.dry_run;
  vault::Reconciler reconciler(*store_.spends(), *store_.calls(), clients_, system_clock(),
                               snapshot);
  OCTROI_CO_TRY(const auto reports, co_await reconciler.run(std::move(rules)));
  co_return vault::to_json(reports, request.all);
}

Task<void> VaultReconcile::look(std::shared_ptr<const vault::Snapshot> snapshot) {
  auto looked = co_await late_.look(snapshot);
  if (!looked) {
    OCTROI_LOG(warn, kModule, "late prices could not be looked for",
               {{"error", looked.error().message()}});
  }
  const Millis every = snapshot->settings.reconcile_every;
  if (every == Millis(0) || loop_.now() - resolved_ < every) co_return;
  resolved_ = loop_.now();
  auto resolved = co_await resolve_open(snapshot);
  if (!resolved) {
    OCTROI_LOG(warn, kModule, "holds without an outcome could not be looked at",
               {{"error", resolved.error().message()}});
  }
}

/// Only vendors of whom something is open are asked.
Task<Result<>> VaultReconcile::resolve_open(std::shared_ptr<const vault::Snapshot> snapshot) {
  for (const vault::Vendor& vendor : snapshot->vendors) {
    if (!vault::can_be_asked(*vendor.pack) || vendor.real == nullptr) continue;
    ledger::SpendFilter open;
    open.vendor = vendor.settings.name;
    open.state = ledger::SpendState::unknown;
    open.limit = 1;
    OCTROI_CO_TRY(const auto some, co_await store_.spends()->list_spends(open));
    if (some.empty()) continue;
    co_await turn_.acquire();
    const Semaphore::Permit turn(turn_);
    vault::ReconcileRules rules;
    rules.vendor = vendor.settings.name;
    rules.grace = snapshot->settings.reconcile_grace;
    rules.open_only = true;
    vault::Reconciler reconciler(*store_.spends(), *store_.calls(), clients_, system_clock(),
                                 snapshot);
    OCTROI_CO_TRY(const auto reports, co_await reconciler.run(std::move(rules)));
    for (const vault::VendorReport& report : reports) {
      if (report.error.empty()) continue;
      OCTROI_LOG(warn, kModule, "a vendor's list could not be read",
                 {{"vendor", report.vendor}, {"error", report.error}});
    }
  }
  co_return Result<>{};
}

}  // namespace octroi::app
