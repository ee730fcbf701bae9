// octroi/net/address.h: IP addresses, CIDR ranges and endpoints as values.
// Thread: values; pure.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "octroi/base/ids.h"
#include "octroi/base/result.h"

namespace octroi::net {

/// An IPv4 or IPv6 address. IPv4-mapped IPv6 addresses are kept as IPv4.
class IpAddress {
 public:
  IpAddress() = default;
  static IpAddress v4(std::array<std::uint8_t, 4> bytes);
  static IpAddress v6(std::array<std::uint8_t, 16> bytes);
  /// Canonical dotted quads and RFC 4291 text only: no "127.1", no octal, no zone.
  [[nodiscard]] static Result<IpAddress> parse(std::string_view text);

  [[nodiscard]] bool is_v4() const { return v4_; }
  /// 4 or 16 bytes, network order.
  [[nodiscard]] ByteView bytes() const { return {bytes_.data(), v4_ ? 4U : 16U}; }
  [[nodiscard]] std::string str() const;
  [[nodiscard]] bool is_loopback() const;
  /// The address with all but its first bits cleared: what a client is counted under.
  [[nodiscard]] IpAddress masked(int v4_bits, int v6_bits) const;
  auto operator<=>(const IpAddress&) const = default;

 private:
  bool v4_ = true;
  std::array<std::uint8_t, 16> bytes_{};
};

/// "10.0.0.0/8", "2001:db8::/32", or a single address.
class Cidr {
 public:
  [[nodiscard]] static Result<Cidr> parse(std::string_view text);
  [[nodiscard]] bool contains(const IpAddress& address) const;
  [[nodiscard]] std::string str() const;

 private:
  IpAddress base_;
  int bits_ = 0;
};

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;
  /// "127.0.0.1:80", "[::1]:80".
  [[nodiscard]] static Result<Endpoint> parse(std::string_view text);
  [[nodiscard]] std::string str() const;
  auto operator<=>(const Endpoint&) const = default;
};

}  // namespace octroi::net
