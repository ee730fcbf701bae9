// octroi/http/tunnel.h: copies bytes both ways between two streams until both directions have
// ended; the end of one direction is passed on while the other goes on. Thread: the streams' loop.
#pragma once

#include <cstdint>
#include <memory>

#include "octroi/net/stream.h"

namespace octroi::http {

struct TunnelResult {
  std::uint64_t up = 0;  // bytes from `client` to `upstream`
  std::uint64_t down = 0;
};

/// `idle`: both streams are closed when neither direction has moved a byte for so long; 0 = never.
Task<TunnelResult> tunnel(std::unique_ptr<net::Stream> client,
                          std::unique_ptr<net::Stream> upstream, Millis idle);

}  // namespace octroi::http
