#include "octroi/ledger/memory_approvals.h"

#include <algorithm>
#include <utility>

namespace octroi::ledger {

void MemoryApprovals::set_unavailable(bool yes) {
  const std::scoped_lock lock(mutex_);
  unavailable_ = yes;
}

Result<> MemoryApprovals::begin() const {
  if (unavailable_) return fail(Errc::unavailable, "the store was told to fail");
  return {};
}

MemoryApprovals::Kept* MemoryApprovals::by_id(const std::string& id) {
  for (Kept& k : tickets_) {
    if (k.ticket.id == id) return &k;
  }
  return nullptr;
}

Task<Result<AskOutcome>> MemoryApprovals::ask_approval(Approval wanted, int most_pending) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  AskOutcome out;
  int pending = 0;
  const Approval* found = nullptr;
  for (auto it = tickets_.rbegin(); it != tickets_.rend(); ++it) {
    const Approval& t = it->ticket;
    const bool open = t.expires > wanted.asked && t.state != ApprovalState::used &&
                      t.state != ApprovalState::expired;
    const bool mine = t.state == ApprovalState::used && t.used_by == wanted.used_by &&
                      it->used_at + kUsedFor > wanted.asked;
    if (t.request == wanted.request && (mine || (open && found == nullptr))) found = &t;
    if (mine && found == &t) break;
    if (open && t.state == ApprovalState::pending && t.key_id == wanted.key_id) ++pending;
  }
  if (found != nullptr) {
    out.ticket = *found;
    co_return out;
  }
  out.ticket = std::move(wanted);
  if (pending >= most_pending) {
    out.full = true;
    co_return out;
  }
  out.ticket.used_by.clear();
  out.ticket.state = ApprovalState::pending;
  tickets_.push_back({out.ticket, {}});
  ++version_;
  out.made = true;
  co_return out;
}

Task<Result<DecideOutcome>> MemoryApprovals::decide_approval(std::string id, bool approved,
                                                             std::string by, UnixMillis now,
                                                             UnixMillis use_until) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  DecideOutcome out;
  Kept* const k = by_id(id);
  if (k == nullptr) co_return out;
  Approval& t = k->ticket;
  if (t.state == ApprovalState::pending && t.expires > now) {
    t.state = approved ? ApprovalState::approved : ApprovalState::denied;
    t.decided = now;
    t.decided_by = std::move(by);
    if (approved) t.expires = use_until;
    ++version_;
    out.applied = true;
  }
  out.ticket = t;
  co_return out;
}

Task<Result<TakeOutcome>> MemoryApprovals::take_approval(std::string id, Digest request,
                                                         std::string used_by, UnixMillis now) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  Kept* const k = by_id(id);
  if (k == nullptr || k->ticket.request != request) co_return TakeOutcome::refused;
  Approval& t = k->ticket;
  if (t.state == ApprovalState::used) {
    if (t.used_by != used_by || k->used_at + kUsedFor <= now) co_return TakeOutcome::refused;
    k->used_at = k->used_at + Millis(1);  // whoever had it does not know it any more
    co_return TakeOutcome::again;
  }
  if (t.state != ApprovalState::approved || t.expires <= now) co_return TakeOutcome::refused;
  t.state = ApprovalState::used;
  t.used_by = std::move(used_by);
  k->used_at = now;
  ++version_;
  co_return TakeOutcome::taken;
}

Task<Result<>> MemoryApprovals::give_back_approval(std::string id, std::string used_by,
                                                   UnixMillis taken) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  Kept* const k = by_id(id);
  if (k != nullptr && k->ticket.state == ApprovalState::used && k->ticket.used_by == used_by &&
      k->used_at == taken) {
    k->ticket.state = ApprovalState::approved;
    k->ticket.used_by.clear();
    ++version_;
  }
  co_return Result<>{};
}

Task<Result<std::optional<Approval>>> MemoryApprovals::find_approval(std::string id) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  const Kept* const k = by_id(id);
  if (k == nullptr) co_return std::optional<Approval>{};
  co_return std::optional<Approval>(k->ticket);
}

Task<Result<std::vector<Approval>>> MemoryApprovals::list_approvals(
    std::optional<ApprovalState> state, int limit) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  std::vector<Approval> out;
  for (auto it = tickets_.rbegin(); it != tickets_.rend(); ++it) {
    if (static_cast<int>(out.size()) >= limit) break;
    if (!state || it->ticket.state == *state) out.push_back(it->ticket);
  }
  co_return out;
}

Task<Result<std::vector<Approval>>> MemoryApprovals::expire_approvals(UnixMillis now, int limit) {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  std::vector<Approval> out;
  for (Kept& k : tickets_) {
    if (static_cast<int>(out.size()) >= limit) break;
    Approval& t = k.ticket;
    const bool open = t.state == ApprovalState::pending || t.state == ApprovalState::approved;
    if (!open || t.expires > now) continue;
    t.state = ApprovalState::expired;
    out.push_back(t);
  }
  if (!out.empty()) ++version_;
  co_return out;
}

std::int64_t MemoryApprovals::prune(UnixMillis horizon) {
  const std::scoped_lock lock(mutex_);
  return static_cast<std::int64_t>(std::erase_if(tickets_, [&](const Kept& k) {
    const Approval& t = k.ticket;
    if (t.state == ApprovalState::pending || t.state == ApprovalState::approved) return false;
    return t.expires <= horizon && t.decided.value_or(t.asked) <= horizon &&
           (t.state != ApprovalState::used || k.used_at <= horizon);
  }));
}

Task<Result<std::int64_t>> MemoryApprovals::approvals_version() {
  const std::scoped_lock lock(mutex_);
  OCTROI_CO_CHECK(begin());
  co_return version_;
}

}  // namespace octroi::ledger
