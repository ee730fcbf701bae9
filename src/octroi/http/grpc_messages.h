// octroi/http/grpc_messages.h: how long the messages of a gRPC body are, told while it passes.
// Internal to http. Source  gRPC over HTTP/2, "Length-Prefixed-Message": a flag, four bytes of
// length (big-endian), the message.  Thread: a value.
#pragma once

#include <algorithm>
#include <cstdint>

#include "octroi/base/bytes.h"

namespace octroi::http {

class GrpcMessages {
 public:
  /// The length of the longest message that begins, or goes on, in the next bytes of the body.
  std::uint64_t next(ByteView bytes) noexcept {
    std::uint64_t longest = 0;
    while (!bytes.empty()) {
      if (left_ > 0) {
        longest = std::max(longest, length_);
        const std::size_t n =
            static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
        left_ -= n;
        bytes = bytes.subspan(n);
        continue;
      }
      if (prefix_ > 0) length_ = (length_ << 8 | bytes.front()) & 0xffff'ffffU;
      bytes = bytes.subspan(1);
      if (++prefix_ < kPrefix) continue;
      prefix_ = 0;
      left_ = length_;
      longest = std::max(longest, length_);
    }
    return longest;
  }

 private:
  static constexpr int kPrefix = 5;
  int prefix_ = 0;            // bytes of it that have come
  std::uint64_t length_ = 0;  // of the message under way
  std::uint64_t left_ = 0;    // of it, to come
};

}  // namespace octroi::http
