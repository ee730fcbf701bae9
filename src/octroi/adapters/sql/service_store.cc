#include "octroi/adapters/sql/service_store.h"

#include <utility>

#include "octroi/adapters/sql/service_operations.h"
#include "octroi/adapters/sql/store.h"

namespace octroi::sql {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words

namespace {
/// All changes of the list stand in one lane.
constexpr std::uint64_t kKey = 0x5e71ce5;
}  // namespace

Task<Result<ServiceList>> SqlServices::list_services() {
  return lanes_.reader().call<ServiceList>(0,
                                           [](Connection& db) { return sql::list_services(db); });
}

Task<Result<std::int64_t>> SqlServices::services_version() {
  return lanes_.reader().call<std::int64_t>(
      0, [](Connection& db) { return sql::services_version(db); });
}

Task<Result<std::optional<std::int64_t>>> SqlServices::put_service(PutService change) {
  return lanes_.writer(kKey).call<std::optional<std::int64_t>>(
      kKey, [c = std::move(change)](Connection& db) { return sql::put_service(db, c); });
}

Task<Result<std::optional<std::int64_t>>> SqlServices::remove_service(std::string name,
                                                                      std::int64_t judged) {
  return lanes_.writer(kKey).call<std::optional<std::int64_t>>(
      kKey,
      [n = std::move(name), judged](Connection& db) { return sql::remove_service(db, n, judged); });
}

}  // namespace octroi::sql
