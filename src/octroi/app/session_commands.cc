// Commands about prepaid sessions: session list, show, totals, close, retry-refund.
//
// A close without a running server writes the refund down; the next server sends it. A refund can
// be retried by a server only: the node is asked first what became of the attempt before.

#include <cstdio>

#include "octroi/admin/session_json.h"
#include "octroi/app/commands.h"
#include "octroi/app/server_state.h"
#include "octroi/json/value.h"

namespace octroi::app {

namespace {

/// A refund may take as long as the node tries, and its answer waits for it.
constexpr Millis kRefundTimeout{90'000};

std::string_view text_of(const json::Value& v, std::string_view name) {
  return v.string(name).value_or("");
}

struct StoreAnswer {
  std::unique_ptr<ledger::Store> store;
  ledger::SessionStore* sessions = nullptr;
};
Result<StoreAnswer> open_sessions(const config::Config& config) {
  OCTROI_TRY(auto store, open_store(config));
  ledger::SessionStore* sessions = store->sessions();
  if (sessions == nullptr) return fail(StateErrc::not_found, "this store keeps no sessions");
  return StoreAnswer{std::move(store), sessions};
}

// --- list

void print_sessions(const json::Value& root) {
  const auto rows = root.array("sessions");
  if (!rows) return;
  std::printf("%-64s %-20s %-7s %14s %14s  %s\n", "ID", "SERVICE", "STATE", "DEPOSIT MSAT",
              "SPENT MSAT", "REFUND");
  for (const json::Value row : rows->elements()) {
    std::string refund = "-";
    if (const auto r = row.object("refund")) refund = std::string(text_of(*r, "status"));
    std::printf("%-64s %-20s %-7s %14lld %14lld  %s\n", std::string(text_of(row, "id")).c_str(),
                std::string(text_of(row, "service")).c_str(),
                std::string(text_of(row, "state")).c_str(),
                static_cast<long long>(row.int64("deposit_msat").value_or(0)),
                static_cast<long long>(row.int64("spent_msat").value_or(0)), refund.c_str());
  }
}

Task<Result<std::string>> list_in_store(const config::Config* config,
                                        ledger::SessionFilter filter) {
  OCTROI_CO_TRY(auto opened, open_sessions(*config));
  OCTROI_CO_TRY(auto rows, co_await opened.sessions->list_sessions(filter));
  co_return admin::sessions_json(rows, filter.limit);
}

/// What a server would say about a query that it cannot understand.
Result<ledger::SessionFilter> filter_of(const SessionQuery& query) {
  ledger::SessionFilter filter;
  filter.service = query.service;
  filter.limit = query.limit;
  if (!query.state.empty()) filter.state = ledger::session_state_from_string(query.state);
  if (!query.refund.empty()) filter.refund = ledger::refund_stage_from_string(query.refund);
  if (!query.before.empty()) {
    const auto before = PaymentHash::from_hex(query.before);
    if (!before) return fail(StateErrc::bad_argument, "--before: is not a session id");
    filter.before = *before;
  }
  return filter;
}

Task<void> list_sessions(Call* call, SessionQuery query) {
  const auto filter = filter_of(query);
  if (!filter) {
    tell(call, filter.error());
    co_return;
  }
  std::string target = fmt::format("/api/v1/sessions?limit={}", query.limit);
  if (!query.service.empty()) target += "&service=" + percent_encode(query.service);
  if (!query.state.empty()) target += "&state=" + query.state;
  if (!query.refund.empty()) target += "&refund=" + query.refund;
  if (filter->before) target += "&before=" + filter->before->hex();
  auto answer = co_await ask_admin(&call->loop, &call->config, "GET", target);
  if (nobody_listens(answer)) {
    answer = co_await list_in_store(&call->config, *filter);
  }
  finish(call, answer, print_sessions);
}

// --- totals

Task<Result<std::string>> totals_in_store(const config::Config* config) {
  OCTROI_CO_TRY(auto opened, open_sessions(*config));
  OCTROI_CO_TRY(const auto totals, co_await opened.sessions->session_totals());
  co_return admin::session_totals_json(totals);
}

Task<void> totals(Call* call) {
  auto answer = co_await ask_admin(&call->loop, &call->config, "GET", "/api/v1/sessions/totals");
  if (nobody_listens(answer)) {
    answer = co_await totals_in_store(&call->config);
  }
  finish(call, answer, [](const json::Value& root) {
    for (const char* name : {"deposits_msat", "spent_msat", "refunded_msat", "rounding_msat",
                             "open_balances_msat", "unpaid_refunds_msat", "refund_fees_msat"}) {
      std::printf("%-22s %18lld\n", name, static_cast<long long>(root.int64(name).value_or(0)));
    }
  });
}

// --- one session

void print_session(const json::Value& s) {
  const auto line = [](const char* name, std::string_view value) {
    std::printf("%-14s %s\n", name, std::string(value).c_str());
  };
  const auto msat = [&](const json::Value& from, const char* name, const char* field) {
    line(name, fmt::format("{} msat", from.int64(field).value_or(0)));
  };
  line("id", text_of(s, "id"));
  line("service", text_of(s, "service"));
  line("state", text_of(s, "state"));
  msat(s, "deposit", "deposit_msat");
  msat(s, "spent", "spent_msat");
  msat(s, "balance", "balance_msat");
  line("opened", text_of(s, "opened_at"));
  line("last used", text_of(s, "last_used_at"));
  const auto refund = s.object("refund");
  if (!refund) return;
  line("closed", fmt::format("{} by {}", text_of(s, "closed_at"), text_of(s, "close_reason")));
  msat(*refund, "refund", "amount_msat");
  msat(*refund, "rounding", "rounding_msat");
  line("refund is", text_of(*refund, "status"));
  line("attempts", std::to_string(refund->int64("attempts").value_or(0)));
  if (!text_of(*refund, "detail").empty()) line("detail", text_of(*refund, "detail"));
}

Task<Result<std::string>> show_in_store(const config::Config* config, PaymentHash id) {
  OCTROI_CO_TRY(auto opened, open_sessions(*config));
  OCTROI_CO_TRY(auto session, co_await opened.sessions->find_session(id));
  if (!session) co_return fail(StateErrc::not_found, "no such session");
  co_return admin::session_json(*session);
}

Task<Result<std::string>> close_in_store(const config::Config* config, PaymentHash id) {
  OCTROI_CO_TRY(auto opened, open_sessions(*config));
  ledger::CloseSession request;
  request.session = id;
  request.reason = ledger::CloseReason::operator_;
  request.now = system_clock().now();
  OCTROI_CO_TRY(const auto closed, co_await opened.sessions->close_session(std::move(request)));
  if (!closed.session) co_return fail(StateErrc::not_found, "no such session");
  co_return admin::session_outcome_json(closed.outcome, *closed.session);
}

void print_outcome(const json::Value& root) {
  if (text_of(root, "outcome") == "replayed") std::printf("it had ended before\n");
  if (const auto session = root.object("session")) print_session(*session);
}

Task<void> on_session(Call* call, SessionAction action, std::string text) {
  const auto id = PaymentHash::from_hex(text);
  if (!id) {
    tell(call, Error(StateErrc::bad_argument,
                     "a session id is 64 hexadecimal digits; octroi session list shows them"));
    co_return;
  }
  const std::string path = "/api/v1/sessions/" + id->hex();
  Result<std::string> answer;
  switch (action) {
    case SessionAction::show:
      answer = co_await ask_admin(&call->loop, &call->config, "GET", path);
      if (nobody_listens(answer)) {
        answer = co_await show_in_store(&call->config, *id);
      }
      finish(call, answer, print_session);
      co_return;
    case SessionAction::close:
      answer =
          co_await ask_admin(&call->loop, &call->config, "POST", path + "/close", kRefundTimeout);
      if (nobody_listens(answer)) {
        answer = co_await close_in_store(&call->config, *id);
      }
      finish(call, answer, print_outcome);
      co_return;
    case SessionAction::retry_refund:
      answer = co_await ask_admin(&call->loop, &call->config, "POST", path + "/retry-refund",
                                  kRefundTimeout);
      if (nobody_listens(answer)) {
        answer = fail(StateErrc::needs_server,
                      "a refund is sent by the server: start octroi serve with an admin section");
      }
      finish(call, answer, print_outcome);
      co_return;
  }
}

}  // namespace

int session_list_command(const Common& common, const SessionQuery& query) {
  return with_server(common, [&](Call* call) { return list_sessions(call, query); });
}

int session_totals_command(const Common& common) {
  return with_server(common, [](Call* call) { return totals(call); });
}

int session_command(const Common& common, SessionAction action, const std::string& id) {
  return with_server(common, [&](Call* call) { return on_session(call, action, id); });
}

}  // namespace octroi::app
