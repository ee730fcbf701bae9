// octroi/vault/spelling.h: names that some readers take for the same: those that differ in the case
// of their letters alone.
// Thread: pure.
#pragma once

#include <string>
#include <string_view>

#include "octroi/base/result.h"
#include "octroi/json/value.h"

namespace octroi::vault {

/// A name as readers take it that do not look at case.
[[nodiscard]] std::string folded(std::string_view name);

/// That no object of a document has a name in two spellings. Errc::ambiguous.
[[nodiscard]] Result<> check_spelling(const json::Value& value);

}  // namespace octroi::vault
