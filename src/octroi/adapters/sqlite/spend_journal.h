// octroi/adapters/sqlite/spend_journal.h: ledger::SpendJournal in one SQLite file, shared by every
// process of a wallet profile.
//
// Durability  synchronous=FULL: a reservation is on the disk before a payment is sent.
// Audit       each reservation, refusal, outcome and refund is a row of the wallet's audit
//             (spend_audit.h), in the commit of what it tells: no row, no payment.
// Thread      one at a time; other processes wait for each other up to 5 s.
#pragma once

#include <memory>
#include <string>

#include "octroi/base/clock.h"
#include "octroi/ledger/spend_journal.h"

namespace octroi::sqlite {

struct SpendJournalOptions {
  Clock* clock = nullptr;  // of the audit's rows; must outlive the journal; null: the system's
  std::string vfs;         // for tests; empty: the system's
};
/// The folder is made when missing (0700), the file too (0600).
[[nodiscard]] Result<std::unique_ptr<ledger::SpendJournal>> open_spend_journal(
    const std::string& path, const SpendJournalOptions& options = {});

}  // namespace octroi::sqlite
