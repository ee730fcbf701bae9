// octroi/app/signals.h: SIGTERM and SIGINT drain the runtime, SIGHUP reloads it.
//
// The signals are blocked in every thread and taken by one that does nothing else, so that no other
// thread is ever interrupted. Make it before other threads start.
#pragma once

#include <thread>

#include <signal.h>

#include "octroi/app/runtime.h"

namespace octroi::app {

class SignalThread {
 public:
  explicit SignalThread(Runtime& runtime);
  ~SignalThread();
  SignalThread(const SignalThread&) = delete;
  SignalThread& operator=(const SignalThread&) = delete;

 private:
  void wait(Runtime& runtime);
  sigset_t set_{};
  std::thread thread_;
};

}  // namespace octroi::app
