// octroi/policy/text.h: the words that policies are written in, one table for reading and writing.
// Inside policy/ only.  Thread: pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/clock.h"
#include "octroi/policy/policy.h"

namespace octroi::policy {

/// "250ms", "60s", "15m", "1h30m", "1d": from large to small, each unit once.
[[nodiscard]] std::optional<Millis> parse_duration(std::string_view text);
[[nodiscard]] std::string format_duration(Millis d);

[[nodiscard]] std::optional<Period> period_from_string(std::string_view text);
[[nodiscard]] std::optional<CountedBy> counted_by_from_string(std::string_view text);
[[nodiscard]] std::optional<FieldTest> field_test_from_string(std::string_view text);
[[nodiscard]] std::string_view to_string(BrakeAction a);

/// ASCII letters in lower case.
[[nodiscard]] std::string folded(std::string_view text);

/// A part of a scope, which is stored and listed: what is long or not printable stands there as its
/// hash.
[[nodiscard]] std::string scope_part(std::string_view value);

/// A sender's domain: "example.com", or "*.example.com" for all below it.
[[nodiscard]] bool is_domain_pattern(std::string_view text);
/// Whether an address has one '@' at most, and nothing that two readers could split differently.
[[nodiscard]] bool is_plain_address(std::string_view text);

}  // namespace octroi::policy
