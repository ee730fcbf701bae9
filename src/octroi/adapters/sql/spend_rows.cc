#include "octroi/adapters/sql/spend_rows.h"

#include <algorithm>
#include <charconv>

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): this file speaks its words

namespace {

tl::unexpected<Error> corrupt(std::string_view what) {
  return fail(Errc::corrupt, fmt::format("a reservation in the store has {}", what));
}

/// The number at the beginning, which is taken away.
std::optional<std::int64_t> take_number(std::string_view& text) {
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || n < 0) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return n;
}

/// One of two letters at the beginning; nothing for any other.
std::optional<bool> take_letter(std::string_view& text, char yes, char no) {
  if (text.empty() || (text.front() != yes && text.front() != no)) return std::nullopt;
  const bool out = text.front() == yes;
  text.remove_prefix(1);
  return out;
}

Result<Digest> read_digest(ByteView bytes) {
  Digest out{};
  if (bytes.size() != out.size()) return corrupt("a digest of the wrong length");
  std::ranges::copy(bytes, out.begin());
  return out;
}

Result<MicroUsd> read_usd(const Query& q, int column) {
  auto amount = MicroUsd::from_raw(q.integer(column));
  if (!amount) return corrupt("an amount that is out of range");
  return *amount;
}

}  // namespace

std::string to_text(const std::vector<StoredHold>& holds) {
  std::string out;
  for (const StoredHold& h : holds) {
    out += fmt::format("{}{}{}{}{}", out.empty() ? "" : ",", h.window,
                       h.unit == SpendUnit::micro_usd ? 'u' : 'c', h.amount, h.returns ? 'r' : 'k');
  }
  return out;
}

Result<std::vector<StoredHold>> holds_from_text(std::string_view text) {
  std::vector<StoredHold> out;
  while (!text.empty()) {
    if (!out.empty()) {
      if (text.front() != ',') return corrupt("holds that nobody can read");
      text.remove_prefix(1);
    }
    const auto window = take_number(text);
    const auto dollars = take_letter(text, 'u', 'c');
    const auto amount = take_number(text);
    const auto returns = take_letter(text, 'r', 'k');
    if (!window || !dollars || !amount || !returns) return corrupt("holds that nobody can read");
    out.push_back({*window, *dollars ? SpendUnit::micro_usd : SpendUnit::calls, *amount, *returns});
  }
  return out;
}

Result<std::optional<StoredSpend>> next_spend(Query& q) {
  OCTROI_TRY(const bool row, q.step());
  if (!row) return std::optional<StoredSpend>{};
  StoredSpend out;
  SpendRecord& r = out.record;
  r.id = q.text(0);
  OCTROI_TRY(r.fingerprint, read_digest(q.blob(1)));
  const auto state = spend_state_from_string(q.text(2));
  if (!state) return corrupt("an unknown state");
  r.state = *state;
  OCTROI_TRY(r.amount, read_usd(q, 3));
  OCTROI_TRY(r.settled, read_usd(q, 4));
  r.assumed = q.integer(5) != 0;
  r.attempt = q.integer(6);
  r.created = {q.integer(7)};
  r.changed = {q.integer(8)};
  r.answer_by = {q.integer(9)};
  r.give_up_at = {q.integer(10)};
  r.replay_until = {q.integer(11)};
  r.vendor = q.text(12);
  r.operation = q.text(13);
  r.policy = q.text(14);
  r.key_id = q.text(15);
  r.run = q.text(16);
  r.object = q.text(17);
  OCTROI_TRY(out.holds, holds_from_text(q.text(18)));
  if (!q.is_null(19)) {
    OCTROI_TRY(out.dedupe, read_digest(q.blob(19)));
  }
  return std::optional(std::move(out));
}

Result<std::optional<SpendUsage>> next_usage(Query& q) {
  OCTROI_TRY(const bool row, q.step());
  if (!row) return std::optional<SpendUsage>{};
  SpendUsage out;
  out.scope = q.text(0);
  out.unit = q.text(1) == to_string(SpendUnit::calls) ? SpendUnit::calls : SpendUnit::micro_usd;
  out.starts = {q.integer(2)};
  out.ends = {q.integer(3)};
  out.held = q.integer(4);
  out.settled = q.integer(5);
  return std::optional(std::move(out));
}

}  // namespace octroi::sql
