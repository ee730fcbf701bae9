// octroi/http/short_copy.h: copies names, values and other pieces of a head. Most have less than 33
// bytes, which two overlapping words copy for less than a call costs. Internal to http.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include <emmintrin.h>

namespace octroi::http {

/// Of the word's size to twice of it.
template <class Word>
void copy_ends(char* to, const char* from, std::size_t size) noexcept {
  Word first{};
  Word last{};
  std::memcpy(&first, from, sizeof(Word));
  std::memcpy(&last, from + size - sizeof(Word), sizeof(Word));
  std::memcpy(to, &first, sizeof(Word));
  std::memcpy(to + size - sizeof(Word), &last, sizeof(Word));
}

/// Where the next piece goes. The pieces do not overlap.
inline char* short_copy(char* to, std::string_view text) noexcept {
  const std::size_t size = text.size();
  const char* const from = text.data();
  if (size > 32) {
    std::memcpy(to, from, size);
  } else if (size >= 16) {
    const __m128i first = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    const __m128i last = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + size - 16));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), first);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + size - 16), last);
  } else if (size >= 8) {
    copy_ends<std::uint64_t>(to, from, size);
  } else if (size >= 4) {
    copy_ends<std::uint32_t>(to, from, size);
  } else if (size > 0) {
    to[0] = from[0];
    to[size / 2] = from[size / 2];
    to[size - 1] = from[size - 1];
  }
  return to + size;
}

}  // namespace octroi::http
