#include "octroi/app/signals.h"

#include <utility>

#include <pthread.h>

namespace octroi::app {

SignalThread::SignalThread(Runtime& runtime)
    : SignalThread([&runtime] { runtime.stop(); }, [&runtime] { runtime.request_reload(); }) {}

SignalThread::SignalThread(std::function<void()> stop, std::function<void()> reload)
    : stop_(std::move(stop)), reload_(std::move(reload)) {
  sigemptyset(&set_);
  for (const int s : {SIGTERM, SIGINT, SIGHUP, SIGUSR2}) sigaddset(&set_, s);
  pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  thread_ = std::thread([this] { wait(); });
}

SignalThread::~SignalThread() {
  pthread_kill(thread_.native_handle(), SIGUSR2);
  thread_.join();
}

void SignalThread::wait() {
  while (true) {
    int signal = 0;
    if (sigwait(&set_, &signal) != 0) continue;
    if (signal == SIGUSR2) return;
    if (signal == SIGHUP) {
      reload_();
    } else {
      stop_();
    }
  }
}

}  // namespace octroi::app
