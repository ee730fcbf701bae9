// octroi/secrets/conformance.h: the operation of octroi-conformance that belongs to secrets.
//
//   redact   {"text": "…", "secrets": ["…", …]}   → "text with [redacted]"
//
// Runs a redactor of its own, so that one line's secrets are unknown to the next. Source:
// architecture 3.2. Thread: any.
#pragma once

#include <string>
#include <string_view>

#include "octroi/base/result.h"

namespace octroi::secrets {

/// Input and value are JSON texts.
[[nodiscard]] Result<std::string> run_conformance_operation(std::string_view operation,
                                                            std::string_view input_json);
[[nodiscard]] bool is_conformance_operation(std::string_view operation);

}  // namespace octroi::secrets
