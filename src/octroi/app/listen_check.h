// octroi/app/listen_check.h: whether an address is ours alone.
//
// The workers of a server share its address (SO_REUSEPORT), and the kernel would let a second
// octroi of the same user share it too: each would get a part of the calls, without a word. So one
// looks first.
// Errors   net::Errc::address_in_use, and whatever else keeps an address from being bound.
#pragma once

#include <span>

#include "octroi/net/address.h"
#include "octroi/net/loop.h"

namespace octroi::app {

/// Before the first worker listens. A port of 0 is nobody's.
[[nodiscard]] Result<> check_unshared(net::Loop& loop, std::span<const net::Endpoint> listen);

}  // namespace octroi::app
