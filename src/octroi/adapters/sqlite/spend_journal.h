// octroi/adapters/sqlite/spend_journal.h: ledger::SpendJournal in one SQLite file, shared by every
// process of a wallet profile.
//
// Durability  synchronous=FULL: a reservation is on the disk before a payment is sent.
// Thread      one at a time; other processes wait for each other up to 5 s.
#pragma once

#include <memory>
#include <string>

#include "octroi/ledger/spend_journal.h"

namespace octroi::sqlite {

/// The folder is made when missing (0700), the file too (0600).
[[nodiscard]] Result<std::unique_ptr<ledger::SpendJournal>> open_spend_journal(
    const std::string& path);

}  // namespace octroi::sqlite
