// octroi/net/socket_address.h: between Endpoint and the kernel's sockaddr. Internal to net.
#pragma once

#include <sys/socket.h>

#include "octroi/net/address.h"

namespace octroi::net {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};
[[nodiscard]] SocketAddress to_sockaddr(const Endpoint& endpoint);
[[nodiscard]] Endpoint from_sockaddr(const sockaddr* address);

}  // namespace octroi::net
