// octroi/vault/unsent.h: reservations whose commit was lost, and whose calls were not sent:
// they are undone as soon as the store answers again. What a process that dies has not undone is
// found by the sweep, and by `octroi vault reconcile`.
//
// Thread  note() from any; the rest on the control thread.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/ledger/call_book.h"
#include "octroi/task/task.h"

namespace octroi::vault {

class UnsentHolds {
 public:
  void note(std::string id, UnixMillis reserved_at);
  /// Tries each once; what cannot be undone now stays for the next time.
  Task<void> undo(ledger::CallBook* calls, UnixMillis now);

 private:
  struct Unsent {
    std::string id;
    UnixMillis reserved_at;
  };
  /// A commit whose connection was lost may still come to pass at the database's end.
  static constexpr Millis kLookedFor{30'000};
  static constexpr std::size_t kMost = 100'000;

  std::mutex mutex_;
  std::vector<Unsent> waiting_;
};

}  // namespace octroi::vault
