// octroi/net/ssrf.h: which addresses and names an agent's request may go to. A request forged by a
// prompt must not reach the machine itself, its network, or a cloud's metadata service.
//
// Addresses  judged as bytes, never as text, against the IANA special-purpose registries; IPv6
//            forms that carry an IPv4 address (mapped, compatible, translated, NAT64, 6to4, Teredo)
//            are unwrapped and judged again.
// Names      "localhost", "*.localhost", "*.internal", "*.local" and numeric spellings that are not
//            a plain dotted quad (127.1, 0x7f.1, 2130706433, 0177.0.0.1) are refused before any
//            look-up.
// Errors     SsrfErrc, with the class of the address.   Thread: pure, any thread.
#pragma once

#include <span>
#include <string_view>

#include "octroi/base/result.h"
#include "octroi/net/address.h"

namespace octroi::net {

enum class SsrfErrc : std::uint8_t {
  blocked_address,  // not a globally reachable unicast address
  blocked_name,     // a name that only means this machine or this network
  bad_host,         // neither a name nor an address in canonical form
  no_address,       // the name resolved to nothing
};
ErrorInfo error_info(SsrfErrc e);

/// The class that blocks the address ("loopback", "private", …), or "" when it is public.
[[nodiscard]] std::string_view blocked_class(const IpAddress& address);
[[nodiscard]] Result<> check_public(const IpAddress& address);
/// Every address must pass: one private answer among public ones refuses the name.
[[nodiscard]] Result<> check_public(std::span<const IpAddress> answers);
/// Before resolving. An address in canonical form is judged as such.
[[nodiscard]] Result<> check_public_host(std::string_view host);

}  // namespace octroi::net
