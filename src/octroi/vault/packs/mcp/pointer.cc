#include "octroi/vault/packs/mcp/pointer.h"

#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "octroi/vault/errors.h"
#include "octroi/vault/pack.h"
#include "octroi/vault/spelling.h"

namespace octroi::vault::mcp {

namespace {

/// "0", "17"; nothing for "01", "-" and words.
std::optional<std::size_t> index_of(std::string_view step) {
  if (step.empty() || step.size() > 6 || (step.size() > 1 && step[0] == '0')) return std::nullopt;
  std::size_t out = 0;
  const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), out);
  if (error != std::errc() || end != step.data() + step.size()) return std::nullopt;
  return out;
}

std::optional<json::Value> below(const json::Value& at, std::string_view step) {
  if (at.is_object()) return at.find(step);
  const auto index = index_of(step);
  if (!index || *index >= at.size()) return std::nullopt;
  std::size_t i = 0;
  for (const json::Value element : at.elements()) {
    if (i++ == *index) return element;
  }
  return std::nullopt;
}

bool spelt_otherwise(const json::Value& at, std::string_view step) {
  const std::string wanted = folded(step);
  for (const auto& [key, unused] : at.members()) {
    if (key != step && folded(key) == wanted) return true;
  }
  return false;
}

}  // namespace

Result<std::vector<std::string>> parse_pointer(std::string_view pointer) {
  std::vector<std::string> out;
  if (!pointer.empty() && pointer[0] != '/')
    return fail(Errc::ambiguous, "a JSON pointer begins with /");
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    const std::size_t end = std::min(pointer.find('/'), pointer.size());
    std::string step;
    for (std::size_t i = 0; i < end; ++i) {
      if (pointer[i] != '~') {
        step += pointer[i];
        continue;
      }
      const char escaped = i + 1 < end ? pointer[++i] : ' ';
      if (escaped != '0' && escaped != '1')
        return fail(Errc::ambiguous, "~ in a JSON pointer is written ~0, and / in a name ~1");
      step += escaped == '0' ? '~' : '/';
    }
    out.push_back(std::move(step));
    pointer.remove_prefix(end);
  }
  return out;
}

std::optional<json::Value> at_pointer(json::Value root, std::string_view pointer) {
  const auto steps = parse_pointer(pointer);
  if (!steps) return std::nullopt;
  std::optional<json::Value> at = root;
  for (const std::string& step : *steps) {
    at = below(*at, step);
    if (!at) return std::nullopt;
  }
  return at;
}

Result<std::optional<std::string>> scalar_at_pointer(const json::Value& root,
                                                     std::string_view pointer) {
  OCTROI_TRY(const auto steps, parse_pointer(pointer));
  std::optional<json::Value> at = root;
  for (const std::string& step : steps) {
    if (spelt_otherwise(*at, step)) {
      return fail(Errc::ambiguous,
                  fmt::format("the argument {} stands there in another spelling", step));
    }
    at = below(*at, step);
    if (!at) return std::optional<std::string>();
  }
  return scalar_at(*at, "");
}

}  // namespace octroi::vault::mcp
