// octroi/base/random.h: the only door to randomness, so that tests can make it repeat.
//
// Thread: implementations are callable from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <span>

#include "octroi/base/secret.h"

namespace octroi {

class Random {
 public:
  virtual ~Random() = default;
  /// Fills with bytes fit for keys. Never fails: the process ends when the kernel has none.
  virtual void fill(std::span<std::uint8_t> out) = 0;

  template <std::size_t N>
  [[nodiscard]] std::array<std::uint8_t, N> bytes() {
    std::array<std::uint8_t, N> out{};
    fill(out);
    return out;
  }
  [[nodiscard]] Secret secret(std::size_t size);
};

/// The kernel's generator.
[[nodiscard]] Random& system_random();

/// A repeatable stream for tests; not for keys.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  void fill(std::span<std::uint8_t> out) override;

 private:
  std::mutex mutex_;
  std::uint64_t state_;
};

}  // namespace octroi
