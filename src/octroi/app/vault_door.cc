#include "octroi/app/vault_door.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "octroi/app/vault_ca.h"
#include "octroi/app/vault_keys.h"
#include "octroi/base/log.h"
#include "octroi/json/value.h"
#include "octroi/net/run_until.h"

namespace octroi::app {

namespace {

constexpr std::string_view kModule = "vault";
constexpr Millis kLookEvery{50};
/// Keys whose state could not be confirmed for so long open nothing.
constexpr Millis kStaleAfter{500};
constexpr Millis kSweepEvery{5'000};
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
      book_(std::make_shared<const vault::KeyBook>(ledger::VaultKeyList{})) {
  struct Pause {
    static Task<void> run(VaultDoor* self, std::string id) {
      const ledger::VaultKey* key = self->book_->by_id(id);
      if (key == nullptr || key->state != ledger::VaultKeyState::active) co_return;
      OCTROI_LOG(warn, kModule, "a brake paused a key", {{"key", id}});
      ledger::VaultKeyFilter which;
      which.id = std::move(id);
      auto paused = co_await self->change(std::move(which), ledger::VaultKeyState::paused);
      if (!paused)
        OCTROI_LOG(error, kModule, "a key could not be paused",
                   {{"error", paused.error().message()}});
    }
  };
  shared_.calls = store.calls();
  if (shared_.calls != nullptr) {
    shared_.not_sent = [this](std::string id, UnixMillis reserved_at) {
      unsent_.note(std::move(id), reserved_at);
    };
  }
  shared_.pause_key = [this](std::string id) {
    loop_.post([this, i = std::move(id)]() mutable {
      loop_.tasks().start(Pause::run(this, std::move(i)));
    });
  };
}

VaultDoor::~VaultDoor() = default;

/// Real keys of the configuration, and those that were registered.
Task<Result<std::shared_ptr<const vault::Snapshot>>> VaultDoor::make_snapshot(
    vault::VaultSettings settings) {
  std::map<std::string, std::shared_ptr<const Secret>> registered;
  for (const auto& vendor : settings.vendors) {
    if (vendor.credential != nullptr) continue;
    OCTROI_CO_TRY(const auto sealed, co_await store_.vault_keys()->find_credential(vendor.name));
    if (!sealed) {
      OCTROI_LOG(warn, kModule, "no real key: octroi vault register gives it one",
                 {{"vendor", vendor.name}});
      continue;
    }
    OCTROI_CO_TRY(const auto seal, CredentialSeal::open(settings.key_file));
    OCTROI_CO_TRY(auto real, seal.unseal(*sealed, vendor.name));
    redactor().add(real);
    registered.emplace(vendor.name, std::make_shared<const Secret>(std::move(real)));
  }
  co_return vault::Snapshot::build(std::move(settings), std::move(registered));
}

Task<Result<std::vector<net::Endpoint>>> VaultDoor::start(const config::Config& config) {
  settings_ = *config.vault;
  OCTROI_CO_TRY(snapshot_, co_await make_snapshot(settings_));
  OCTROI_CO_TRY(auto keys, co_await store_.vault_keys()->list_vault_keys());
  book_ = std::make_shared<const vault::KeyBook>(std::move(keys));
  OCTROI_CO_TRY(authority_, open_vault_ca(settings_, system_clock().now()));
  std::vector<net::Endpoint> listen = settings_.listen;
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
  OCTROI_CO_TRY(auto snapshot, co_await make_snapshot(*config.vault));
  settings_ = *config.vault;
  snapshot_ = std::move(snapshot);
  for (auto& worker : workers_) worker->publish(snapshot_);
  co_return Result<>{};
}

/// Returns once every worker has what the store says.
Task<Result<>> VaultDoor::spread_keys() {
  co_await turn_.acquire();
  const Semaphore::Permit turn(turn_);
  OCTROI_CO_TRY(auto keys, co_await store_.vault_keys()->list_vault_keys());
  book_ = std::make_shared<const vault::KeyBook>(std::move(keys));
  std::vector<std::unique_ptr<net::Remote<bool>>> waits;
  for (auto& worker : workers_) {
    waits.push_back(std::make_unique<net::Remote<bool>>(loop_));
    worker->publish(book_, [give = waits.back()->giver()]() mutable { give(true); });
  }
  for (auto& wait : waits) co_await wait->get();
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
  Millis confirmed = loop_.now();
  Millis swept = loop_.now();
  while (true) {
    co_await loop_.sleep(kLookEvery);
    const Millis asked = loop_.now();
    auto version = co_await store_.vault_keys()->vault_keys_version();
    bool good = version.has_value();
    if (good && *version != book_->version()) {
      good = (co_await spread_keys()).has_value();
      // A credential may be what changed.
      if (good) {
        auto snapshot = co_await make_snapshot(settings_);
        if (snapshot) {
          snapshot_ = std::move(*snapshot);
          for (auto& worker : workers_) worker->publish(snapshot_);
        }
      }
    }
    if (good) confirmed = asked;
    set_stale(loop_.now() - confirmed > kStaleAfter);
    if (good && shared_.calls != nullptr)
      co_await unsent_.undo(shared_.calls, system_clock().now());
    if (loop_.now() - swept < kSweepEvery) continue;
    swept = loop_.now();
    auto report = co_await store_.spends()->sweep(system_clock().now(), kSweepRows);
    if (report && (report->orphaned > 0 || report->assumed > 0)) {
      OCTROI_LOG(warn, kModule, "reservations without an outcome",
                 {{"orphaned", report->orphaned}, {"assumed", report->assumed}});
    }
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
                co_await issue_key(store_, settings_, std::move(wanted), system_clock().now()));
  OCTROI_CO_CHECK(co_await spread_keys());
  co_return answer;
}

Task<Result<std::string>> VaultDoor::change(ledger::VaultKeyFilter which,
                                            ledger::VaultKeyState state) {
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
  OCTROI_CO_TRY(const auto seal, CredentialSeal::open(settings_.key_file));
  OCTROI_CO_CHECK(seal.unseal(sealed, vendor));
  OCTROI_CO_CHECK(co_await audit_change(store_, "credential.register", "", vendor));
  OCTROI_CO_CHECK(co_await store_.vault_keys()->put_credential(vendor, std::move(sealed),
                                                               system_clock().now()));
  OCTROI_CO_TRY(auto snapshot, co_await make_snapshot(settings_));
  snapshot_ = std::move(snapshot);
  for (auto& worker : workers_) worker->publish(snapshot_);
  co_return std::string("{\"vendor\":\"") + vendor + "\",\"registered\":true}";
}

void VaultDoor::drain(Millis grace) {
  for (auto& worker : workers_) worker->drain(grace);
}

void VaultDoor::join() {
  for (auto& worker : workers_) worker->join();
}

}  // namespace octroi::app
