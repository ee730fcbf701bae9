#include <algorithm>

#include "octroi/policy/policy.h"

namespace octroi::policy {
namespace {

constexpr std::size_t kMaxPattern = 512;

bool is_method(std::string_view text) {
  if (text == "*") return true;
  return !text.empty() && text.size() <= 16 &&
         std::ranges::all_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
}

bool is_operation(std::string_view text) {
  if (text == "*") return true;
  if (text.ends_with(".*")) text.remove_suffix(2);
  if (text.empty() || text.front() == '.' || text.back() == '.') return false;
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

bool is_path_pattern(std::string_view text) {
  if (!text.starts_with('/') || text.find("//") != std::string_view::npos) return false;
  if (text.find_first_of("?#% ") != std::string_view::npos) return false;
  const std::size_t any = text.find("**");
  if (any != std::string_view::npos && (any + 2 != text.size() || text[any - 1] != '/')) {
    return false;
  }
  return std::ranges::none_of(text, [](char c) { return c < 0x20 || c == 0x7f; });
}

/// The next segment of a path, and what follows it.
std::string_view next_segment(std::string_view& path) {
  path.remove_prefix(1);  // the slash
  const std::size_t end = std::min(path.find('/'), path.size());
  const std::string_view out = path.substr(0, end);
  path.remove_prefix(end);
  return out;
}

bool path_matches(std::string_view pattern, std::string_view path) {
  if (!path.starts_with('/')) return false;
  while (!pattern.empty() && !path.empty()) {
    if (pattern == "/**") return true;
    const std::string_view wanted = next_segment(pattern);
    const std::string_view segment = next_segment(path);
    if (!glob_matches(wanted, segment)) return false;
    if (wanted == "*" && segment.empty()) return false;
  }
  return path.empty() && (pattern.empty() || pattern == "/**");
}

bool operation_matches(std::string_view pattern, std::string_view operation) {
  if (operation.empty()) return false;
  if (pattern == "*") return true;
  if (!pattern.ends_with(".*")) return pattern == operation;
  pattern.remove_suffix(1);  // keeps the point
  return operation.size() > pattern.size() && operation.starts_with(pattern);
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text) {
  const std::size_t space = text.find(' ');
  if (text.size() > kMaxPattern) return fail(Errc::bad_policy, "longer than 512 bytes");
  if (space == std::string_view::npos) {
    if (!is_operation(text)) {
      return fail(Errc::bad_policy,
                  "not an operation: write one like charges.create, customers.*, or a method and "
                  "path like \"GET /v1/charges/**\"");
    }
    return Endpoint{"", std::string(text)};
  }
  const std::string_view method = text.substr(0, space);
  const std::string_view path = text.substr(space + 1);
  if (!is_method(method) || !is_path_pattern(path)) {
    return fail(Errc::bad_policy,
                "not a method and path: write them like \"POST /v1/refunds\" or "
                "\"GET /v1/charges/**\"; ** stands only at the end");
  }
  return Endpoint{std::string(method), std::string(path)};
}

std::string format(const Endpoint& endpoint) {
  return endpoint.is_path() ? endpoint.method + " " + endpoint.pattern : endpoint.pattern;
}

bool matches(const Endpoint& endpoint, const Call& call) {
  if (!endpoint.is_path()) return operation_matches(endpoint.pattern, call.operation);
  return (endpoint.method == "*" || endpoint.method == call.method) &&
         path_matches(endpoint.pattern, call.path);
}

// Goes back to the last star only, so it takes at most the product of both lengths.
bool glob_matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t after = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      after = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++after;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace octroi::policy
