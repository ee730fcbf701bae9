#include "octroi/vault/pack.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "octroi/vault/packs/anthropic/anthropic.h"
#include "octroi/vault/packs/aws/aws.h"
#include "octroi/vault/packs/generic/generic.h"
#include "octroi/vault/packs/mcp/mcp.h"
#include "octroi/vault/packs/openai/openai.h"
#include "octroi/vault/packs/resend/resend.h"
#include "octroi/vault/packs/stripe/mcp.h"
#include "octroi/vault/packs/stripe/stripe.h"
#include "octroi/vault/packs/twilio/twilio.h"

namespace octroi::vault {

namespace {
constexpr std::size_t kShortestCredential = 8;
constexpr std::string_view kRedacted = "vault_redacted";
}  // namespace

std::optional<bool> VendorPack::is_live(const Secret& real) const {
  std::ignore = real;
  return std::nullopt;
}

Result<> VendorPack::check_credential(const Secret& real) const {
  if (real.size() < kShortestCredential)
    return fail(Errc::bad_sealed, "this is too short for a real key");
  const std::string_view text = real.reveal_text();
  const bool plain =
      std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 127; });
  if (!plain) return fail(Errc::bad_sealed, "a real key is one word of printable characters");
  return {};
}

Result<> VendorPack::check_headers(const http::Headers& headers) const {
  // Servers that take method or path from elsewhere.
  for (const char* name : {"x-http-method-override", "x-http-method", "x-method-override",
                           "x-original-url", "x-rewrite-url"}) {
    if (headers.has(name))
      return fail(Errc::ambiguous, fmt::format("the header {} is not allowed", name));
  }
  return {};
}

Result<> VendorPack::check_account(const Input& input, const ledger::VaultKey& shown) const {
  std::ignore = input;
  std::ignore = shown;
  return {};
}

std::vector<VendorPack::Hidden> VendorPack::hidden(const Secret& real,
                                                   const ledger::VaultKey& shown) const {
  std::ignore = shown;
  std::vector<Hidden> out;
  out.push_back({real.clone(), std::string(kRedacted)});
  return out;
}

std::unique_ptr<VendorPack> make_pack(const VendorSettings& vendor) {
  if (vendor.pack == "stripe") return make_stripe_pack();
  if (vendor.pack == "resend") return make_resend_pack();
  if (vendor.pack == "twilio") return make_twilio_pack();
  if (vendor.pack == "openai") return make_openai_pack(vendor);
  if (vendor.pack == "anthropic") return make_anthropic_pack(vendor);
  if (vendor.pack == "aws") return make_aws_pack(vendor);
  if (vendor.pack == "mcp") return make_mcp_pack(vendor);
  if (vendor.pack == "generic") return make_generic_pack(vendor);
  return nullptr;
}

std::unique_ptr<VendorPack> make_door_pack(const VendorSettings& vendor) {
  if (vendor.pack == "stripe" && vendor.door) return make_stripe_mcp_pack(vendor);
  return nullptr;
}

std::vector<std::string_view> pack_names() {
  return {"stripe", "resend", "twilio", "openai", "anthropic", "aws", "mcp", "generic"};
}

bool path_matches(std::string_view pattern, std::string_view path, std::string* captured) {
  while (!pattern.empty() && !path.empty()) {
    const std::size_t p = std::min(pattern.find('/', 1), pattern.size());
    const std::size_t q = std::min(path.find('/', 1), path.size());
    const std::string_view wanted = pattern.substr(0, p);
    const std::string_view is = path.substr(0, q);
    if (wanted == "/**") return true;
    if (wanted == "/*" ||
        (wanted.starts_with("/{") && wanted.find('}') != std::string_view::npos)) {
      const std::size_t brace = wanted.find('}');
      const std::string_view suffix =
          brace == std::string_view::npos ? std::string_view{} : wanted.substr(brace + 1);
      if (is.size() < 2 + suffix.size() || !is.ends_with(suffix)) return false;
      if (captured != nullptr && captured->empty())
        *captured = std::string(is.substr(1, is.size() - 1 - suffix.size()));
    } else if (wanted != is) {
      return false;
    }
    pattern.remove_prefix(p);
    path.remove_prefix(q);
  }
  return pattern.empty() && path.empty();
}

Result<std::int64_t> parse_minor(std::string_view field, std::string_view text) {
  const bool digits =
      !text.empty() && text.size() <= 12 &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || (text.size() > 1 && text[0] == '0')) {
    return fail(Errc::ambiguous,
                fmt::format("{} must be a whole number of the smallest unit, digits only", field));
  }
  std::int64_t n = 0;
  std::from_chars(text.data(), text.data() + text.size(), n);
  return n;
}

policy::Call call_of(const Operation& operation, const Input& input) {
  policy::Call call;
  call.operation = operation.name;
  call.method = input.method;
  call.path = input.path;
  call.direction = operation.direction;
  return call;
}

Outcome::State by_status(int status) {
  if (status >= 200 && status < 300) return Outcome::State::done;
  if (status >= 400 && status < 500 && status != 408) return Outcome::State::refused;
  return Outcome::State::unknown;
}

Outcome outcome_by(int status, const http::Headers& headers, std::string_view request_id) {
  Outcome out;
  out.state = by_status(status);
  out.request_id = std::string(headers.get(request_id).value_or(""));
  return out;
}

http::ResponseHead refusal_head(const Denial& denial) {
  http::ResponseHead head;
  head.status = status_of(denial.code);
  head.headers.add("Content-Type", "application/json");
  head.headers.add("Cache-Control", "no-store");
  // What the SDKs of vendors look at before they try again.
  head.headers.add("X-Should-Retry", denial.retry ? "true" : "false");
  if (denial.retry) head.headers.add("Retry-After", "1");
  return head;
}

void flatten(const json::Value& value, const std::string& path,
             std::vector<std::pair<std::string, std::string>>& out) {
  if (out.size() >= kMostFields) return;
  switch (value.kind()) {
    case json::Kind::object:
      for (const auto& [key, member] : value.members())
        flatten(member, path.empty() ? std::string(key) : path + "." + std::string(key), out);
      return;
    case json::Kind::array: {
      std::size_t i = 0;
      for (const json::Value element : value.elements())
        flatten(element, fmt::format("{}[{}]", path, i++), out);
      return;
    }
    case json::Kind::string:
      out.emplace_back(path, std::string(value.as_string().value_or("")));
      return;
    case json::Kind::null:
      return;
    case json::Kind::boolean:
    case json::Kind::integer:
    case json::Kind::big_integer:
    case json::Kind::real:
      out.emplace_back(path, value.to_json());
      return;
  }
}

std::optional<std::string> scalar_at(const json::Value& root, std::string_view path) {
  std::optional<json::Value> at = root;
  while (at && !path.empty()) {
    if (path[0] == '[') {
      const std::size_t end = path.find(']');
      std::size_t index = 0;
      const auto [last, error] = std::from_chars(path.data() + 1, path.data() + end, index);
      if (end == std::string_view::npos || error != std::errc() || last != path.data() + end)
        return std::nullopt;
      std::size_t i = 0;
      std::optional<json::Value> found;
      for (const json::Value element : at->elements()) {
        if (i++ == index) found = element;
      }
      at = found;
      path.remove_prefix(end + 1);
      if (path.starts_with('.')) path.remove_prefix(1);
      continue;
    }
    const std::size_t end = std::min(path.find_first_of(".["), path.size());
    at = at->find(path.substr(0, end));
    path.remove_prefix(end);
    if (path.starts_with('.')) path.remove_prefix(1);
  }
  if (!at) return std::nullopt;
  switch (at->kind()) {
    case json::Kind::string:
      return std::string(at->as_string().value_or(""));
    case json::Kind::boolean:
    case json::Kind::integer:
    case json::Kind::big_integer:
    case json::Kind::real:
      return at->to_json();
    case json::Kind::null:
    case json::Kind::array:
    case json::Kind::object:
      return std::nullopt;
  }
  return std::nullopt;
}

void set_bearer(http::Headers& headers, const Secret& real) {
  std::string value = "Bearer " + std::string(real.reveal_text());
  headers.set("Authorization", value);
  secure_wipe(value.data(), value.size());
}

void set_basic(http::Headers& headers, const Secret& user_and_password) {
  std::string value = "Basic " + to_base64(user_and_password.reveal());
  headers.set("Authorization", value);
  secure_wipe(value.data(), value.size());
}

}  // namespace octroi::vault
