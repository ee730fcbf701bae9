#include "octroi/mpp/opaque.h"

#include <fmt/core.h>

#include "octroi/json/canonical.h"
#include "octroi/json/writer.h"
#include "octroi/mpp/text.h"

namespace octroi::mpp {

namespace {
constexpr std::size_t kMaxOpaqueBytes = 4 * 1024;
}

// Payment core, `opaque`. rule: MPP-15
std::string format_opaque(const OpaqueMap& map) {
  std::vector<std::string_view> keys;
  keys.reserve(map.size());
  for (const auto& [key, value] : map) keys.push_back(key);
  std::sort(keys.begin(), keys.end(), json::canonical_less);
  json::Writer out;
  out.begin_object();
  for (const std::string_view key : keys) out.field(key, map.at(std::string(key)));
  out.end_object();
  return detail::encode(std::move(out).take());
}

Result<OpaqueMap> parse_opaque(std::string_view text) {
  OCTROI_TRY(const json::Document document,
             detail::decode_object(text, kMaxOpaqueBytes, Errc::malformed_opaque, "opaque"));
  OpaqueMap out;
  for (const auto& [key, value] : document.root().members()) {
    const auto string = value.as_string();
    if (!string)
      return fail(Errc::malformed_opaque, fmt::format("opaque: {}", string.error().message()));
    out.emplace(key, *string);
  }
  return out;
}

}  // namespace octroi::mpp
