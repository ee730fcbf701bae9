#include "octroi/app/vault_server.h"

#include <thread>
#include <utility>

#include "octroi/app/aside.h"
#include "octroi/app/runtime.h"
#include "octroi/app/stores.h"
#include "octroi/app/upkeep.h"
#include "octroi/app/version.h"
#include "octroi/base/file.h"
#include "octroi/base/log.h"
#include "octroi/json/writer.h"

namespace octroi::app {

namespace {

constexpr std::string_view kModule = "app";

Task<void> serve_admin(admin::Api* api, http::Exchange* exchange) {
  co_await api->handle(*exchange);
}

}  // namespace

Result<std::shared_ptr<const Secret>> admin_token_of(const config::AdminSettings& settings) {
  if (settings.token != nullptr || settings.token_file.empty()) return settings.token;
  OCTROI_TRY(
      auto token, load_or_create_secret_file(settings.token_file, {32, 4096}, [] {
        return Secret(std::string_view("octroi_admin_" + to_hex(system_random().bytes<24>())));
      }));
  return std::make_shared<const Secret>(std::move(token));
}

VaultServer::VaultServer(config::Loaded loaded, Loader reload)
    : loaded_(std::move(loaded)), reload_(std::move(reload)) {}
VaultServer::~VaultServer() = default;

Result<> VaultServer::run() {
  loop_.post([this] { loop_.tasks().start(main()); });
  loop_.run();
  admin_server_.reset();
  admin_.reset();
  door_.reset();
  if (telemetry_) telemetry_->stop(loaded_.config.shutdown_grace);
  return std::move(outcome_);
}

void VaultServer::stop() {
  loop_.post([this] { stopping_.set(); });
}

void VaultServer::request_reload() {
  struct Run {
    static Task<void> once(VaultServer* self) {
      auto report = co_await self->reload();
      if (!report)
        OCTROI_LOG(error, kModule, "configuration not reloaded",
                   {{"error", report.error().message()}});
    }
  };
  loop_.post([this] { loop_.tasks().start(Run::once(this)); });
}

Task<void> VaultServer::main() {
  outcome_ = co_await boot();
  if (outcome_) {
    TaskGroup background;
    background.start(door_->watch());
    background.start(keep_retention(&loop_, store_.get(), &loaded_.config));
    background.start(watch_file(&loop_, &loaded_.config, [this] { return reload(); }));
    if (audit_) background.start(audit_->run(loop_));
    co_await stopping_.wait();
    background.cancel();
    co_await shut_down();
  }
  loop_.stop();
}

Task<Result<>> VaultServer::boot() {
  OCTROI_CO_TRY(store_, open_store(loaded_.config));
  if (store_->vault_keys() == nullptr || store_->spends() == nullptr ||
      store_->journal() == nullptr)
    co_return fail(RuntimeErrc::unsupported, "store: keeps no vault keys");
  OCTROI_CO_TRY(audit_, co_await AuditKeeper::open(&loaded_.config, store_.get()));
  OCTROI_CO_TRY(telemetry_, Telemetry::start(loaded_.config.telemetry, metrics_));
  door_ = std::make_unique<VaultDoor>(loop_, *store_, metrics_);
  door_->trace_with(tracer_of(telemetry_));
  OCTROI_CO_TRY(const auto bound, co_await door_->start(loaded_.config));
  for (const auto& endpoint : bound)
    OCTROI_LOG(info, kModule, "vault listens", {{"address", endpoint.str()}});
  co_return co_await start_admin();
}

Task<Result<>> VaultServer::start_admin() {
  const config::AdminSettings& settings = loaded_.config.admin;
  if (!settings.listen) co_return Result<>{};
  OCTROI_CO_TRY(auto token, admin_token_of(settings));
  if (token != nullptr) redactor().add(*token);
  struct Info {
    static Task<std::string> tell() {
      json::Writer w;
      w.begin_object().field("version", std::string(kVersion)).field("door", "vault").end_object();
      co_return std::move(w).take();
    }
  };
  std::vector<admin::Check> checks;
  checks.push_back({"store", [this] { return store_->ping(); }});
  for (auto& check : door_->checks()) checks.push_back(std::move(check));
  struct Revoke {
    static Task<Result<>> no(TokenId) {
      co_return fail(RuntimeErrc::unsupported, "this server runs no paywall");
    }
  };
  admin::Wiring wiring{*store_,
                       metrics_,
                       system_clock(),
                       std::move(token),
                       loaded_.config.telemetry.metrics,
                       loaded_.config.telemetry.metrics_public,
                       std::move(checks),
                       [] { return Info::tell(); },
                       [](TokenId id) { return Revoke::no(id); },
                       [this] { return reload(); }};
  wiring.vault = door_->actions();
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
  OCTROI_LOG(info, kModule, "admin listens", {{"address", admin_server_->local().str()}});
  co_return Result<>{};
}

Task<Result<std::string>> VaultServer::reload() {
  co_await reload_turn_.acquire();
  const Semaphore::Permit turn(reload_turn_);
  // A program or a KMS may take seconds, in which keys are to be looked at.
  auto fresh = co_await aside<config::LoadResult>(reload_);
  if (!fresh) co_return fail(config::Errc::invalid_config, config::to_text(fresh.error()));
  if (!fresh->config.vault)
    co_return fail(RuntimeErrc::nothing_to_do,
                   "the new configuration has no vault section; nothing changed");
  const auto changes = config::diff(loaded_, *fresh);
  OCTROI_CO_CHECK(co_await door_->reload(fresh->config));
  OCTROI_CO_CHECK(configure_log(fresh->config.log));
  loaded_ = std::move(*fresh);
  co_return tell_changes(changes);
}

Task<void> VaultServer::shut_down() {
  co_await reload_turn_.acquire();  // for good: the last reload ends, and none begins
  OCTROI_LOG(info, kModule, "draining");
  door_->drain(loaded_.config.shutdown_grace);
  if (admin_server_) co_await admin_server_->drain(Millis(1'000));
  struct Join {
    static void wait(VaultDoor* door, net::Remote<bool>::Giver give) {
      door->join();
      give(true);
    }
  };
  net::Remote<bool> joined(loop_);
  std::thread joiner(Join::wait, door_.get(), joined.giver());
  co_await joined.get();
  joiner.join();
  if (audit_) co_await audit_->sign_last();
}

}  // namespace octroi::app
