// octroi/audit/filter.h: what implementations of Journal share about queries: bounds, the cursor,
// and whether a row is asked for.
//
// A cursor names the last row of a page, "<at>.<seq>.<writer>": pages go from new to old, and rows
// of one moment by writer and number.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "octroi/audit/journal.h"

namespace octroi::audit {

struct Position {
  UnixMillis at;
  std::string writer;
  std::int64_t seq = 0;
  auto operator<=>(const Position&) const = default;
};
[[nodiscard]] std::string cursor_text(const Position& p);
[[nodiscard]] Result<Position> parse_cursor(std::string_view text);

inline constexpr int kMostRows = 1000;
/// 1…1000.
[[nodiscard]] Result<> check_limit(int limit);
/// Everything but the cursor.
[[nodiscard]] bool matches(const Filter& filter, const Row& row);

}  // namespace octroi::audit
