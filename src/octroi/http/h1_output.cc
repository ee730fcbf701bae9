#include "octroi/http/h1_output.h"

namespace octroi::http::h1 {

namespace {

/// The parts of one message, of which the stream takes some at a time.
struct Parts {
  std::array<ByteView, 4> view;
  std::size_t first = 0;

  void advance(std::size_t n) {
    while (first < view.size() && n >= view[first].size()) n -= view[first++].size();
    if (first < view.size()) view[first] = view[first].subspan(n);
  }
  [[nodiscard]] bool done() {
    while (first < view.size() && view[first].empty()) ++first;
    return first == view.size();
  }
  [[nodiscard]] std::span<const ByteView> rest() const { return std::span(view).subspan(first); }
};

}  // namespace

void Output::detach() noexcept {
  stop_background();
  stream_ = nullptr;
  held_.clear();
  failed_.reset();
}

void Output::stop_background() noexcept {
  later_.cancel();
  if (blocked_ && !waiter_.queued()) stream_->disarm(net::Direction::write);
  waiter_.cancel();
  blocked_ = false;
}

void Output::hold() {
  if (!later_.queued() && !blocked_) stream_->loop().defer(later_);
}

void Output::flush_now() {
  while (!held_.empty()) {
    const ByteView bytes = held_.bytes();
    const net::IoResult r = stream_->write_now({&bytes, 1});
    if (r.status == net::IoStatus::ok) {
      any_sent_ = true;
      held_.consume(r.size);
    } else if (r.status == net::IoStatus::would_block) {
      blocked_ = true;
      stream_->arm(net::Direction::write, waiter_, Millis(0));
      return;
    } else {
      failed_ = r.error;  // told to the next send()
      return;
    }
  }
}

Task<Result<>> Output::send(ByteView a, ByteView b, ByteView c, Millis timeout) {
  stop_background();
  if (failed_) co_return fail(*failed_);
  if (stream_ == nullptr) co_return fail(net::Errc::closed);
  Parts parts{{held_.bytes(), a, b, c}};
  while (!parts.done()) {
    const net::IoResult r = stream_->write_now(parts.rest());
    if (r.status == net::IoStatus::ok) {
      any_sent_ = true;
      parts.advance(r.size);
      if (parts.done()) break;
    } else if (r.status != net::IoStatus::would_block) {
      failed_ = r.error;
      co_return fail(r.error);
    }
    if (auto ready = co_await stream_->ready(net::Direction::write, timeout); !ready) {
      failed_ = net::Errc::closed;  // a part is missing: nothing may follow it
      co_return ready;
    }
    if (stream_ == nullptr) co_return fail(net::Errc::closed);
  }
  held_.clear();
  co_return Result<>{};
}

}  // namespace octroi::http::h1
