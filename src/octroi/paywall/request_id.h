// octroi/paywall/request_id.h: names for requests, by which logs, answers and upstreams speak of
// the same one. Unpredictable, so that they can stand in public answers and tell nothing.
// Thread: one; each worker has its own.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "octroi/base/bytes.h"
#include "octroi/base/random.h"

namespace octroi::paywall {

class RequestIds {
 public:
  explicit RequestIds(Random& random) : random_(random) {}

  /// 24 hex digits.
  [[nodiscard]] std::string next() {
    if (left_ < kSize) {  // asking the kernel for each would cost a system call a request
      random_.fill(bytes_);
      left_ = bytes_.size();
    }
    left_ -= kSize;
    return to_hex(ByteView(bytes_).subspan(left_, kSize));
  }

 private:
  static constexpr std::size_t kSize = 12;
  Random& random_;
  std::array<std::uint8_t, 128 * kSize> bytes_{};
  std::size_t left_ = 0;
};

}  // namespace octroi::paywall
