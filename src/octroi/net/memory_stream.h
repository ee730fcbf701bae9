// octroi/net/memory_stream.h: two streams that are each other's peer, without a socket, for tests.
// Thread: the loop's.
#pragma once

#include <memory>
#include <utility>

#include "octroi/net/stream.h"

namespace octroi::net {

/// What one side writes the other reads; each direction holds at most `capacity` bytes, then
/// writing would block.
[[nodiscard]] std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> make_memory_pair(
    Loop& loop, std::size_t capacity = 64 * 1024);

}  // namespace octroi::net
