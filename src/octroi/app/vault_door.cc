#include "octroi/app/vault_door.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "octroi/app/listen_check.h"
#include "octroi/app/stores.h"
#include "octroi/app/vault_ca.h"
#include "octroi/app/vault_keys.h"
#include "octroi/app/vault_policies.h"
#include "octroi/base/log.h"
#include "octroi/json/value.h"
#include "octroi/net/run_until.h"

namespace octroi::app {

namespace {

constexpr std::string_view kModule = "vault";
constexpr Millis kLookEvery{50};
/// Keys and policies that could not be confirmed for so long open nothing.
constexpr Millis kStaleAfter{500};
constexpr Millis kMoneyEvery{100};
constexpr Millis kSweepEvery{5'000};
constexpr Millis kPruneEvery{60'000};
constexpr int kPruneRows = 10'000;
constexpr Millis kAskEvery{1'000};
constexpr int kSweepRows = 200;
/// A real key that could not be opened; trying may take as long as stretching a passphrase.
constexpr Millis kOpenAgain{1'000};

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
  shared_.fresh = &fresh_;
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

Task<Result<>> VaultDoor::make_snapshot(vault::VaultSettings settings,
                                        std::optional<OpenedKeys> held) {
  OCTROI_CO_TRY(auto in_force, co_await policies_in_force(store_, std::move(settings)));
  OCTROI_CO_TRY(auto made, co_await open_snapshot(&store_, in_force.settings, std::move(held)));
  in_force_ = std::move(in_force.settings);
  policies_version_ = in_force.list_version;
  webhook_.configure(in_force_.webhook);
  snapshot_ = std::move(made.snapshot);
  opened_ = std::move(made.opened);
  next_wipe_ = made.next_wipe;
  note_snapshot(made.missing ? std::string(made.missing->message()) : std::string(), kOpenAgain);
  co_return Result<>{};
}

/// What is not as the store has it is tried again, and told once.
void VaultDoor::note_snapshot(std::string problem, Millis again) {
  if (!problem.empty() && !snapshot_due_) snapshot_due_ = loop_.now() + again;
  if (problem == snapshot_problem_) return;
  snapshot_problem_ = std::move(problem);
  if (snapshot_problem_.empty()) {
    OCTROI_LOG(info, kModule, "vendors, their keys and policies are as the store has them again");
  } else {
    OCTROI_LOG(error, kModule, "vendors, their keys and policies are not as the store has them",
               {{"error", snapshot_problem_}});
  }
}

Task<Result<std::vector<net::Endpoint>>> VaultDoor::start(const config::Config& config) {
  settings_ = *config.vault;
  shared_.propagate = config.telemetry.propagate;
  shared_store_ = is_shared(config);
  OCTROI_CO_CHECK(co_await make_snapshot(settings_, {}));
  const Millis asked = loop_.now();
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
  book_spread_ = book_->version();
  policies_spread_ = policies_version_;
  fresh_.set_until(shared_store_ ? asked + kStaleAfter : vault::Freshness::kForever);
  co_return listen;
}

Task<Result<>> VaultDoor::reload(const config::Config& config) {
  if (!config.vault) co_return Result<>{};  // takes a restart
  co_await snapshot_turn_.acquire();
  const Semaphore::Permit turn(snapshot_turn_);
  // Everything is opened as the new configuration says, so that a mistake in it is told now.
  OCTROI_CO_CHECK(co_await make_snapshot(*config.vault, {}));
  settings_ = *config.vault;
  co_await hand_out_snapshot();
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

/// Returns once every worker judges by it.
Task<void> VaultDoor::hand_out_snapshot() {
  const std::int64_t version = policies_version_;
  for (auto& worker : workers_) worker->publish(snapshot_);
  co_await hand_out_book();  // behind it in every worker's queue
  policies_spread_ = version;
  policies_behind_.reset();
}

/// Returns once every worker has what the store says.
Task<Result<>> VaultDoor::spread_keys() {
  co_await book_turn_.acquire();
  const Semaphore::Permit turn(book_turn_);
  OCTROI_CO_TRY(auto keys, co_await store_.vault_keys()->list_vault_keys());
  book_ = std::make_shared<const vault::KeyBook>(std::move(keys));
  co_await hand_out_book();
  book_spread_ = book_->version();
  co_return Result<>{};
}

Task<void> VaultDoor::watch() {
  TaskGroup all;
  all.start(watch_keys());
  all.start(watch_real_keys());
  all.start(watch_governance());
  all.start(watch_freshness());
  all.start(mind_money());
  all.start(ask_vendors());
  co_await all.join();
}

/// Nothing else is waited for here: what takes longer than kStaleAfter stops all calls. Where no
/// other process writes, what every worker has stays true while nobody looks.
Task<void> VaultDoor::watch_keys() {
  Millis confirmed = loop_.now();
  while (true) {
    const Millis asked = loop_.now();
    auto looked = co_await look_at_keys();
    if (looked) looked = co_await look_at_policies();
    if (looked) {
      confirmed = asked;
      fresh_.set_until(shared_store_ ? asked + kStaleAfter : vault::Freshness::kForever);
    } else if (loop_.now() - confirmed > kStaleAfter) {
      fresh_.set_until(vault::Freshness::kNever);
    }
    co_await loop_.sleep(kLookEvery);
  }
}

/// Every worker knows the keys as the store had them when this was asked.
Task<Result<>> VaultDoor::look_at_keys() {
  OCTROI_CO_TRY(const auto version, co_await store_.vault_keys()->vault_keys_version());
  if (version == book_spread_) co_return Result<>{};
  snapshot_due_ = loop_.now();  // a change of real keys raises this version too
  co_return co_await spread_keys();
}

/// Other policies than the store's are in force for a moment at most, and not for as long as they
/// cannot be had.
Task<Result<>> VaultDoor::look_at_policies() {
  if (store_.vault_policies() == nullptr) co_return Result<>{};
  OCTROI_CO_TRY(const auto version, co_await store_.vault_policies()->policies_version());
  if (version == policies_spread_) co_return Result<>{};
  if (!policies_behind_) policies_behind_ = snapshot_due_ = loop_.now();
  if (loop_.now() - *policies_behind_ <= kStaleAfter) co_return Result<>{};
  co_return fail(vault::Errc::unavailable, "policies are not as the store has them");
}

Task<void> VaultDoor::watch_real_keys() {
  while (true) {
    co_await loop_.sleep(kLookEvery);
    co_await look_at_real_keys();
  }
}

Task<void> VaultDoor::watch_governance() {
  while (true) {
    co_await loop_.sleep(kLookEvery);
    co_await look_at_governance();
  }
}

/// Only tells: workers look for themselves.
Task<void> VaultDoor::watch_freshness() {
  bool told = false;
  while (true) {
    co_await loop_.sleep(kLookEvery);
    const bool stale = !fresh_.at(loop_.now());
    if (stale && !told)
      OCTROI_LOG(error, kModule,
                 "the state of keys and policies cannot be confirmed; nothing is forwarded");
    if (!stale && told)
      OCTROI_LOG(info, kModule, "the state of keys and policies is confirmed again");
    told = stale;
  }
}

Task<Result<>> VaultDoor::check_current() {
  if (!fresh_.at(loop_.now()))
    co_return fail(vault::Errc::unavailable, "the state of keys and policies cannot be confirmed");
  if (!snapshot_problem_.empty()) co_return fail(vault::Errc::unavailable, snapshot_problem_);
  co_return Result<>{};
}

std::vector<admin::Check> VaultDoor::checks() {
  std::vector<admin::Check> out;
  out.push_back({"vault", [this] { return check_current(); }});
  return out;
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
