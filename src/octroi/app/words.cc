// The words of each command: options, help and examples.

#include <memory>

#include "octroi/app/commands.h"
#include "octroi/app/context.h"
#include "octroi/app/policy_commands.h"
#include "octroi/app/token_commands.h"

namespace octroi::app {

namespace {

using cli::ExitCode;
using cli::Invocation;
using cli::OptionSet;

ExitCode as_exit(int code) { return static_cast<ExitCode>(code); }

void add_serve(cli::CommandLine& line) {
  auto o = std::make_shared<ServeOptions>();
  line.add(
      {.name = "serve",
       .summary = "Runs the doors that the configuration has.",
       .examples = {{"octroi serve --config octroi.yaml",
                     "until SIGTERM; SIGHUP reads the configuration again"}},
       .options =
           [o](OptionSet& set) {
             set.choice("--only", o->only, {"paywall", "vault"}, "Run one door in this process.");
           },
       .run =
           [o](const Invocation& call) { return as_exit(serve_command({call, call.json}, *o)); }});
}

void add_price_server(cli::CommandLine& line) {
  line.add({.name = "price-server",
            .summary = "Answers what language models cost, for a paywall's price_sources.",
            .examples = {{"octroi price-server --config prices.yaml",
                          "until SIGTERM; keeps its books in the store"}},
            .options = [](OptionSet&) {},
            .run =
                [](const Invocation& call) {
                  return as_exit(price_server_command({call, call.json}));
                }});
}

void add_demo(cli::CommandLine& line) {
  auto o = std::make_shared<DemoOptions>();
  line.add({.name = "demo",
            .summary =
                "Shows a paid request from the 402 to the receipt; needs nothing but this program.",
            .examples = {{"octroi demo", "the whole exchange"},
                         {"octroi demo --keep", "leave it running, with commands to try"}},
            .options =
                [o](OptionSet& set) {
                  set.flag("--keep", o->keep, "Leave it running and print what to try.");
                },
            .run =
                [o](const Invocation& call) {
                  return as_exit(demo_command({call, call.global.json}, *o));
                }});
}

/// Who pays, as the rows of the audit have it.
void spender_options(OptionSet& set, ledger::Spender& by) {
  set.option("--run", by.run, "Of which run this is, for the audit.");
  set.option("--agent", by.agent, "Which agent pays, for the audit.");
  set.option("--name", by.name, "What the payment is called, for the audit.");
}

void fetch_options(OptionSet& set, const std::shared_ptr<FetchFlags>& f,
                   const std::shared_ptr<std::vector<std::string>>& data,
                   const std::shared_ptr<std::array<std::int64_t, 3>>& numbers) {
  set.positional("URL", f->url, "What to fetch; https:// when no scheme is given.");
  set.option("-X,--request,--method", f->method, "HTTP method.");
  set.repeated("-H,--header", f->headers, "A field, 'Name: value'.");
  set.repeated("-d,--data,--body", *data,
               "Request body; @FILE or @- for standard input. Makes it a POST.");
  set.option("-o,--output", f->output, "Write the body to this file; - is standard output.");
  set.flag("-O,--remote-name", f->remote_name, "Write to a file named like the URL's last part.");
  set.flag("-I,--head", f->head, "HEAD, and print the fields.");
  set.flag("-i,--include", f->include, "Print status and fields before the body.");
  set.flag("-L,--location", f->follow, "Follow redirects; never pays on another origin.");
  set.flag("-f,--fail", f->fail, "Exit 22 when the status is 400 or more.");
  set.flag("-s,--silent", f->silent, "Do not say what was paid.");
  set.option("--max-redirs", (*numbers)[0], "How many redirects to follow.");
  set.option("-m,--max-time", (*numbers)[1], "Seconds an HTTP exchange may take.");
  set.option("--payment-timeout", (*numbers)[2], "Seconds a payment may take.");
  set.option("--max-cost", f->max_cost,
             "Most to pay, '1000 sat' (the default) or digits; never above wallet.limits.");
  set.option("--max-fee", f->max_fee, "Most to pay for routing.");
  set.option("--max-size", f->max_size, "Largest answer taken.");
  set.choice("--prefer-scheme", f->prefer, {"l402", "payment"},
             "Which challenge to pay when there are several.");
  set.flag("--session", f->session,
           "Pay a deposit once and draw on it, where the service sells prepaid sessions.");
  set.flag("--close-after", f->close_after,
           "End the session afterwards and see the rest come back.");
  set.flag("--no-pay", f->no_pay, "Never pay: print the 402.");
  set.flag("--dry-run", f->dry_run,
           "Decide, but do not pay: exit 10 when it would pay, 11 when not.");
  set.option("--cacert", f->cacert,
             "Trust the certificates in this PEM file instead of the system's.");
  set.repeated("--resolve", f->resolve,
               "host:port:address[,address] instead of asking the resolver.");
  spender_options(set, f->by);
}

void add_fetch(cli::CommandLine& line) {
  auto f = std::make_shared<FetchFlags>();
  auto data = std::make_shared<std::vector<std::string>>();
  auto numbers =
      std::make_shared<std::array<std::int64_t, 3>>(std::array<std::int64_t, 3>{10, 60, 60});
  line.add(
      {.name = "fetch",
       .summary = "Fetches a URL, and pays when it is asked to, within limits.",
       .examples = {{"octroi fetch https://api.example.com/v1/weather",
                     "pays up to wallet.limits.per_payment"},
                    {"octroi fetch --max-cost 20 --json URL", "at most 20 sat; one JSON object"},
                    {"octroi fetch --dry-run URL", "what would be paid, without paying"},
                    {"octroi fetch --session URL", "from a prepaid session, opened when needed"},
                    {"octroi fetch --session --close-after URL", "and the rest comes back"}},
       .options = [=](OptionSet& set) { fetch_options(set, f, data, numbers); },
       .run =
           [=](const Invocation& call) {
             if (!data->empty()) {
               std::string joined;
               for (const auto& part : *data) joined += (joined.empty() ? "" : "&") + part;
               f->data = joined;
             }
             f->max_redirects = static_cast<int>((*numbers)[0]);
             f->max_time = static_cast<int>((*numbers)[1]);
             f->payment_timeout = static_cast<int>((*numbers)[2]);
             return as_exit(fetch_command({call, call.global.json}, *f));
           }});
}

void add_wallet(cli::CommandLine& line) {
  line.describe_group("wallet", "The paying side: pay, be paid, look, reconcile.");
  struct Pay {
    WalletPay order;
    std::int64_t timeout = 60;
  };
  auto p = std::make_shared<Pay>();
  line.add(
      {.name = "wallet pay",
       .summary = "Pays a Lightning invoice, within the wallet's limits, and prints the preimage.",
       .examples = {{"octroi wallet pay lnbc10u1…", "the invoice names the amount"}},
       .options =
           [p](OptionSet& set) {
             set.positional("INVOICE", p->order.invoice, "BOLT11.");
             set.option("--max-fee", p->order.max_fee, "Most to pay for routing.");
             set.option("--timeout", p->timeout, "Seconds the payment may take.");
             spender_options(set, p->order.by);
           },
       .run =
           [p](const Invocation& call) {
             p->order.timeout = static_cast<int>(p->timeout);
             return as_exit(wallet_pay_command({call, call.json}, p->order));
           },
       .json_when_piped = true});
  struct Make {
    std::string amount = "0", memo, expiry = "15m";
  };
  auto m = std::make_shared<Make>();
  line.add({.name = "wallet invoice",
            .summary = "Makes an invoice on the wallet's node.",
            .examples = {{"octroi wallet invoice --amount '10 sat'", "over ten satoshi"}},
            .options =
                [m](OptionSet& set) {
                  set.option("--amount", m->amount, "'10 sat'; 0 lets the payer choose.");
                  set.option("--memo", m->memo, "What the payer reads.");
                  set.option("--expiry", m->expiry, "How long it can be paid.");
                },
            .run =
                [m](const Invocation& call) {
                  return as_exit(
                      wallet_invoice_command({call, call.json}, m->amount, m->memo, m->expiry));
                },
            .json_when_piped = true});
  line.add({.name = "wallet balance",
            .summary = "What the wallet's node can spend.",
            .examples = {{"octroi wallet balance --json", "{\"balance_msat\":…}"}},
            .options = {},
            .run =
                [](const Invocation& call) {
                  return as_exit(wallet_balance_command({call, call.json}));
                },
            .json_when_piped = true});
  line.add(
      {.name = "wallet reconcile",
       .summary = "Asks the node what became of payments whose outcome is not known; never pays.",
       .examples = {{"octroi wallet reconcile", "after exit code 9"}},
       .options = {},
       .run =
           [](const Invocation& call) {
             return as_exit(wallet_reconcile_command({call, call.json}));
           },
       .json_when_piped = true});
}

void add_wallet_sessions(cli::CommandLine& line) {
  struct Words {
    SessionsQuery query;
    std::int64_t max_time = 60;
  };
  auto w = std::make_shared<Words>();
  line.add({.name = "wallet sessions",
            .summary = "Lists prepaid sessions and their refunds, or ends them.",
            .examples = {{"octroi wallet sessions", "asks the node about refunds that are due"},
                         {"octroi wallet sessions close 5f3c…", "ends one and waits for the rest"},
                         {"octroi wallet sessions close --all", "ends every one"}},
            .options =
                [w](OptionSet& set) {
                  set.positional("list|close", w->query.action, "What to do.", false);
                  set.positional("ID", w->query.id, "The session's id, or its first eight digits.",
                                 false);
                  set.flag("--all", w->query.all, "Close every session.");
                  set.option("-m,--max-time", w->max_time, "Seconds an HTTP exchange may take.");
                  set.option("--cacert", w->query.cacert,
                             "Trust the certificates in this PEM file instead of the system's.");
                },
            .run =
                [w](const Invocation& call) {
                  SessionsQuery& q = w->query;
                  q.max_time = static_cast<int>(w->max_time);
                  const bool close = q.action == "close";
                  if ((!close && q.action != "list") || (!close && (q.all || !q.id.empty())) ||
                      (close && q.all == !q.id.empty())) {
                    call.err() << "octroi: wallet sessions: say list, close ID or close --all\n";
                    return ExitCode::usage;
                  }
                  return as_exit(wallet_sessions_command({call, call.json}, q));
                },
            .json_when_piped = true});
}

void add_state(cli::CommandLine& line) {
  line.describe_group("transaction", "Payments to the paywall.");
  line.describe_group("token", "L402 tokens.");
  struct List {
    TransactionQuery query;
    std::int64_t limit = 50;
  };
  auto q = std::make_shared<List>();
  line.add(
      {.name = "transaction list",
       .summary = "Lists challenges that were handed out and what became of them, newest first.",
       .examples = {{"octroi transaction list --state settled", "what was paid"}},
       .options =
           [q](OptionSet& set) {
             set.option("--service", q->query.service, "Only this service.");
             set.choice("--scheme", q->query.scheme, {"l402", "mpp_charge", "mpp_session"},
                        "Only this scheme.");
             set.choice("--state", q->query.state, {"pending", "settled"}, "Only this state.");
             set.option("--limit", q->limit, "How many, at most 1000.");
           },
       .run =
           [q](const Invocation& call) {
             q->query.limit = static_cast<int>(q->limit);
             return as_exit(transaction_list_command({call, call.json}, q->query));
           },
       .json_when_piped = true});
  auto sums = std::make_shared<RevenueQuery>();
  line.add({.name = "transaction totals",
            .summary = "Adds up what was paid, by day, service and scheme; rows that retention "
                       "removed are in it.",
            .examples = {{"octroi transaction totals --from 2026-11-01 --to 2026-12-01",
                          "November, in days of UTC"}},
            .options =
                [sums](OptionSet& set) {
                  set.option("--service", sums->service, "Only this service.");
                  set.option("--from", sums->from, "The first day.");
                  set.option("--to", sums->to, "The day after the last.");
                },
            .run =
                [sums](const Invocation& call) {
                  return as_exit(transaction_totals_command({call, call.json}, *sums));
                },
            .json_when_piped = true});
  auto id = std::make_shared<std::string>();
  line.add(
      {.name = "token revoke",
       .summary = "Revokes an L402 token; returns when every worker of the server refuses it.",
       .examples = {{"octroi token revoke 5f3c…",
                     "the token id as transaction list --json shows it"}},
       .options = [id](OptionSet& set) { set.positional("ID", *id, "64 hexadecimal digits."); },
       .run =
           [id](const Invocation& call) {
             return as_exit(token_revoke_command({call, call.json}, *id));
           },
       .json_when_piped = true});
}

}  // namespace

void add_commands(cli::CommandLine& line) {
  add_serve(line);
  add_price_server(line);
  add_demo(line);
  add_fetch(line);
  add_wallet(line);
  add_wallet_sessions(line);
  add_state(line);
  add_store_commands(line);
  add_session_commands(line);
  add_vault_commands(line);
  add_vault_rekey(line);
  add_run_commands(line);
  add_audit_commands(line);
  add_token_commands(line);
  add_service_commands(line);
  add_policy_commands(line);
}

}  // namespace octroi::app
