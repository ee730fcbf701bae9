// octroi/app/service_desk.h: changes of the services in the store: judged against the configuration
// as it would be, then written, if the list is still the one that they were judged against.
//
//   OCTROI_CO_TRY(auto judged, co_await desk.judge(change));     // or what is wrong with it
//   … build what serves by judged.loaded …
//   auto done = co_await desk.commit(judged);                    // nothing: judge again
//
// The server (runtime.h) and the commands that work on the store themselves use the same.
// Thread   that of its caller, one at a time.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "octroi/admin/service_api.h"
#include "octroi/base/clock.h"
#include "octroi/config/load.h"
#include "octroi/ledger/services.h"

namespace octroi::app {

/// Reads the configuration file, with these services of the store behind its own.
using ConfigLoader = std::function<config::LoadResult(std::vector<config::StoredService>)>;

class ServiceDesk {
 public:
  /// Both outlive it; `loader` is not null.
  ServiceDesk(ledger::ServiceCatalog& catalog, ConfigLoader loader, Clock& clock)
      : catalog_(catalog), loader_(std::move(loader)), clock_(clock) {}

  struct Judged {
    /// The configuration after the change. Empty: it was broken before, and a removal is made all
    /// the same.
    std::optional<config::Loaded> loaded;
    std::optional<ledger::PutService> put;  // empty: a removal, or nothing to do
    bool unchanged = false;
    std::int64_t version = 0;    // of the list that it was judged against
    admin::ServiceEntry before;  // of a removal, or where nothing changes
  };
  Task<admin::ServiceAnswer<Judged>> judge(admin::ServiceChange change);
  /// The service as it is now (of a removal: as it was); nothing when somebody else changed the
  /// list meanwhile.
  Task<admin::ServiceAnswer<std::optional<admin::ServiceEntry>>> commit(const Judged& judged);

  /// All services in the order of matching, without documents. `loaded`: what is served now.
  Task<admin::ServiceAnswer<std::vector<admin::ServiceEntry>>> list(const config::Loaded& loaded);
  Task<admin::ServiceAnswer<admin::ServiceEntry>> show(const config::Loaded& loaded,
                                                       std::string name);

 private:
  ledger::ServiceCatalog& catalog_;
  ConfigLoader loader_;
  Clock& clock_;
};

/// Those that are served, in their order.
[[nodiscard]] std::vector<config::StoredService> enabled_of(const ledger::ServiceList& list);

}  // namespace octroi::app
