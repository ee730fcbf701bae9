#include "octroi/admin/session_api.h"

#include <string>
#include <utility>

#include "octroi/admin/replies.h"
#include "octroi/admin/session_json.h"

namespace octroi::admin {

namespace {

using ledger::SessionOutcome;

constexpr const char* kNotAnId = "a session id is 64 hexadecimal digits";
constexpr const char* kNoSession = "no such session";

/// The filter of a list, or which parameter is wrong.
tl::expected<ledger::SessionFilter, std::string> filter_of(std::string_view query) {
  ledger::SessionFilter filter;
  for (const auto& [key, value] : query_of(query)) {
    if (key == "service") {
      filter.service = value;
    } else if (key == "state") {
      filter.state = ledger::session_state_from_string(value);
      if (!filter.state) return tl::unexpected<std::string>("state: use open or closed");
    } else if (key == "refund") {
      filter.refund = ledger::refund_stage_from_string(value);
      if (!filter.refund) {
        return tl::unexpected<std::string>(
            "refund: use none, skipped, due, sending, succeeded or failed");
      }
    } else if (key == "before") {
      const auto id = PaymentHash::from_hex(value);
      if (!id) return tl::unexpected<std::string>(key + ": " + kNotAnId);
      filter.before = *id;
    } else if (key == "limit") {
      const auto n = number_of(key, value, ledger::kMostSessions);
      if (!n) return tl::unexpected<std::string>(n.error());
      filter.limit = static_cast<int>(*n);
    } else {
      return tl::unexpected<std::string>("unknown parameter '" + key + "'");
    }
  }
  return filter;
}

}  // namespace

Task<void> SessionApi::route(http::Exchange& exchange) {
  const http::RequestHead& request = exchange.request();
  const bool reading = request.method == "GET" || request.method == "HEAD";
  const bool changing = request.method == "POST";
  if (sessions_ == nullptr) {
    co_await send_problem(exchange, 404, "this store keeps no sessions");
    co_return;
  }
  const std::string path(request.path());
  if (path == kSessions && reading) {
    co_await list(exchange);
    co_return;
  }
  const std::string rest = path.size() > kSessions.size() ? path.substr(kSessions.size() + 1) : "";
  if (rest == "totals" && reading) {
    co_await totals(exchange);
    co_return;
  }
  const auto slash = rest.find('/');
  const std::string action = slash == std::string::npos ? "" : rest.substr(slash + 1);
  const bool known = (action.empty() && slash == std::string::npos && reading) ||
                     ((action == "close" || action == "retry-refund") && changing);
  if (!known || rest.empty()) {
    co_await send_problem(exchange, 404, "no such resource; see /api/v1/openapi.json");
    co_return;
  }
  const auto id = PaymentHash::from_hex(rest.substr(0, slash));
  if (!id) {
    co_await send_problem(exchange, 400, kNotAnId);
  } else if (action == "close") {
    co_await close(exchange, *id);
  } else if (action == "retry-refund") {
    co_await retry_refund(exchange, *id);
  } else {
    co_await show(exchange, *id);
  }
}

Task<void> SessionApi::list(http::Exchange& exchange) {
  const auto filter = filter_of(exchange.request().query());
  if (!filter) {
    co_await send_problem(exchange, 400, filter.error());
    co_return;
  }
  co_await send_told(exchange, co_await sessions_->list_sessions(*filter),
                     [&](const auto& rows) { return sessions_json(rows, filter->limit); });
}

Task<void> SessionApi::totals(http::Exchange& exchange) {
  co_await send_told(exchange, co_await sessions_->session_totals(), session_totals_json);
}

Task<void> SessionApi::show(http::Exchange& exchange, PaymentHash id) {
  co_await send_found(exchange, co_await sessions_->find_session(id), session_json, kNoSession);
}

Task<void> SessionApi::close(http::Exchange& exchange, PaymentHash id) {
  if (!actions_.close) {
    co_await send_problem(exchange, 503, "nothing sends refunds here");
    co_return;
  }
  auto closed = co_await actions_.close(id);
  if (!closed) {
    co_await send_unavailable(exchange, std::move(closed).error());
  } else if (!closed->session) {
    co_await send_problem(exchange, 404, kNoSession);
  } else {
    co_await send_json(exchange, session_outcome_json(closed->outcome, *closed->session));
  }
}

Task<void> SessionApi::retry_refund(http::Exchange& exchange, PaymentHash id) {
  if (!actions_.retry_refund) {
    co_await send_problem(exchange, 503, "nothing sends refunds here");
    co_return;
  }
  auto sent = co_await actions_.retry_refund(id);
  if (!sent) {
    co_await send_unavailable(exchange, std::move(sent).error());
  } else if (!sent->session) {
    co_await send_problem(exchange, 404, kNoSession);
  } else if (sent->outcome != SessionOutcome::applied) {
    co_await send_problem(
        exchange, 409,
        fmt::format("there is nothing to retry: the session is {} and its refund {}",
                    ledger::to_string(sent->session->state),
                    ledger::to_string(sent->session->refund.stage)));
  } else {
    co_await send_json(exchange, session_outcome_json(sent->outcome, *sent->session));
  }
}

}  // namespace octroi::admin
