#include "octroi/net/memory_stream.h"

#include "octroi/net/wait_slot.h"

namespace octroi::net {

namespace {

/// One direction.
struct Pipe {
  std::deque<std::uint8_t> bytes;
  std::size_t capacity = 0;
  bool ended = false;        // the writer sent its end
  bool reader_gone = false;  // nobody will read: writing is a reset
  bool torn = false;         // the writer vanished without an end
};

struct Side {
  WaitSlot reader;
  WaitSlot writer;
};

struct Shared {
  std::array<Pipe, 2> pipes;  // pipes[i] is what side i writes
  std::array<Side*, 2> sides{};
};

class MemoryStream final : public Stream {
 public:
  MemoryStream(Loop& loop, std::shared_ptr<Shared> shared, std::size_t index)
      : loop_(loop), shared_(std::move(shared)), index_(index) {
    shared_->sides[index_] = &side_;
  }
  ~MemoryStream() override { close(); }

  IoResult read_now(std::span<std::uint8_t> into) override {
    if (closed_) return {IoStatus::error, 0, Errc::closed};
    Pipe& pipe = incoming();
    if (pipe.bytes.empty()) {
      if (pipe.torn) return {IoStatus::error, 0, Errc::reset};
      return {pipe.ended ? IoStatus::eof : IoStatus::would_block};
    }
    const std::size_t n = std::min(into.size(), pipe.bytes.size());
    std::copy_n(pipe.bytes.begin(), n, into.begin());
    pipe.bytes.erase(pipe.bytes.begin(), pipe.bytes.begin() + static_cast<std::ptrdiff_t>(n));
    poke(other(), Direction::write);
    return {IoStatus::ok, n};
  }

  IoResult write_now(std::span<const ByteView> parts) override {
    if (closed_ || outgoing().ended) return {IoStatus::error, 0, Errc::closed};
    Pipe& pipe = outgoing();
    if (pipe.reader_gone) return {IoStatus::error, 0, Errc::reset};
    std::size_t taken = 0;
    bool any = false;
    for (const ByteView& part : parts) {
      any = any || !part.empty();
      const std::size_t n = std::min(part.size(), pipe.capacity - pipe.bytes.size());
      pipe.bytes.insert(pipe.bytes.end(), part.begin(),
                        part.begin() + static_cast<std::ptrdiff_t>(n));
      taken += n;
      if (n < part.size()) break;
    }
    if (taken == 0 && any) return {IoStatus::would_block};
    poke(other(), Direction::read);
    return {IoStatus::ok, taken};
  }

  void shutdown_write() override {
    outgoing().ended = true;
    poke(other(), Direction::read);
  }

  void close() noexcept override {
    if (closed_) return;
    closed_ = true;
    shared_->sides[index_] = nullptr;
    incoming().reader_gone = true;
    outgoing().torn = !outgoing().ended && !incoming().bytes.empty();  // as TCP resets then
    outgoing().ended = true;
    side_.reader.fail_later(loop_, Errc::closed);
    side_.writer.fail_later(loop_, Errc::closed);
    poke(other(), Direction::read);
    poke(other(), Direction::write);
  }

  [[nodiscard]] Endpoint peer() const override { return {IpAddress::v4({127, 0, 0, 1}), 0}; }
  [[nodiscard]] Loop& loop() override { return loop_; }
  [[nodiscard]] bool peer_gone() noexcept override {
    return closed_ || (incoming().bytes.empty() && (incoming().ended || incoming().torn));
  }

  void arm(Direction direction, Waiter& waiter, Millis timeout) override {
    WaitSlot& slot = direction == Direction::read ? side_.reader : side_.writer;
    slot.arm(loop_, waiter, timeout);
    if (closed_) {
      slot.fail_later(loop_, Errc::closed);
    } else if (is_ready(direction)) {
      poke(&side_, direction);
    }
  }
  void disarm(Direction direction) noexcept override {
    (direction == Direction::read ? side_.reader : side_.writer).disarm();
  }

 private:
  [[nodiscard]] Pipe& outgoing() const { return shared_->pipes[index_]; }
  [[nodiscard]] Pipe& incoming() const { return shared_->pipes[1 - index_]; }
  [[nodiscard]] Side* other() const { return shared_->sides[1 - index_]; }
  [[nodiscard]] bool is_ready(Direction direction) const {
    if (direction == Direction::read) {
      return !incoming().bytes.empty() || incoming().ended || incoming().torn;
    }
    return outgoing().reader_gone || outgoing().bytes.size() < outgoing().capacity;
  }
  void poke(Side* side, Direction direction) noexcept {
    if (side != nullptr) {
      (direction == Direction::read ? side->reader : side->writer).succeed_later(loop_);
    }
  }

  Loop& loop_;
  std::shared_ptr<Shared> shared_;
  std::size_t index_;
  Side side_;
  bool closed_ = false;
};

}  // namespace

std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> make_memory_pair(Loop& loop,
                                                                             std::size_t capacity) {
  auto shared = std::make_shared<Shared>();
  for (Pipe& pipe : shared->pipes) pipe.capacity = capacity;
  return {std::make_unique<MemoryStream>(loop, shared, 0),
          std::make_unique<MemoryStream>(loop, shared, 1)};
}

}  // namespace octroi::net
