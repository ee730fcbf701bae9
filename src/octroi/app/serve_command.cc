// octroi serve.

#include <cstdio>

#include <signal.h>
#include <sys/resource.h>

#include "octroi/app/commands.h"
#include "octroi/app/context.h"
#include "octroi/app/hardening.h"
#include "octroi/app/runtime.h"
#include "octroi/app/signals.h"
#include "octroi/app/vault_server.h"
#include "octroi/base/log.h"
#include "octroi/cli/config_file.h"

namespace octroi::app {

namespace {

Task<void> announce(const Addresses* addresses) {
  for (const auto& endpoint : addresses->paywall) {
    OCTROI_LOG(info, "app", "paywall listens", {{"address", endpoint.str()}});
  }
  for (const auto& endpoint : addresses->vault) {
    OCTROI_LOG(info, "app", "vault listens", {{"address", endpoint.str()}});
  }
  if (addresses->admin)
    OCTROI_LOG(info, "app", "admin listens", {{"address", addresses->admin->str()}});
  co_return;
}

int told(const Common& common, const Result<>& outcome) {
  if (outcome) return kDone;
  return tell_error(common, outcome.error(),
                    outcome.error().kind() == ErrorKind::invalid ? kUsage : kFailed);
}

int serve_vault(const Common& common, config::Loaded loaded) {
  const std::string file = loaded.config.file;
  // Secrets of the doors that this process does not run are not kept.
  loaded.config.paywall.reset();
  loaded.config.lightning.reset();
  loaded.config.wallet.reset();
  VaultServer server(std::move(loaded),
                     [&common, file] { return cli::try_load_config(common.call, file, true, {}); });
  SignalThread signals([&server] { server.stop(); }, [&server] { server.request_reload(); });
  return told(common, server.run());
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
  if (!options.only.empty() && options.only != "paywall" && options.only != "vault") {
    std::fprintf(stderr,
                 "octroi: --only: '%s' is not available in this version; use paywall or vault\n",
                 options.only.c_str());
    return kUsage;
  }
  harden_process();
  ::signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  auto loaded = load_config(common);
  if (!loaded) return kUsage;
  tell_of_unlocked_secrets();
  const std::string file = loaded->config.file;
  if (options.only == "paywall") loaded->config.vault.reset();
  const bool vault_alone =
      loaded->config.vault && (options.only == "vault" || !loaded->config.paywall);
  if (vault_alone) return serve_vault(common, std::move(*loaded));
  if (options.only == "vault") {
    std::fprintf(stderr, "octroi: --only vault: the configuration has no vault section\n");
    return kUsage;
  }
  Runtime runtime(std::move(*loaded), [&common, file](std::vector<config::StoredService> stored) {
    return cli::try_load_config(common.call, file, true, std::move(stored));
  });
  SignalThread signals(runtime);
  return told(common, runtime.run([](const Addresses& a) { return announce(&a); }));
}

}  // namespace octroi::app
