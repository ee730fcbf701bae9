// octroi/adapters/sql/credential_operations.h: the statements of the real keys of vendors
// (ledger/credentials.h). Each function is one operation, run inside the caller's transaction, and
// undoes itself when it fails.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/adapters/sql/connection.h"
#include "octroi/ledger/credentials.h"

namespace octroi::sql {

[[nodiscard]] Result<> put_credential(Connection& db, std::string_view vendor,
                                      std::string_view sealed, UnixMillis now);
[[nodiscard]] Result<std::optional<std::string>> find_credential(Connection& db,
                                                                 std::string_view vendor);
[[nodiscard]] Result<std::vector<ledger::Credential>> list_credentials(Connection& db);
[[nodiscard]] Result<std::optional<std::int64_t>> stage_credential(Connection& db,
                                                                   std::string_view vendor,
                                                                   std::string_view sealed,
                                                                   UnixMillis now,
                                                                   UnixMillis until);
[[nodiscard]] Result<bool> switch_credential(Connection& db,
                                             const ledger::CredentialSwitch& wanted);
[[nodiscard]] Result<std::optional<std::int64_t>> roll_back_credential(Connection& db,
                                                                       std::string_view vendor,
                                                                       std::int64_t from,
                                                                       UnixMillis now);
[[nodiscard]] Result<bool> drop_credential(Connection& db, std::string_view vendor,
                                           std::int64_t version);
[[nodiscard]] Result<std::vector<ledger::Credential>> wipe_credentials(Connection& db,
                                                                       UnixMillis now);

[[nodiscard]] Result<bool> reseal_credentials(Connection& db,
                                              const std::vector<ledger::Resealed>& all,
                                              UnixMillis now);

}  // namespace octroi::sql
