#include "octroi/ledger/memory_services.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "octroi/ledger/memory_store.h"

namespace octroi::ledger {

Task<Result<ServiceList>> MemoryServices::list_services() {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  co_return list_;
}

Task<Result<std::int64_t>> MemoryServices::services_version() {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  co_return list_.version;
}

Task<Result<std::optional<std::int64_t>>> MemoryServices::put_service(PutService change) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  if (list_.version != change.judged) co_return std::optional<std::int64_t>{};
  auto it = std::find_if(list_.services.begin(), list_.services.end(),
                         [&](const StoredService& s) { return s.name == change.name; });
  const bool added = it == list_.services.end();
  if (added) it = list_.services.insert(it, StoredService{});
  const UnixMillis created = added ? change.now : it->created;
  *it = {std::move(change.name),
         std::move(change.document),
         change.enabled,
         std::move(change.auth_scheme),
         ++list_.version,
         created,
         change.now};
  co_return std::optional<std::int64_t>(list_.version);
}

Task<Result<std::optional<std::int64_t>>> MemoryServices::remove_service(std::string name,
                                                                         std::int64_t judged) {
  const std::scoped_lock lock(store_.mutex_);
  OCTROI_CO_CHECK(store_.begin());
  if (list_.version != judged) co_return std::optional<std::int64_t>{};
  std::erase_if(list_.services, [&](const StoredService& s) { return s.name == name; });
  co_return std::optional<std::int64_t>(++list_.version);
}

}  // namespace octroi::ledger
