// octroi/lightning/run_task.h: for tests of everything around a node: turns the loop until one task
// is done and gives its result.
//
// Thread: the calling thread becomes the loop's for that time.
#pragma once

#include <optional>
#include <utility>

#include "octroi/net/loop.h"
#include "octroi/task/group.h"
#include "octroi/task/task.h"

namespace octroi::lightning {

namespace detail {
template <class T>
Task<void> keep_result(net::Loop* loop, Task<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
  loop->stop();
}
}  // namespace detail

template <class T>
T run_task(net::Loop& loop, Task<T> task) {
  std::optional<T> out;
  TaskGroup group;
  loop.post([&] { group.start(detail::keep_result(&loop, std::move(task), &out)); });
  loop.run();
  return *std::move(out);
}

}  // namespace octroi::lightning
