#include "octroi/base/bech32.h"

#include <algorithm>
#include <array>

namespace octroi {

ErrorInfo error_info(Bech32Errc e) {
  switch (e) {
    case Bech32Errc::too_long:
      return {"base.bech32_too_long", ErrorKind::limit};
    case Bech32Errc::bad_char:
      return {"base.bech32_bad_char", ErrorKind::invalid};
    case Bech32Errc::bad_prefix:
      return {"base.bech32_bad_prefix", ErrorKind::invalid};
    case Bech32Errc::bad_checksum:
      return {"base.bech32_bad_checksum", ErrorKind::invalid};
    case Bech32Errc::bad_padding:
      return {"base.bech32_bad_padding", ErrorKind::invalid};
  }
  return {"base.unknown", ErrorKind::internal};
}

namespace {

constexpr std::string_view kAlphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
constexpr std::size_t kChecksumWords = 6;
constexpr std::uint8_t kBad = 0xff;

constexpr std::array<std::uint8_t, 128> kValues = [] {
  std::array<std::uint8_t, 128> values{};
  for (auto& v : values) v = kBad;
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<std::uint8_t>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}();

constexpr std::uint32_t final_constant(Bech32Kind kind) {
  return kind == Bech32Kind::bech32 ? 1U : 0x2bc830a3U;
}

/// The BCH code of BIP 173 over 5-bit words, fed one word at a time.
class Checksum {
 public:
  explicit Checksum(std::string_view prefix) {
    for (const char c : prefix) feed(static_cast<std::uint8_t>(static_cast<std::uint8_t>(c) >> 5));
    feed(0);
    for (const char c : prefix) feed(static_cast<std::uint8_t>(c & 31));
  }
  void feed(std::uint8_t word) {
    static constexpr std::array<std::uint32_t, 5> kGenerator = {
        0x3b6a57b2U, 0x26508e6dU, 0x1ea119faU, 0x3d4233ddU, 0x2a1462b3U};
    const std::uint32_t top = state_ >> 25;
    state_ = (state_ & 0x1ffffffU) << 5 ^ word;
    for (std::size_t i = 0; i < kGenerator.size(); ++i) {
      if ((top >> i & 1U) != 0) state_ ^= kGenerator[i];
    }
  }
  [[nodiscard]] std::uint32_t state() const { return state_; }

 private:
  std::uint32_t state_ = 1;
};

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_printable(char c) { return c >= 33 && c <= 126; }

bool is_good_prefix(std::string_view prefix) {
  return !prefix.empty() && std::all_of(prefix.begin(), prefix.end(), is_printable);
}

}  // namespace

Result<Bech32> bech32_decode(std::string_view text, std::size_t max_size) {
  if (text.size() > max_size) return fail(Bech32Errc::too_long);
  if (!std::all_of(text.begin(), text.end(), is_printable)) return fail(Bech32Errc::bad_char);
  if (std::any_of(text.begin(), text.end(), is_upper) &&
      std::any_of(text.begin(), text.end(), is_lower)) {
    return fail(Bech32Errc::bad_char);
  }
  std::string lower(text);
  for (char& c : lower) c = is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;

  const std::size_t separator = lower.rfind('1');
  if (separator == std::string::npos || separator == 0) return fail(Bech32Errc::bad_prefix);
  Bech32 out;
  out.prefix = lower.substr(0, separator);
  Checksum checksum(out.prefix);
  for (const char c : std::string_view(lower).substr(separator + 1)) {
    const std::uint8_t word = kValues[static_cast<std::uint8_t>(c)];
    if (word == kBad) return fail(Bech32Errc::bad_char);
    checksum.feed(word);
    out.words.push_back(word);
  }
  if (out.words.size() < kChecksumWords) return fail(Bech32Errc::bad_checksum);
  out.words.resize(out.words.size() - kChecksumWords);
  if (checksum.state() == final_constant(Bech32Kind::bech32)) {
    out.kind = Bech32Kind::bech32;
  } else if (checksum.state() == final_constant(Bech32Kind::bech32m)) {
    out.kind = Bech32Kind::bech32m;
  } else {
    return fail(Bech32Errc::bad_checksum);
  }
  return out;
}

Result<std::string> bech32_encode(Bech32Kind kind, std::string_view prefix,
                                  std::span<const std::uint8_t> words) {
  if (!is_good_prefix(prefix) || std::any_of(prefix.begin(), prefix.end(), is_upper)) {
    return fail(Bech32Errc::bad_prefix);
  }
  std::string out;
  out.reserve(prefix.size() + 1 + words.size() + kChecksumWords);
  out += prefix;
  out += '1';
  Checksum checksum(prefix);
  for (const std::uint8_t word : words) {
    if (word > 31) return fail(Bech32Errc::bad_char);
    checksum.feed(word);
    out += kAlphabet[word];
  }
  for (std::size_t i = 0; i < kChecksumWords; ++i) checksum.feed(0);
  const std::uint32_t sum = checksum.state() ^ final_constant(kind);
  for (std::size_t i = 0; i < kChecksumWords; ++i) {
    out += kAlphabet[sum >> (5 * (kChecksumWords - 1 - i)) & 31U];
  }
  return out;
}

Result<Bytes> words_to_bytes(std::span<const std::uint8_t> words, Bech32Tail tail) {
  Bytes out;
  out.reserve(words.size() * 5 / 8 + 1);
  std::uint32_t bits = 0;
  unsigned have = 0;
  for (const std::uint8_t word : words) {
    if (word > 31) return fail(Bech32Errc::bad_char);
    bits = (bits << 5 | word) & 0xfffU;
    have += 5;
    if (have >= 8) {
      have -= 8;
      out.push_back(static_cast<std::uint8_t>(bits >> have));
    }
  }
  const std::uint32_t left = bits & ((1U << have) - 1U);
  switch (tail) {
    case Bech32Tail::strict:
      if (have >= 5 || left != 0) return fail(Bech32Errc::bad_padding);
      break;
    case Bech32Tail::drop:
      break;
    case Bech32Tail::pad:
      if (have != 0) out.push_back(static_cast<std::uint8_t>(left << (8 - have)));
      break;
  }
  return out;
}

std::vector<std::uint8_t> bytes_to_words(ByteView bytes) {
  std::vector<std::uint8_t> out;
  out.reserve((bytes.size() * 8 + 4) / 5);
  std::uint32_t bits = 0;
  unsigned have = 0;
  for (const std::uint8_t byte : bytes) {
    bits = (bits << 8 | byte) & 0xfffU;
    have += 8;
    while (have >= 5) {
      have -= 5;
      out.push_back(static_cast<std::uint8_t>(bits >> have & 31U));
    }
  }
  if (have != 0) out.push_back(static_cast<std::uint8_t>(bits << (5 - have) & 31U));
  return out;
}

}  // namespace octroi
