// octroi/net/run_apart.h: runs a Task on a loop and a thread of its own and waits for it: for code
// that has to block, and may itself be called from another loop's callback, whose coroutines must
// not run meanwhile.
//
//   auto answer = net::run_apart<Result<int>>([&](net::Loop& loop) { return ask(&loop, …); });
//
// What `make` gives the task must outlive the call only. Thread: any; the caller waits.
#pragma once

#include <optional>
#include <thread>

#include "octroi/net/run_until.h"

namespace octroi::net {

template <class T, class Make>
T run_apart(const Make& make) {
  std::optional<T> result;
  std::thread thread([&] {
    Loop loop;
    result.emplace(run_until(loop, Task<T>(make(loop))));
  });
  thread.join();
  return *std::move(result);
}

}  // namespace octroi::net
