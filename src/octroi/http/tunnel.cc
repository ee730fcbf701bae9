#include "octroi/http/tunnel.h"

#include "octroi/http/h1_buffer.h"
#include "octroi/task/group.h"

namespace octroi::http {

namespace {

struct Shared {
  Millis idle;
  Millis last_move;
};

/// Gives its block back when the frame ends, however it ends.
struct LentBlock {
  h1::Block block = h1::take_block();
  LentBlock() = default;
  LentBlock(const LentBlock&) = delete;
  LentBlock& operator=(const LentBlock&) = delete;
  ~LentBlock() { h1::give_block(std::move(block)); }
  [[nodiscard]] std::span<std::uint8_t> span() const { return {block.get(), h1::kBlockSize}; }
};

/// Reads once, waiting as long as the tunnel as a whole is alive.
Task<Result<std::size_t>> read_while_alive(net::Stream* from, std::span<std::uint8_t> into,
                                           Shared* shared) {
  for (;;) {
    auto got = co_await net::read_some(*from, into, shared->idle);
    if (got || !got.error().is(net::Errc::timeout)) co_return got;
    if (from->loop().now() - shared->last_move >= shared->idle) co_return got;
  }
}

Task<void> copy(net::Stream* from, net::Stream* to, std::uint64_t* count, Shared* shared) {
  for (;;) {
    // A block is held only while there are bytes in it, or the read is under way.
    const LentBlock lent;
    auto got = co_await read_while_alive(from, lent.span(), shared);
    if (got && *got == 0) {
      to->shutdown_write();
      co_return;
    }
    if (!got) break;
    shared->last_move = from->loop().now();
    if (!co_await net::write_all(*to, ByteView(lent.span()).first(*got), shared->idle)) break;
    *count += *got;
    shared->last_move = from->loop().now();
  }
  from->close();
  to->close();
}

}  // namespace

Task<TunnelResult> tunnel(std::unique_ptr<net::Stream> client,
                          std::unique_ptr<net::Stream> upstream, Millis idle) {
  TunnelResult result;
  Shared shared{idle, client->loop().now()};
  TaskGroup both;
  both.start(copy(client.get(), upstream.get(), &result.up, &shared));
  both.start(copy(upstream.get(), client.get(), &result.down, &shared));
  co_await both.join();
  co_return result;
}

}  // namespace octroi::http
