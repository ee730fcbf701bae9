#include "octroi/http/h2_watch.h"

#include <algorithm>
#include <cstring>

#include <nghttp2/nghttp2.h>

namespace octroi::http::h2 {

bool TokenBucket::take(std::int64_t tokens, Millis now) noexcept {
  if (last_ == Millis(0)) last_ = now;
  if (now > last_) {
    const std::int64_t passed = std::min<std::int64_t>((now - last_).count(), 1'000'000);
    milli_ = std::min(milli_ + passed * a_second_, std::max(milli_, burst_ * 1000));
    last_ = now;
  }
  if (milli_ < tokens * 1000) return false;
  milli_ -= tokens * 1000;
  return true;
}

void TokenBucket::earn(std::int64_t tokens) noexcept {
  milli_ = std::min(milli_ + tokens * 1000, 2 * burst_ * 1000);
}

bool FrameWatch::begin_frame(Millis now) noexcept {
  const std::size_t length = static_cast<std::size_t>(header_[0]) << 16 |
                             static_cast<std::size_t>(header_[1]) << 8 | header_[2];
  const std::uint8_t type = header_[3];
  const std::uint8_t flags = header_[4];
  have_ = 0;
  skip_ = length;
  head_frame_ = type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION;
  switch (type) {
    case NGHTTP2_DATA:
      // The end of a stream moves something even without bytes.
      return length > 0 || (flags & NGHTTP2_FLAG_END_STREAM) != 0 || control_.take(1, now);
    case NGHTTP2_HEADERS:
      in_block_ = (flags & NGHTTP2_FLAG_END_HEADERS) == 0;
      return true;
    case NGHTTP2_CONTINUATION:
      in_block_ = (flags & NGHTTP2_FLAG_END_HEADERS) == 0;
      return control_.take(1, now);
    case NGHTTP2_RST_STREAM:
      return resets_.take(1, now);
    case NGHTTP2_SETTINGS:
      return control_.take((flags & NGHTTP2_FLAG_ACK) != 0 ? 1 : kSettingsCost, now);
    default:
      return control_.take(1, now);
  }
}

bool FrameWatch::see(ByteView bytes, Millis now) noexcept {
  while (!bytes.empty()) {
    if (skip_ > 0) {
      const std::size_t n = std::min(skip_, bytes.size());
      skip_ -= n;
      bytes = bytes.subspan(n);
      continue;
    }
    if (have_ == 0 && !in_block_) ++heads_;
    const std::size_t n = std::min(kHeader - have_, bytes.size());
    std::memcpy(header_ + have_, bytes.data(), n);
    have_ += n;
    bytes = bytes.subspan(n);
    if (have_ == kHeader && !begin_frame(now)) return false;
  }
  return true;
}

bool FrameWatch::in_head() const noexcept {
  return in_block_ || have_ > 0 || (head_frame_ && skip_ > 0);
}

}  // namespace octroi::http::h2
