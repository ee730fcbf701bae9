// octroi/vault/packs/mcp/pointer.h: JSON Pointers, by which the configuration says where a tool's
// amount, currency and customer stand: "/order/total".
// Errors: Errc::ambiguous.   Thread: pure.   Source: RFC 6901.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/result.h"
#include "octroi/json/value.h"

namespace octroi::vault::mcp {

/// The steps of a pointer, unescaped. "" is the whole document.
[[nodiscard]] Result<std::vector<std::string>> parse_pointer(std::string_view pointer);

/// What stands there; nothing when nothing does, or no valid pointer was given.
[[nodiscard]] std::optional<json::Value> at_pointer(json::Value root, std::string_view pointer);

/// The scalar there, as text. Errc::ambiguous when something stands there under another spelling of
/// a step ("Amount"), which some servers would take for it.
[[nodiscard]] Result<std::optional<std::string>> scalar_at_pointer(const json::Value& root,
                                                                   std::string_view pointer);

}  // namespace octroi::vault::mcp
