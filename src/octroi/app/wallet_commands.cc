// octroi wallet pay | invoice | balance | reconcile.

#include <cstdio>

#include "octroi/app/commands.h"
#include "octroi/app/context.h"
#include "octroi/base/log.h"
#include "octroi/config/units.h"
#include "octroi/json/writer.h"
#include "octroi/wallet/payer.h"

namespace octroi::app {

namespace {

enum class WalletFlagErrc : std::uint8_t { bad_flag, no_wallet };
ErrorInfo error_info(WalletFlagErrc e) {
  switch (e) {
    case WalletFlagErrc::bad_flag:
      return {"cli.bad-flag", ErrorKind::invalid};
    case WalletFlagErrc::no_wallet:
      return {"cli.no-wallet", ErrorKind::invalid};
  }
  return {"cli.unknown", ErrorKind::internal};
}

/// Everything a wallet command needs, for as long as it runs.
struct Session {
  const Common& common;
  const config::Config& config;
  net::Loop& loop;
  WalletMeans means;
  int code = kFailed;
};

int with_wallet(const Common& common, const std::function<Task<void>(Session*)>& work) {
  auto loaded = load_config(common);
  if (!loaded) return kUsage;
  if (!loaded->config.wallet) {
    return tell_error(common,
                      Error(WalletFlagErrc::no_wallet,
                            "the configuration has no wallet section; see examples/octroi.yaml"),
                      kUsage);
  }
  net::Loop loop;
  Session session{common, loaded->config, loop, WalletMeans(loop, loaded->config)};
  run_on_loop(loop, work(&session));
  return session.code;
}

Result<Msat> amount_of(const std::string& text) {
  if (text == "0") return Msat{};
  auto amount = parse_msat(text);
  if (!amount)
    return fail(WalletFlagErrc::bad_flag,
                "--amount: write an amount such as '10 sat', or 0 for one the payer chooses");
  return *amount;
}

Task<void> pay(Session* s, WalletPay order, std::optional<Msat> max_fee) {
  http::ClientConfig unused;
  auto client = http::make_client(s->loop, std::move(unused));
  wallet::Payer payer(
      *client,
      {[s] { return s->means.node(); }, [s] { return s->means.journal(); }, std::move(order.by)},
      s->config.wallet->settings.limits, system_clock());
  auto paid = co_await payer.pay_invoice(std::move(order.invoice), max_fee, Seconds(order.timeout));
  if (!paid) {
    s->code = tell_error(s->common, paid.error(), exit_code_of(paid.error()));
    co_return;
  }
  s->code = kDone;
  if (s->common.json) {
    json::Writer w;
    w.begin_object()
        .field("status", "settled")
        .field("preimage", to_hex(paid->preimage.reveal()))
        .field("payment_hash", paid->hash.hex());
    w.field("amount_msat", paid->amount.count() /* raw: wire */)
        .field("fee_msat", paid->fee.count() /* raw: wire */)
        .end_object();
    std::printf("%s\n", std::move(w).take().c_str());
  } else {
    std::printf("settled %s (fee %s)\npreimage %s\n", format(paid->amount).c_str(),
                format(paid->fee).c_str(), to_hex(paid->preimage.reveal()).c_str());
  }
}

Task<void> invoice(Session* s, lightning::InvoiceRequest request) {
  auto node = co_await s->means.node();
  if (!node) {
    s->code = tell_error(s->common, node.error(), kNetwork);
    co_return;
  }
  auto made = co_await (*node)->add_invoice(std::move(request));
  if (!made) {
    s->code = tell_error(s->common, made.error(), kNetwork);
    co_return;
  }
  s->code = kDone;
  if (s->common.json) {
    json::Writer w;
    w.begin_object()
        .field("invoice", made->bolt11)
        .field("payment_hash", made->hash.hex())
        .field("expires_at", to_rfc3339(made->expires))
        .end_object();
    std::printf("%s\n", std::move(w).take().c_str());
  } else {
    std::printf("%s\n", made->bolt11.c_str());
  }
}

Task<void> balance(Session* s) {
  auto node = co_await s->means.node();
  if (!node) {
    s->code = tell_error(s->common, node.error(), kNetwork);
    co_return;
  }
  auto amount = co_await (*node)->balance();
  if (!amount) {
    s->code = tell_error(s->common, amount.error(), kNetwork);
    co_return;
  }
  s->code = kDone;
  if (s->common.json) {
    json::Writer w;
    w.begin_object().field("balance_msat", amount->count() /* raw: wire */).end_object();
    std::printf("%s\n", std::move(w).take().c_str());
  } else {
    std::printf("%s\n", format(*amount).c_str());
  }
}

Task<void> reconcile(Session* s) {
  auto client = http::make_client(s->loop, http::ClientConfig{});
  wallet::Payer payer(*client,
                      {[s] { return s->means.node(); }, [s] { return s->means.journal(); }},
                      s->config.wallet->settings.limits, system_clock());
  auto done = co_await payer.reconcile();
  if (!done) {
    s->code = tell_error(s->common, done.error(), kNetwork);
    co_return;
  }
  bool open = false;
  json::Writer w;
  w.begin_object().key("payments").begin_array();
  for (const auto& r : *done) {
    const auto stage = std::string(ledger::to_string(r.stage));
    open = open || r.stage == ledger::SpendStage::unknown;
    w.begin_object().field("payment_hash", r.hash.hex()).field("state", stage).end_object();
    if (!s->common.json) std::printf("%s %s\n", r.hash.hex().c_str(), stage.c_str());
  }
  w.end_array().end_object();
  if (s->common.json) std::printf("%s\n", std::move(w).take().c_str());
  s->code = open ? kOutcomeUnknown : kDone;
}

}  // namespace

int wallet_pay_command(const Common& common, const WalletPay& order) {
  std::optional<Msat> fee;
  if (!order.max_fee.empty()) {
    auto parsed = parse_msat(order.max_fee);
    if (!parsed)
      return tell_error(
          common, Error(WalletFlagErrc::bad_flag, "--max-fee: write an amount such as '10 sat'"),
          kUsage);
    fee = *parsed;
  }
  return with_wallet(common, [&](Session* s) { return pay(s, order, fee); });
}

int wallet_invoice_command(const Common& common, const std::string& amount, const std::string& memo,
                           const std::string& expiry) {
  auto parsed = amount_of(amount);
  if (!parsed) return tell_error(common, parsed.error(), kUsage);
  auto duration = config::parse_duration(expiry);
  if (!duration)
    return tell_error(
        common, Error(WalletFlagErrc::bad_flag, "--expiry: write a duration such as 15m"), kUsage);
  lightning::InvoiceRequest request{*parsed, memo, std::chrono::duration_cast<Seconds>(*duration)};
  return with_wallet(common, [&](Session* s) { return invoice(s, request); });
}

int wallet_balance_command(const Common& common) {
  return with_wallet(common, [](Session* s) { return balance(s); });
}
int wallet_reconcile_command(const Common& common) {
  return with_wallet(common, [](Session* s) { return reconcile(s); });
}

}  // namespace octroi::app
