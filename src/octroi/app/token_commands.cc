#include "octroi/app/token_commands.h"

#include <cstdio>
#include <memory>

#include "octroi/admin/bundle_json.h"
#include "octroi/app/commands.h"
#include "octroi/app/server_state.h"
#include "octroi/json/value.h"

namespace octroi::app {

using cli::Invocation;
using cli::OptionSet;

namespace {

struct TokenQuery {
  std::string service, before;
  std::int64_t limit = 50;
};

struct StoreAnswer {
  std::unique_ptr<ledger::Store> store;
  ledger::BundleStore* bundles = nullptr;
};
Result<StoreAnswer> open_bundles(const config::Config& config) {
  OCTROI_TRY(auto store, open_store(config));
  ledger::BundleStore* bundles = store->bundles();
  if (bundles == nullptr) return fail(StateErrc::not_found, "this store counts no tokens");
  return StoreAnswer{std::move(store), bundles};
}

long long number_in(const json::Value& v, std::string_view name) {
  return static_cast<long long>(v.int64(name).value_or(0));
}

Result<TokenId> id_of(std::string_view text) {
  auto id = TokenId::from_hex(text);
  if (id) return *id;
  return fail(StateErrc::bad_argument,
              "a token id is 64 hexadecimal digits; octroi token list shows them");
}

// --- list

void print_tokens(const json::Value& root) {
  const auto rows = root.array("tokens");
  if (!rows) return;
  std::printf("%-64s %-20s %-8s %14s %14s\n", "ID", "SERVICE", "UNIT", "LEFT", "OF");
  for (const json::Value row : rows->elements()) {
    std::printf("%-64s %-20s %-8s %14lld %14lld\n", text_of(row, "id").c_str(),
                text_of(row, "service").c_str(), text_of(row, "unit").c_str(),
                number_in(row, "left"), number_in(row, "units"));
  }
}

Task<Result<std::string>> list_in_store(const config::Config* config, ledger::BundleFilter filter) {
  OCTROI_CO_TRY(auto opened, open_bundles(*config));
  OCTROI_CO_TRY(auto rows, co_await opened.bundles->list_bundles(filter));
  co_return admin::bundles_json(rows, filter.limit);
}

Task<Result<std::string>> listed(Call* call, TokenQuery query) {
  ledger::BundleFilter filter;
  filter.service = query.service;
  filter.limit = static_cast<int>(query.limit);
  std::string target = fmt::format("/api/v1/tokens?limit={}", query.limit);
  if (!query.service.empty()) target += "&service=" + percent_encode(query.service);
  if (!query.before.empty()) {
    OCTROI_CO_TRY(filter.before, id_of(query.before));
    target += "&before=" + filter.before->hex();
  }
  auto answer = co_await ask_admin(&call->loop, &call->config, "GET", target);
  if (answer || !answer.error().is(StateErrc::no_admin)) co_return answer;
  co_return co_await list_in_store(&call->config, filter);
}

Task<void> list_tokens(Call* call, TokenQuery query) {
  finish(call, co_await listed(call, std::move(query)), print_tokens);
}

// --- totals

Task<Result<std::string>> totals_in_store(const config::Config* config) {
  OCTROI_CO_TRY(auto opened, open_bundles(*config));
  OCTROI_CO_TRY(auto totals, co_await opened.bundles->bundle_totals());
  co_return admin::bundle_totals_json(totals);
}

void print_token_totals(const json::Value& root) {
  const auto rows = root.array("totals");
  if (!rows) return;
  std::printf("%-20s %-8s %10s %16s %16s %18s\n", "SERVICE", "UNIT", "TOKENS", "UNITS", "USED",
              "SOLD MSAT");
  for (const json::Value row : rows->elements()) {
    std::printf("%-20s %-8s %10lld %16lld %16lld %18lld\n", text_of(row, "service").c_str(),
                text_of(row, "unit").c_str(), number_in(row, "tokens"), number_in(row, "units"),
                number_in(row, "used"), number_in(row, "sold_msat"));
  }
}

Task<void> token_totals(Call* call) {
  auto answer = co_await ask_admin(&call->loop, &call->config, "GET", "/api/v1/tokens/totals");
  if (nobody_listens(answer)) answer = co_await totals_in_store(&call->config);
  finish(call, answer, print_token_totals);
}

// --- show

Task<Result<std::string>> show_in_store(const config::Config* config, TokenId id) {
  OCTROI_CO_TRY(auto opened, open_bundles(*config));
  OCTROI_CO_TRY(auto bundle, co_await opened.bundles->find_bundle(id));
  if (!bundle) co_return fail(StateErrc::not_found, "no counted token has this id");
  co_return admin::bundle_json(*bundle);
}

void print_token(const json::Value& t) {
  for (const char* name : {"id", "payment_hash", "service", "unit"}) {
    std::printf("%-13s %s\n", name, text_of(t, name).c_str());
  }
  for (const char* name : {"units", "used", "left", "sold_msat"}) {
    std::printf("%-13s %lld\n", name, number_in(t, name));
  }
  std::printf("%-13s %s\n", "opened", text_of(t, "opened_at").c_str());
  std::printf("%-13s %s\n", "last used", text_of(t, "last_used_at").c_str());
}

Task<Result<std::string>> shown(Call* call, std::string text) {
  OCTROI_CO_TRY(const TokenId id, id_of(text));
  auto answer = co_await ask_admin(&call->loop, &call->config, "GET", "/api/v1/tokens/" + id.hex());
  if (answer || !answer.error().is(StateErrc::no_admin)) co_return answer;
  co_return co_await show_in_store(&call->config, id);
}

Task<void> show_token(Call* call, std::string text) {
  finish(call, co_await shown(call, std::move(text)), print_token);
}

}  // namespace

void add_token_commands(cli::CommandLine& line) {
  auto query = std::make_shared<TokenQuery>();
  line.add({.name = "token list",
            .summary = "Lists L402 tokens that hold a number of units, newest first, with what is "
                       "left of them.",
            .examples = {{"octroi token list --service chat", "of one service"}},
            .options =
                [query](OptionSet& set) {
                  set.option("--service", query->service, "Only this service.");
                  set.option("--before", query->before, "Only first shown before this token.");
                  set.option("--limit", query->limit, "How many, at most 1000.");
                },
            .run =
                [query](const Invocation& call) {
                  return static_cast<cli::ExitCode>(with_server(
                      {call, call.json}, [&](Call* c) { return list_tokens(c, *query); }));
                },
            .json_when_piped = true});
  auto id = std::make_shared<std::string>();
  line.add(
      {.name = "token show",
       .summary = "Shows one counted token: what it was sold as, and what is left.",
       .examples = {{"octroi token show 5f3c…", "the id as token list shows it"}},
       .options = [id](OptionSet& set) { set.positional("ID", *id, "64 hexadecimal digits."); },
       .run =
           [id](const Invocation& call) {
             return static_cast<cli::ExitCode>(
                 with_server({call, call.json}, [&](Call* c) { return show_token(c, *id); }));
           },
       .json_when_piped = true});
  line.add({.name = "token totals",
            .summary = "Adds up counted tokens by service and unit: sold, used, and for how much.",
            .examples = {{"octroi token totals --json", "of all that are kept"}},
            .options = nullptr,
            .run =
                [](const Invocation& call) {
                  return static_cast<cli::ExitCode>(with_server({call, call.json}, token_totals));
                },
            .json_when_piped = true});
}

}  // namespace octroi::app
