#include "octroi/http/h1_output.h"

namespace octroi::http::h1 {

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

Result<bool> Output::send_some(Parts& parts) {
  while (!parts.done()) {
    const net::IoResult r = stream_->write_now(parts.rest());
    if (r.status == net::IoStatus::would_block) return false;
    if (r.status != net::IoStatus::ok) {
      failed_ = r.error;
      return fail(r.error);
    }
    any_sent_ = true;
    parts.advance(r.size);
  }
  held_.clear();
  return true;
}

Task<Result<>> Output::send(ByteView a, ByteView b, ByteView c, Millis timeout) {
  stop_background();
  if (failed_) return Task<Result<>>::done(fail(*failed_));
  if (stream_ == nullptr) return Task<Result<>>::done(fail(net::Errc::closed));
  Parts parts{{held_.bytes(), a, b, c}};
  auto gone = send_some(parts);
  if (!gone) return Task<Result<>>::done(tl::unexpected<Error>(std::move(gone).error()));
  if (*gone) return Task<Result<>>::done(Result<>{});
  return send_rest(parts, timeout);
}

Task<Result<>> Output::send_rest(Parts parts, Millis timeout) {
  for (;;) {
    if (auto ready = co_await stream_->ready(net::Direction::write, timeout); !ready) {
      failed_ = net::Errc::closed;  // a part is missing: nothing may follow it
      co_return ready;
    }
    if (stream_ == nullptr) co_return fail(net::Errc::closed);
    OCTROI_CO_TRY(const bool gone, send_some(parts));
    if (gone) co_return Result<>{};
  }
}

}  // namespace octroi::http::h1
