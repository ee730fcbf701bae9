// octroi serve.

#include <cstdio>
#include <thread>

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include "octroi/app/commands.h"
#include "octroi/app/context.h"
#include "octroi/app/runtime.h"
#include "octroi/base/log.h"

namespace octroi::app {

namespace {

/// Turns SIGTERM, SIGINT and SIGHUP into calls, on a thread that does nothing else. The signals are
/// blocked everywhere else, so no other thread is ever interrupted.
class SignalThread {
 public:
  explicit SignalThread(Runtime& runtime) {
    sigemptyset(&set_);
    for (const int s : {SIGTERM, SIGINT, SIGHUP, SIGUSR2}) sigaddset(&set_, s);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    thread_ = std::thread([this, &runtime] { wait(runtime); });
  }
  ~SignalThread() {
    pthread_kill(thread_.native_handle(), SIGUSR2);
    thread_.join();
  }
  SignalThread(const SignalThread&) = delete;
  SignalThread& operator=(const SignalThread&) = delete;

 private:
  void wait(Runtime& runtime) {
    while (true) {
      int signal = 0;
      if (sigwait(&set_, &signal) != 0) continue;
      if (signal == SIGUSR2) return;
      if (signal == SIGHUP) {
        runtime.request_reload();
      } else {
        runtime.stop();
      }
    }
  }
  sigset_t set_{};
  std::thread thread_;
};

Task<void> announce(const Addresses* addresses) {
  for (const auto& endpoint : addresses->paywall) {
    OCTROI_LOG(info, "app", "paywall listens", {{"address", endpoint.str()}});
  }
  if (addresses->admin)
    OCTROI_LOG(info, "app", "admin listens", {{"address", addresses->admin->str()}});
  co_return;
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
  auto loaded = load_config(common);
  if (!loaded) return kUsage;
  for (const auto& warning : loaded->warnings)
    std::fputs((config::to_text(warning) + "\n").c_str(), stderr);
  const std::string file = find_config(common);
  Runtime runtime(std::move(*loaded), [file] { return config::load_file(file, load_options()); });
  SignalThread signals(runtime);
  auto outcome = runtime.run([](const Addresses& a) { return announce(&a); });
  if (!outcome)
    return tell_error(common, outcome.error(),
                      outcome.error().kind() == ErrorKind::invalid ? kUsage : kFailed);
  return kDone;
}

}  // namespace octroi::app
