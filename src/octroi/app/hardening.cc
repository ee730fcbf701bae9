#include "octroi/app/hardening.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include "octroi/base/log.h"
#include "octroi/base/secret_memory.h"

namespace octroi::app {

namespace {
constexpr std::string_view kModule = "app";
}

void harden_process() {
  // Also when a core would go to a program, for which the limit does not count.
  if (::prctl(PR_SET_DUMPABLE, 0) != 0)
    OCTROI_LOG(warn, kModule, "core dumps and tracing cannot be switched off");
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_CORE, &none) != 0)
    OCTROI_LOG(warn, kModule, "the limit of core dumps cannot be lowered");
  rlimit locked{};
  if (::getrlimit(RLIMIT_MEMLOCK, &locked) == 0 && locked.rlim_cur != locked.rlim_max) {
    locked.rlim_cur = locked.rlim_max;
    if (::setrlimit(RLIMIT_MEMLOCK, &locked) != 0)
      OCTROI_LOG(warn, kModule, "the limit of locked memory cannot be raised");
  }
}

void tell_of_unlocked_secrets() {
  if (secrets_are_locked()) return;
  rlimit locked{};
  (void)::getrlimit(RLIMIT_MEMLOCK, &locked);
  OCTROI_LOG(warn, kModule,
             "some secrets are not locked into memory and may be swapped: raise LimitMEMLOCK= or "
             "ulimit -l, or encrypt the swap",
             {{"limit", locked.rlim_cur}});
}

}  // namespace octroi::app
