// The services of the store in a running server: at the start, when they are changed here, and when
// another replica changed them. Whatever changes, the configuration is read and checked as a whole
// and swapped as a whole; requests in flight end under the one they began with.

#include <utility>

#include "octroi/app/runtime.h"
#include "octroi/base/log.h"

namespace octroi::app {

namespace {

constexpr std::string_view kModule = "app";
constexpr Millis kServicesEvery{100};
/// A list that cannot be served is tried again, because what it lacks may come: a secret's file.
constexpr Millis kTryAgain{5'000};
/// How often a change is judged again, because others change the list at the same time.
constexpr int kTries = 50;

template <class T>
tl::unexpected<admin::ServiceRefusal> refused(int status, const Result<T>& r) {
  return tl::unexpected(admin::ServiceRefusal{status, std::string(r.error().message()), {}});
}

}  // namespace

Task<Result<>> Runtime::load_stored_services() {
  ledger::ServiceCatalog* catalog = store_->services();
  if (catalog == nullptr || !reload_) co_return Result<>{};
  services_ = std::make_unique<ServiceDesk>(*catalog, reload_, system_clock());
  OCTROI_CO_TRY(const auto list, co_await catalog->list_services());
  services_version_ = list.version;
  auto stored = enabled_of(list);
  if (stored.empty()) co_return Result<>{};
  auto loaded = reload_(std::move(stored));
  if (!loaded) {
    co_return fail(config::Errc::invalid_config,
                   "with the services of the store (octroi service list, remove):\n" +
                       config::to_text(loaded.error()));
  }
  loaded_ = std::move(*loaded);
  for (const std::string& name : loaded_.shadowed) {
    OCTROI_LOG(warn, kModule, "the file's service counts, not the store's", {{"service", name}});
  }
  co_return Result<>{};
}

Task<Result<Runtime::Prepared>> Runtime::prepare(config::Loaded fresh) {
  if (!fresh.config.paywall)
    co_return fail(RuntimeErrc::nothing_to_do,
                   "the new configuration has no paywall section; nothing changed");
  OCTROI_CO_CHECK(co_await fill_secrets(*fresh.config.paywall));
  Prepared next;
  OCTROI_CO_TRY(next.snapshot,
                paywall::Snapshot::build(*fresh.config.paywall, metrics_, &upstreams_));
  OCTROI_CO_TRY(next.tls, tls_context(*fresh.config.paywall));
  OCTROI_CO_CHECK(configure_log(fresh.config.log));
  next.loaded = std::move(fresh);
  co_return next;
}

Task<void> Runtime::adopt(Prepared next, std::int64_t services_version) {
  for (auto& worker : workers_) {
    net::Remote<bool> acknowledged(loop_);
    worker->publish(next.snapshot, [give = acknowledged.giver()]() mutable { give(true); });
    if (next.tls != nullptr) worker->set_tls(next.tls);
    co_await acknowledged.get();
  }
  watch_upstreams(*next.snapshot);
  if (refunds_) refunds_->publish(next.snapshot->settings);
  prices_.publish(next.snapshot->settings);
  if (usage_) usage_->publish(next.snapshot->settings);
  loaded_ = std::move(next.loaded);
  services_version_ = services_version;
  services_problem_.clear();
}

/// What another replica wrote.
Task<Result<>> Runtime::refresh_services() {
  co_await reload_turn_.acquire();
  const Semaphore::Permit turn(reload_turn_);
  OCTROI_CO_TRY(const auto list, co_await store_->services()->list_services());
  if (list.version == services_version_ && services_problem_.empty()) co_return Result<>{};
  auto fresh = co_await load_aside(enabled_of(list));
  if (!fresh) co_return fail(config::Errc::invalid_config, config::to_text(fresh.error()));
  OCTROI_CO_TRY(auto next, co_await prepare(std::move(*fresh)));
  co_await adopt(std::move(next), list.version);
  OCTROI_LOG(info, kModule, "services changed by another replica",
             {{"version", list.version}, {"stored", list.services.size()}});
  co_return Result<>{};
}

/// Asked for, not listened for: that works through every pooler, and sees after an outage what was
/// changed during it.
Task<void> Runtime::watch_services() {
  std::int64_t tried = services_version_;
  UnixMillis again{};
  while (true) {
    co_await loop_.sleep(kServicesEvery);
    const auto version = co_await store_->services()->services_version();
    if (!version || *version == services_version_) continue;
    if (*version == tried && !services_problem_.empty() && system_clock().now() < again) continue;
    tried = *version;
    again = system_clock().now() + kTryAgain;
    if (auto done = co_await refresh_services(); !done) {
      if (services_problem_.empty()) {
        OCTROI_LOG(error, kModule, "services not changed", {{"error", done.error().message()}});
      }
      services_problem_ = "version " + std::to_string(*version) +
                          " of the store's services cannot be served; the log says why";
    }
  }
}

Task<admin::ServiceAnswer<admin::ServiceEntry>> Runtime::change_service(
    admin::ServiceChange change) {
  co_await reload_turn_.acquire();
  const Semaphore::Permit turn(reload_turn_);
  for (int i = 0; i < kTries; ++i) {
    auto judged = co_await services_->judge(change);
    if (!judged) co_return tl::unexpected(std::move(judged).error());
    std::optional<Prepared> next;
    if (judged->loaded) {
      auto prepared = co_await prepare(std::move(*judged->loaded));
      if (!prepared) co_return refused(422, prepared);
      next = std::move(*prepared);
    }
    auto done = co_await services_->commit(*judged);
    if (!done) co_return tl::unexpected(std::move(done).error());
    if (!*done) continue;
    if (next) co_await adopt(std::move(*next), judged->version + 1);
    co_return **done;
  }
  co_return tl::unexpected(
      admin::ServiceRefusal{503, "others change the services all the time; try again", {}});
}

admin::ServiceActions Runtime::service_actions() {
  if (!services_) return {};
  return {[this] { return services_->list(loaded_); },
          [this](std::string name) { return services_->show(loaded_, std::move(name)); },
          [this](admin::ServiceChange change) { return change_service(std::move(change)); }};
}

}  // namespace octroi::app
