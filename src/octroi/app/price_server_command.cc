// octroi price-server: the reference price server over the configured store.

#include <csignal>

#include "octroi/adapters/pricer/price_book.h"
#include "octroi/adapters/pricer/price_service.h"
#include "octroi/app/commands.h"
#include "octroi/app/context.h"
#include "octroi/app/signals.h"
#include "octroi/app/stores.h"
#include "octroi/base/log.h"
#include "octroi/ledger/allowances.h"
#include "octroi/task/sync.h"

namespace octroi::app {

namespace {

constexpr Millis kPruneEvery{60'000};
constexpr int kPruneAtOnce = 1'000;
/// A report that comes again later than that was kept longer than any paywall does by default.
constexpr Millis kKeepSettled{400LL * 24 * 3600 * 1000};

pricing::ModelPrices prices_of(const config::PriceServerSettings& s) {
  std::map<std::string, pricing::ModelPrice, std::less<>> prices;
  for (const auto& model : s.models) prices[model.name] = {model.input, model.output};
  return {std::move(prices), s.default_model};
}

Task<void> prune(net::Loop* loop, ledger::Allowances* allowances, Millis keep_unused) {
  for (;;) {
    const UnixMillis now = system_clock().now();
    auto gone =
        co_await allowances->prune_allowances(now - keep_unused, now - kKeepSettled, kPruneAtOnce);
    if (!gone) OCTROI_LOG(warn, "pricer", "not pruned", {{"error", gone.error().message()}});
    co_await loop->sleep(gone && *gone >= kPruneAtOnce ? Millis(0) : kPruneEvery);
  }
}

/// Everything that answers, made and destroyed on its loop.
Task<Result<>> serve(net::Loop* loop, const config::Config* config, Event* stopping) {
  const config::PriceServerSettings& s = *config->price_server;
  if (s.token) redactor().add(*s.token);
  OCTROI_CO_TRY(const auto store, open_store(*config));
  ledger::Allowances& allowances = *store->allowances();
  pricer::PriceBook book(prices_of(s), s.bundle, allowances, system_clock(), system_random());
  pricer::PriceService service(book, s.token);
  http::ServerConfig server;
  server.listen = s.listen;
  server.reuse_port = false;
  auto listening = http::listen(*loop, std::move(server),
                                [&service](http::Exchange& e) { return service.handle(e); });
  if (!listening)
    co_return fail(std::move(listening).error().within("price_server.listen " + s.listen.str()));
  OCTROI_LOG(info, "pricer", "price server listens", {{"address", (*listening)->local().str()}});
  {
    TaskGroup background;
    background.start(prune(loop, &allowances, s.keep_unused));
    co_await stopping->wait();
  }
  co_await (*listening)->drain(config->shutdown_grace);
  co_return Result<>{};
}

Task<void> run(net::Loop* loop, const config::Config* config, Event* stopping, Result<>* outcome) {
  *outcome = co_await serve(loop, config, stopping);
}

}  // namespace

int price_server_command(const Common& common) {
  std::signal(SIGPIPE, SIG_IGN);
  auto loaded = load_config(common);
  if (!loaded) return kUsage;
  if (!loaded->config.price_server) {
    return tell_error(common,
                      Error(RuntimeErrc::nothing_to_do,
                            "price_server: the configuration has no such section; add it with "
                            "models"),
                      kUsage);
  }
  net::Loop loop;
  Event stopping;
  const SignalThread signals([&] { loop.post([&stopping] { stopping.set(); }); }, [] {});
  Result<> outcome;
  run_on_loop(loop, run(&loop, &loaded->config, &stopping, &outcome));
  return outcome ? kDone : tell_error(common, outcome.error(), kFailed);
}

}  // namespace octroi::app
