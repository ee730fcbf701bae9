#include "octroi/app/vault_door.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "octroi/app/listen_check.h"
#include "octroi/app/vault_ca.h"
#include "octroi/app/vault_keys.h"
#include "octroi/app/vault_policies.h"
#include "octroi/app/vault_snapshot.h"
#include "octroi/base/log.h"
#include "octroi/json/value.h"
#include "octroi/net/run_until.h"

namespace octroi::app {

namespace {

constexpr std::string_view kModule = "vault";
constexpr Millis kLookEvery{50};
/// Keys whose state could not be confirmed for so long open nothing.
constexpr Millis kStaleAfter{500};
constexpr Millis kMoneyEvery{100};
constexpr Millis kSweepEvery{5'000};
constexpr Millis kPruneEvery{60'000};
constexpr int kPruneRows = 10'000;
constexpr Millis kAskEvery{1'000};
constexpr int kSweepRows = 200;

int worker_count(int configured) {
  if (configured > 0) return configured;
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

}  // namespace

VaultDoor::VaultDoor(net::Loop& loop, ledger::Store& store, MetricRegistry& metrics)
    : loop_(loop),
      store_(store),
      shared_{*store.spends(), *store.journal(), metrics, system_clock(), system_random()},
      webhook_(loop, metrics),
      book_(std::make_shared<const vault::KeyBook>(ledger::VaultKeyList{})),
      reconcile_(loop, store, metrics),
      own_clients_(loop) {
  start_governance();
  start_notices();
  start_rotation();
  struct Pause {
    static Task<void> run(VaultDoor* self, std::string id) {
      const ledger::VaultKey* key = self->book_->by_id(id);
      if (key == nullptr || key->state != ledger::VaultKeyState::active) co_return;
      OCTROI_LOG(warn, kModule, "a brake paused a key", {{"key", id}});
      ledger::VaultKeyFilter which;
      which.id = std::move(id);
      auto paused = co_await self->change(std::move(which), ledger::VaultKeyState::paused, "brake");
      if (!paused)
        OCTROI_LOG(error, kModule, "a key could not be paused",
                   {{"error", paused.error().message()}});
    }
  };
  shared_.calls = store.calls();
  shared_.not_sent = [this](std::string id, UnixMillis reserved_at) {
    unsent_.note(std::move(id), reserved_at);
  };
  shared_.pause_key = [this](std::string id) {
    loop_.post([this, i = std::move(id)]() mutable {
      loop_.tasks().start(Pause::run(this, std::move(i)));
    });
  };
}

VaultDoor::~VaultDoor() = default;

Task<Result<std::shared_ptr<const vault::Snapshot>>> VaultDoor::make_snapshot(
    vault::VaultSettings settings) {
  OCTROI_CO_TRY(auto in_force, co_await policies_in_force(store_, std::move(settings)));
  auto made = co_await vault_snapshot(&store_, in_force.settings, &next_wipe_);
  if (made) {
    in_force_ = std::move(in_force.settings);
    policies_version_ = in_force.list_version;
    webhook_.configure(in_force_.webhook);
  }
  co_return made;
}

Task<Result<std::vector<net::Endpoint>>> VaultDoor::start(const config::Config& config) {
  settings_ = *config.vault;
  shared_.propagate = config.telemetry.propagate;
  OCTROI_CO_TRY(snapshot_, co_await make_snapshot(settings_));
  OCTROI_CO_TRY(auto keys, co_await store_.vault_keys()->list_vault_keys());
  book_ = std::make_shared<const vault::KeyBook>(std::move(keys));
  OCTROI_CO_TRY(authority_, open_vault_ca(settings_, system_clock().now()));
  std::vector<net::Endpoint> listen = settings_.listen;
  OCTROI_CO_CHECK(check_unshared(loop_, listen));
  for (int i = 0; i < worker_count(config.workers); ++i) {
    auto worker = std::make_unique<VaultWorker>(listen, shared_, snapshot_, book_, authority_);
    OCTROI_CO_TRY(auto bound, worker->start());
    listen = std::move(bound);  // a port of 0 is chosen once
    workers_.push_back(std::move(worker));
  }
  co_return listen;
}

Task<Result<>> VaultDoor::reload(const config::Config& config) {
  if (!config.vault) co_return Result<>{};  // takes a restart
  co_await turn_.acquire();
  const Semaphore::Permit turn(turn_);
  OCTROI_CO_TRY(auto snapshot, co_await make_snapshot(*config.vault));
  settings_ = *config.vault;
  snapshot_ = std::move(snapshot);
  for (auto& worker : workers_) worker->publish(snapshot_);
  co_return Result<>{};
}

/// Returns once every worker has it, and whatever was published to it before.
Task<void> VaultDoor::hand_out_book() {
  std::vector<std::unique_ptr<net::Remote<bool>>> waits;
  for (auto& worker : workers_) {
    waits.push_back(std::make_unique<net::Remote<bool>>(loop_));
    worker->publish(book_, [give = waits.back()->giver()]() mutable { give(true); });
  }
  for (auto& wait : waits) co_await wait->get();
}

/// Returns once every worker has what the store says.
Task<Result<>> VaultDoor::spread_keys() {
  co_await turn_.acquire();
  const Semaphore::Permit turn(turn_);
  OCTROI_CO_TRY(auto keys, co_await store_.vault_keys()->list_vault_keys());
  book_ = std::make_shared<const vault::KeyBook>(std::move(keys));
  co_await hand_out_book();
  co_return Result<>{};
}

void VaultDoor::set_stale(bool yes) {
  if (stale_ == yes) return;
  stale_ = yes;
  for (auto& worker : workers_) worker->set_stale(yes);
  if (yes) {
    OCTROI_LOG(error, kModule, "the state of keys cannot be confirmed; nothing is forwarded");
  } else {
    OCTROI_LOG(info, kModule, "the state of keys is confirmed again");
  }
}

Task<void> VaultDoor::watch() {
  TaskGroup all;
  all.start(watch_keys());
  all.start(mind_money());
  all.start(ask_vendors());
  co_await all.join();
}

Task<void> VaultDoor::watch_keys() {
  Millis confirmed = loop_.now();
  while (true) {
    co_await loop_.sleep(kLookEvery);
    const Millis asked = loop_.now();
    auto version = co_await store_.vault_keys()->vault_keys_version();
    bool good = version.has_value();
    const bool changed = good && *version != book_->version();
    if (changed) good = (co_await spread_keys()).has_value();
    if (good) co_await look_at_real_keys(changed);
    if (good) confirmed = asked;
    set_stale(loop_.now() - confirmed > kStaleAfter);
    if (good) co_await look_at_governance();
  }
}

/// Holds of calls that were not sent, and of processes that died.
Task<void> VaultDoor::mind_money() {
  Millis swept = loop_.now();
  Millis pruned = loop_.now();
  while (true) {
    co_await loop_.sleep(kMoneyEvery);
    co_await unsent_.undo(store_.calls(), system_clock().now());
    if (loop_.now() - pruned >= kPruneEvery) {
      pruned = loop_.now();
      co_await prune();
    }
    if (loop_.now() - swept < kSweepEvery) continue;
    swept = loop_.now();
    auto report = co_await store_.spends()->sweep(system_clock().now(), kSweepRows);
    if (report && (report->orphaned > 0 || report->assumed > 0)) {
      OCTROI_LOG(warn, kModule, "reservations without an outcome",
                 {{"orphaned", report->orphaned}, {"assumed", report->assumed}});
      told_of_sweep(report->orphaned);
    }
  }
}

Task<void> VaultDoor::prune() {
  const UnixMillis before = system_clock().now() - settings_.keep_spends;
  auto pruned = co_await store_.spends()->prune_spends(before, kPruneRows);
  if (!pruned) OCTROI_LOG(warn, kModule, "not pruned", {{"error", pruned.error().message()}});
}

/// Apart from the rest, because vendors may be slow.
Task<void> VaultDoor::ask_vendors() {
  while (true) {
    co_await loop_.sleep(kAskEvery);
    co_await reconcile_.look(snapshot_);
  }
}

admin::VaultActions VaultDoor::actions() {
  admin::VaultActions out;
  out.issue = [this](std::string request) { return issue(std::move(request)); };
  out.change = [this](ledger::VaultKeyFilter which, ledger::VaultKeyState state) {
    return change(std::move(which), state);
  };
  out.put_credential = [this](std::string vendor, std::string sealed) {
    return put_credential(std::move(vendor), std::move(sealed));
  };
  out.rotate = [this](std::string id, std::string request) {
    return rotate(std::move(id), std::move(request));
  };
  out.governance = governance();
  out.real_keys = real_keys();
  struct Compare {
    static Task<Result<std::string>> run(VaultDoor* self, std::string body) {
      OCTROI_CO_TRY(const auto doc, json::parse(body));
      OCTROI_CO_TRY(auto request, ReconcileRequest::from_json(doc.root()));
      co_return co_await self->reconcile_.run(self->snapshot_, std::move(request));
    }
  };
  out.reconcile = [this](std::string body) { return Compare::run(this, std::move(body)); };
  struct List {
    static Task<Result<std::string>> run(VaultDoor* self, ledger::VaultKeyFilter filter) {
      OCTROI_CO_TRY(const auto list, co_await self->store_.vault_keys()->list_vault_keys());
      if (!filter.id.empty()) {
        for (const auto& key : list.keys) {
          if (key.id == filter.id) co_return key_json(key);
        }
        co_return fail(VaultKeyErrc::not_found, "there is no such vault key");
      }
      co_return keys_json(list, filter);
    }
  };
  out.list = [this](ledger::VaultKeyFilter filter) { return List::run(this, std::move(filter)); };
  return out;
}

Task<Result<std::string>> VaultDoor::issue(std::string request) {
  OCTROI_CO_TRY(const auto doc, json::parse(request));
  OCTROI_CO_TRY(auto wanted, KeyRequest::from_json(doc.root()));
  OCTROI_CO_TRY(auto answer,
                co_await issue_key(store_, in_force_, std::move(wanted), system_clock().now()));
  OCTROI_CO_CHECK(co_await spread_keys());
  co_return answer;
}

Task<Result<std::string>> VaultDoor::change(ledger::VaultKeyFilter which,
                                            ledger::VaultKeyState state, std::string by) {
  const UnixMillis now = system_clock().now();
  const bool one = !which.id.empty();
  const std::string id = which.id;
  OCTROI_CO_TRY(const auto ids,
                co_await store_.vault_keys()->change_vault_keys(std::move(which), state, now));
  OCTROI_CO_CHECK(co_await spread_keys());
  if (one && ids.empty()) {
    const ledger::VaultKey* key = book_->by_id(id);
    if (key == nullptr) co_return fail(VaultKeyErrc::not_found, "there is no such vault key");
    if (state != ledger::VaultKeyState::revoked)
      co_return fail(VaultKeyErrc::bad_request, "this key was revoked, which is final");
    co_return changed_json({id}, state, key->changed, true);
  }
  told_of_change(ids, state, by);
  // After it took effect: a revocation does not wait for a journal that is full.
  for (const std::string& changed : ids) {
    auto told =
        co_await audit_change(store_, "key." + std::string(ledger::to_string(state)), changed, "");
    if (!told)
      OCTROI_LOG(error, kModule, "a change of a key is missing in the audit", {{"key", changed}});
  }
  co_return changed_json(ids, state, now, one);
}

Task<Result<std::string>> VaultDoor::put_credential(std::string vendor, std::string sealed) {
  const bool known = std::any_of(settings_.vendors.begin(), settings_.vendors.end(),
                                 [&](const auto& v) { return v.name == vendor; });
  if (!known) co_return fail(VaultKeyErrc::bad_request, "this vendor is not one of vault.vendors");
  OCTROI_CO_TRY(const auto seal, CredentialSeal::open(settings_));
  OCTROI_CO_CHECK(seal.unseal(sealed, vendor));
  OCTROI_CO_CHECK(co_await audit_change(store_, "credential.register", "", vendor));
  OCTROI_CO_CHECK(co_await store_.vault_keys()->put_credential(vendor, std::move(sealed),
                                                               system_clock().now()));
  OCTROI_CO_CHECK(co_await spread_snapshot());
  co_return std::string("{\"vendor\":\"") + vendor + "\",\"registered\":true}";
}

void VaultDoor::drain(Millis grace) {
  for (auto& worker : workers_) worker->drain(grace);
}

void VaultDoor::join() {
  for (auto& worker : workers_) worker->join();
}

}  // namespace octroi::app
