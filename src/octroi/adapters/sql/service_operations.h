// octroi/adapters/sql/service_operations.h: the statements of ledger::ServiceCatalog. Each function
// is one operation, run inside the caller's transaction, and undoes itself when it fails.
#pragma once

#include <optional>
#include <string_view>

#include "octroi/adapters/sql/connection.h"
#include "octroi/ledger/services.h"

namespace octroi::sql {

[[nodiscard]] Result<ledger::ServiceList> list_services(Connection& db);
[[nodiscard]] Result<std::int64_t> services_version(Connection& db);
[[nodiscard]] Result<std::optional<std::int64_t>> put_service(Connection& db,
                                                              const ledger::PutService& change);
[[nodiscard]] Result<std::optional<std::int64_t>> remove_service(Connection& db,
                                                                 std::string_view name,
                                                                 std::int64_t judged);

}  // namespace octroi::sql
