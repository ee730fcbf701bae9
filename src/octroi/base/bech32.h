// octroi/base/bech32.h: bech32 and bech32m text (BIP 173, BIP 350) and the regrouping of bits.
//
// Shape    "<human-readable part>1<words><6 checksum words>"; a word is 5 bits, 0..31.
// Length   no 90-character rule, because Lightning invoices exceed it (BOLT 11); `max_size` bounds
// it. Errors   Bech32Errc; mixed case, a wrong checksum or non-zero padding is refused, never
// repaired. Thread   pure, any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/bytes.h"
#include "octroi/base/result.h"

namespace octroi {

enum class Bech32Errc : std::uint8_t {
  too_long,      // longer than the caller allows
  bad_char,      // a character outside the alphabet, or upper and lower case mixed
  bad_prefix,    // no separator, or an empty or unprintable human-readable part
  bad_checksum,  // neither the bech32 nor the bech32m checksum matches
  bad_padding,   // words that do not end on a byte: 5 or more bits left, or bits that are not zero
};
ErrorInfo error_info(Bech32Errc e);

enum class Bech32Kind : std::uint8_t { bech32, bech32m };

struct Bech32 {
  Bech32Kind kind = Bech32Kind::bech32;
  std::string prefix;               // lower case
  std::vector<std::uint8_t> words;  // without the checksum
};

inline constexpr std::size_t kBech32MaxSize = 8192;

[[nodiscard]] Result<Bech32> bech32_decode(std::string_view text,
                                           std::size_t max_size = kBech32MaxSize);

/// Lower case. Words above 31 and a prefix that decode would refuse are the caller's error:
/// bad_char and bad_prefix.
[[nodiscard]] Result<std::string> bech32_encode(Bech32Kind kind, std::string_view prefix,
                                                std::span<const std::uint8_t> words);

/// What to do with bits that do not fill a byte at the end of the words.
enum class Bech32Tail : std::uint8_t {
  strict,  // under 5 and all zero, or bad_padding: what BIP 173 asks of an address
  drop,    // cut off without a look, as readers of BOLT 11 fields do
  pad,     // filled with zeros to a byte, as the hash under a BOLT 11 signature is made
};
[[nodiscard]] Result<Bytes> words_to_bytes(std::span<const std::uint8_t> words,
                                           Bech32Tail tail = Bech32Tail::strict);
/// Pads with zero bits to a whole word.
[[nodiscard]] std::vector<std::uint8_t> bytes_to_words(ByteView bytes);

}  // namespace octroi
