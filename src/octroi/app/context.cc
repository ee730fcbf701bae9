#include "octroi/app/context.h"

#include <array>
#include <cstdio>
#include <filesystem>

#include <unistd.h>

#include "octroi/adapters/sqlite/spend_journal.h"
#include "octroi/base/env.h"
#include "octroi/base/file.h"
#include "octroi/base/log.h"
#include "octroi/json/writer.h"
#include "octroi/wallet/errors.h"

extern char**
    environ;  // NOLINT(readability-redundant-declaration): POSIX leaves the declaration to us

namespace octroi::app {

std::string find_config(const Common& common) {
  if (!common.config.empty()) return common.config;
  std::vector<std::string> places = {"octroi.yaml"};
  if (auto xdg = get_env("XDG_CONFIG_HOME"); xdg && !xdg->empty()) {
    places.push_back(*xdg + "/octroi/octroi.yaml");
  } else if (auto home = get_env("HOME"); home && !home->empty()) {
    places.push_back(*home + "/.config/octroi/octroi.yaml");
  }
  places.emplace_back("/etc/octroi/octroi.yaml");
  std::error_code ec;
  for (const auto& place : places) {
    if (std::filesystem::exists(place, ec)) return place;
  }
  return {};
}

config::LoadOptions load_options() {
  config::LoadOptions options;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    const auto name = text.substr(0, equals);
    if (name.starts_with("OCTROI_") || name == "HOME")
      options.env.emplace(name, text.substr(equals + 1));
  }
  options.resolve = [](std::string_view reference) -> Result<Secret> {
    if (reference.starts_with("file://")) return read_secret_file(std::string(reference.substr(7)));
    if (auto value = get_env_secret(std::string(reference.substr(6)))) return std::move(*value);
    return fail(config::Errc::unreadable, std::string(reference) + " is not set");
  };
  return options;
}

std::optional<config::Loaded> load_config(const Common& common) {
  const std::string file = find_config(common);
  if (file.empty()) {
    std::fputs(
        "octroi: no configuration: give --config FILE, or write ./octroi.yaml (see "
        "examples/octroi.yaml)\n",
        stderr);
    return std::nullopt;
  }
  auto loaded = config::load_file(file, load_options());
  if (!loaded) {
    std::fputs(config::to_text(loaded.error()).c_str(), stderr);
    return std::nullopt;
  }
  if (!common.log_level.empty()) {
    auto level = parse_log_level(common.log_level);
    if (!level) {
      std::fprintf(stderr, "octroi: --log-level: use trace, debug, info, warn, error or off\n");
      return std::nullopt;
    }
    loaded->config.log.level = *level;
  }
  if (auto applied = configure_log(loaded->config.log); !applied) {
    std::fprintf(stderr, "octroi: log: %s\n", std::string(applied.error().message()).c_str());
    return std::nullopt;
  }
  return std::move(*loaded);
}

int exit_code_of(const Error& error) {
  using W = wallet::Errc;
  using S = ledger::SpendErrc;
  if (error.is(W::over_limit) || error.is(W::insecure) || error.is(W::wrong_network) ||
      error.is(W::bad_invoice) || error.is(S::over_limit) || error.is(S::already_seen)) {
    return kPolicyRefused;
  }
  if (error.is(W::payment_failed)) return kPaymentFailed;
  if (error.is(W::payment_unknown)) return kOutcomeUnknown;
  if (error.is(W::refused_after_pay)) return kRefusedAfterPay;
  if (error.is(W::blocked)) return kBlocked;
  if (error.is(W::network) || error.is(W::too_many_redirects)) return kNetwork;
  if (error.is(W::rate_limited)) return kRateLimited;
  return kFailed;
}

int tell_error(const Common& common, const Error& error, int code) {
  const std::string message = redactor().redact(error.message());
  if (common.json) {
    json::Writer w;
    w.begin_object().key("error").begin_object();
    w.field("code", std::string(error.code())).field("message", message).field("exit_code", code);
    w.end_object().end_object();
    std::fprintf(stderr, "%s\n", std::move(w).take().c_str());
  } else {
    std::fprintf(stderr, "octroi: %s\n", message.c_str());
  }
  return code;
}

namespace {
Task<void> then_stop(net::Loop* loop, Task<void> task) {
  co_await std::move(task);
  loop->stop();
}
}  // namespace

void run_on_loop(net::Loop& loop, Task<void> task) {
  loop.post([&loop, t = std::move(task)]() mutable {
    loop.tasks().start(then_stop(&loop, std::move(t)));
  });
  loop.run();
}

Task<Result<lightning::Node*>> WalletMeans::node() {
  if (!node_) {
    OCTROI_CO_TRY(auto opened,
                  open_node(loop_, config_.wallet->lightning, system_random(), system_clock()));
    node_ = std::move(opened);
  }
  co_return node_->node.get();
}

Result<ledger::SpendJournal*> WalletMeans::journal() {
  if (!journal_) {
    OCTROI_TRY(journal_,
               sqlite::open_spend_journal(config_.wallet->settings.store + "/journal.db"));
  }
  return journal_.get();
}

}  // namespace octroi::app
