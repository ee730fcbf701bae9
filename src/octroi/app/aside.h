// octroi/app/aside.h: work that blocks (a file, a program, a KMS, a passphrase that is stretched),
// done on a thread of its own while the loop goes on.
//
//   auto loaded = co_await aside<Result<Loaded>>([file] { return load(file); });
//
// Cancel   who is cancelled waits until the work is done, because the work uses what is theirs.
// Thread   the caller's loop. The work runs on another one, and touches nothing of the loop's.
#pragma once

#include <functional>
#include <thread>
#include <utility>

#include "octroi/net/loop.h"
#include "octroi/task/task.h"

namespace octroi::app {

template <class T>
Task<T> aside(std::function<T()> work) {
  net::Remote<T> done(*net::Loop::current());
  const std::jthread thread([give = done.giver(), w = std::move(work)]() mutable { give(w()); });
  co_return co_await done.get();
}

}  // namespace octroi::app
