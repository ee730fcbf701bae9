// octroi/base/scan.h: passing over the plain part of a text sixteen bytes at a time.
//
// Writers of quoted text (JSON strings, HTTP quoted-strings) look for the few bytes that need care;
// almost every byte does not. Thread: pure.
#pragma once

#include <bit>
#include <cstddef>
#include <string_view>

#include <emmintrin.h>

namespace octroi {

/// How many bytes `text` begins with that are visible ASCII or space, but neither '"' nor '\'.
[[nodiscard]] inline std::size_t plain_prefix(std::string_view text) noexcept {
  std::size_t at = 0;
  for (; text.size() - at >= 16; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
    // Signed: bytes from 0x80 on are below a space too.
    const __m128i low = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' '));
    const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    const __m128i slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    const __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
    const __m128i care = _mm_or_si128(_mm_or_si128(low, quote), _mm_or_si128(slash, del));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(care));
    if (mask != 0) return at + static_cast<std::size_t>(std::countr_zero(mask));
  }
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (static_cast<signed char>(c) < ' ' || c == '"' || c == '\\' || c == 0x7f) break;
  }
  return at;
}

/// How many bytes below 0x80 `text` begins with.
[[nodiscard]] inline std::size_t ascii_prefix(std::string_view text) noexcept {
  std::size_t at = 0;
  for (; text.size() - at >= 16; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(bytes));
    if (mask != 0) return at + static_cast<std::size_t>(std::countr_zero(mask));
  }
  while (at < text.size() && static_cast<signed char>(text[at]) >= 0) ++at;
  return at;
}

}  // namespace octroi
