#include "octroi/app/approval_commands.h"

#include <cstdio>
#include <memory>

#include "octroi/app/commands.h"
#include "octroi/app/server_state.h"
#include "octroi/app/vault_approvals.h"
#include "octroi/app/vault_keys.h"
#include "octroi/base/env.h"
#include "octroi/cli/output.h"

namespace octroi::app {

using cli::Invocation;
using cli::OptionSet;

namespace {

constexpr const char* kPath = "/api/v1/approvals";

std::string shown(const json::Value& v, std::string_view name) {
  return cli::without_controls(text_of(v, name));
}

void print_list(const json::Value& root) {
  const auto rows = root.array("approvals");
  if (!rows) return;
  std::printf("%-25s %-9s %-14s %-24s %-14s %s\n", "ID", "STATE", "AMOUNT", "OPERATION", "AGENT",
              "EXPIRES");
  for (const json::Value a : rows->elements()) {
    std::printf("%-25s %-9s %-14s %-24s %-14s %s\n", shown(a, "id").c_str(),
                shown(a, "state").c_str(), shown(a, "amount").c_str(),
                shown(a, "operation").c_str(), shown(a, "agent").c_str(),
                shown(a, "expires_at").c_str());
  }
}

void print_one(const json::Value& a) {
  for (const char* name : {"id", "state", "vendor", "operation", "method", "path", "amount",
                           "customer", "policy", "key_id", "agent", "run", "reason", "body_sha256",
                           "asked_at", "expires_at", "decided_at", "decided_by"}) {
    if (a.string(name)) std::printf("%-11s %s\n", name, shown(a, name).c_str());
  }
}

/// Where no vault is configured, no store may come into being by a look at its tickets.
Result<std::unique_ptr<ledger::Store>> open_tickets(const config::Config& config) {
  if (!config.vault) return fail(VaultKeyErrc::no_vault, "the configuration has no vault section");
  return open_store(config);
}

Task<Result<std::string>> list_in_store(const config::Config* config, std::string state) {
  OCTROI_CO_TRY(auto store, open_tickets(*config));
  co_return co_await list_approvals(*store, std::move(state));
}

Task<void> list(Call* call, std::string state) {
  auto answer = co_await ask_admin(&call->loop, &call->config, "GET",
                                   std::string(kPath) + "?state=" + percent_encode(state));
  if (nobody_listens(answer)) answer = co_await list_in_store(&call->config, std::move(state));
  finish(call, answer, print_list);
}

Task<Result<std::string>> show_in_store(const config::Config* config, std::string id) {
  OCTROI_CO_TRY(auto store, open_tickets(*config));
  co_return co_await show_approval(*store, std::move(id));
}

Task<void> show(Call* call, std::string id) {
  auto answer = co_await ask_admin(&call->loop, &call->config, "GET",
                                   std::string(kPath) + "/" + percent_encode(id));
  if (nobody_listens(answer)) answer = co_await show_in_store(&call->config, std::move(id));
  finish(call, answer, print_one);
}

Task<Result<std::string>> decide_in_store(const config::Config* config, Verdict verdict) {
  OCTROI_CO_TRY(auto store, open_tickets(*config));
  co_return co_await decide_approval(*store, config->vault->approvals, std::move(verdict),
                                     system_clock().now());
}

Task<void> decide(Call* call, Verdict verdict) {
  if (verdict.by.empty()) verdict.by = get_env("USER").value_or("admin");
  AdminAsk ask;
  ask.method = "POST";
  ask.target = fmt::format("{}/{}/{}?by={}", kPath, percent_encode(verdict.id),
                           verdict.approved ? "approve" : "deny", percent_encode(verdict.by));
  auto answer = co_await ask_admin(&call->loop, &call->config, std::move(ask));
  if (nobody_listens(answer)) answer = co_await decide_in_store(&call->config, std::move(verdict));
  finish(call, answer, print_one);
}

template <class Work>
cli::ExitCode run_with(const Invocation& call, Work work) {
  const Common common{call, call.json};
  return static_cast<cli::ExitCode>(with_server(common, work));
}

void add_decision(cli::CommandLine& line, bool approved, const char* name, const char* summary,
                  const char* example) {
  auto v = std::make_shared<Verdict>();
  v->approved = approved;
  line.add({.name = name,
            .summary = summary,
            .examples = {{example, "the ticket as approval list shows it"}},
            .options =
                [v](OptionSet& set) {
                  set.positional("ID", v->id, "The ticket.");
                  set.option("--by", v->by, "Who decides, for the audit; otherwise $USER.");
                },
            .run =
                [v](const Invocation& call) {
                  return run_with(call, [&](Call* c) { return decide(c, *v); });
                },
            .json_when_piped = true});
}

}  // namespace

void add_approval_commands(cli::CommandLine& line) {
  line.describe_group("approval", "Calls of agents that wait for a human.");
  auto state = std::make_shared<std::string>("pending");
  line.add(
      {.name = "approval list",
       .summary = "Lists tickets, newest first; those that wait unless --state says otherwise.",
       .examples = {{"octroi approval list", "what waits now"}},
       .options =
           [state](OptionSet& set) {
             set.choice("--state", *state,
                        {"pending", "approved", "denied", "used", "expired", "all"}, "Only these.");
           },
       .run =
           [state](const Invocation& call) {
             return run_with(call, [&](Call* c) { return list(c, *state); });
           },
       .json_when_piped = true});
  auto id = std::make_shared<std::string>();
  line.add({.name = "approval show",
            .summary = "Shows one ticket: what would be done, for how much, and who asked.",
            .examples = {{"octroi approval show apr_0123456789abcdef0123", "before deciding"}},
            .options = [id](OptionSet& set) { set.positional("ID", *id, "The ticket."); },
            .run =
                [id](const Invocation& call) {
                  return run_with(call, [&](Call* c) { return show(c, *id); });
                },
            .json_when_piped = true});
  add_decision(line, true, "approval approve", "Lets exactly this request pass, once.",
               "octroi approval approve apr_0123456789abcdef0123");
  add_decision(line, false, "approval deny", "Refuses it until the ticket is over.",
               "octroi approval deny apr_0123456789abcdef0123");
}

}  // namespace octroi::app
