#include "octroi/net/socket_address.h"

#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace octroi::net {

SocketAddress to_sockaddr(const Endpoint& endpoint) {
  SocketAddress out;
  if (endpoint.address.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(endpoint.port);
    std::memcpy(&in.sin_addr, endpoint.address.bytes().data(), 4);
    std::memcpy(&out.storage, &in, sizeof in);
    out.size = sizeof in;
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(endpoint.port);
    std::memcpy(&in.sin6_addr, endpoint.address.bytes().data(), 16);
    std::memcpy(&out.storage, &in, sizeof in);
    out.size = sizeof in;
  }
  return out;
}

Endpoint from_sockaddr(const sockaddr* address) {
  Endpoint out;
  if (address->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &in.sin_addr, bytes.size());
    out = {IpAddress::v4(bytes), ntohs(in.sin_port)};
  } else if (address->sa_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, address, sizeof in);
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
    out = {IpAddress::v6(bytes), ntohs(in.sin6_port)};
  }
  return out;
}

}  // namespace octroi::net
