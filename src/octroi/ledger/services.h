// octroi/ledger/services.h: the part of the store that keeps the services which were added while
// octroi ran, beside those of the configuration file.
//
// A service is one document, the canonical JSON of what its section of octroi.yaml would hold, so
// that it can lose no field of its twin in the file; what the store itself looks at stands beside
// it. References to secrets stay references.
//
// The list as a whole has a version, which is another one after each change. A change names the
// version it was judged against, and is made only while that is the one there is: two who change
// at once cannot both be right about what is served. The version is also that of the service that
// was changed, so it is never used twice, not even by a service that was removed and made again.
//
// Thread   as Store.
// Errors   Errc::unavailable: nothing happened that may be relied upon.
// Source   architecture 3.6.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/result.h"
#include "octroi/task/task.h"

namespace octroi::ledger {

struct StoredService {
  std::string name;
  std::string document;
  bool enabled = true;               // false: kept, not served
  std::string auth_scheme = "l402";  // "l402", "payment" or "l402+payment": what it accepts
  std::int64_t version = 0;
  UnixMillis created;
  UnixMillis updated;
};

struct ServiceList {
  std::int64_t version = 0;
  std::vector<StoredService> services;  // as they were first made; that is the order of matching
};

/// Adds the service, or replaces the one of that name in its place.
struct PutService {
  std::string name;
  std::string document;
  bool enabled = true;
  std::string auth_scheme = "l402";
  std::int64_t judged = 0;  // the version of the list that the change was judged against
  UnixMillis now;
};

class ServiceCatalog {
 public:
  virtual ~ServiceCatalog() = default;

  virtual Task<Result<ServiceList>> list_services() = 0;
  /// Only its version, which is cheap to ask for often.
  virtual Task<Result<std::int64_t>> services_version() = 0;
  /// The new version; nothing when the list was another one, and nothing was changed.
  virtual Task<Result<std::optional<std::int64_t>>> put_service(PutService change) = 0;
  /// As put_service; a name that is not there is removed all the same.
  virtual Task<Result<std::optional<std::int64_t>>> remove_service(std::string name,
                                                                   std::int64_t judged) = 0;
};

}  // namespace octroi::ledger
