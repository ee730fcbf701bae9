#include "octroi/paywall/client_identity.h"

#include <algorithm>

namespace octroi::paywall {

namespace {

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

/// Addresses come bare, in brackets, or with a port.
Result<net::IpAddress> parse_hop(std::string_view text) {
  text = trim(text);
  if (auto plain = net::IpAddress::parse(text)) return plain;
  if (auto with_port = net::Endpoint::parse(text)) return with_port->address;
  if (text.starts_with('[') && text.ends_with(']'))
    return net::IpAddress::parse(text.substr(1, text.size() - 2));
  return net::IpAddress::parse(text);
}

}  // namespace

bool contains(const std::vector<net::Cidr>& ranges, const net::IpAddress& address) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const net::Cidr& r) { return r.contains(address); });
}

ClientIdentity identify(const net::Endpoint& peer, bool tls, const http::Headers& headers,
                        const std::vector<net::Cidr>& trusted_proxies) {
  ClientIdentity id;
  id.address = peer.address;
  id.proto = tls ? "https" : "http";
  if (trusted_proxies.empty() || !contains(trusted_proxies, peer.address)) return id;

  id.through_trusted_proxy = true;
  if (auto proto = headers.get("X-Forwarded-Proto"))
    id.proto = http::equal_ignoring_case(*proto, "https") ? "https" : "http";
  if (auto host = headers.get("X-Forwarded-Host")) {
    id.host = std::string(trim(host->substr(0, host->find(','))));
    for (char& c : id.host) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  }

  // Right to left: each trusted hop vouches for the one before it.
  const auto lines = headers.all("X-Forwarded-For");
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    std::string_view rest = *line;
    while (true) {
      const auto comma = rest.rfind(',');
      const auto hop = parse_hop(comma == std::string_view::npos ? rest : rest.substr(comma + 1));
      if (!hop) return id;  // what cannot be read vouches for nothing further
      id.address = *hop;
      if (!contains(trusted_proxies, *hop)) return id;
      if (comma == std::string_view::npos) break;
      rest = rest.substr(0, comma);
    }
  }
  return id;
}

}  // namespace octroi::paywall
