#include "octroi/http/h2_output.h"

#include <cstring>

#include "octroi/task/ready.h"

namespace octroi::http::h2 {

void Output::stop() noexcept {
  stopped_ = true;
  later_.cancel();
  if (blocked_ && !writable_.queued()) stream_.disarm(net::Direction::write);
  writable_.cancel();
  blocked_ = false;
  session_ = nullptr;
}

void Output::schedule() noexcept {
  if (!stopped_ && !blocked_ && !later_.queued()) stream_.loop().defer_to_end(later_);
}

void Output::append(ByteView bytes) {
  if (end_ + bytes.size() > capacity_) {
    // What went out makes room first; beyond that the memory grows, up to the limit and a frame.
    const std::size_t held = size();
    if (held + bytes.size() > capacity_) {
      const std::size_t wanted = std::max({held + bytes.size(), capacity_ * 2, h1::kBlockSize});
      h1::Block larger = wanted == h1::kBlockSize
                             ? h1::take_block()
                             : std::make_unique_for_overwrite<std::uint8_t[]>(wanted);
      if (held > 0) std::memcpy(larger.get(), data_.get() + begin_, held);
      drop();
      data_ = std::move(larger);
      capacity_ = wanted;
    } else if (held > 0) {
      std::memmove(data_.get(), data_.get() + begin_, held);
    }
    begin_ = 0;
    end_ = held;
  }
  if (!bytes.empty()) std::memcpy(data_.get() + end_, bytes.data(), bytes.size());
  end_ += bytes.size();
}

void Output::rest() noexcept {
  if (size() == 0) drop();
}

void Output::drop() noexcept {
  if (capacity_ == h1::kBlockSize) h1::give_block(std::move(data_));
  data_.reset();
  capacity_ = begin_ = end_ = 0;
}

void Output::make_frames() {
  while (!full() && !failed_) {
    const std::uint8_t* data = nullptr;
    const ssize_t n = nghttp2_session_mem_send(session_, &data);
    if (n == 0) return;
    if (n < 0) {
      failed_ = true;
    } else {
      append({data, static_cast<std::size_t>(n)});
    }
  }
}

void Output::pump() {
  if (stopped_ || session_ == nullptr) return;
  const RunScope scope;
  make_frames();
  while (size() >= kFlushAt && !blocked_ && !failed_) {
    write_out();
    make_frames();
  }
  if (size() > 0 || failed_) schedule();
}

void Output::write_out() {
  while (size() > 0) {
    const ByteView bytes(data_.get() + begin_, size());
    const net::IoResult r = stream_.write_now({&bytes, 1});
    if (r.status == net::IoStatus::ok) {
      moved_ += r.size;
      begin_ += r.size;
      if (begin_ == end_) begin_ = end_ = 0;
    } else if (r.status == net::IoStatus::would_block) {
      blocked_ = true;
      stream_.arm(net::Direction::write, writable_, stall_);
      return;
    } else {
      failed_ = true;
      return;
    }
  }
}

void Output::flush() {
  if (stopped_ || blocked_ || session_ == nullptr) return;
  const RunScope scope;
  if (!failed_) {
    make_frames();
    while (size() > 0 && !blocked_ && !failed_) {
      write_out();
      if (!blocked_ && !failed_) make_frames();
    }
  }
  if (failed_) {
    owner_.output_failed();
  } else {
    owner_.output_flushed();
  }
}

}  // namespace octroi::http::h2
