#include "octroi/vault/unsent.h"

#include <utility>

#include "octroi/base/log.h"

namespace octroi::vault {

void UnsentHolds::note(std::string id, UnixMillis reserved_at) {
  const std::scoped_lock lock(mutex_);
  if (waiting_.size() < kMost) waiting_.push_back({std::move(id), reserved_at});
}

Task<void> UnsentHolds::undo(ledger::CallBook* calls, UnixMillis now) {
  std::vector<Unsent> these;
  {
    const std::scoped_lock lock(mutex_);
    these.swap(waiting_);
  }
  for (std::size_t i = 0; i < these.size(); ++i) {
    auto undone = co_await calls->undo(these[i].id, these[i].reserved_at, now);
    if (!undone) {
      // The store is away: so it is for the others.
      const std::scoped_lock lock(mutex_);
      waiting_.insert(waiting_.end(), std::make_move_iterator(these.begin() + std::ptrdiff_t(i)),
                      std::make_move_iterator(these.end()));
      co_return;
    }
    if (undone->state == ledger::ChangeState::applied) {
      OCTROI_LOG(info, "vault", "a hold whose call was not sent is released",
                 {{"reservation", these[i].id}});
    }
    if (undone->state == ledger::ChangeState::not_found && now - these[i].reserved_at < kLookedFor)
      note(std::move(these[i].id), these[i].reserved_at);
  }
}

}  // namespace octroi::vault
