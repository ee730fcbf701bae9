// octroi/http/h2_watch.h: looks at the frames of a connection before the library does, to tell a
// peer that works from one that only makes work: frames that move nothing (PING, SETTINGS,
// PRIORITY, empty DATA, unknown types, …) and streams that are given up. Pure: no I/O.
//
// Why      each of these frames is legal, and each has been the means of an attack: what counts is
//          how many come for how much answered. A peer that reads answers earns more of them,
//          because who downloads must open windows.
// Source   RFC 9113 section 10.5.  Thread: one loop's.
#pragma once

#include <array>
#include <cstdint>

#include "octroi/base/bytes.h"
#include "octroi/base/clock.h"

namespace octroi::http::h2 {

/// Tokens that come back with time, up to a limit.
class TokenBucket {
 public:
  TokenBucket(std::int64_t burst, std::int64_t a_second) noexcept
      : burst_(burst), a_second_(a_second), milli_(burst * 1000) {}
  /// False when there are not that many left.
  [[nodiscard]] bool take(std::int64_t tokens, Millis now) noexcept;
  void earn(std::int64_t tokens) noexcept;

 private:
  std::int64_t burst_;
  std::int64_t a_second_;
  std::int64_t milli_;  // thousandths of a token
  Millis last_{0};
};

class FrameWatch {
 public:
  /// `preface`: bytes before the first frame.
  explicit FrameWatch(std::size_t preface) noexcept : skip_(preface) {}

  enum class Verdict : std::uint8_t {
    fine,
    flood,      // this peer must be sent away
    misplaced,  // a request on a stream that a later one has closed (RFC 9113 section 5.1.1)
  };
  /// The next bytes as they came.
  [[nodiscard]] Verdict see(ByteView bytes, Millis now) noexcept;
  /// A stream was reset because of what the peer did: as good as if it had reset it.
  [[nodiscard]] bool reset_here(Millis now) noexcept { return resets_.take(1, now); }
  /// A frame with a part of an answer went out.
  void answered() noexcept { control_.earn(kEarned); }

  /// A header block has begun and is not whole, or a frame of which nobody can tell yet.
  [[nodiscard]] bool in_head() const noexcept;
  /// Which one: another number for another head.
  [[nodiscard]] std::uint64_t head() const noexcept { return heads_; }

 private:
  static constexpr std::int64_t kBurst = 2000;
  static constexpr std::int64_t kASecond = 200;
  static constexpr std::int64_t kEarned = 4;
  static constexpr std::int64_t kSettingsCost = 20;  // may touch every stream
  static constexpr std::int64_t kResetBurst = 500;
  static constexpr std::int64_t kResetsASecond = 50;
  static constexpr std::size_t kHeader = 9;

  static constexpr std::size_t kSkips = 4;

  /// Streams that were passed over, and so can never be opened.
  struct Skip {
    std::uint32_t first = 0;
    std::uint32_t last = 0;
  };

  [[nodiscard]] Verdict begin_frame(Millis now) noexcept;
  [[nodiscard]] Verdict begin_headers(std::uint32_t stream) noexcept;
  [[nodiscard]] Verdict pay(std::int64_t tokens, Millis now) noexcept {
    return control_.take(tokens, now) ? Verdict::fine : Verdict::flood;
  }

  std::array<std::uint8_t, kHeader> header_{};
  std::size_t have_ = 0;    // bytes of the header
  std::size_t skip_;        // bytes of the payload to come
  bool in_block_ = false;   // HEADERS without END_HEADERS
  bool head_frame_ = true;  // the frame under way is HEADERS or CONTINUATION, or the preface
  std::uint64_t heads_ = 0;
  std::uint32_t last_stream_ = 0;
  std::array<Skip, kSkips> skips_;
  std::size_t next_skip_ = 0;
  TokenBucket control_{kBurst, kASecond};
  TokenBucket resets_{kResetBurst, kResetsASecond};
};

}  // namespace octroi::http::h2
