// octroi/http/h2_output.h: moves the frames of a session to its stream: all that one turn of the
// loop made in one system call. Frames are made only while there is room, so that a peer who does
// not read holds the writers back. Internal to http.  Thread: the stream's loop.
#pragma once

#include <memory>

#include "octroi/http/h1_buffer.h"
#include "octroi/http/h2_common.h"
#include "octroi/net/stream.h"

namespace octroi::http::h2 {

class Output {
 public:
  /// Whom a session's output tells what happened; from the loop, never inside a call of its own.
  class Owner {
   public:
    virtual ~Owner() = default;
    /// The stream failed, or the peer did not read for too long: nothing more goes out.
    virtual void output_failed() noexcept = 0;
    /// A flush has ended: as much as the peer took is out.
    virtual void output_flushed() noexcept = 0;
  };

  Output(Owner& owner, net::Stream& stream, Millis stall) noexcept
      : owner_(owner), stream_(stream), stall_(stall) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() {
    stop();
    drop();
  }

  void attach(nghttp2_session& session) noexcept { session_ = &session; }
  /// Nothing goes out any more. Before the stream or the session is destroyed.
  void stop() noexcept;

  /// Has what the session wants to say flushed when the events at hand have been told.
  void schedule() noexcept;
  /// Takes frames from the session now, as long as there is room. Not inside its callbacks.
  void pump();
  /// From the session's callback for DATA: a frame's header and its payload.
  void append(ByteView bytes);
  /// No room: the callback that reads a body must pause.
  [[nodiscard]] bool full() const noexcept { return size() >= kOutputLimit; }

  /// Gives the memory back while nothing waits.
  void rest() noexcept;

  /// Bytes that wait for the peer.
  [[nodiscard]] std::size_t size() const noexcept { return end_ - begin_; }
  /// Bytes that the stream has ever taken.
  [[nodiscard]] std::uint64_t moved() const noexcept { return moved_; }
  [[nodiscard]] bool failed() const noexcept { return failed_; }

 private:
  static constexpr std::size_t kFlushAt = 64 * 1024;  // enough for a system call of its own

  void drop() noexcept;
  void make_frames();
  void write_out();
  void flush();

  Owner& owner_;
  net::Stream& stream_;
  nghttp2_session* session_ = nullptr;
  Millis stall_;
  h1::Block data_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::uint64_t moved_ = 0;
  bool blocked_ = false;
  bool failed_ = false;
  bool stopped_ = false;

  struct Later : net::Deferred {
    explicit Later(Output& o) noexcept
        : Deferred([](Deferred& d) { static_cast<Later&>(d).out.flush(); }), out(o) {}
    Output& out;
  };
  struct Writable : net::Stream::Waiter {
    explicit Writable(Output& o) noexcept
        : Waiter([](Waiter& w) {
            auto& self = static_cast<Writable&>(w);
            self.out.blocked_ = false;
            self.out.failed_ = self.out.failed_ || self.failed.has_value();
            self.out.flush();
          }),
          out(o) {}
    Output& out;
  };
  Later later_{*this};
  Writable writable_{*this};
};

}  // namespace octroi::http::h2
