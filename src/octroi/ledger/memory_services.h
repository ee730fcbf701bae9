// octroi/ledger/memory_services.h: the services of MemoryStore.
//
// Thread   any thread; the store's mutex.
#pragma once

#include "octroi/ledger/services.h"

namespace octroi::ledger {

class MemoryStore;

class MemoryServices final : public ServiceCatalog {
 public:
  explicit MemoryServices(MemoryStore& store) : store_(store) {}

  Task<Result<ServiceList>> list_services() override;
  Task<Result<std::int64_t>> services_version() override;
  Task<Result<std::optional<std::int64_t>>> put_service(PutService change) override;
  Task<Result<std::optional<std::int64_t>>> remove_service(std::string name,
                                                           std::int64_t judged) override;

 private:
  MemoryStore& store_;
  ServiceList list_;
};

}  // namespace octroi::ledger
