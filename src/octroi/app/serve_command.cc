// octroi serve.

#include <cstdio>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "octroi/app/commands.h"
#include "octroi/app/context.h"
#include "octroi/app/runtime.h"
#include "octroi/app/signals.h"
#include "octroi/base/log.h"
#include "octroi/cli/config_file.h"

namespace octroi::app {

namespace {

Task<void> announce(const Addresses* addresses) {
  for (const auto& endpoint : addresses->paywall) {
    OCTROI_LOG(info, "app", "paywall listens", {{"address", endpoint.str()}});
  }
  if (addresses->admin)
    OCTROI_LOG(info, "app", "admin listens", {{"address", addresses->admin->str()}});
  co_return;
}

/// Each client and each upstream connection is a descriptor, and the usual soft limit of 1,024
/// exists for programs that use select(): what the system allows is taken.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
    OCTROI_LOG(warn, "app", "descriptor limit not raised", {{"limit", limit.rlim_cur}});
}

}  // namespace

int serve_command(const Common& common, const ServeOptions& options) {
  if (!options.only.empty() && options.only != "paywall") {
    std::fprintf(stderr, "octroi: --only: '%s' is not available in this version; use paywall\n",
                 options.only.c_str());
    return kUsage;
  }
  ::prctl(PR_SET_DUMPABLE, 0);
  ::signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  auto loaded = load_config(common);
  if (!loaded) return kUsage;
  const std::string file = loaded->config.file;
  Runtime runtime(std::move(*loaded), [&common, file](std::vector<config::StoredService> stored) {
    return cli::try_load_config(common.call, file, true, std::move(stored));
  });
  SignalThread signals(runtime);
  auto outcome = runtime.run([](const Addresses& a) { return announce(&a); });
  if (!outcome)
    return tell_error(common, outcome.error(),
                      outcome.error().kind() == ErrorKind::invalid ? kUsage : kFailed);
  return kDone;
}

}  // namespace octroi::app
