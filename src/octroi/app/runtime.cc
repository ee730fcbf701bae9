#include "octroi/app/runtime.h"

#include <algorithm>
#include <limits>
#include <thread>
#include <utility>

#include "octroi/app/aside.h"
#include "octroi/app/listen_check.h"
#include "octroi/app/stores.h"
#include "octroi/app/upkeep.h"
#include "octroi/app/version.h"
#include "octroi/base/file.h"
#include "octroi/base/log.h"
#include "octroi/json/writer.h"

namespace octroi::app {

ErrorInfo error_info(RuntimeErrc e) {
  switch (e) {
    case RuntimeErrc::unsupported:
      return {"app.unsupported", ErrorKind::invalid};
    case RuntimeErrc::bad_secret:
      return {"app.bad-secret", ErrorKind::invalid};
    case RuntimeErrc::nothing_to_do:
      return {"app.nothing-to-do", ErrorKind::invalid};
  }
  return {"app.unknown", ErrorKind::internal};
}

namespace {

constexpr std::string_view kModule = "app";
constexpr std::size_t kKeySize = 32;
constexpr Millis kTellSalesEvery{1'000};
constexpr int kSalesAtOnce = 100;     // other writes wait as long as these take
constexpr Millis kUsageGrace{2'000};  // for reports that are due at the end
constexpr Millis kUpstreamTick{1'000};

int worker_count(int configured) {
  if (configured > 0) return configured;
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

Task<void> serve_admin(admin::Api* api, http::Exchange* exchange) {
  co_await api->handle(*exchange);
}

}  // namespace

Runtime::Runtime(config::Loaded loaded, Loader reload)
    : loaded_(std::move(loaded)), reload_(std::move(reload)) {}

Runtime::~Runtime() = default;

Result<> Runtime::run(std::function<Task<void>(const Addresses&)> ready) {
  // Posted, not started here: only inside run() is this the loop that adapters resume on.
  loop_.post([this, r = std::move(ready)]() mutable { loop_.tasks().start(main(std::move(r))); });
  loop_.run();
  // In the opposite order of making: nothing may call into what is gone.
  checker_.reset();
  workers_.clear();
  admin_server_.reset();
  admin_.reset();
  vault_.reset();
  refunds_.reset();
  usage_.reset();
  lightning_.reset();
  replicas_.reset();
  if (telemetry_) telemetry_->stop(loaded_.config.shutdown_grace);
  return std::move(outcome_);
}

void Runtime::stop() {
  loop_.post([this] { stopping_.set(); });
}

void Runtime::request_reload() {
  loop_.post([this] {
    struct Run {
      static Task<void> once(Runtime* self) {
        auto report = co_await self->reload();
        if (!report)
          OCTROI_LOG(error, kModule, "configuration not reloaded",
                     {{"error", report.error().message()}});
      }
    };
    loop_.tasks().start(Run::once(this));
  });
}

Task<void> Runtime::main(std::function<Task<void>(const Addresses&)> ready) {
  outcome_ = co_await boot();
  if (outcome_) {
    TaskGroup background;
    background.start(keep_retention(&loop_, store_.get(), &loaded_.config));
    background.start(tell_of_sales());
    background.start(watch_file(&loop_, &loaded_.config, [this] { return reload(); }));
    background.start(tick_upstreams());
    if (services_ && is_shared(loaded_.config)) background.start(watch_services());
    if (audit_) background.start(audit_->run(loop_));
    background.start(transactions_->run(loop_));
    if (vault_) background.start(vault_->watch());
    if (ready) co_await ready(addresses_);
    co_await stopping_.wait();
    background.cancel();
    co_await shut_down();
  }
  loop_.stop();
}

// ------------------------------------------------------------------------------------------------
// Starting.

Task<Result<>> Runtime::boot() {
  config::Config& config = loaded_.config;
  if (!config.paywall) {
    co_return fail(RuntimeErrc::nothing_to_do,
                   "the configuration has no paywall section: there is nothing to serve");
  }
  OCTROI_CO_TRY(store_, open_store(config));
  OCTROI_CO_TRY(audit_, co_await AuditKeeper::open(&config, store_.get()));
  OCTROI_CO_CHECK(co_await load_stored_services());
  OCTROI_CO_CHECK(co_await fill_secrets(*config.paywall));
  OCTROI_CO_CHECK(co_await load_revocations());

  if (!config.lightning) {
    co_return fail(RuntimeErrc::nothing_to_do,
                   "lightning: the paywall needs a node; set lightning.backend to sim or lnd");
  }
  OCTROI_CO_TRY(auto node, open_node(loop_, *config.lightning, system_random(), system_clock()));
  OCTROI_CO_TRY(lightning_, make_lightning_stack(
                                loop_, std::move(node), *store_, metrics_, system_clock(),
                                {config.paywall->challenge_ttl, config.paywall->invoice_pool}));
  unpaid_ = std::make_unique<paywall::UnpaidBound>(config.paywall->max_unpaid);
  lightning_->start([this](const PaymentHash& hash) { unpaid_->settled(hash); });

  transactions_ = std::make_unique<TransactionWriter>(*store_, metrics_);
  if (config.telemetry.access_log != "off" && !config.telemetry.access_log.empty()) {
    OCTROI_CO_TRY(access_, FileAccessLog::open(config.telemetry.access_log, metrics_));
  }
  OCTROI_CO_TRY(telemetry_, Telemetry::start(config.telemetry, metrics_));
  OCTROI_CO_CHECK(start_refunds());
  OCTROI_CO_CHECK(start_usage());
  shared_ = std::make_unique<paywall::Shared>(paywall::Shared{
      *store_, lightning_->invoices(), &lightning_->settlement(), *unpaid_, rates_, *transactions_,
      access_.get(), metrics_, system_clock(), system_random(), refunds_.get()});
  replicas_ = std::make_unique<Replicas>(
      config, Replicas::Wiring{loop_, *store_, metrics_, *unpaid_, *shared_->bell,
                               [this] { return spread_revocations(); }});
  shared_->state = replicas_->state();
  shared_->fresh = replicas_->fresh();
  shared_->usage = usage_.get();
  shared_->tracer = tracer_of(telemetry_);
  OCTROI_CO_CHECK(start_workers());
  OCTROI_CO_CHECK(co_await start_vault());
  OCTROI_CO_CHECK(co_await start_admin());
  co_return Result<>{};
}

/// The other door of this process, over the same store.
Task<Result<>> Runtime::start_vault() {
  if (!loaded_.config.vault) co_return Result<>{};
  if (store_->vault_keys() == nullptr || store_->spends() == nullptr ||
      store_->journal() == nullptr)
    co_return fail(RuntimeErrc::unsupported, "store: keeps no vault keys");
  vault_ = std::make_unique<VaultDoor>(loop_, *store_, metrics_);
  vault_->trace_with(tracer_of(telemetry_));
  OCTROI_CO_TRY(addresses_.vault, co_await vault_->start(loaded_.config));
  co_return Result<>{};
}

/// Sessions that were sold before are looked after whatever the configuration sells now.
Result<> Runtime::start_refunds() {
  ledger::SessionStore* sessions = store_->sessions();
  if (sessions == nullptr) {
    for (const auto& s : loaded_.config.paywall->services) {
      if (std::find(s.intents.begin(), s.intents.end(), paywall::PaymentIntent::session) !=
          s.intents.end())
        return fail(RuntimeErrc::unsupported,
                    "store: keeps no sessions, and service " + s.name.str() + " sells them");
    }
    return {};
  }
  refunds_ = std::make_unique<paywall::Refunds>(loop_, lightning_->node(), *sessions,
                                                system_clock(), metrics_);
  refunds_->publish(*loaded_.config.paywall);
  refunds_->start();
  return {};
}

/// Reports of an earlier run are sent whatever the configuration sells now.
Result<> Runtime::start_usage() {
  ledger::UsageReports* reports = store_->usage_reports();
  prices_.publish(*loaded_.config.paywall);
  if (reports == nullptr) {
    for (const auto& s : loaded_.config.paywall->services) {
      if (s.metered || s.session_quotes)
        return fail(RuntimeErrc::unsupported, "store: keeps no usage reports, and service " +
                                                  s.name.str() + " is metered by its price source");
    }
    return {};
  }
  usage_ = std::make_unique<paywall::UsageDesk>(loop_, *reports, prices_, system_clock(), metrics_);
  usage_->publish(*loaded_.config.paywall);
  usage_->start();
  return {};
}

/// Keys that the configuration does not name are made once and kept in the store, so that
/// challenges and tokens survive a restart. A store that cannot give them stops the start.
Task<Result<>> Runtime::fill_secrets(paywall::PaywallSettings& settings) {
  struct Ring {
    std::vector<std::shared_ptr<const Secret>>& keys;
    const char* name;
  };
  std::array<Ring, 2> rings = {Ring{settings.secret, "paywall.secret"},
                               Ring{settings.l402_keys, "paywall.l402_keys"}};
  for (auto& ring : rings) {
    if (ring.keys.empty()) {
      auto kept = co_await store_->get_or_put_secret(ring.name, system_random().secret(kKeySize));
      if (!kept) co_return fail(std::move(kept).error().within(ring.name));
      if (kept->size() != kKeySize) {
        co_return fail(RuntimeErrc::bad_secret,
                       fmt::format("{}: what the store keeps has the wrong size", ring.name));
      }
      ring.keys.push_back(std::make_shared<const Secret>(std::move(*kept)));
    }
    for (const auto& key : ring.keys) redactor().add(*key);
  }
  co_return Result<>{};
}

Task<Result<>> Runtime::load_revocations() {
  OCTROI_CO_TRY(auto ids, co_await store_->revoked_tokens());
  revoked_ = std::make_shared<const l402::RevocationSet>(ids);
  co_return Result<>{};
}

Result<std::shared_ptr<const net::TlsServerContext>> Runtime::tls_context(
    const paywall::PaywallSettings& settings) const {
  if (!settings.tls) return std::shared_ptr<const net::TlsServerContext>{};
  return net::make_tls_server(settings.tls->certificate_pem, *settings.tls->key_pem,
                              {"h2", "http/1.1"});
}

Result<> Runtime::start_workers() {
  const auto& config = loaded_.config;
  OCTROI_TRY(auto snapshot, paywall::Snapshot::build(*config.paywall, metrics_, &upstreams_));
  OCTROI_TRY(auto tls, tls_context(*config.paywall));
  std::vector<net::Endpoint> listen = config.paywall->listen;
  OCTROI_CHECK(check_unshared(loop_, listen));
  for (int i = 0; i < worker_count(config.workers); ++i) {
    WorkerOptions options;
    options.index = i;
    options.listen = listen;
    options.tls = tls;
    auto worker = std::make_unique<Worker>(std::move(options), *shared_, snapshot, revoked_);
    OCTROI_TRY(auto bound, worker->start());
    // A port of 0 is chosen once; the other workers share it.
    listen = bound;
    addresses_.paywall = std::move(bound);
    workers_.push_back(std::move(worker));
  }
  watch_upstreams(*snapshot);
  return {};
}

void Runtime::watch_upstreams(const paywall::Snapshot& snapshot) {
  if (!checker_) checker_ = std::make_unique<upstream::HealthChecker>(loop_, system_random());
  probing_.publish(snapshot);
  std::vector<upstream::Watched> watched;
  for (std::size_t i = 0; i < snapshot.upstreams.size(); ++i) {
    const auto& service = snapshot.settings.services[i];
    watched.push_back({snapshot.upstreams[i], &probing_.client_for(service),
                       protocol_of(service.upstream, paywall::RequestKind::ordinary)});
  }
  checker_->watch(watched);
}

Task<Result<>> Runtime::start_admin() {
  const config::AdminSettings& settings = loaded_.config.admin;
  if (!settings.listen) co_return Result<>{};
  admin_token_ = settings.token;
  if (admin_token_ == nullptr && !settings.token_file.empty()) {
    OCTROI_CO_TRY(
        auto token, load_or_create_secret_file(settings.token_file, {32, 4096}, [] {
          return Secret(std::string_view("octroi_admin_" + to_hex(system_random().bytes<24>())));
        }));
    admin_token_ = std::make_shared<const Secret>(std::move(token));
  }
  if (admin_token_ != nullptr) redactor().add(*admin_token_);

  std::vector<admin::Check> checks;
  checks.push_back({"store", [this] { return store_->ping(); }});
  struct NodeCheck {
    static Task<Result<>> run(LightningStack* lightning) { co_return lightning->up(); }
  };
  checks.push_back({"node", [this] { return NodeCheck::run(lightning_.get()); }});
  struct ServicesCheck {
    static Task<Result<>> run(const std::string* problem) {
      if (problem->empty()) co_return Result<>{};
      co_return fail(RuntimeErrc::unsupported, *problem);
    }
  };
  checks.push_back({"services", [this] { return ServicesCheck::run(&services_problem_); }});
  for (auto& check : replicas_->checks()) checks.push_back(std::move(check));
  if (vault_) {
    for (auto& check : vault_->checks()) checks.push_back(std::move(check));
  }

  struct Info {
    static Task<std::string> tell(Runtime* self) {
      json::Writer w;
      w.begin_object()
          .field("version", std::string(kVersion))
          .field("realm", self->loaded_.config.paywall->realm);
      auto node = co_await self->lightning_->node().info();
      w.key("node");
      if (node) {
        w.begin_object()
            .field("backend", node->backend)
            .field("network", std::string(lightning::to_string(node->network)))
            .field("alias", node->alias)
            .field("public_key", node->public_key)
            .field("synced", node->synced)
            .end_object();
      } else {
        w.null();
      }
      w.end_object();
      co_return std::move(w).take();
    }
  };
  admin::Wiring wiring{*store_,
                       metrics_,
                       system_clock(),
                       admin_token_,
                       loaded_.config.telemetry.metrics,
                       loaded_.config.telemetry.metrics_public,
                       std::move(checks),
                       [this] { return Info::tell(this); },
                       [this](TokenId id) { return revoke(id); },
                       [this] { return reload(); }};
  if (vault_) wiring.vault = vault_->actions();
  if (refunds_) {
    wiring.sessions = {[this](PaymentHash id) { return refunds_->close(id); },
                       [this](PaymentHash id) { return refunds_->retry_refund(id); }};
  }
  wiring.services = service_actions();
  if (audit_) wiring.audit = audit_->actions();
  admin_ = std::make_unique<admin::Api>(std::move(wiring));
  http::ServerConfig server;
  server.listen = *settings.listen;
  server.reuse_port = false;
  auto started = http::listen(loop_, std::move(server), [api = admin_.get()](http::Exchange& e) {
    return serve_admin(api, &e);
  });
  if (!started)
    co_return fail(std::move(started).error().within("admin.listen " + settings.listen->str()));
  admin_server_ = std::move(*started);
  addresses_.admin = admin_server_->local();
  co_return Result<>{};
}

// ------------------------------------------------------------------------------------------------
// While it runs.

/// Returns once every worker refuses the token.
Task<Result<>> Runtime::revoke(TokenId id) {
  constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max() / 4;
  OCTROI_CO_CHECK(co_await store_->revoke_token(id, {kForever}, system_clock().now()));
  OCTROI_CO_CHECK(co_await spread_revocations());
  replicas_->tell({});
  co_return Result<>{};
}

Task<Result<>> Runtime::spread_revocations() {
  // One after the other, so that nobody publishes what was read before what is published.
  co_await spread_turn_.acquire();
  const Semaphore::Permit turn(spread_turn_);
  OCTROI_CO_CHECK(co_await load_revocations());
  for (auto& worker : workers_) {
    net::Remote<bool> acknowledged(loop_);
    worker->publish(revoked_, [give = acknowledged.giver()]() mutable { give(true); });
    co_await acknowledged.get();
  }
  co_return Result<>{};
}

/// A program or a KMS may take seconds, in which keys of the vault are to be looked at.
Task<config::LoadResult> Runtime::load_aside(std::vector<config::StoredService> stored) {
  co_return co_await aside<config::LoadResult>(
      [this, services = std::move(stored)] { return reload_(services); });
}

Task<Result<std::string>> Runtime::reload() {
  if (!reload_) co_return fail(RuntimeErrc::unsupported, "there is no file to read again");
  // One after the other: whoever asks during a reload wants what the file says by then.
  co_await reload_turn_.acquire();
  const Semaphore::Permit turn(reload_turn_);

  std::int64_t version = 0;
  std::vector<config::StoredService> stored;
  if (services_) {
    OCTROI_CO_TRY(const auto list, co_await store_->services()->list_services());
    version = list.version;
    stored = enabled_of(list);
  }
  auto fresh = co_await load_aside(std::move(stored));
  if (!fresh) co_return fail(config::Errc::invalid_config, config::to_text(fresh.error()));
  const auto changes = config::diff(loaded_, *fresh);
  OCTROI_CO_TRY(auto next, co_await prepare(std::move(*fresh)));
  if (vault_) OCTROI_CO_CHECK(co_await vault_->reload(next.loaded.config));
  co_await adopt(std::move(next), version);
  co_return tell_changes(changes);
}

/// What was sold gets its row in the audit, a moment later: no request waits for it.
Task<void> Runtime::tell_of_sales() {
  while (true) {
    co_await loop_.sleep(kTellSalesEvery);
    auto told = co_await tell_sales(*store_, kSalesAtOnce);
    while (told && *told == kSalesAtOnce) told = co_await tell_sales(*store_, kSalesAtOnce);
    if (!told)
      OCTROI_LOG(warn, kModule, "sales are not in the audit yet",
                 {{"error", told.error().message()}});
  }
}

/// An address that no request asks any more comes back in the metrics all the same.
Task<void> Runtime::tick_upstreams() {
  while (true) {
    co_await loop_.sleep(kUpstreamTick);
    upstreams_.tick(system_clock().now());
  }
}

Task<void> Runtime::shut_down() {
  co_await reload_turn_.acquire();  // for good: the last reload ends, and none begins
  OCTROI_LOG(info, kModule, "draining");
  const Millis grace = loaded_.config.shutdown_grace;
  for (auto& worker : workers_) worker->drain(grace);
  if (vault_) vault_->drain(grace);
  if (admin_server_) co_await admin_server_->drain(Millis(1'000));
  // Joining blocks this thread, but requests in flight may still need the store (a thread of its
  // own) and invoices from the pool; so the loop keeps turning until the workers are done.
  struct Join {
    static void wait(std::vector<std::unique_ptr<Worker>>* workers, VaultDoor* vault,
                     net::Remote<bool>::Giver give) {
      for (auto& worker : *workers) worker->join();
      if (vault != nullptr) vault->join();
      give(true);
    }
  };
  net::Remote<bool> joined(loop_);
  std::thread joiner(Join::wait, &workers_, vault_.get(), joined.giver());
  co_await joined.get();
  joiner.join();
  if (shared_ && store_->sessions() != nullptr) {
    co_await shared_->returns->give_all(*store_->sessions(), system_clock().now());
  }
  if (shared_ && store_->bundles() != nullptr) {
    co_await shared_->returns->give_all(*store_->bundles(), system_clock().now());
  }
  if (usage_) co_await usage_->drain(std::min(grace, kUsageGrace));
  if (refunds_) co_await refunds_->drain(grace);
  co_await transactions_->flush();
  if (audit_) co_await audit_->sign_last();
}

}  // namespace octroi::app
