// octroi/base/little_endian.h: numbers in files and logs of our own, least byte first.
// Thread: pure, any thread.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstdint>
#include <string>

#include "octroi/base/bytes.h"

namespace octroi {

template <std::unsigned_integral T>
void append_little_endian(std::string& out, T n) {
  auto bytes = std::bit_cast<std::array<std::uint8_t, sizeof(T)>>(n);
  if constexpr (std::endian::native == std::endian::big) std::ranges::reverse(bytes);
  out += as_text(bytes);
}

/// Of as many bytes as there are. REQUIRES at most eight.
[[nodiscard]] inline std::uint64_t little_endian(ByteView bytes) {
  std::uint64_t n = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) n = n << 8U | bytes[i];
  return n;
}

}  // namespace octroi
