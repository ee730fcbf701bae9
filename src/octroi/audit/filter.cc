#include "octroi/audit/filter.h"

#include <charconv>

namespace octroi::audit {
namespace {

bool is(const std::string& wanted, std::string_view have) {
  return wanted.empty() || wanted == have;
}

/// Digits up to the next dot.
std::optional<std::int64_t> take_number(std::string_view& text) {
  std::int64_t n = 0;
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (bad != std::errc{} || n < 0) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (text.empty() || text[0] != '.') return std::nullopt;
  text.remove_prefix(1);
  return n;
}

}  // namespace

std::string cursor_text(const Position& p) {
  return fmt::format("{}.{}.{}", p.at.value, p.seq, p.writer);
}

Result<Position> parse_cursor(std::string_view text) {
  const auto at = take_number(text);
  const auto seq = at ? take_number(text) : std::nullopt;
  if (!seq || !is_writer(text)) {
    return fail(Errc::bad_filter, "cursor: not one that octroi gave; leave it out to begin anew");
  }
  return Position{UnixMillis{*at}, std::string(text), *seq};
}

Result<> check_limit(int limit) {
  if (limit < 1 || limit > kMostRows) {
    return fail(Errc::bad_filter, fmt::format("limit: from 1 to {}", kMostRows));
  }
  return {};
}

bool matches(const Filter& f, const Row& row) {
  const Event& e = row.event;
  return is(f.run, e.run) && is(f.agent, e.agent) && is(f.key_id, e.key_id) &&
         is(f.vendor, e.vendor) && is(f.operation, e.operation) && is(f.policy, e.policy) &&
         is(f.kind, e.kind) && is(f.id, e.id) && (!f.verdict || f.verdict == e.verdict) &&
         (!f.from || row.at >= *f.from) && (!f.to || row.at < *f.to);
}

}  // namespace octroi::audit
