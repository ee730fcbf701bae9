#include "octroi/base/bytes.h"

namespace octroi {

ErrorInfo error_info(BytesErrc e) {
  switch (e) {
    case BytesErrc::bad_hex:
      return {"base.bad_hex", ErrorKind::invalid};
    case BytesErrc::bad_base64:
      return {"base.bad_base64", ErrorKind::invalid};
    case BytesErrc::bad_length:
      return {"base.bad_length", ErrorKind::invalid};
  }
  return {"base.unknown", ErrorKind::internal};
}

namespace {

constexpr std::uint8_t kBad = 0xff;
using Table = std::array<std::uint8_t, 256>;

constexpr std::string_view kStandard =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrl =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr Table reverse(std::string_view alphabet) {
  Table table{};
  for (auto& entry : table) entry = kBad;
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<std::uint8_t>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return table;
}
constexpr Table kStandardValues = reverse(kStandard);
constexpr Table kUrlValues = reverse(kUrl);

constexpr std::uint8_t hex_value(char c, HexCase which) {
  if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
  if (which == HexCase::any && c >= 'A' && c <= 'F') return static_cast<std::uint8_t>(c - 'A' + 10);
  return kBad;
}

bool decode_hex(std::string_view text, std::uint8_t* out, HexCase which) {
  std::uint8_t seen = 0;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    const std::uint8_t high = hex_value(text[i], which);
    const std::uint8_t low = hex_value(text[i + 1], which);
    seen |= high | low;
    *out++ = static_cast<std::uint8_t>((high << 4) | (low & 0x0f));
  }
  return seen < 0x10;
}

std::string encode_base64(ByteView bytes, std::string_view alphabet, bool pad) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  std::size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    const std::uint32_t v =
        static_cast<std::uint32_t>(bytes[i] << 16 | bytes[i + 1] << 8 | bytes[i + 2]);
    out += alphabet[v >> 18];
    out += alphabet[v >> 12 & 63];
    out += alphabet[v >> 6 & 63];
    out += alphabet[v & 63];
  }
  const std::size_t rest = bytes.size() - i;
  if (rest == 0) return out;
  const std::uint32_t v =
      static_cast<std::uint32_t>(bytes[i] << 16 | (rest == 2 ? bytes[i + 1] << 8 : 0));
  out += alphabet[v >> 18];
  out += alphabet[v >> 12 & 63];
  if (rest == 2) out += alphabet[v >> 6 & 63];
  if (pad) out.append(3 - rest, '=');
  return out;
}

/// Takes the padding off; false when there is some and it is not what the length calls for.
bool strip_padding(std::string_view& text) {
  if (!text.ends_with('=')) return true;
  if (text.size() % 4 != 0) return false;
  text.remove_suffix(text.ends_with("==") ? 2 : 1);
  return true;  // a third '=' is outside the alphabet and refused by the decoder
}

Result<Bytes> decode_base64(std::string_view text, const Table& values) {
  if (!strip_padding(text)) return fail(BytesErrc::bad_base64);
  const std::size_t rest = text.size() % 4;
  if (rest == 1) return fail(BytesErrc::bad_base64);
  Bytes out(text.size() / 4 * 3 + (rest == 0 ? 0 : rest - 1));
  std::size_t at = 0;
  std::uint32_t bits = 0;
  unsigned have = 0;
  std::uint8_t seen = 0;
  for (const char c : text) {
    const std::uint8_t value = values[static_cast<std::uint8_t>(c)];
    seen |= value;
    bits = (bits << 6 | (value & 63U)) & 0xffffU;
    have += 6;
    if (have >= 8) {
      have -= 8;
      out[at++] = static_cast<std::uint8_t>(bits >> have);
    }
  }
  const bool tail_is_zero = (bits & ((1U << have) - 1U)) == 0;
  if (seen >= 64 || !tail_is_zero) return fail(BytesErrc::bad_base64);
  return out;
}

}  // namespace

std::string to_hex(ByteView bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out(bytes.size() * 2, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    out[2 * i] = kDigits[bytes[i] >> 4];
    out[2 * i + 1] = kDigits[bytes[i] & 15];
  }
  return out;
}

Result<Bytes> from_hex(std::string_view text, HexCase which) {
  if (text.size() % 2 != 0) return fail(BytesErrc::bad_hex);
  Bytes out(text.size() / 2);
  if (!decode_hex(text, out.data(), which)) return fail(BytesErrc::bad_hex);
  return out;
}

Result<> from_hex_into(std::string_view text, std::span<std::uint8_t> out, HexCase which) {
  if (text.size() % 2 != 0) return fail(BytesErrc::bad_hex);
  if (text.size() != out.size() * 2) return fail(BytesErrc::bad_length);
  if (!decode_hex(text, out.data(), which)) return fail(BytesErrc::bad_hex);
  return {};
}

std::string to_base64url(ByteView bytes) { return encode_base64(bytes, kUrl, false); }
std::string to_base64(ByteView bytes) { return encode_base64(bytes, kStandard, true); }

Result<Bytes> from_base64url(std::string_view text) { return decode_base64(text, kUrlValues); }
Result<Bytes> from_base64(std::string_view text) { return decode_base64(text, kStandardValues); }

Result<Bytes> from_base64_any(std::string_view text) {
  const bool url = text.find_first_of("-_") != std::string_view::npos;
  return decode_base64(text, url ? kUrlValues : kStandardValues);
}

}  // namespace octroi
