// octroi/http/prefixed_stream.h: a stream before which some bytes have already been read, as
// happens when a connection changes its protocol. Internal to http.
#pragma once

#include <memory>

#include "octroi/base/bytes.h"
#include "octroi/net/stream.h"

namespace octroi::http {

/// The stream itself when there is nothing to put before it.
[[nodiscard]] std::unique_ptr<net::Stream> with_prefix(std::unique_ptr<net::Stream> stream,
                                                       ByteView prefix);

}  // namespace octroi::http
