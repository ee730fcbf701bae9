#include "octroi/app/context.h"

#include <cstdio>
#include <ostream>

#include "octroi/adapters/sqlite/spend_journal.h"
#include "octroi/base/log.h"
#include "octroi/cli/config_file.h"
#include "octroi/json/writer.h"
#include "octroi/wallet/errors.h"

namespace octroi::app {

bool has_config(const Common& common) { return cli::find_config(common.call).has_value(); }

namespace {

/// The secret at this path, where it is a reference that leads somewhere.
Result<std::shared_ptr<const Secret>> secret_at(const Common& common, const config::Loaded& loaded,
                                                std::string_view path) {
  const std::string& reference = loaded.values->at(path).reference;
  if (reference.empty()) return loaded.values->at(path).secret;
  auto found = common.call.host.resolve(reference);
  if (found) return std::make_shared<const Secret>(*std::move(found));
  return fail(std::move(found).error().within(std::string(path)));
}

/// A token in a file that is not there yet is made by the first server (token_file).
bool is_not_made_yet(const config::Loaded& loaded, const Error& error) {
  return !loaded.config.admin.token_file.empty() && error.kind() == ErrorKind::not_found;
}

Result<> add_secrets_of_store(const Common& common, config::Loaded& loaded) {
  auto token = secret_at(common, loaded, "admin.auth.token");
  if (token) {
    loaded.config.admin.token = *std::move(token);
  } else if (!is_not_made_yet(loaded, token.error())) {
    return fail(std::move(token).error());
  }
  OCTROI_TRY(loaded.config.store_password, secret_at(common, loaded, "store_password"));
  return {};
}

}  // namespace

std::optional<config::Loaded> load_config(const Common& common, Needs needs) {
  auto loaded = cli::load_config(common.call, /*secrets=*/needs == Needs::all);
  if (!loaded) return std::nullopt;
  if (needs == Needs::store) {
    if (auto added = add_secrets_of_store(common, *loaded); !added) {
      common.call.err() << "octroi: " << added.error().message() << "\n";
      return std::nullopt;
    }
  }
  if (auto applied = configure_log(loaded->config.log); !applied) {
    common.call.err() << "octroi: log: " << applied.error().message() << "\n";
    return std::nullopt;
  }
  return loaded;
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
  if (error.is(W::field_taken)) return kUsage;
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

std::string wallet_journal_file(const config::Config& config) {
  return config.wallet->settings.store + "/journal.db";
}

Result<ledger::SpendJournal*> WalletMeans::journal() {
  if (!journal_) {
    OCTROI_TRY(journal_, sqlite::open_spend_journal(wallet_journal_file(config_)));
  }
  return journal_.get();
}

Result<wallet::SessionBook*> WalletMeans::sessions() {
  if (!sessions_) {
    OCTROI_TRY(sessions_,
               wallet::SessionBook::open(config_.wallet->settings.store, system_random()));
  }
  return sessions_.get();
}

}  // namespace octroi::app
