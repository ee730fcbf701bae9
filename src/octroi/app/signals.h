// octroi/app/signals.h: SIGTERM and SIGINT drain a server, SIGHUP reloads it.
//
// The signals are blocked in every thread and taken by one that does nothing else, so that no other
// thread is ever interrupted. Make it before other threads start.
#pragma once

#include <functional>
#include <thread>

#include <signal.h>

#include "octroi/app/runtime.h"

namespace octroi::app {

class SignalThread {
 public:
  explicit SignalThread(Runtime& runtime);
  /// Called on that thread.
  SignalThread(std::function<void()> stop, std::function<void()> reload);
  ~SignalThread();
  SignalThread(const SignalThread&) = delete;
  SignalThread& operator=(const SignalThread&) = delete;

 private:
  void wait();
  std::function<void()> stop_;
  std::function<void()> reload_;
  sigset_t set_{};
  std::thread thread_;
};

}  // namespace octroi::app
