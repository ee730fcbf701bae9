#include "octroi/base/random.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include <sys/random.h>

namespace octroi {

Secret Random::secret(std::size_t size) {
  Bytes raw(size);
  fill(raw);
  return Secret::take(std::move(raw));
}

namespace {

class SystemRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override {
    while (!out.empty()) {
      const ssize_t got = getrandom(out.data(), out.size(), 0);
      if (got > 0) {
        out = out.subspan(static_cast<std::size_t>(got));
      } else if (got < 0 && errno != EINTR) {
        // Going on would mean predictable keys.
        std::fputs("octroi: the kernel gives no random bytes (getrandom failed)\n", stderr);
        std::abort();
      }
    }
  }
};

}  // namespace

Random& system_random() {
  static SystemRandom random;
  return random;
}

void SeededRandom::fill(std::span<std::uint8_t> out) {
  const std::lock_guard lock(mutex_);
  for (std::size_t at = 0; at < out.size();) {
    // splitmix64: equidistributed, and a seed of zero is as good as any.
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    z ^= z >> 31;
    for (std::size_t i = 0; i < 8 && at < out.size(); ++i) {
      out[at++] = static_cast<std::uint8_t>(z >> (8 * i));
    }
  }
}

}  // namespace octroi
