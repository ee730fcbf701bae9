// octroi/mpp/opaque.h: the `opaque` parameter: the server's own notes, echoed by the client.
//
// A flat map from strings to strings, canonical JSON in base64url; {} is "e30", not empty.
// Errors   malformed_opaque.   Thread: pure.   Source: Payment core, `opaque`.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "octroi/base/result.h"
#include "octroi/mpp/errc.h"

namespace octroi::mpp {

using OpaqueMap = std::map<std::string, std::string>;
[[nodiscard]] std::string format_opaque(const OpaqueMap& map);
[[nodiscard]] Result<OpaqueMap> parse_opaque(std::string_view text);

}  // namespace octroi::mpp
