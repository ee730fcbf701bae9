// octroi/adapters/sqlite/spend_file.h: the file of a wallet's journal, and its schema.
//
// Schema     `PRAGMA user_version`: 0 has spends and refunds (the first releases), 1 also who spent
//            and the audit, whose tables are those of the server's store (migrations 009 and 017,
//            of which an older octroi needs the first alone). A file of a newer octroi is refused;
//            an older octroi goes on with a newer file, without rows.
// Errors     ledger::SpendErrc::unavailable, naming what to do.
#pragma once

#include <memory>
#include <string>

#include "octroi/adapters/sqlite/database.h"

namespace octroi::sqlite {

/// The folder is made when missing (0700), the file too (0600). `vfs` empty: the system's.
[[nodiscard]] Result<std::unique_ptr<Database>> open_spend_file(const std::string& path,
                                                                const std::string& vfs);

}  // namespace octroi::sqlite
