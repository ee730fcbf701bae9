#include "octroi/app/listen_check.h"

#include "octroi/net/stream.h"

namespace octroi::app {

Result<> check_unshared(net::Loop& loop, std::span<const net::Endpoint> listen) {
  for (const net::Endpoint& at : listen) {
    if (at.port == 0) continue;
    auto alone = net::listen_tcp(loop, at, /*reuse_port=*/false);
    if (!alone) return tl::unexpected<Error>(std::move(alone).error());
  }
  return {};
}

}  // namespace octroi::app
