// octroi/ledger/call_book.h: what a call of the vault writes before and after it is made: its money
// and its row of the audit, together in one commit.
//
// Begin    reserves and writes the row that announces the call, both or neither. Nothing is written
//          when the reservation was not applied (over a cap, a replay): whoever asked says so in a
//          row of its own.
// End      changes the reservation and writes the row that says what became of the call.
//          Whoever does not wait for that says end_later().
// Undo     takes back a begin() whose answer was lost, when nothing was sent. Only that one: a
//          later attempt under the same id is not touched.
// Thread   callable from any loop's thread; resumes on the caller's loop.
// Errors   as SpendLedger and audit::Journal. After an error of begin() nothing may be sent, and
//          whether it was written is not known: undo() it.
// Source   issue 6 "Money", "Audit".
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "octroi/audit/event.h"
#include "octroi/ledger/spend_ledger.h"

namespace octroi::audit {
class Journal;
}

namespace octroi::ledger {

/// What becomes of a reservation.
struct SpendChange {
  enum class To : std::uint8_t { nothing, settled, released, unknown } to = To::nothing;
  std::string id;
  MicroUsd actual;     // settled
  std::string object;  // settled, unknown; may be empty
  UnixMillis now;
  // A row that only tells the change: none is written when there was none to tell, because its
  // reservation does not allow it or another replica has done it.
  bool told_if_applied = false;
};

/// Adds to a row what only the reservation can tell: numbers and fixed words. Pure, on any thread,
/// and may be run again.
using AnnounceWith = std::function<void(const ReserveOutcome&, audit::Event&)>;

class CallBook {
 public:
  virtual ~CallBook() = default;
  /// `intent` gets cap_usage_after, then what `with` adds (may be empty).
  virtual Task<Result<ReserveOutcome>> begin(Reservation reservation, audit::Event intent,
                                             AnnounceWith with) = 0;
  /// `outcome` gets cap_usage_after when the change was applied. A change that its reservation does
  /// not allow is no error: the row is written (unless told_if_applied), and the answer says it.
  virtual Task<Result<ChangeOutcome>> end(SpendChange change, audit::Event outcome) = 0;
  /// end() with the next commit, or a few milliseconds later: whatever is asked in this process
  /// after it finds it done. A crash before that leaves the reservation as it was, and only its
  /// intent in the audit, as a crash before end() does. What cannot be written is logged.
  /// False: this book keeps no such order, nothing was done and nothing was taken; end() it.
  [[nodiscard]] virtual bool end_later(SpendChange& change, audit::Event& outcome) {
    std::ignore = change;
    std::ignore = outcome;
    return false;
  }
  /// `reserved_at` is the reservation's `now`.
  virtual Task<Result<ChangeOutcome>> undo(std::string id, UnixMillis reserved_at,
                                           UnixMillis now) = 0;
};

/// Over two ports that know nothing of each other, one after the other: for what keeps nothing, and
/// for tests. A row that cannot be written releases what was reserved for it.
class SeparateCallBook final : public CallBook {
 public:
  SeparateCallBook(SpendLedger& spends, audit::Journal& journal)
      : spends_(spends), journal_(journal) {}
  Task<Result<ReserveOutcome>> begin(Reservation reservation, audit::Event intent,
                                     AnnounceWith with) override;
  Task<Result<ChangeOutcome>> end(SpendChange change, audit::Event outcome) override;
  Task<Result<ChangeOutcome>> undo(std::string id, UnixMillis reserved_at, UnixMillis now) override;

 private:
  SpendLedger& spends_;
  audit::Journal& journal_;
};

/// What is held and settled in the first of these windows that counts money; empty when none does.
[[nodiscard]] std::optional<MicroUsd> money_used(const std::vector<SpendUsage>& usage);
/// Every implementation asks this what a row says of the windows.
void tell_usage(const std::vector<SpendUsage>& usage, audit::Event& event);

}  // namespace octroi::ledger
