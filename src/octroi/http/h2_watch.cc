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

/// Clients number their streams in order and may leave some out; those that were left out are
/// remembered, as what comes late for a stream that did exist is no fault.
FrameWatch::Verdict FrameWatch::begin_headers(std::uint32_t stream) noexcept {
  if (stream % 2 == 0) return Verdict::fine;  // the session knows what to say
  if (stream > last_stream_) {
    const std::uint32_t expected = last_stream_ == 0 ? 1 : last_stream_ + 2;
    if (stream > expected) skips_[next_skip_++ % kSkips] = {expected, stream - 2};
    last_stream_ = stream;
    return Verdict::fine;
  }
  for (const Skip& skip : skips_) {
    if (skip.first <= stream && stream <= skip.last) return Verdict::misplaced;
  }
  return Verdict::fine;
}

FrameWatch::Verdict FrameWatch::begin_frame(Millis now) noexcept {
  const auto number = [this](std::size_t at, std::size_t bytes) {
    std::uint32_t n = 0;
    for (std::size_t i = at; i < at + bytes; ++i) n = n << 8 | header_[i];
    return n;
  };
  const std::size_t length = number(0, 3);
  const std::uint8_t type = header_[3];
  const std::uint8_t flags = header_[4];
  have_ = 0;
  skip_ = length;
  head_frame_ = type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION;
  if (head_frame_) in_block_ = (flags & NGHTTP2_FLAG_END_HEADERS) == 0;
  switch (type) {
    case NGHTTP2_DATA:
      // The end of a stream moves something even without bytes.
      if (length > 0 || (flags & NGHTTP2_FLAG_END_STREAM) != 0) return Verdict::fine;
      return pay(1, now);
    case NGHTTP2_HEADERS:
      return begin_headers(number(5, 4) & 0x7fffffff);
    case NGHTTP2_RST_STREAM:
      return reset_here(now) ? Verdict::fine : Verdict::flood;
    case NGHTTP2_SETTINGS:
      return pay((flags & NGHTTP2_FLAG_ACK) != 0 ? 1 : kSettingsCost, now);
    default:
      return pay(1, now);
  }
}

FrameWatch::Verdict FrameWatch::see(ByteView bytes, Millis now) noexcept {
  while (!bytes.empty()) {
    if (skip_ > 0) {
      const std::size_t n = std::min(skip_, bytes.size());
      skip_ -= n;
      bytes = bytes.subspan(n);
      continue;
    }
    if (have_ == 0 && !in_block_) ++heads_;
    const std::size_t n = std::min(kHeader - have_, bytes.size());
    std::memcpy(header_.data() + have_, bytes.data(), n);
    have_ += n;
    bytes = bytes.subspan(n);
    if (have_ < kHeader) break;
    if (const Verdict verdict = begin_frame(now); verdict != Verdict::fine) return verdict;
  }
  return Verdict::fine;
}

bool FrameWatch::in_head() const noexcept {
  return in_block_ || have_ > 0 || (head_frame_ && skip_ > 0);
}

}  // namespace octroi::http::h2
