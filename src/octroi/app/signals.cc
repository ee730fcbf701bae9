#include "octroi/app/signals.h"

#include <pthread.h>

namespace octroi::app {

SignalThread::SignalThread(Runtime& runtime) {
  sigemptyset(&set_);
  for (const int s : {SIGTERM, SIGINT, SIGHUP, SIGUSR2}) sigaddset(&set_, s);
  pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  thread_ = std::thread([this, &runtime] { wait(runtime); });
}

SignalThread::~SignalThread() {
  pthread_kill(thread_.native_handle(), SIGUSR2);
  thread_.join();
}

void SignalThread::wait(Runtime& runtime) {
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

}  // namespace octroi::app
