#include "octroi/adapters/sql/spend_rows.h"

#include <algorithm>
#include <charconv>

#include "octroi/adapters/sql/rows.h"

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

std::int64_t stored(MicroUsd amount) { return amount.count(); /* raw: storage */ }

Result<MicroUsd> read_usd(const Query& q, int column) {
  auto amount = MicroUsd::from_raw(q.integer(column));
  if (!amount) return corrupt("an amount that is out of range");
  return *amount;
}

}  // namespace

StoredSpend new_stored_spend(const Reservation& r, UnixMillis created, std::int64_t attempt) {
  StoredSpend out{new_spend_record(r, created, attempt), {}, {}};
  SpendRecord& record = out.record;
  for (std::string* text : {&record.id, &record.vendor, &record.operation, &record.policy,
                            &record.key_id, &record.run, &record.object}) {
    *text = kept_text(*text);
  }
  return out;
}

Result<> insert_spend(Connection& db, const StoredSpend& spend) {
  const SpendRecord& r = spend.record;
  const std::string holds = to_text(spend.holds);
  return db.run("INSERT INTO spends (" OCTROI_SPEND_COLUMNS
                ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO NOTHING",
                std::string_view(r.id), ByteView(r.fingerprint), to_string(r.state),
                stored(r.amount), stored(r.settled), std::int64_t{r.assumed ? 1 : 0}, r.attempt,
                r.created.value, r.changed.value, r.answer_by.value, r.give_up_at.value,
                r.replay_until.value, std::string_view(r.vendor), std::string_view(r.operation),
                std::string_view(r.policy), std::string_view(r.key_id), std::string_view(r.run),
                std::string_view(r.object), std::string_view(holds),
                spend.dedupe ? std::optional<ByteView>(*spend.dedupe) : std::optional<ByteView>());
}

Result<> update_spend(Connection& db, const SpendRecord& r) {
  return db.run(
      "UPDATE spends SET state = ?2, settled = ?3, assumed = ?4, changed_at = ?5,"
      " object = ?6 WHERE id = ?1",
      std::string_view(r.id), to_string(r.state), stored(r.settled),
      std::int64_t{r.assumed ? 1 : 0}, r.changed.value, std::string_view(r.object));
}

Result<> update_window(Connection& db, const StoredWindow& w) {
  return db.run("UPDATE spend_windows SET held = ?2, settled = ?3, seen_at = ?4 WHERE id = ?1",
                w.id, w.usage.held, w.usage.settled, w.seen.value);
}

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

Result<std::optional<StoredWindow>> next_window(Query& q) {
  OCTROI_TRY(auto usage, next_usage(q));
  if (!usage) return std::optional<StoredWindow>{};
  return std::optional<StoredWindow>({q.integer(6), *std::move(usage), {q.integer(7)}});
}

}  // namespace octroi::sql
