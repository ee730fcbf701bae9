// octroi/adapters/sql/service_store.h: ledger::ServiceCatalog over the lanes of a SqlStore.
//
// Thread   as SqlStore.
#pragma once

#include <string>

#include "octroi/adapters/sql/lane.h"
#include "octroi/ledger/services.h"

namespace octroi::sql {

class Lanes;

class SqlServices : public ledger::ServiceCatalog {
 public:
  /// `lanes` must outlive it.
  explicit SqlServices(Lanes& lanes) : lanes_(lanes) {}

  Task<Result<ledger::ServiceList>> list_services() override;
  Task<Result<std::int64_t>> services_version() override;
  Task<Result<std::optional<std::int64_t>>> put_service(ledger::PutService change) override;
  Task<Result<std::optional<std::int64_t>>> remove_service(std::string name,
                                                           std::int64_t judged) override;

 private:
  Lanes& lanes_;
};

}  // namespace octroi::sql
