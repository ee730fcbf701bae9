#include "octroi/paywall/cors.h"

#include <algorithm>

namespace octroi::paywall {

namespace {

std::string join(const std::vector<std::string>& items) {
  std::size_t size = 0;
  for (const auto& item : items) size += item.size() + 2;
  std::string out;
  out.reserve(size);
  for (const auto& item : items) {
    if (!out.empty()) out += ", ";
    out += item;
  }
  return out;
}

/// The value of Access-Control-Allow-Origin for this caller; empty when it is not listed.
std::string allowed_origin(const CorsPolicy& policy, const http::Headers& request) {
  const bool any =
      std::find(policy.origins.begin(), policy.origins.end(), "*") != policy.origins.end();
  if (any && !policy.credentials) return "*";
  const auto origin = request.get("Origin");
  if (!origin) return {};
  if (any ||
      std::find(policy.origins.begin(), policy.origins.end(), *origin) != policy.origins.end()) {
    return std::string(*origin);
  }
  return {};
}

/// Adds the names that the field does not list yet.
void merge_list(http::Headers& headers, std::string_view field,
                const std::vector<std::string>& names, std::string_view joined) {
  if (names.empty()) return;
  if (!headers.has(field)) {
    headers.add(field, joined);
    return;
  }
  std::string merged;
  for (auto line : headers.all(field)) {
    if (!merged.empty()) merged += ", ";
    merged += line;
  }
  for (const auto& name : names) {
    if (headers.has_token(field, name)) continue;
    if (!merged.empty()) merged += ", ";
    merged += name;
  }
  if (!merged.empty()) headers.set(field, merged);
}

}  // namespace

bool is_preflight(const http::RequestHead& request) {
  return request.method == "OPTIONS" && request.headers.has("Origin") &&
         request.headers.has("Access-Control-Request-Method");
}

http::ResponseHead preflight_answer(const CorsPolicy& policy, const http::RequestHead& request) {
  http::ResponseHead head;
  const std::string origin = allowed_origin(policy, request.headers);
  if (origin.empty()) {
    head.status = 403;
    return head;
  }
  head.status = 204;
  head.headers.set("Access-Control-Allow-Origin", origin);
  if (origin != "*") head.headers.set("Vary", "Origin");
  head.headers.set("Access-Control-Allow-Methods", join(policy.methods));
  head.headers.set("Access-Control-Allow-Headers", join(policy.allow_headers));
  head.headers.set("Access-Control-Max-Age",
                   fmt::format("{}", std::chrono::duration_cast<Seconds>(policy.max_age).count()));
  if (policy.credentials) head.headers.set("Access-Control-Allow-Credentials", "true");
  return head;
}

std::string exposed_list(const CorsPolicy& policy) { return join(policy.expose_headers); }

void add_cors(const CorsPolicy& policy, std::string_view exposed, const http::Headers& request,
              http::Headers& response) {
  if (!policy.enabled) return;
  const std::string origin = allowed_origin(policy, request);
  // Also without permission: a cache must not give that answer to an origin that has it.
  if (origin != "*" && !response.has_token("Vary", "Origin")) response.add("Vary", "Origin");
  if (origin.empty()) return;
  response.set("Access-Control-Allow-Origin", origin);
  merge_list(response, "Access-Control-Expose-Headers", policy.expose_headers, exposed);
  if (policy.credentials) response.set("Access-Control-Allow-Credentials", "true");
}

}  // namespace octroi::paywall
