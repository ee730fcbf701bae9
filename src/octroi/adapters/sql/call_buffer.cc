#include "octroi/adapters/sql/call_buffer.h"

#include <algorithm>
#include <charconv>
#include <tuple>
#include <utility>

#include "octroi/adapters/sql/call_frames.h"
#include "octroi/adapters/sql/operations.h"
#include "octroi/adapters/sql/rows.h"
#include "octroi/adapters/sql/spend_operations.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): this file speaks its words

namespace {

constexpr std::string_view kGeneration = "octroi.call_generation";
/// What the tables refuse (migration 010), refused where it is counted.
constexpr std::int64_t kMostCounted = 4'000'000'000'000'000'000;

/// A hold that does not fit, or that the clock forbids.
ReserveOutcome refused(ReserveState why, std::size_t hold, const Hold& h, const SpendUsage& usage) {
  ReserveOutcome out;
  out.state = why;
  out.refused = hold;
  if (why == ReserveState::over_cap) out.left = std::max<std::int64_t>(0, h.limit - usage.total());
  out.resets_at = usage.ends;
  return out;
}

}  // namespace

// --- reserving

Result<std::optional<ReserveOutcome>> CallBuffer::reserve(const Reservation& r) {
  std::optional<ReserveOutcome> elsewhere;
  if (r.dedupe) return elsewhere;
  StoredSpend spend = new_stored_spend(r, r.now, 1);
  const auto before = spends_.find(spend.record.id);
  if (before != spends_.end()) return elsewhere;  // a retry, which is rare
  OCTROI_TRY(const bool stored, is_stored(spend.record.id));
  if (stored) return elsewhere;
  const std::vector<std::size_t> order = in_scope_order(r.holds);
  std::vector<Window*> windows(r.holds.size());
  for (const std::size_t i : order) {
    const Hold& h = r.holds[i];
    OCTROI_TRY(windows[i], newest(h.scope));
    if (windows[i] == nullptr) return elsewhere;  // the first of its scope
    const StoredWindow& w = windows[i]->stored;
    if (w.seen > r.now + kClockSkew) return refused(ReserveState::clock_went_back, i, h, w.usage);
    if (w.usage.starts < h.starts) return elsewhere;  // the first of a new window
    const std::int64_t used = w.usage.total();
    if (used > h.limit || h.amount > h.limit - used)
      return refused(ReserveState::over_cap, i, h, w.usage);
    if (h.amount > kMostCounted - used) return elsewhere;  // which the tables refuse
  }
  ReserveOutcome out;
  out.state = ReserveState::applied;
  out.usage.resize(r.holds.size());
  for (const std::size_t i : order) {
    const Hold& h = r.holds[i];
    StoredWindow& w = windows[i]->stored;
    w.usage.held += h.amount;
    w.seen = std::max(w.seen, r.now);
    note(*windows[i]);
    out.usage[i] = w.usage;
    spend.holds.push_back({w.id, h.unit, h.amount, h.returns});
  }
  append_record(frame_, spend);
  mark_unwritten();
  std::string id = spend.record.id;
  spends_.emplace(std::move(id), Spend{std::move(spend), true, true});
  return std::optional(std::move(out));
}

void CallBuffer::mark_unwritten() {
  unwritten_ = true;
  pending_.store(true, std::memory_order_release);
}

Result<bool> CallBuffer::is_stored(std::string_view id) {
  OCTROI_TRY(Query q, db_.query("SELECT 1 FROM spends WHERE id = ?", id));
  return q.step();
}

// --- windows

Result<CallBuffer::Window*> CallBuffer::newest(const std::string& scope) {
  if (const auto it = newest_.find(scope); it != newest_.end()) return &windows_.at(it->second);
  OCTROI_TRY(auto stored, newest_window(db_, scope));
  if (!stored) return nullptr;
  newest_.emplace(scope, stored->id);
  // It may be here already, as it was changed.
  const std::int64_t id = stored->id;
  return &windows_.try_emplace(id, Window{*std::move(stored), false}).first->second;
}

Result<CallBuffer::Window*> CallBuffer::window(std::int64_t id) {
  if (const auto it = windows_.find(id); it != windows_.end()) return &it->second;
  OCTROI_TRY(Query q,
             db_.query("SELECT " OCTROI_WINDOW_COLUMNS " FROM spend_windows WHERE id = ?", id));
  OCTROI_TRY(auto stored, next_window(q));
  if (!stored) return fail(Errc::corrupt, "a reservation counts in a window that is not there");
  return &windows_.try_emplace(id, Window{*std::move(stored), false}).first->second;
}

void CallBuffer::note(Window& window) {
  window.changed = true;
  append_record(frame_, window.stored);
}

// --- changing

Result<StoredSpend*> CallBuffer::find(std::string_view id) {
  std::string key(id);
  if (const auto it = spends_.find(key); it != spends_.end()) return &it->second.stored;
  OCTROI_TRY(auto stored, lock_spend(db_, id));
  if (!stored) return nullptr;
  return &spends_.emplace(std::move(key), Spend{*std::move(stored), false, false})
              .first->second.stored;
}

/// All windows or none are changed.
Result<> CallBuffer::count_again(const StoredSpend& spend, SpendState to, MicroUsd settled,
                                 std::vector<SpendUsage>& usage) {
  std::vector<std::pair<Window*, SpendUsage>> after;
  for (const StoredHold& h : spend.holds) {
    const Counted was =
        counted(spend.record.state, h.unit, h.amount, h.returns, spend.record.settled);
    const Counted is = counted(to, h.unit, h.amount, h.returns, settled);
    OCTROI_TRY(Window* const w, window(h.window));
    SpendUsage counts = w->stored.usage;
    counts.held += is.held - was.held;
    counts.settled += is.settled - was.settled;
    if (counts.held < 0 || counts.settled < 0 || counts.settled > kMostCounted)
      return fail(Errc::corrupt, "a window would count what it cannot hold");
    after.emplace_back(w, std::move(counts));
  }
  for (auto& [w, counts] : after) {
    w->stored.usage.held = counts.held;
    w->stored.usage.settled = counts.settled;
    note(*w);
    usage.push_back(w->stored.usage);
  }
  return {};
}

Result<ChangeOutcome> CallBuffer::change(StoredSpend& spend, SpendState to, MicroUsd settled,
                                         UnixMillis now) {
  ChangeOutcome out{ChangeState::applied, {}, {}};
  OCTROI_CHECK(count_again(spend, to, settled, out.usage));
  SpendRecord& r = spend.record;
  r.state = to;
  r.settled = settled;
  r.changed = now;
  out.record = r;
  append_record(frame_, spend);
  spends_.at(r.id).changed = true;
  mark_unwritten();
  return out;
}

// --- looking up

const SpendRecord* CallBuffer::kept(std::string_view id) const {
  const auto it = spends_.find(std::string(id));
  return it == spends_.end() ? nullptr : &it->second.stored.record;
}

std::optional<std::optional<SpendRecord>> CallBuffer::newest_of(
    std::string_view vendor, std::string_view object, std::optional<SpendRecord> stored) const {
  const auto is_of = [&](const SpendRecord& r) { return r.vendor == vendor && r.object == object; };
  // Of another object by now: the one before it in the tables would be asked for.
  const SpendRecord* const here = stored ? kept(stored->id) : nullptr;
  if (here != nullptr && !is_of(*here)) return std::nullopt;
  const SpendRecord* newest = here != nullptr ? here : stored ? &*stored : nullptr;
  const auto age = [](const SpendRecord& r) { return std::tie(r.created.value, r.id); };
  for (const auto& [id, spend] : spends_) {
    const SpendRecord& r = spend.stored.record;
    if (is_of(r) && (newest == nullptr || age(*newest) < age(r))) newest = &r;
  }
  return newest == nullptr ? std::optional<SpendRecord>() : std::optional(*newest);
}

// --- the audit

Result<audit::RowId> CallBuffer::append(ChainTip& tip, UnixMillis now, const audit::Event& event) {
  if (!tip_) {
    OCTROI_CHECK(find_tip(db_, tip, now));
    tip_ = tip;
  }
  audit::StoredRow row = audit::make_row({tip_->writer, tip_->seq + 1}, now, event, tip_->hash);
  tip_->seq = row.id.seq;
  tip_->hash = row.row_hash;
  append_record(frame_, row);
  mark_unwritten();
  audit::RowId id = row.id;
  const AuditColumns c = searched_by(event);
  const auto text = [](std::string_view s) { return std::string(s); };
  rows_.push_back({std::move(row), now, text(c.kind), text(c.call_id), text(c.run), text(c.agent),
                   text(c.key_id), text(c.vendor), text(c.operation), text(c.policy), c.verdict});
  return id;
}

// --- into the tables

Result<> CallBuffer::write_windows() {
  for (const auto& [id, w] : windows_) {
    if (w.changed) OCTROI_CHECK(update_window(db_, w.stored));
  }
  return {};
}

Result<> CallBuffer::write_spends() {
  std::vector<const Spend*> changed;
  for (const auto& [id, spend] : spends_) {
    if (spend.changed) changed.push_back(&spend);
  }
  // Neighbours in the tree one after the other.
  std::ranges::sort(changed, {},
                    [](const Spend* s) -> const std::string& { return s->stored.record.id; });
  for (const Spend* s : changed) {
    if (!s->is_new) {
      OCTROI_CHECK(update_spend(db_, s->stored.record));
      continue;
    }
    OCTROI_CHECK(insert_spend(db_, s->stored));
    if (db_.changes() != 1) return fail(Errc::corrupt, "a new reservation is there already");
  }
  return {};
}

Result<> CallBuffer::write_rows() {
  for (const Row& r : rows_) {
    OCTROI_CHECK(insert_audit_row(
        db_, r.stored, r.at,
        {r.kind, r.call_id, r.run, r.agent, r.key_id, r.vendor, r.operation, r.policy, r.verdict}));
  }
  return {};
}

Result<> CallBuffer::write_all() {
  OCTROI_CHECK(write_windows());
  OCTROI_CHECK(write_spends());
  OCTROI_CHECK(write_rows());
  OCTROI_TRY(const std::int64_t generation, call_generation(db_));
  return set_call_generation(db_, generation + 1);
}

Result<> CallBuffer::write_out() {
  if (unwritten_) {
    auto written = write_all();
    broken_ = broken_ || !written;
    if (!written) return written;
  }
  // The chain goes on from where it stands, in the tables as it was here.
  auto tip = std::move(tip_);
  forget();
  tip_ = std::move(tip);
  return {};
}

void CallBuffer::forget() {
  spends_.clear();
  windows_.clear();
  newest_.clear();
  rows_.clear();
  tip_.reset();
  frame_.clear();
  unwritten_ = false;
}

Result<> write_out_calls(Connection& db) {
  CallBuffer* const buffer = db.call_buffer();
  return buffer == nullptr ? Result<>{} : buffer->write_out();
}

Result<std::int64_t> call_generation(Connection& db) {
  OCTROI_TRY(const auto text, get_value(db, kGeneration));
  if (!text) return 0;
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), n);
  if (error != std::errc{} || end != text->data() + text->size() || n < 0)
    return fail(Errc::corrupt, "the generation of the log of calls is no number");
  return n;
}

Result<> set_call_generation(Connection& db, std::int64_t generation) {
  return put_value(db, kGeneration, std::to_string(generation));
}

}  // namespace octroi::sql
