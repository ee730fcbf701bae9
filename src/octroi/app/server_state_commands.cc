// Commands about a server's state: transaction list, token revoke, token list.
//
// See server_state.h for who writes. Sessions have session_commands.cc, the store as a whole has
// store_commands.cc.

#include <cstdio>
#include <limits>

#include "octroi/admin/revenue_json.h"
#include "octroi/app/commands.h"
#include "octroi/app/context.h"
#include "octroi/app/server_state.h"
#include "octroi/json/value.h"
#include "octroi/json/writer.h"

namespace octroi::app {

namespace {

std::string row_json(const ledger::Transaction& t) {
  json::Writer w;
  w.begin_object()
      .field("id", t.id)
      .field("service", t.record.service)
      .field("auth_type", std::string(ledger::to_string(t.record.scheme)))
      .field("payment_hash", t.record.hash.hex())
      .field("amount_msat", t.record.amount.count() /* raw: wire */)
      .field("state", t.state == ledger::TransactionState::settled ? "settled" : "pending")
      .field("created_at", to_rfc3339(t.record.created));
  w.key("settled_at");
  if (t.settled)
    w.string(to_rfc3339(*t.settled));
  else
    w.null();
  w.end_object();
  return std::move(w).take();
}

Task<Result<std::string>> transactions_from_store(const config::Config* config,
                                                  ledger::TransactionFilter filter) {
  OCTROI_CO_TRY(auto store, open_store(*config));
  OCTROI_CO_TRY(auto rows, co_await store->list_transactions(filter));
  std::string out = "{\"transactions\":[";
  for (std::size_t i = 0; i < rows.size(); ++i) out += (i == 0 ? "" : ",") + row_json(rows[i]);
  co_return out + "]}";
}

void print_transactions(const std::string& text) {
  auto doc = json::parse(text, {64, 64U << 20, false});
  if (!doc) return;
  auto rows = doc->root().array("transactions");
  if (!rows) return;
  std::printf("%-8s %-20s %-12s %-10s %14s  %s\n", "ID", "SERVICE", "SCHEME", "STATE", "MSAT",
              "CREATED");
  for (const json::Value row : rows->elements()) {
    std::printf("%-8lld %-20s %-12s %-10s %14lld  %s\n",
                static_cast<long long>(row.int64("id").value_or(0)),
                std::string(row.string("service").value_or("")).c_str(),
                std::string(row.string("auth_type").value_or("")).c_str(),
                std::string(row.string("state").value_or("")).c_str(),
                static_cast<long long>(row.int64("amount_msat").value_or(0)),
                std::string(row.string("created_at").value_or("")).c_str());
  }
}

Task<void> list_transactions(Call* call, TransactionQuery query) {
  std::string target = fmt::format("/api/v1/transactions?limit={}", query.limit);
  ledger::TransactionFilter filter;
  filter.limit = query.limit;
  filter.service = query.service;
  if (!query.service.empty()) target += "&service=" + query.service;
  if (!query.scheme.empty()) {
    target += "&scheme=" + query.scheme;
    filter.scheme = query.scheme == "l402"         ? ledger::Scheme::l402
                    : query.scheme == "mpp_charge" ? ledger::Scheme::mpp_charge
                                                   : ledger::Scheme::mpp_session;
  }
  if (!query.state.empty()) {
    target += "&state=" + query.state;
    filter.state = query.state == "settled" ? ledger::TransactionState::settled
                                            : ledger::TransactionState::pending;
  }
  auto answer = co_await ask_admin(&call->loop, &call->config, "GET", target);
  if (nobody_listens(answer)) answer = co_await transactions_from_store(&call->config, filter);
  if (!answer) {
    tell(call, answer.error());
    co_return;
  }
  if (call->common.json)
    std::printf("%s\n", answer->c_str());
  else
    print_transactions(*answer);
  call->code = kDone;
}

Task<Result<std::string>> totals_from_store(const config::Config* config,
                                            ledger::RevenueFilter filter) {
  OCTROI_CO_TRY(auto store, open_store(*config));
  OCTROI_CO_TRY(const auto rows, co_await store->revenue(std::move(filter)));
  co_return admin::revenue_json(rows);
}

void print_totals(const std::string& text) {
  const auto doc = json::parse(text, {64, 64U << 20, false});
  if (!doc) return;
  const auto rows = doc->root().array("revenue");
  if (!rows) return;
  const auto line = [](std::string_view day, std::string_view service, std::string_view scheme,
                       const json::Value& sums) {
    std::printf("%-10s %-20s %-12s %10lld %18lld\n", std::string(day).c_str(),
                std::string(service).c_str(), std::string(scheme).c_str(),
                static_cast<long long>(sums.int64("sales").value_or(0)),
                static_cast<long long>(sums.int64("amount_msat").value_or(0)));
  };
  std::printf("%-10s %-20s %-12s %10s %18s\n", "DAY", "SERVICE", "SCHEME", "SALES", "MSAT");
  for (const json::Value row : rows->elements()) {
    line(row.string("day").value_or(""), row.string("service").value_or(""),
         row.string("auth_type").value_or(""), row);
  }
  line("all", "", "", doc->root());
}

Task<void> transaction_totals(Call* call, RevenueQuery query) {
  std::map<std::string, std::string> asked;
  std::string target = "/api/v1/revenue?";
  for (const auto& [key, value] :
       {std::pair("service", query.service), {"from", query.from}, {"to", query.to}}) {
    if (value.empty()) continue;
    asked[key] = value;
    target += fmt::format("{}={}&", key, percent_encode(value));
  }
  target.pop_back();
  const auto filter = admin::revenue_filter_of(asked);
  if (!filter) {
    tell(call, Error(StateErrc::bad_argument, "--" + filter.error()));
    co_return;
  }
  auto answer = co_await ask_admin(&call->loop, &call->config, "GET", target);
  if (nobody_listens(answer)) {
    answer = co_await totals_from_store(&call->config, *filter);
  }
  if (!answer) {
    tell(call, answer.error());
    co_return;
  }
  if (call->common.json)
    std::printf("%s\n", answer->c_str());
  else
    print_totals(*answer);
  call->code = kDone;
}

Task<Result<std::string>> revoke_in_store(const config::Config* config, TokenId id) {
  constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max() / 4;
  OCTROI_CO_TRY(auto store, open_store(*config));
  const UnixMillis now = system_clock().now();
  OCTROI_CO_CHECK(co_await store->revoke_token(id, {kForever}, now));
  json::Writer w;
  w.begin_object().field("id", id.hex()).field("revoked_at", to_rfc3339(now)).end_object();
  co_return std::move(w).take();
}

Task<void> revoke_token(Call* call, std::string text) {
  auto id = TokenId::from_hex(text);
  if (!id) {
    tell(call,
         Error(StateErrc::bad_argument,
               "a token id is 64 hexadecimal digits; octroi transaction list --json shows them"));
    co_return;
  }
  auto answer = co_await ask_admin(&call->loop, &call->config, "POST",
                                   "/api/v1/tokens/" + id->hex() + "/revoke");
  if (nobody_listens(answer)) answer = co_await revoke_in_store(&call->config, *id);
  if (!answer) {
    tell(call, answer.error());
    co_return;
  }
  if (call->common.json)
    std::printf("%s\n", answer->c_str());
  else
    std::printf("revoked %s\n", id->hex().c_str());
  call->code = kDone;
}

}  // namespace

int transaction_list_command(const Common& common, const TransactionQuery& query) {
  return with_server(common, [&](Call* call) { return list_transactions(call, query); });
}

int transaction_totals_command(const Common& common, const RevenueQuery& query) {
  return with_server(common, [&](Call* call) { return transaction_totals(call, query); });
}

int token_revoke_command(const Common& common, const std::string& id) {
  return with_server(common, [&](Call* call) { return revoke_token(call, id); });
}

}  // namespace octroi::app
