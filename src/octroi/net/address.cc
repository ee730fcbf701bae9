#include "octroi/net/address.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>

#include "octroi/net/stream.h"

namespace octroi::net {

namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/// Decimal without sign, space or leading zero.
std::optional<unsigned> parse_number(std::string_view text, unsigned max) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  unsigned value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

void clear_after(std::span<std::uint8_t> bytes, int bits) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int keep = std::clamp(bits - static_cast<int>(i) * 8, 0, 8);
    bytes[i] = static_cast<std::uint8_t>(bytes[i] & (0xff00 >> keep));
  }
}

}  // namespace

IpAddress IpAddress::v4(std::array<std::uint8_t, 4> bytes) {
  IpAddress a;
  std::ranges::copy(bytes, a.bytes_.begin());
  return a;
}

IpAddress IpAddress::v6(std::array<std::uint8_t, 16> bytes) {
  if (std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes.begin())) {
    return v4({bytes[12], bytes[13], bytes[14], bytes[15]});
  }
  IpAddress a;
  a.v4_ = false;
  a.bytes_ = bytes;
  return a;
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  // inet_pton is as strict as we want: four decimal quads without leading zeros, RFC 4291 text, no
  // zone.
  std::array<char, INET6_ADDRSTRLEN + 1> copy{};
  if (text.empty() || text.size() >= copy.size() || text.find('\0') != std::string_view::npos) {
    return fail(Errc::bad_address, "expected an IPv4 or IPv6 address");
  }
  std::ranges::copy(text, copy.begin());
  std::array<std::uint8_t, 4> four{};
  if (inet_pton(AF_INET, copy.data(), four.data()) == 1) return v4(four);
  std::array<std::uint8_t, 16> sixteen{};
  if (inet_pton(AF_INET6, copy.data(), sixteen.data()) == 1) return v6(sixteen);
  return fail(Errc::bad_address, "expected an IPv4 or IPv6 address");
}

std::string IpAddress::str() const {
  if (v4_) {
    // Written on every relayed request, where inet_ntop's printf would cost a tenth of the request.
    std::array<char, 15> text{};
    char* p = text.data();
    for (std::size_t i = 0; i < 4; ++i) {
      if (i > 0) *p++ = '.';
      p = std::to_chars(p, text.data() + text.size(), bytes_[i]).ptr;
    }
    return {text.data(), static_cast<std::size_t>(p - text.data())};
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(AF_INET6, bytes_.data(), text.data(), text.size());
  return text.data();
}

bool IpAddress::is_loopback() const {
  if (v4_) return bytes_[0] == 127;
  return bytes_[15] == 1 &&
         std::all_of(bytes_.begin(), bytes_.end() - 1, [](auto b) { return b == 0; });
}

IpAddress IpAddress::masked(int v4_bits, int v6_bits) const {
  IpAddress a = *this;
  clear_after(std::span(a.bytes_).first(v4_ ? 4 : 16), v4_ ? v4_bits : v6_bits);
  return a;
}

Result<Cidr> Cidr::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view address = text.substr(0, slash);
  OCTROI_TRY(const IpAddress base, IpAddress::parse(address));
  const bool mapped = base.is_v4() && address.find(':') != std::string_view::npos;
  int bits = base.is_v4() ? 32 : 128;
  if (slash != std::string_view::npos) {
    const auto given =
        parse_number(text.substr(slash + 1), mapped ? 128 : static_cast<unsigned>(bits));
    if (!given || (mapped && *given < 96)) {
      return fail(Errc::bad_address,
                  "expected a prefix length after '/', like 10.0.0.0/8 or 2001:db8::/32");
    }
    bits = static_cast<int>(*given) - (mapped ? 96 : 0);
  }
  Cidr range;
  range.base_ = base.masked(bits, bits);
  range.bits_ = bits;
  return range;
}

bool Cidr::contains(const IpAddress& address) const {
  return address.is_v4() == base_.is_v4() && address.masked(bits_, bits_) == base_;
}

std::string Cidr::str() const { return base_.str() + "/" + std::to_string(bits_); }

Result<Endpoint> Endpoint::parse(std::string_view text) {
  constexpr std::string_view kExpected = "expected ADDRESS:PORT, like 127.0.0.1:80 or [::1]:80";
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return fail(Errc::bad_address, std::string(kExpected));
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  auto address = IpAddress::parse(host);
  const auto port = parse_number(text.substr(colon + 1), 65535);
  const bool is_v6_text = host.find(':') != std::string_view::npos;
  if (!address || !port || bracketed != is_v6_text)
    return fail(Errc::bad_address, std::string(kExpected));
  return Endpoint{*address, static_cast<std::uint16_t>(*port)};
}

std::string Endpoint::str() const {
  const std::string host = address.is_v4() ? address.str() : "[" + address.str() + "]";
  return host + ":" + std::to_string(port);
}

}  // namespace octroi::net
