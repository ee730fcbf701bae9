#include "octroi/admin/vault_api.h"

#include <utility>

#include "octroi/admin/replies.h"

namespace octroi::admin {

namespace {

constexpr std::uint64_t kMaxBody = 64 * 1024;
constexpr std::string_view kCredentials = "/credentials";

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

Result<ledger::VaultKeyFilter> filter_of(std::string_view query, bool& all) {
  ledger::VaultKeyFilter filter;
  for (const auto& [key, value] : query_of(query)) {
    if (key == "run") {
      filter.run = value;
    } else if (key == "agent") {
      filter.agent = value;
    } else if (key == "policy") {
      filter.policy = value;
    } else if (key == "vendor") {
      filter.vendor = value;
    } else if (key == "all") {
      all = value == "yes";
    } else {
      return fail(ApiErrc::bad_parameter, "unknown parameter '" + key + "'");
    }
  }
  return filter;
}

}  // namespace

Task<void> VaultApi::route(http::Exchange& exchange) {
  auto made = co_await answer(exchange);
  co_await send_made(exchange, std::move(made));
}

Task<Result<std::string>> VaultApi::answer(http::Exchange& exchange) {
  using ledger::VaultKeyState;
  if (!actions_.list) co_return fail(ApiErrc::no_resource, "this server runs no vault door");
  const http::RequestHead& request = exchange.request();
  const bool reading = request.method == "GET" || request.method == "HEAD";
  const bool changing = request.method == "POST";
  std::string path(request.path().substr(kVault.size()));
  bool all = false;
  OCTROI_CO_TRY(ledger::VaultKeyFilter filter, filter_of(request.query(), all));
  const auto nothing = [] {
    return fail(ApiErrc::no_resource, "no such resource; see /api/v1/openapi.json");
  };
  if (path == "/keys" && reading) co_return co_await actions_.list(std::move(filter));
  if (path == "/keys" && changing) {
    OCTROI_CO_TRY(std::string body, co_await http::read_all(exchange.body(), kMaxBody));
    co_return co_await actions_.issue(std::move(body));
  }
  if (path == "/revoke" && changing) {
    const bool named = !filter.run.empty() || !filter.agent.empty() || !filter.policy.empty() ||
                       !filter.vendor.empty();
    if (named == all)
      co_return fail(ApiErrc::bad_parameter, "name run, agent, policy or vendor, or all=yes");
    co_return co_await actions_.change(std::move(filter), VaultKeyState::revoked);
  }
  if (path == "/reconcile" && changing) {
    OCTROI_CO_TRY(std::string body, co_await http::read_all(exchange.body(), kMaxBody));
    co_return co_await actions_.reconcile(body.empty() ? "{}" : std::move(body));
  }
  if (path == kCredentials || path.starts_with(std::string(kCredentials) + "/"))
    co_return co_await answer_credentials(exchange, path.substr(kCredentials.size()));
  constexpr std::string_view kKeys = "/keys/";
  if (!path.starts_with(kKeys)) co_return nothing();
  path = path.substr(kKeys.size());
  const std::size_t slash = std::min(path.find('/'), path.size());
  filter.id = path.substr(0, slash);
  const std::string action = path.substr(slash);
  if (filter.id.empty()) co_return nothing();
  if (action.empty() && reading) co_return co_await actions_.list(std::move(filter));
  if (action == "/revoke" && changing)
    co_return co_await actions_.change(std::move(filter), VaultKeyState::revoked);
  if (action == "/pause" && changing)
    co_return co_await actions_.change(std::move(filter), VaultKeyState::paused);
  if (action == "/rotate" && changing) {
    OCTROI_CO_TRY(std::string body, co_await http::read_all(exchange.body(), kMaxBody));
    co_return co_await actions_.rotate(std::move(filter.id), std::move(body));
  }
  if (action == "/resume" && changing)
    co_return co_await actions_.change(std::move(filter), VaultKeyState::active);
  co_return nothing();
}

/// `path` is what follows kCredentials.
Task<Result<std::string>> VaultApi::answer_credentials(http::Exchange& exchange, std::string path) {
  const http::RequestHead& request = exchange.request();
  const bool changing = request.method == "POST";
  if (!path.empty()) path.erase(0, 1);
  const std::size_t slash = std::min(path.find('/'), path.size());
  const std::string vendor = path.substr(0, slash);
  const std::string action = path.substr(slash);
  if (action.empty() && (request.method == "GET" || request.method == "HEAD"))
    co_return co_await actions_.real_keys.show(vendor);
  if (changing && !vendor.empty() && action == "/rollback")
    co_return co_await actions_.real_keys.roll_back(vendor);
  const bool rotates = action == "/rotate";
  if (changing && !vendor.empty() && (action.empty() || rotates)) {
    OCTROI_CO_TRY(std::string body, co_await http::read_all(exchange.body(), kMaxBody));
    if (rotates) co_return co_await actions_.real_keys.rotate(vendor, std::move(body));
    co_return co_await actions_.put_credential(vendor, std::move(body));
  }
  co_return fail(ApiErrc::no_resource, "no such resource; see /api/v1/openapi.json");
}

}  // namespace octroi::admin
