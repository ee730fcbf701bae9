// octroi/adapters/sqlite/crash_common.h: what the programs that tests/faults kills have in common.
// For tests only.
#pragma once

#include <cstring>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include "octroi/adapters/sqlite/store.h"
#include "octroi/task/group.h"

namespace octroi {

inline constexpr UnixMillis kNow{1'763'700'000'000};
inline constexpr UnixMillis kEnd{1'763'700'900'000};

template <class T>
Task<void> keep(Task<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
}
/// Outside a loop the store blocks, so the task has finished when start() returns.
template <class T>
T sync(Task<T> task) {
  std::optional<T> out;
  TaskGroup group;
  group.start(keep(std::move(task), &out));
  return std::move(*out);
}

inline PaymentHash hash_of(std::uint32_t n) {
  std::array<std::uint8_t, 32> raw{};
  std::memcpy(raw.data(), &n, sizeof n);
  return PaymentHash(raw);
}

/// One write(2), shorter than a pipe's atomic size: lines of several threads never mix, and what is
/// printed is out of the process.
inline void say(const std::string& line) {
  [[maybe_unused]] const ssize_t n = ::write(STDOUT_FILENO, line.data(), line.size());
}

/// `storm FILE NUMBER... | verify FILE`: opens the store with small checkpoints and calls one of
/// the two. What the numbers are, `usage` says.
template <class Storm, class Verify>
int crash_main(int argc, char** argv, const char* usage, std::size_t numbers, Storm storm,
               Verify verify) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  const bool verifying = args.size() == 2 && args[0] == "verify";
  if (!verifying && (args.size() < 2 + numbers || args[0] != "storm")) {
    std::cerr << "usage: " << usage << "\n";
    return 2;
  }
  sqlite::SqliteOptions options;
  options.path = args[1];
  options.checkpoint_frames = 50;
  auto store = sqlite::open_sqlite_store(options, system_clock());
  if (!store) {
    std::cerr << store.error().message() << "\n";
    return 1;
  }
  if (verifying) return verify(**store);
  std::vector<std::uint32_t> given;
  for (std::size_t i = 2; i < args.size(); ++i) {
    given.push_back(static_cast<std::uint32_t>(std::stoul(args[i])));
  }
  return storm(**store, given);
}

}  // namespace octroi
