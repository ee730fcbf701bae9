// The program `octroi`: words to commands.

#include <cstdio>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "octroi/app/commands.h"
#include "octroi/app/context.h"
#include "octroi/app/version.h"

namespace {

using namespace octroi::app;  // NOLINT(google-build-using-namespace): this file is only about them

int parse_and_run(int argc, char** argv) {
  CLI::App app{"octroi stands between software agents and money"};
  app.require_subcommand(1);
  app.fallthrough();
  Common common;
  app.add_option("--config", common.config, "octroi.yaml");
  app.add_flag("--json", common.json, "one JSON object on stdout");
  app.add_option("--log-level", common.log_level, "trace|debug|info|warn|error|off");
  int code = kDone;

  ServeOptions serve;
  auto* s = app.add_subcommand("serve", "run the doors that the configuration has");
  s->add_option("--only", serve.only, "run one door only");
  s->callback([&] { code = serve_command(common, serve); });

  auto* check = app.add_subcommand("check", "validate the configuration");
  check->callback([&] {
    auto loaded = load_config(common);
    code = loaded ? kDone : kUsage;
    if (!loaded) return;
    for (const auto& w : loaded->warnings)
      std::fprintf(stderr, "%s\n", octroi::config::to_text(w).c_str());
    std::printf("%s: ok\n", loaded->config.file.c_str());
  });

  FetchFlags fetch;
  std::string data;
  auto* f = app.add_subcommand("fetch", "fetch a URL, paying if it asks for it");
  f->add_option("url", fetch.url)->required();
  f->add_option("-X,--request", fetch.method);
  f->add_option("-H,--header", fetch.headers)->take_all();
  auto* d = f->add_option("-d,--data,--body", data);
  f->add_option("-o,--output", fetch.output);
  f->add_flag("-O,--remote-name", fetch.remote_name);
  f->add_flag("-I,--head", fetch.head);
  f->add_flag("-i,--include", fetch.include);
  f->add_flag("-L,--location", fetch.follow);
  f->add_flag("-f,--fail", fetch.fail);
  f->add_flag("-s,--silent", fetch.silent);
  f->add_flag("-v,--verbose", fetch.verbose);
  f->add_option("--max-redirs", fetch.max_redirects);
  f->add_option("-m,--max-time", fetch.max_time);
  f->add_option("--payment-timeout", fetch.payment_timeout);
  f->add_option("--max-cost", fetch.max_cost);
  f->add_option("--max-fee", fetch.max_fee);
  f->add_option("--max-size", fetch.max_size);
  f->add_option("--prefer-scheme", fetch.prefer);
  f->add_flag("--no-pay", fetch.no_pay);
  f->add_flag("--dry-run", fetch.dry_run);
  f->add_option("--resolve", fetch.resolve);
  f->callback([&] {
    if (d->count() > 0) fetch.data = data;
    code = fetch_command(common, fetch);
  });

  auto* wallet = app.add_subcommand("wallet", "the paying side");
  wallet->require_subcommand(1);
  std::string invoice, fee, amount = "0", memo, expiry = "15m";
  int timeout = 60;
  auto* pay = wallet->add_subcommand("pay", "pay an invoice");
  pay->add_option("invoice", invoice)->required();
  pay->add_option("--max-fee", fee);
  pay->add_option("--timeout", timeout);
  pay->callback([&] { code = wallet_pay_command(common, invoice, fee, timeout); });
  auto* make = wallet->add_subcommand("invoice", "make an invoice");
  make->add_option("--amount", amount);
  make->add_option("--memo", memo);
  make->add_option("--expiry", expiry);
  make->callback([&] { code = wallet_invoice_command(common, amount, memo, expiry); });
  wallet->add_subcommand("balance", "what can be spent")->callback([&] {
    code = wallet_balance_command(common);
  });
  wallet->add_subcommand("reconcile", "ask the node about open payments")->callback([&] {
    code = wallet_reconcile_command(common);
  });

  app.add_subcommand("version", "the version")->callback([&] {
    std::printf("octroi %s\n", std::string(kVersion).c_str());
  });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kDone : kUsage;
  }
  return code;
}

}  // namespace

int main(int argc, char** argv) { return parse_and_run(argc, argv); }
