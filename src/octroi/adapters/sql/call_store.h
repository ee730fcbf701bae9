// octroi/adapters/sql/call_store.h: ledger::CallBook over the lane that writes this process's chain
// of the audit: a call's money and its row are one operation of one transaction.
//
// Thread   as SqlStore.
#pragma once

#include "octroi/ledger/call_book.h"

namespace octroi::sql {

class Lanes;
class SqlJournal;
class SqlSpends;

class SqlCalls : public ledger::CallBook {
 public:
  /// All must outlive it.
  SqlCalls(Lanes& lanes, SqlSpends& spends, SqlJournal& journal)
      : lanes_(lanes), spends_(spends), journal_(journal) {}

  Task<Result<ledger::ReserveOutcome>> begin(ledger::Reservation reservation, audit::Event intent,
                                             ledger::AnnounceWith with) override;
  Task<Result<ledger::ChangeOutcome>> end(ledger::SpendChange change,
                                          audit::Event outcome) override;
  /// Where nobody else writes the database.
  [[nodiscard]] bool end_later(ledger::SpendChange& change, audit::Event& outcome) override;
  Task<Result<ledger::ChangeOutcome>> undo(std::string id, UnixMillis reserved_at,
                                           UnixMillis now) override;

 private:
  Lanes& lanes_;
  SqlSpends& spends_;
  SqlJournal& journal_;
};

}  // namespace octroi::sql
