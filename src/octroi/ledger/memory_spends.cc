#include "octroi/ledger/memory_spends.h"

#include <algorithm>
#include <utility>

namespace octroi::ledger {

void MemorySpends::set_unavailable(bool yes) {
  const std::scoped_lock lock(mutex_);
  unavailable_ = yes;
}

Result<> MemorySpends::begin() const {
  if (unavailable_) return fail(Errc::unavailable, "the ledger cannot be written");
  return {};
}

/// The window that the hold counts in, if it is there. A window that others have begun counts for
/// those whose clock is a little late.
MemorySpends::Window* MemorySpends::window_for(const Hold& hold, UnixMillis now, bool& went_back) {
  went_back = false;
  const auto scope = windows_.find(hold.scope);
  if (scope == windows_.end() || scope->second.empty()) return nullptr;
  Window& newest = scope->second.rbegin()->second;
  went_back = newest.seen > now + kClockSkew;
  if (newest.usage.starts > hold.starts) return &newest;
  const auto own = scope->second.find(hold.starts.value);
  return own == scope->second.end() ? nullptr : &own->second;
}

/// After its time an id stands for a new call; the old one is kept under a name of its own.
void MemorySpends::free_id_locked(const std::string& id, UnixMillis now) {
  auto node = entries_.extract(id);
  Entry& entry = node.mapped();
  if (entry.record.state == SpendState::held || entry.record.state == SpendState::unknown) {
    entry.record.assumed = true;
    change_locked(entry, SpendState::settled, entry.record.amount, now);
  }
  entry.record.id = past_spend_id(id, entry.record.created);
  node.key() = entry.record.id;
  entries_.insert(std::move(node));
}

std::optional<ReserveOutcome> MemorySpends::seen_locked(const Reservation& r) {
  const auto it = entries_.find(r.id);
  if (it == entries_.end()) return std::nullopt;
  if (it->second.record.replay_until <= r.now) {
    free_id_locked(r.id, r.now);
    return std::nullopt;
  }
  const bool same = it->second.record.fingerprint == r.fingerprint;
  if (same && it->second.record.state == SpendState::released) return std::nullopt;
  ReserveOutcome out;
  out.state = same ? ReserveState::replayed : ReserveState::mismatch;
  if (is_tried_again(it->second.record, r)) try_again(it->second.record, r);
  out.seen = it->second.record;
  return out;
}

std::optional<ReserveOutcome> MemorySpends::refused_locked(const Reservation& r) {
  ReserveOutcome out;
  if (r.dedupe) {
    const auto claim = claims_.find(r.dedupe->content);
    if (claim != claims_.end() && claim->second.until > r.now && claim->second.id != r.id) {
      out.state = ReserveState::duplicate;
      out.duplicate_of = claim->second.id;
      return out;
    }
  }
  for (const std::size_t i : in_scope_order(r.holds)) {
    const Hold& hold = r.holds[i];
    bool went_back = false;
    const Window* window = window_for(hold, r.now, went_back);
    const std::int64_t used = window == nullptr ? 0 : window->usage.total();
    if (!went_back && used <= hold.limit && hold.amount <= hold.limit - used) continue;
    out.state = went_back ? ReserveState::clock_went_back : ReserveState::over_cap;
    out.refused = i;
    out.left = went_back ? 0 : std::max<std::int64_t>(0, hold.limit - used);
    out.resets_at = window == nullptr ? hold.ends : window->usage.ends;
    return out;
  }
  return std::nullopt;
}

Task<Result<ReserveOutcome>> MemorySpends::reserve(Reservation r) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  OCTROI_CO_CHECK(check_reservation(r));
  if (auto seen = seen_locked(r)) co_return *std::move(seen);
  if (auto refused = refused_locked(r)) co_return *std::move(refused);

  Entry& entry = entries_[r.id];
  if (entry.order == 0) entry.order = next_order_++;
  ReserveOutcome out;
  out.state = ReserveState::applied;
  out.attempt = entry.record.id.empty() ? 1 : entry.record.attempt + 1;
  // What a released attempt keeps counting stays where it was counted.
  entry.parts.clear();
  const UnixMillis created = entry.record.id.empty() ? r.now : entry.record.created;
  entry.record = new_spend_record(r, created, out.attempt);
  for (const Hold& hold : r.holds) {
    bool went_back = false;
    Window* window = window_for(hold, r.now, went_back);
    if (window == nullptr) {
      window = &windows_[hold.scope][hold.starts.value];
      window->usage = {hold.scope, hold.unit, hold.starts, hold.ends, 0, 0};
    }
    window->usage.held += hold.amount;
    window->seen = std::max(window->seen, r.now);
    entry.parts.push_back({hold, window->usage.starts});
    out.usage.push_back(window->usage);
  }
  entry.dedupe = r.dedupe;
  if (r.dedupe) claims_[r.dedupe->content] = {r.id, r.dedupe->until};
  co_return out;
}

void MemorySpends::unclaim_locked(Entry& entry) {
  if (!entry.dedupe) return;
  const auto claim = claims_.find(entry.dedupe->content);
  if (claim != claims_.end() && claim->second.id == entry.record.id) claims_.erase(claim);
  entry.dedupe.reset();
}

void MemorySpends::change_locked(Entry& entry, SpendState to, MicroUsd settled, UnixMillis now) {
  SpendRecord& record = entry.record;
  for (const Part& part : entry.parts) {
    SpendUsage& usage = windows_[part.hold.scope][part.starts.value].usage;
    const Hold& h = part.hold;
    const Counted was = counted(record.state, h.unit, h.amount, h.returns, record.settled);
    const Counted is = counted(to, h.unit, h.amount, h.returns, settled);
    usage.held += is.held - was.held;
    usage.settled += is.settled - was.settled;
  }
  record.state = to;
  record.settled = settled;
  record.changed = now;
}

ChangeOutcome MemorySpends::changed_locked(const Entry& entry) const {
  ChangeOutcome out{ChangeState::applied, entry.record, {}};
  for (const Part& part : entry.parts) {
    out.usage.push_back(windows_.at(part.hold.scope).at(part.starts.value).usage);
  }
  return out;
}

Task<Result<ChangeOutcome>> MemorySpends::settle(std::string id, MicroUsd actual,
                                                 std::string object, UnixMillis now) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  OCTROI_CO_CHECK(check_settlement(actual, object));
  const auto it = entries_.find(id);
  if (it == entries_.end()) co_return ChangeOutcome{};
  Entry& entry = it->second;
  SpendRecord& record = entry.record;
  const ChangeState state = settling(record, actual, object);
  if (state != ChangeState::applied) co_return ChangeOutcome{state, record, {}};
  if (!object.empty()) record.object = std::move(object);
  record.assumed = false;
  change_locked(entry, SpendState::settled, actual, now);
  co_return changed_locked(entry);
}

Task<Result<ChangeOutcome>> MemorySpends::release(std::string id, UnixMillis now) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  const auto it = entries_.find(id);
  if (it == entries_.end()) co_return ChangeOutcome{};
  Entry& entry = it->second;
  const ChangeState state = releasing(entry.record);
  if (state != ChangeState::applied) co_return ChangeOutcome{state, entry.record, {}};
  change_locked(entry, SpendState::released, {}, now);
  unclaim_locked(entry);
  co_return changed_locked(entry);
}

Task<Result<ChangeOutcome>> MemorySpends::mark_unknown(std::string id, std::string object,
                                                       UnixMillis now) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  OCTROI_CO_CHECK(check_settlement({}, object));
  const auto it = entries_.find(id);
  if (it == entries_.end()) co_return ChangeOutcome{};
  Entry& entry = it->second;
  const ChangeState state = doubting(entry.record);
  if (state != ChangeState::applied) co_return ChangeOutcome{state, entry.record, {}};
  if (!object.empty()) entry.record.object = std::move(object);
  change_locked(entry, SpendState::unknown, {}, now);
  co_return changed_locked(entry);
}

Task<Result<std::optional<SpendRecord>>> MemorySpends::find_spend(std::string id) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  const auto it = entries_.find(id);
  co_return it == entries_.end() ? std::nullopt : std::optional(it->second.record);
}

Task<Result<std::optional<SpendRecord>>> MemorySpends::find_spend_of(std::string vendor,
                                                                     std::string object) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  if (object.empty()) co_return std::nullopt;
  const Entry* found = nullptr;
  for (const auto& [id, entry] : entries_) {
    if (entry.record.vendor != vendor || entry.record.object != object) continue;
    if (found == nullptr || entry.order > found->order) found = &entry;
  }
  co_return found == nullptr ? std::nullopt : std::optional(found->record);
}

Task<Result<std::vector<SpendRecord>>> MemorySpends::list_spends(SpendFilter filter) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  std::vector<SpendRecord> out;
  const auto limit = static_cast<std::size_t>(std::clamp(filter.limit, 1, 1000));
  for (auto it = entries_.upper_bound(filter.after_id); it != entries_.end(); ++it) {
    if (out.size() == limit) break;
    if (matches(filter, it->second.record)) out.push_back(it->second.record);
  }
  co_return out;
}

Task<Result<std::vector<SpendUsage>>> MemorySpends::usage(std::string prefix, UnixMillis at) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  std::vector<SpendUsage> out;
  for (auto it = windows_.lower_bound(prefix); it != windows_.end(); ++it) {
    if (!it->first.starts_with(prefix)) break;
    for (const auto& [start, window] : it->second) {
      if (window.usage.starts <= at && at < window.usage.ends) out.push_back(window.usage);
    }
  }
  co_return out;
}

Task<Result<SweepReport>> MemorySpends::sweep(UnixMillis now, int limit) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  SweepReport report;
  for (auto& [id, entry] : entries_) {
    SpendRecord& record = entry.record;
    if (record.state == SpendState::unknown && record.give_up_at <= now && report.assumed < limit) {
      record.assumed = true;
      change_locked(entry, SpendState::settled, record.amount, now);
      ++report.assumed;
    } else if (record.state == SpendState::held && record.answer_by <= now &&
               report.orphaned < limit) {
      change_locked(entry, SpendState::unknown, {}, now);
      ++report.orphaned;
    }
  }
  co_return report;
}

Task<Result<std::int64_t>> MemorySpends::prune_spends(UnixMillis before, int limit) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  std::int64_t gone = 0;
  std::set<std::pair<std::string, std::int64_t>> needed;
  for (auto it = entries_.begin(); it != entries_.end();) {
    const SpendRecord& record = it->second.record;
    const bool over = record.state == SpendState::settled || record.state == SpendState::released;
    if (over && record.changed < before && record.replay_until < before && gone < limit) {
      unclaim_locked(it->second);
      it = entries_.erase(it);
      ++gone;
      continue;
    }
    for (const Part& part : it->second.parts) needed.emplace(part.hold.scope, part.starts.value);
    ++it;
  }
  std::erase_if(claims_, [&](const auto& claim) { return claim.second.until < before; });
  for (auto& [scope, windows] : windows_) {
    std::erase_if(windows, [&, &name = scope](const auto& w) {
      return w.second.usage.ends < before && !needed.contains({name, w.first});
    });
  }
  std::erase_if(windows_, [](const auto& scope) { return scope.second.empty(); });
  co_return gone;
}

}  // namespace octroi::ledger
