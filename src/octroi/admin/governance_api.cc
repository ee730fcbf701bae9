#include "octroi/admin/governance_api.h"

#include <charconv>
#include <utility>

#include "octroi/admin/replies.h"

namespace octroi::admin {

namespace {

constexpr std::uint64_t kMaxBody = 256 * 1024;

enum class ApiErrc : std::uint8_t { no_resource, bad_parameter };
ErrorInfo error_info(ApiErrc e) {
  switch (e) {
    case ApiErrc::no_resource:
      return {"admin.no-resource", ErrorKind::not_found};
    case ApiErrc::bad_parameter:
      return {"admin.bad-parameter", ErrorKind::invalid};
  }
  return {"admin.unknown", ErrorKind::internal};
}

tl::unexpected<Error> nothing() {
  return fail(ApiErrc::no_resource, "no such resource; see /api/v1/openapi.json");
}

/// The one parameter that this resource takes; empty when it is not there.
Result<std::string> parameter(std::string_view query, std::string_view name) {
  std::string out;
  for (const auto& [key, value] : query_of(query)) {
    if (key != name) return fail(ApiErrc::bad_parameter, "unknown parameter '" + key + "'");
    out = value;
  }
  return out;
}

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t out = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (ec != std::errc{} || end != text.data() + text.size() || out < 1) return std::nullopt;
  return out;
}

tl::unexpected<Error> not_a_moment(const std::string& name) {
  return fail(ApiErrc::bad_parameter, name + ": write a moment such as 2026-12-31T00:00:00Z");
}

/// If-None-Match: * is 0; If-Match: "7" is 7, and * is whichever there is; neither is any, or none.
Result<std::optional<std::int64_t>> expected_version(const http::Headers& headers) {
  if (const auto none = headers.get("If-None-Match")) {
    if (*none != "*") return fail(ApiErrc::bad_parameter, "If-None-Match: use *");
    return std::optional<std::int64_t>(0);
  }
  const auto match = headers.get("If-Match");
  if (!match) return std::optional<std::int64_t>{};
  if (*match == "*") return std::optional<std::int64_t>(kWhicheverVersion);
  std::string_view tag = *match;
  if (tag.size() > 2 && tag.front() == '"' && tag.back() == '"')
    tag = tag.substr(1, tag.size() - 2);
  const auto version = number(tag);
  if (!version) return fail(ApiErrc::bad_parameter, "If-Match: use the version that was read");
  return std::optional<std::int64_t>(*version);
}

struct Below {
  std::string name;
  std::string action;  // "/usage"
};
Below split(std::string below) {
  if (!below.empty()) below.erase(0, 1);
  const std::size_t slash = std::min(below.find('/'), below.size());
  return {below.substr(0, slash), below.substr(slash)};
}

}  // namespace

bool GovernanceApi::takes(std::string_view path) {
  for (const std::string_view root : {kApprovals, kPolicies}) {
    if (path == root || (path.starts_with(root) && path[root.size()] == '/')) return true;
  }
  return false;
}

Task<void> GovernanceApi::route(http::Exchange& exchange) {
  auto made = co_await answer(exchange);
  co_await send_made(exchange, std::move(made));
}

Task<Result<std::string>> GovernanceApi::answer(http::Exchange& exchange) {
  if (!actions_.list_policies)
    co_return fail(ApiErrc::no_resource, "this server runs no vault door");
  const std::string path(exchange.request().path());
  if (path.starts_with(kApprovals))
    co_return co_await approvals(exchange, path.substr(kApprovals.size()));
  co_return co_await policies(exchange, path.substr(kPolicies.size()));
}

Task<Result<std::string>> GovernanceApi::approvals(http::Exchange& exchange, std::string below) {
  const http::RequestHead& request = exchange.request();
  const bool reading = request.method == "GET" || request.method == "HEAD";
  if (below.empty()) {
    OCTROI_CO_TRY(auto state, parameter(request.query(), "state"));
    if (!reading) co_return nothing();
    co_return co_await actions_.list_approvals(std::move(state));
  }
  auto [id, action] = split(std::move(below));
  if (id.empty()) co_return nothing();
  if (action.empty() && reading) co_return co_await actions_.show_approval(std::move(id));
  if (request.method != "POST" || (action != "/approve" && action != "/deny")) co_return nothing();
  OCTROI_CO_TRY(auto by, parameter(request.query(), "by"));
  if (by.size() > 128) co_return fail(ApiErrc::bad_parameter, "by: at most 128 characters");
  if (by.empty()) by = "admin";
  co_return co_await actions_.decide_approval(std::move(id), action == "/approve", std::move(by));
}

Task<Result<std::string>> GovernanceApi::policies(http::Exchange& exchange, std::string below) {
  const http::RequestHead& request = exchange.request();
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  if (below.empty()) {
    if (method != "GET") co_return nothing();
    co_return co_await actions_.list_policies();
  }
  auto [name, action] = split(std::move(below));
  if (name.empty()) co_return nothing();
  if (method == "GET") {
    if (action.empty()) co_return co_await actions_.show_policy(std::move(name));
    if (action == "/versions") co_return co_await actions_.policy_versions(std::move(name));
    if (action == "/usage") co_return co_await actions_.policy_usage(std::move(name));
    if (action == "/windows") {
      OCTROI_CO_TRY(const auto text, parameter(request.query(), "at"));
      std::optional<UnixMillis> at;
      if (!text.empty()) {
        const auto when = from_rfc3339(text);
        if (!when) co_return not_a_moment("at");
        at = *when;
      }
      co_return co_await actions_.policy_windows(std::move(name), at);
    }
    co_return nothing();
  }
  if (method == "POST" && action == "/rollback") {
    OCTROI_CO_TRY(const auto text, parameter(request.query(), "version"));
    const auto version = number(text);
    if (!version) co_return fail(ApiErrc::bad_parameter, "version: the number to go back to");
    co_return co_await actions_.roll_back_policy(std::move(name), *version);
  }
  if (method == "POST" && action == "/simulate")
    co_return co_await simulate(exchange, std::move(name));
  if (!action.empty()) co_return nothing();
  OCTROI_CO_TRY(const auto expected, expected_version(request.headers));
  if (method == "DELETE") co_return co_await actions_.remove_policy(std::move(name), expected);
  if (method != "PUT") co_return nothing();
  OCTROI_CO_TRY(std::string body, co_await http::read_all(exchange.body(), kMaxBody));
  co_return co_await actions_.put_policy(std::move(name), std::move(body), expected);
}

Task<Result<std::string>> GovernanceApi::simulate(http::Exchange& exchange, std::string name) {
  std::optional<UnixMillis> from, to;
  for (const auto& [key, value] : query_of(exchange.request().query())) {
    if (key != "from" && key != "to")
      co_return fail(ApiErrc::bad_parameter, "unknown parameter '" + key + "'");
    const auto when = from_rfc3339(value);
    if (!when) co_return not_a_moment(key);
    (key == "from" ? from : to) = *when;
  }
  OCTROI_CO_TRY(std::string body, co_await http::read_all(exchange.body(), kMaxBody));
  co_return co_await actions_.simulate_policy(std::move(name), std::move(body), from, to);
}

}  // namespace octroi::admin
