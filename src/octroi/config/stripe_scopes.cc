#include "octroi/config/stripe_scopes.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

namespace octroi::config {

namespace {

constexpr std::array<std::string_view, 3> kReads = {"list", "retrieve", "search"};
constexpr std::string_view kAll = "everything";

struct Scope {
  std::string resource;
  bool writes = false;
};

/// "POST /v1/charges/**": the segment after the version is the resource.
Scope scope_of_path(std::string_view endpoint, std::size_t space) {
  const std::string_view method = endpoint.substr(0, space);
  std::string_view path = endpoint.substr(space + 1);
  const std::size_t version = path.find("/v");
  const std::size_t slash =
      version == std::string_view::npos ? version : path.find('/', version + 2);
  path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  const std::string resource(path.substr(0, path.find('/')));
  const bool plain = !resource.empty() && resource.find('*') == std::string::npos;
  return {plain ? resource : std::string(kAll), method != "GET" && method != "HEAD"};
}

/// "charges.create", "customers.*", "checkout.sessions.list", "*".
Scope scope_of_name(std::string_view endpoint) {
  const std::size_t dot = endpoint.rfind('.');
  if (dot == std::string_view::npos) return {std::string(kAll), true};
  const std::string_view action = endpoint.substr(dot + 1);
  const std::string_view resource = endpoint.substr(0, dot);
  if (resource.find('*') != std::string_view::npos) return {std::string(kAll), true};
  return {std::string(resource), std::find(kReads.begin(), kReads.end(), action) == kReads.end()};
}

}  // namespace

std::string stripe_scopes(const std::vector<std::string>& endpoints) {
  std::map<std::string, bool> scopes;
  for (const std::string& endpoint : endpoints) {
    const std::size_t space = endpoint.find(' ');
    const Scope scope =
        space == std::string::npos ? scope_of_name(endpoint) : scope_of_path(endpoint, space);
    bool& writes = scopes[scope.resource];
    writes = writes || scope.writes;
  }
  std::string out;
  for (const auto& [resource, writes] : scopes) {
    if (!out.empty()) out += ", ";
    out += resource + (writes ? ": write" : ": read");
  }
  return out;
}

}  // namespace octroi::config
