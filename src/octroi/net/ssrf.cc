#include "octroi/net/ssrf.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string>

namespace octroi::net {

ErrorInfo error_info(SsrfErrc e) {
  switch (e) {
    case SsrfErrc::blocked_address:
      return {"ssrf.blocked-address", ErrorKind::refused};
    case SsrfErrc::blocked_name:
      return {"ssrf.blocked-name", ErrorKind::refused};
    case SsrfErrc::bad_host:
      return {"ssrf.bad-host", ErrorKind::invalid};
    case SsrfErrc::no_address:
      return {"ssrf.no-address", ErrorKind::unavailable};
  }
  return {"ssrf.unknown", ErrorKind::internal};
}

namespace {

struct Range {
  std::array<std::uint8_t, 16> base;
  int bits;
  std::string_view name;
};

bool in_range(ByteView bytes, const Range& range) {
  const auto whole = static_cast<std::size_t>(range.bits / 8);
  if (!std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(whole),
                  range.base.begin()))
    return false;
  const int rest = range.bits % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xff << (8 - rest));
  return (bytes[whole] & mask) == (range.base[whole] & mask);
}

// IANA IPv4 special-purpose registry: whatever is not globally reachable, with multicast and the
// old 6to4 relay anycast.
constexpr std::array<Range, 17> kV4 = {{
    {{0, 0, 0, 0}, 8, "this network"},
    {{10, 0, 0, 0}, 8, "private"},
    {{100, 64, 0, 0}, 10, "shared address space"},
    {{127, 0, 0, 0}, 8, "loopback"},
    {{169, 254, 0, 0}, 16, "link-local"},
    {{172, 16, 0, 0}, 12, "private"},
    {{192, 0, 0, 0}, 24, "protocol assignments"},
    {{192, 0, 2, 0}, 24, "documentation"},
    {{192, 31, 196, 0}, 24, "AS112"},
    {{192, 52, 193, 0}, 24, "AMT"},
    {{192, 88, 99, 0}, 24, "6to4 relay"},
    {{192, 168, 0, 0}, 16, "private"},
    {{192, 175, 48, 0}, 24, "AS112"},
    {{198, 18, 0, 0}, 15, "benchmarking"},
    {{198, 51, 100, 0}, 24, "documentation"},
    {{203, 0, 113, 0}, 24, "documentation"},
    {{224, 0, 0, 0}, 3, "multicast or reserved"},
}};

// Inside 2000::/3, the only global unicast space; everything outside it is refused as a whole.
constexpr std::array<Range, 5> kV6 = {{
    {{0x20, 0x01, 0x00, 0x00}, 23, "protocol assignments"},
    {{0x20, 0x01, 0x0d, 0xb8}, 32, "documentation"},
    {{0x20, 0x02}, 16, "6to4"},
    {{0x3f, 0xff, 0x00}, 20, "documentation"},
    {{0x26, 0x20, 0x00, 0x4f, 0x80, 0x00}, 48, "AS112"},
}};

std::string_view blocked_v4(ByteView bytes) {
  for (const auto& range : kV4) {
    if (in_range(bytes, range)) return range.name;
  }
  return {};
}

std::string_view blocked_v6(ByteView b) {
  if (std::all_of(b.begin(), b.end() - 1, [](auto x) { return x == 0; }) && b[15] <= 1)
    return b[15] == 1 ? "loopback" : "unspecified";
  if ((b[0] & 0xfe) == 0xfc) return "unique local";
  if (b[0] == 0xfe && (b[1] & 0xc0) == 0x80) return "link-local";
  if (b[0] == 0xfe && (b[1] & 0xc0) == 0xc0) return "site-local";
  if (b[0] == 0xff) return "multicast";
  if ((b[0] & 0xe0) != 0x20) {
    // NAT64 (64:ff9b::/96) reaches the IPv4 internet through a translator: judged by what it
    // embeds.
    static constexpr std::array<std::uint8_t, 12> kNat64 = {0x00, 0x64, 0xff, 0x9b};
    if (std::equal(kNat64.begin(), kNat64.end(), b.begin())) {
      const auto embedded = blocked_v4(b.subspan(12));
      return embedded.empty() ? std::string_view{"translation prefix"} : embedded;
    }
    return "not global unicast";
  }
  for (const auto& range : kV6) {
    if (in_range(b, range)) return range.name;
  }
  return {};
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

/// WHATWG URL: a host whose last label is a number is an IPv4 address in some spelling.
bool ends_in_number(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  const auto dot = host.rfind('.');
  const auto last = dot == std::string_view::npos ? host : host.substr(dot + 1);
  if (last.empty()) return false;
  if (std::all_of(last.begin(), last.end(), [](unsigned char c) { return std::isdigit(c) != 0; }))
    return true;
  if (last.size() >= 2 && last[0] == '0' && (last[1] == 'x' || last[1] == 'X')) {
    return std::all_of(last.begin() + 2, last.end(),
                       [](unsigned char c) { return std::isxdigit(c) != 0; });
  }
  return false;
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

}  // namespace

std::string_view blocked_class(const IpAddress& address) {
  return address.is_v4() ? blocked_v4(address.bytes()) : blocked_v6(address.bytes());
}

Result<> check_public(const IpAddress& address) {
  const auto why = blocked_class(address);
  if (why.empty()) return {};
  return fail(SsrfErrc::blocked_address,
              fmt::format("the address {} is not public ({})", address.str(), why));
}

Result<> check_public(std::span<const IpAddress> answers) {
  if (answers.empty()) return fail(SsrfErrc::no_address, "the name has no address");
  for (const auto& address : answers) OCTROI_CHECK(check_public(address));
  return {};
}

Result<> check_public_host(std::string_view text) {
  std::string host = lower(text);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  if (host.empty()) return fail(SsrfErrc::bad_host, "the host is empty");
  // A zone id names an interface of this machine; the address itself is judged without it.
  if (const auto zone = host.find('%');
      zone != std::string::npos && host.find(':') != std::string::npos)
    host.resize(zone);
  if (auto address = IpAddress::parse(host)) return check_public(*address);
  if (host.find(':') != std::string::npos) return fail(SsrfErrc::bad_host, "not an IPv6 address");
  if (!std::all_of(host.begin(), host.end(), is_name_character))
    return fail(SsrfErrc::bad_host, "the host has a character that no name has");
  if (ends_in_number(host))
    return fail(SsrfErrc::bad_host, "write the IPv4 address as four decimal numbers");
  if (host.ends_with('.')) host.pop_back();
  for (std::string_view suffix : {"localhost", "internal", "local", "localdomain", "home.arpa"}) {
    if (host == suffix || (host.size() > suffix.size() && host.ends_with(suffix) &&
                           host[host.size() - suffix.size() - 1] == '.')) {
      return fail(SsrfErrc::blocked_name,
                  fmt::format("names under '{}' mean this machine or its network", suffix));
    }
  }
  return {};
}

}  // namespace octroi::net
