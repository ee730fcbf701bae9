// octroi/vault/approval_desk.h: where a call waits for a human: asks for a ticket, waits a bounded
// time for an answer, and takes the ticket for exactly this request, once.
//
// Waiting   is a coroutine on the worker's loop that looks at a counter in memory; only when the
//           counter moved is the store asked. No thread is held, and calls that wait cost no
//           queries. A call that may not wait, or waited in vain, is refused with its ticket: the
//           same request sent again passes once somebody agreed.
// Audit     approval.asked when a ticket is made; what is decided is told by whoever decides.
// Errors    the store's: then nothing may be sent.
// Thread    shared by all workers; each call on its own loop.
// Source    issue 6 "Approvals".
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "octroi/audit/journal.h"
#include "octroi/base/clock.h"
#include "octroi/base/metrics.h"
#include "octroi/base/random.h"
#include "octroi/ledger/approvals.h"
#include "octroi/net/loop.h"
#include "octroi/vault/settings.h"

namespace octroi::vault {

/// The row of the audit that tells what became of a ticket: "approval.asked", "approval.approved",
/// "approval.denied", "approval.expired".
[[nodiscard]] audit::Event approval_event(const ledger::Approval& ticket, std::string_view what);

class ApprovalDesk {
 public:
  ApprovalDesk(ledger::Approvals& approvals, audit::Journal& journal, MetricRegistry& metrics,
               Clock& clock, Random& random)
      : approvals_(approvals),
        journal_(journal),
        metrics_(metrics),
        clock_(clock),
        random_(random) {}

  struct Question {
    ledger::Approval about;  // without id, state and times
    std::string used_by;     // the reservation that would use it
    ApprovalSettings rules;
    std::function<bool()> gone;  // nobody waits for the answer any more; may be empty
  };
  struct Answer {
    bool passed = false;
    bool full = false;  // this key has too many open questions: none was asked
    ledger::Approval ticket;
    // Passed, and nobody had the ticket: since when it is this call's. Empty for a retry, whose
    // first attempt may have been sent.
    std::optional<UnixMillis> taken;
  };
  Task<Result<Answer>> ask(net::Loop& loop, Question question);
  /// Nothing was sent after all, by the call that had it since `taken`.
  Task<void> give_back(std::string id, std::string used_by, UnixMillis taken);

  /// Called for each new ticket, on the asking worker's thread; must not wait.
  std::function<void(ledger::Approval)> on_asked;

  /// The control thread: what the store's version is now, and whether anybody wants to know.
  void publish_version(std::int64_t version) { version_.store(version); }
  [[nodiscard]] std::int64_t version() const { return version_.load(); }
  [[nodiscard]] int waiting() const { return waiting_.load(); }
  /// Counts what became of a ticket.
  void count(std::string_view what);

  static constexpr int kMostPending = 100;    // open questions of one key
  static constexpr int kMostWaiting = 1'000;  // calls of this process; the next are refused at once

 private:
  Task<Result<Answer>> settle(Question question, ledger::Approval ticket);
  Task<Result<ledger::Approval>> wait(net::Loop* loop, const Question* question,
                                      ledger::Approval ticket);

  ledger::Approvals& approvals_;
  audit::Journal& journal_;
  MetricRegistry& metrics_;
  Clock& clock_;
  Random& random_;
  std::atomic<std::int64_t> version_{0};
  std::atomic<int> waiting_{0};
};

}  // namespace octroi::vault
