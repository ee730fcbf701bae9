#include "octroi/mpp/text.h"

#include <algorithm>
#include <array>

#include <fmt/core.h>

#include "octroi/base/secret.h"

namespace octroi::mpp::detail {

namespace {
constexpr std::size_t kMaxDepth = 16;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return to_lower(x) == to_lower(y);
         });
}

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

bool looks_like_base64url(std::string_view text) noexcept {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  static constexpr auto kMembers = [] {
    std::array<bool, 256> members{};
    for (unsigned c = 0; c < members.size(); ++c) {
      const auto as_char = static_cast<char>(c);
      members[c] = is_alpha(as_char) || is_digit(as_char) || as_char == '-' || as_char == '_';
    }
    return members;
  }();
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return kMembers[static_cast<unsigned char>(c)];
  });
}

Result<json::Document> decode_object(std::string_view base64url, std::size_t max_bytes, Errc code,
                                     std::string_view what, bool sensitive) {
  // The bound is up to three bytes generous; the parser below is exact.
  if (base64_decoded_bound(base64url.size()) > max_bytes + 3) {
    return fail(Errc::too_large, fmt::format("{}: longer than {} bytes", what, max_bytes));
  }
  auto bytes = from_base64url(base64url);
  if (!bytes) return fail(code, fmt::format("{}: not base64url", what));
  auto document = json::parse(
      as_text(*bytes), {.max_depth = kMaxDepth, .max_bytes = max_bytes, .sensitive = sensitive});
  if (sensitive) secure_wipe(bytes->data(), bytes->size());
  if (!document) {
    if (document.error().is(json::Errc::too_large)) {
      return fail(Errc::too_large, fmt::format("{}: longer than {} bytes", what, max_bytes));
    }
    return fail(code, fmt::format("{}: {}", what, document.error().message()));
  }
  if (!document->root().is_object()) return fail(code, fmt::format("{}: not a JSON object", what));
  return document;
}

}  // namespace octroi::mpp::detail
