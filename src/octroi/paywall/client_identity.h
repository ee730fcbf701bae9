// octroi/paywall/client_identity.h: who is asking, as far as an address can say.
//
// The TCP peer counts, unless it is one of `trusted_proxies`: then the nearest address in
// X-Forwarded-For that is not itself a trusted proxy. A client cannot choose its own identity by
// sending the field, because only what trusted proxies appended is believed.
// Thread: pure.
#pragma once

#include <string>
#include <vector>

#include "octroi/http/headers.h"
#include "octroi/net/address.h"

namespace octroi::paywall {

struct ClientIdentity {
  net::IpAddress address;
  bool through_trusted_proxy = false;
  std::string proto;  // "http" or "https" as the client used it
  std::string host;   // X-Forwarded-Host of a trusted proxy, lower-case, else empty

  /// Under which unpaid challenges are counted: the address, or its /64 for IPv6.
  [[nodiscard]] net::IpAddress unpaid_key() const { return address.masked(32, 64); }
  /// Under which free requests and rate limits are counted: /24 and /48, so that one household or
  /// data centre is one client.
  [[nodiscard]] net::IpAddress quota_key() const { return address.masked(24, 48); }
};

[[nodiscard]] ClientIdentity identify(const net::Endpoint& peer, bool tls,
                                      const http::Headers& headers,
                                      const std::vector<net::Cidr>& trusted_proxies);

[[nodiscard]] bool contains(const std::vector<net::Cidr>& ranges, const net::IpAddress& address);

}  // namespace octroi::paywall
