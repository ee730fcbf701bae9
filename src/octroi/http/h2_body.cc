#include "octroi/http/h2_body.h"

namespace octroi::http::h2 {

void BodyQueue::append(ByteView bytes) {
  size_ += bytes.size();
  while (!bytes.empty()) {
    if (first_ == pieces_.size() || pieces_.back().end == pieces_.back().capacity) {
      Piece piece;
      if (bytes.size() <= kSmall) {
        piece.data = std::make_unique_for_overwrite<std::uint8_t[]>(kSmall);
        piece.capacity = kSmall;
      } else {
        piece.data = h1::take_block();
        piece.capacity = h1::kBlockSize;
      }
      pieces_.push_back(std::move(piece));
    }
    Piece& last = pieces_.back();
    const std::size_t n = std::min(bytes.size(), last.capacity - last.end);
    std::memcpy(last.data.get() + last.end, bytes.data(), n);
    last.end += n;
    bytes = bytes.subspan(n);
  }
}

ByteView BodyQueue::front() {
  if (first_ == pieces_.size()) return {};
  const Piece& piece = pieces_[first_];
  given_ = piece.end - piece.begin;
  return {piece.data.get() + piece.begin, given_};
}

void BodyQueue::drop_front() noexcept {
  Piece& piece = pieces_[first_];
  if (piece.capacity == h1::kBlockSize) h1::give_block(std::move(piece.data));
  piece.data.reset();
  if (++first_ == pieces_.size()) {
    pieces_.clear();
    first_ = 0;
  }
}

std::size_t BodyQueue::release() noexcept {
  const std::size_t released = std::exchange(given_, 0);
  if (released == 0) return 0;
  size_ -= released;
  Piece& piece = pieces_[first_];
  piece.begin += released;
  if (piece.begin == piece.end) drop_front();
  return released;
}

std::size_t BodyQueue::clear() noexcept {
  while (first_ != pieces_.size()) drop_front();
  given_ = 0;
  return std::exchange(size_, 0);
}

}  // namespace octroi::http::h2
