// octroi/net/stream.h: a connected byte stream: TCP, TLS over TCP, or a pair in memory for tests.
//
// Reading and writing try at once (read_now, write_now) and only wait when the socket is not ready,
// so that a ready stream costs one system call and no allocation. One reader and one writer at a
// time, which may wait together. Closing or destroying wakes a waiter with Errc::closed. Thread:
// its loop's.
#pragma once

#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/bytes.h"
#include "octroi/base/clock.h"
#include "octroi/base/result.h"
#include "octroi/net/address.h"
#include "octroi/net/loop.h"
#include "octroi/task/task.h"

namespace octroi::net {

enum class Errc : std::uint8_t {
  closed,           // closed here, or by the peer where bytes were still expected
  reset,            // the peer reset the connection
  timeout,          // the deadline passed
  refused,          // nobody listens there
  unreachable,      // no route, or the network said no
  resolve_failed,   // the name has no address
  tls_handshake,    // the TLS handshake failed
  tls_certificate,  // the peer's certificate does not verify, or ours cannot be loaded
  address_in_use,   // bind failed
  bad_address,      // not an address or endpoint
  blocked,          // the guard refused the address
  system,           // another errno
};
ErrorInfo error_info(Errc e);

enum class IoStatus : std::uint8_t { ok, would_block, eof, error };
struct IoResult {
  IoStatus status = IoStatus::ok;
  std::size_t size = 0;
  Errc error = Errc::system;  // when status is error
};

enum class Direction : std::uint8_t { read, write };

class Stream {
 public:
  virtual ~Stream() = default;

  /// Without waiting: bytes, would_block, eof or error.
  virtual IoResult read_now(std::span<std::uint8_t> into) = 0;
  /// Gathers; may take only a part.
  virtual IoResult write_now(std::span<const ByteView> parts) = 0;

  /// co_await stream.ready(Direction::read, deadline): Result<>, an error on timeout or close.
  /// No allocation; the waiter is a node in the awaiting frame.
  struct Waiter : Deferred {
    Waiter() noexcept : Deferred([](Deferred& d) { static_cast<Waiter&>(d).wake(); }) {}
    /// For an owner that waits without a coroutine: called instead of resuming `handle`.
    explicit Waiter(void (*call)(Waiter&)) noexcept : Waiter() { notify = call; }
    /// Runs the waiting side; whoever calls it touches neither waiter nor stream afterwards.
    void wake() {
      if (notify != nullptr) {
        notify(*this);
      } else {
        handle.resume();
      }
    }
    std::coroutine_handle<> handle;
    void (*notify)(Waiter&) = nullptr;
    std::optional<Errc> failed;
  };
  class Ready {
   public:
    Ready(Stream& s, Direction d, Millis t) : stream_(s), direction_(d), timeout_(t) {}
    Ready(const Ready&) = delete;
    Ready& operator=(const Ready&) = delete;
    ~Ready() {
      // A waiter in the loop's queue has left its stream, which may be gone.
      if (armed_ && !waiter_.queued()) stream_.disarm(direction_);
    }
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) {
      waiter_.handle = h;
      armed_ = true;
      stream_.arm(direction_, waiter_, timeout_);
    }
    Result<> await_resume() {
      armed_ = false;
      if (waiter_.failed) return fail(*waiter_.failed);
      return {};
    }

   private:
    Stream& stream_;
    Direction direction_;
    Millis timeout_;
    Waiter waiter_;
    bool armed_ = false;
  };
  /// `timeout` zero: no deadline.
  [[nodiscard]] Ready ready(Direction direction, Millis timeout) {
    return {*this, direction, timeout};
  }

  /// Sends FIN (close_notify first for TLS) after what was written.
  virtual void shutdown_write() = 0;
  virtual void close() noexcept = 0;
  [[nodiscard]] virtual Endpoint peer() const = 0;
  [[nodiscard]] virtual Loop& loop() = 0;
  /// Negotiated by ALPN: "h2", "http/1.1" or "".
  [[nodiscard]] virtual std::string_view alpn() const { return {}; }
  [[nodiscard]] virtual bool is_tls() const { return false; }
  /// Whether the peer's end (or a reset) is the next thing to read. Consumes nothing; costs a call
  /// into the kernel.
  [[nodiscard]] virtual bool peer_gone() noexcept = 0;

  /// Called by Ready, or by an owner that waits with a notify callback and no deadline of its own.
  /// The waiter is woken once, from the loop, never inside arm(). After would_block only, or a wait
  /// may outlast bytes that are already here.
  virtual void arm(Direction direction, Waiter& waiter, Millis timeout) = 0;
  virtual void disarm(Direction direction) noexcept = 0;
};

/// 0 bytes is the end.
Task<Result<std::size_t>> read_some(Stream& stream, std::span<std::uint8_t> into, Millis timeout);
Task<Result<>> write_all(Stream& stream, ByteView bytes, Millis timeout);

/// Name to addresses on one of the loop's blocking threads (getaddrinfo), all A and AAAA records.
Task<Result<std::vector<IpAddress>>> resolve(Loop& loop, std::string host, Millis timeout);
Task<Result<std::unique_ptr<Stream>>> connect(Loop& loop, Endpoint to, Millis timeout);

class Listener {
 public:
  virtual ~Listener() = default;
  virtual Task<Result<std::unique_ptr<Stream>>> accept() = 0;
  [[nodiscard]] virtual Endpoint local() const = 0;
  virtual void close() noexcept = 0;
};
/// Backlog 4096; TCP_NODELAY on every accepted stream.
[[nodiscard]] Result<std::unique_ptr<Listener>> listen_tcp(Loop& loop, Endpoint at,
                                                           bool reuse_port);

}  // namespace octroi::net
