// octroi/net/run_until.h: runs a loop until one Task is done: for commands and tests.
//
//   int n = net::run_until(loop, count(...));
//
// Thread: the caller's becomes the loop's.
#pragma once

#include <optional>
#include <type_traits>
#include <utility>

#include "octroi/net/loop.h"
#include "octroi/task/group.h"
#include "octroi/task/task.h"

namespace octroi::net {

namespace detail {
template <class T>
Task<void> finish_into(Task<T> task, Loop* loop, std::optional<T>* result) {
  result->emplace(co_await std::move(task));
  loop->stop();
}
inline Task<void> finish(Task<void> task, Loop* loop) {
  co_await std::move(task);
  loop->stop();
}
}  // namespace detail

template <class T>
T run_until(Loop& loop, Task<T> task) {
  TaskGroup group;
  if constexpr (std::is_void_v<T>) {
    group.start(detail::finish(std::move(task), &loop));
    loop.run();
  } else {
    std::optional<T> result;
    group.start(detail::finish_into(std::move(task), &loop, &result));
    loop.run();
    return *std::move(result);
  }
}

}  // namespace octroi::net
