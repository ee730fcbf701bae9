// TCP streams and listeners: plain non-blocking system calls; FdWatch says when to try again.
#include <cerrno>
#include <climits>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "octroi/net/readiness.h"
#include "octroi/net/socket_address.h"
#include "octroi/net/stream.h"
#include "octroi/net/wait_slot.h"

namespace octroi::net {

namespace {

Errc errc_of(int error) {
  switch (error) {
    case ECONNRESET:
    case EPIPE:
      return Errc::reset;
    case ECONNREFUSED:
      return Errc::refused;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EACCES:
    case EPERM:
      return Errc::unreachable;
    case ETIMEDOUT:
      return Errc::timeout;
    case EADDRINUSE:
      return Errc::address_in_use;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
      return Errc::bad_address;
    default:
      return Errc::system;
  }
}

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

class TcpStream final : public Stream {
 public:
  /// `maybe_readable`: whether a first read is worth a system call.
  TcpStream(Loop& loop, int fd, Endpoint peer, bool maybe_readable)
      : loop_(loop),
        watch_(loop, fd, this, on_ready),
        peer_(peer),
        maybe_readable_(maybe_readable) {}
  ~TcpStream() override { close(); }

  IoResult read_now(std::span<std::uint8_t> into) override;
  IoResult write_now(std::span<const ByteView> parts) override;
  void shutdown_write() override {
    if (watch_.open()) ::shutdown(watch_.fd(), SHUT_WR);
  }
  void close() noexcept override;
  [[nodiscard]] Endpoint peer() const override { return peer_; }
  [[nodiscard]] Loop& loop() override { return loop_; }
  [[nodiscard]] bool peer_gone() noexcept override;
  void arm(Direction direction, Waiter& waiter, Millis timeout) override;
  void disarm(Direction direction) noexcept override { slot(direction).disarm(); }

  [[nodiscard]] int fd() const noexcept { return watch_.fd(); }

 private:
  static void on_ready(void* self, Direction direction) {
    auto& stream = *static_cast<TcpStream*>(self);
    if (direction == Direction::read) stream.maybe_readable_ = true;
    stream.slot(direction).wake();
  }
  [[nodiscard]] WaitSlot& slot(Direction d) { return slots_[static_cast<std::size_t>(d)]; }

  Loop& loop_;
  FdWatch watch_;
  std::array<WaitSlot, 2> slots_;
  Endpoint peer_;
  // False after a read that emptied the socket: until the reactor speaks, another read would only
  // cost a system call.
  bool maybe_readable_;
};

IoResult TcpStream::read_now(std::span<std::uint8_t> into) {
  if (!watch_.open()) return {IoStatus::error, 0, Errc::closed};
  if (!maybe_readable_) return {IoStatus::would_block};
  for (;;) {
    const ssize_t n = ::recv(watch_.fd(), into.data(), into.size(), 0);
    if (n > 0) {
      const auto size = static_cast<std::size_t>(n);
      maybe_readable_ = size == into.size();
      return {IoStatus::ok, size};
    }
    if (n == 0) return {IoStatus::eof};
    if (would_block(errno)) {
      maybe_readable_ = false;
      return {IoStatus::would_block};
    }
    if (errno != EINTR) return {IoStatus::error, 0, errc_of(errno)};
  }
}

IoResult TcpStream::write_now(std::span<const ByteView> parts) {
  if (!watch_.open()) return {IoStatus::error, 0, Errc::closed};
  constexpr std::size_t kMaxParts = 16;
  std::array<iovec, kMaxParts> vectors;
  std::size_t count = 0;
  for (const ByteView& part : parts) {
    if (part.empty()) continue;
    if (count == kMaxParts) break;
    vectors[count++] = {const_cast<std::uint8_t*>(part.data()), part.size()};
  }
  for (;;) {
    ssize_t n = 0;
    if (count == 1) {
      n = ::send(watch_.fd(), vectors[0].iov_base, vectors[0].iov_len, MSG_NOSIGNAL);
    } else {
      msghdr message{};
      message.msg_iov = vectors.data();
      message.msg_iovlen = count;
      n = ::sendmsg(watch_.fd(), &message, MSG_NOSIGNAL);
    }
    if (n >= 0) return {IoStatus::ok, static_cast<std::size_t>(n)};
    if (would_block(errno)) return {IoStatus::would_block};
    if (errno != EINTR) return {IoStatus::error, 0, errc_of(errno)};
  }
}

void TcpStream::close() noexcept {
  if (!watch_.open()) return;
  watch_.close();
  for (WaitSlot& s : slots_) s.fail_later(loop_, Errc::closed);
}

bool TcpStream::peer_gone() noexcept {
  if (!watch_.open()) return true;
  char byte = 0;
  const ssize_t n = ::recv(watch_.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n == 0 || (n < 0 && !would_block(errno) && errno != EINTR);
}

void TcpStream::arm(Direction direction, Waiter& waiter, Millis timeout) {
  WaitSlot& s = slot(direction);
  s.arm(loop_, waiter, timeout);
  if (watch_.open()) {
    watch_.want(direction);
  } else {
    s.fail_later(loop_, Errc::closed);
  }
}

/// Two small writes of one message must not wait for each other's acknowledgement.
void set_no_delay(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

class TcpListener final : public Listener {
 public:
  TcpListener(Loop& loop, int fd, Endpoint local)
      : loop_(loop), watch_(loop, fd, this, on_ready), local_(local) {}
  ~TcpListener() override { close(); }

  Task<Result<std::unique_ptr<Stream>>> accept() override;
  [[nodiscard]] Endpoint local() const override { return local_; }
  void close() noexcept override {
    if (!watch_.open()) return;
    watch_.close();
    slot_.fail_later(loop_, Errc::closed);
  }

 private:
  struct Pending {
    TcpListener& listener;
    Stream::Waiter waiter;
    bool armed = false;
    static bool await_ready() noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) {
      waiter.handle = h;
      armed = true;
      listener.slot_.arm(listener.loop_, waiter, Millis(0));
      listener.watch_.want(Direction::read);
    }
    bool await_resume() noexcept {
      armed = false;
      return !waiter.failed;
    }
    ~Pending() {
      if (armed && !waiter.queued()) listener.slot_.disarm();
    }
  };
  static void on_ready(void* self, Direction) { static_cast<TcpListener*>(self)->slot_.wake(); }

  Loop& loop_;
  FdWatch watch_;
  WaitSlot slot_;
  Endpoint local_;
};

/// Out of descriptors or memory: the connection stays in the backlog until some are free again.
bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

Task<Result<std::unique_ptr<Stream>>> TcpListener::accept() {
  for (;;) {
    if (!watch_.open()) co_return fail(Errc::closed, "the listener is closed");
    SocketAddress from;
    from.size = sizeof from.storage;
    const int fd = ::accept4(watch_.fd(), from.get(), &from.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      set_no_delay(fd);
      co_return std::make_unique<TcpStream>(loop_, fd, from_sockaddr(from.get()),
                                            /*maybe_readable=*/true);
    }
    const int error = errno;
    if (would_block(error)) {
      if (!co_await Pending{*this, {}}) co_return fail(Errc::closed, "the listener is closed");
    } else if (is_shortage(error)) {
      co_await loop_.sleep(Millis(50));
    } else if (error == EBADF || error == EINVAL || error == ENOTSOCK) {
      co_return fail(Errc::system, std::string("accept: ") + std::strerror(error));
    }
    // Anything else was the fault of one connection that died in the backlog.
  }
}

/// Closes a descriptor that did not find its owner.
class OwnedFd {
 public:
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(const OwnedFd&) = delete;
  OwnedFd& operator=(const OwnedFd&) = delete;
  ~OwnedFd() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

int open_socket(const Endpoint& endpoint) {
  return ::socket(endpoint.address.is_v4() ? AF_INET : AF_INET6,
                  SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
}

tl::unexpected<Error> failed(std::string_view what, const Endpoint& where, int error) {
  return fail(errc_of(error), std::string(what) + " " + where.str() + ": " + std::strerror(error));
}

}  // namespace

Task<Result<std::unique_ptr<Stream>>> connect(Loop& loop, Endpoint to, Millis timeout) {
  OwnedFd fd(open_socket(to));
  if (fd.get() < 0) co_return failed("socket for", to, errno);
  set_no_delay(fd.get());
  const SocketAddress address = to_sockaddr(to);
  const int started = ::connect(fd.get(), address.get(), address.size);
  const int error = started < 0 ? errno : 0;
  if (error != 0 && error != EINPROGRESS) co_return failed("connect", to, error);
  auto stream = std::make_unique<TcpStream>(loop, fd.release(), to, /*maybe_readable=*/false);
  if (error == EINPROGRESS) {
    if (auto ready = co_await stream->ready(Direction::write, timeout); !ready) {
      co_return tl::unexpected<Error>(std::move(ready).error().within("connect " + to.str()));
    }
    int outcome = 0;
    socklen_t size = sizeof outcome;
    ::getsockopt(stream->fd(), SOL_SOCKET, SO_ERROR, &outcome, &size);
    if (outcome != 0) co_return failed("connect", to, outcome);
  }
  co_return std::unique_ptr<Stream>(std::move(stream));
}

Result<std::unique_ptr<Listener>> listen_tcp(Loop& loop, Endpoint at, bool reuse_port) {
  OwnedFd fd(open_socket(at));
  if (fd.get() < 0) return failed("socket for", at, errno);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (reuse_port) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  // "::" takes IPv6 only, so that 0.0.0.0 can be bound beside it.
  if (!at.address.is_v4()) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  const SocketAddress address = to_sockaddr(at);
  if (::bind(fd.get(), address.get(), address.size) < 0) return failed("bind", at, errno);
  if (::listen(fd.get(), 4096) < 0) return failed("listen", at, errno);
  SocketAddress bound;
  bound.size = sizeof bound.storage;
  ::getsockname(fd.get(), bound.get(), &bound.size);
  return std::make_unique<TcpListener>(loop, fd.release(), from_sockaddr(bound.get()));
}

}  // namespace octroi::net
