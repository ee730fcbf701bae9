// octroi vault reconcile: the ledger compared with what vendors say.
//
// A running server is asked, because it alone may write its store; without one the store is opened
// here.

#include <cstdio>
#include <memory>

#include "octroi/app/commands.h"
#include "octroi/app/server_state.h"
#include "octroi/app/vault_keys.h"
#include "octroi/app/vault_reconcile.h"
#include "octroi/app/vault_snapshot.h"
#include "octroi/base/metrics.h"
#include "octroi/config/units.h"

namespace octroi::app {

using cli::Invocation;
using cli::OptionSet;

namespace {

/// Reading a vendor's lists takes as long as it takes.
constexpr Millis kLongest{10 * 60'000};

struct Wanted {
  std::string vendor, since, grace;
  bool dry_run = false;
  bool all = false;
};

/// "24h" ago, or a moment.
Result<UnixMillis> moment_of(const std::string& text, UnixMillis now) {
  if (const auto moment = from_rfc3339(text)) return *moment;
  const auto ago = config::parse_duration(text);
  if (ago) return now - *ago;
  return fail(StateErrc::bad_argument,
              "--since: write a duration such as 24h, or a moment such as 2026-12-31T00:00:00Z");
}

Result<ReconcileRequest> request_of(const Wanted& wanted) {
  ReconcileRequest out;
  out.vendor = wanted.vendor;
  out.dry_run = wanted.dry_run;
  out.all = wanted.all;
  if (!wanted.since.empty()) {
    OCTROI_TRY(out.since, moment_of(wanted.since, system_clock().now()));
  }
  if (!wanted.grace.empty()) {
    const auto grace = config::parse_duration(wanted.grace);
    if (!grace) return fail(StateErrc::bad_argument, "--grace: write a duration such as 15m");
    out.grace = *grace;
  }
  return out;
}

Task<Result<std::string>> in_store(net::Loop* loop, const Common* common,
                                   ReconcileRequest request) {
  OCTROI_CO_TRY(const auto whole, load_whole(*common));
  const config::Config& config = whole.config;
  if (!config.vault)
    co_return fail(VaultKeyErrc::no_vault, "the configuration has no vault section");
  OCTROI_CO_TRY(auto store, open_store(config));
  if (store->spends() == nullptr || store->calls() == nullptr || store->vault_keys() == nullptr)
    co_return fail(VaultKeyErrc::no_vault, "this store keeps no vault keys");
  OCTROI_CO_TRY(auto snapshot, co_await vault_snapshot(store.get(), *config.vault));
  MetricRegistry metrics;
  VaultReconcile reconcile(*loop, *store, metrics);
  co_return co_await reconcile.run(std::move(snapshot), std::move(request));
}

void print(const json::Value& root) {
  const auto vendors = root.array("vendors");
  if (!vendors) return;
  for (const json::Value v : vendors->elements()) {
    std::printf("%s: %lld calls since %s: %s settled, %s held; the vendor shows %s\n",
                text_of(v, "vendor").c_str(),
                static_cast<long long>(v.int64("looked_at").value_or(0)),
                text_of(v, "from").c_str(), text_of(v, "ledger").c_str(),
                text_of(v, "held").c_str(), text_of(v, "shown").c_str());
    if (const std::string error = text_of(v, "error"); !error.empty())
      std::printf("  not complete: %s\n", error.c_str());
    if (const std::string why = text_of(v, "unlisted"); !why.empty())
      std::printf("  not compared: %s\n", why.c_str());
    const auto calls = v.array("calls");
    if (!calls || calls->size() == 0) continue;
    std::printf("  %-10s %-24s %-8s %14s %14s  %s\n", "ACTION", "OPERATION", "WAS", "LEDGER",
                "VENDOR", "CALL");
    for (const json::Value c : calls->elements()) {
      std::printf("  %-10s %-24s %-8s %14s %14s  %s%s%s\n", text_of(c, "action").c_str(),
                  text_of(c, "operation").c_str(), text_of(c, "was").c_str(),
                  text_of(c, "amount").c_str(), text_of(c, "vendor_amount").c_str(),
                  text_of(c, "id").c_str(), text_of(c, "note").empty() ? "" : ": ",
                  text_of(c, "note").c_str());
    }
  }
}

/// Whether something is left for a human or for later.
bool is_settled(const json::Value& root) {
  const auto vendors = root.array("vendors");
  if (!vendors) return true;
  for (const json::Value v : vendors->elements()) {
    if (!v.boolean("complete").value_or(true)) return false;
  }
  return true;
}

Task<void> reconcile(Call* call, Wanted wanted) {
  auto request = request_of(wanted);
  if (!request) {
    tell(call, request.error());
    co_return;
  }
  AdminAsk ask;
  ask.method = "POST";
  ask.target = "/api/v1/vault/reconcile";
  ask.body = request->to_json();
  ask.timeout = kLongest;
  auto answer = co_await ask_admin(&call->loop, &call->config, std::move(ask));
  if (!answer && answer.error().is(StateErrc::no_admin))
    answer = co_await in_store(&call->loop, &call->common, std::move(*request));
  if (!answer) {
    tell(call, answer.error());
    co_return;
  }
  const auto doc = json::parse(*answer, {64, 64U << 20, false});
  call->code = doc && is_settled(doc->root()) ? kDone : kFailed;
  if (call->common.json) {
    std::printf("%s\n", answer->c_str());
  } else if (doc) {
    print(doc->root());
  }
}

}  // namespace

void add_vault_reconcile(cli::CommandLine& line) {
  auto wanted = std::make_shared<Wanted>();
  line.add({.name = "vault reconcile",
            .summary = "Compares the ledger with vendors, and finds out what became of open calls.",
            .examples = {{"octroi vault reconcile --vendor stripe --since 7d",
                          "a week; what differs is shown and put right"},
                         {"octroi vault reconcile --dry-run", "only shows what would be done"}},
            .options =
                [wanted](OptionSet& set) {
                  set.option("--vendor", wanted->vendor, "Only this one of vault.vendors.");
                  set.option("--since", wanted->since,
                             "How far back: 24h (the default), or a moment.");
                  set.option("--grace", wanted->grace,
                             "When what a vendor does not show is released; the configuration's "
                             "vault.reconcile.grace.");
                  set.flag("--dry-run", wanted->dry_run, "Changes nothing.");
                  set.flag("--all", wanted->all, "Shows calls that are the same, too.");
                },
            .run =
                [wanted](const Invocation& call) {
                  const Common common{call, call.json};
                  return static_cast<cli::ExitCode>(
                      with_server(common, [&](Call* c) { return reconcile(c, *wanted); }));
                },
            .json_when_piped = true});
}

}  // namespace octroi::app
