// octroi/http/h2_body.h: what of a stream's body has come and was not read yet: as much as its
// window allows. Internal to http.  Thread: one loop's.
#pragma once

#include <cstdint>
#include <vector>

#include "octroi/base/bytes.h"
#include "octroi/http/h1_buffer.h"

namespace octroi::http::h2 {

class BodyQueue {
 public:
  BodyQueue() = default;
  BodyQueue(const BodyQueue&) = delete;
  BodyQueue& operator=(const BodyQueue&) = delete;
  ~BodyQueue() { clear(); }

  void append(ByteView bytes);
  /// The next run of bytes, empty when there are none; it stays where it is until release().
  [[nodiscard]] ByteView front();
  /// Drops what front() gave out last; how many bytes that were.
  std::size_t release() noexcept;
  /// Drops everything and gives the memory back; how many bytes that were.
  std::size_t clear() noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  static constexpr std::size_t kSmall = 2048;  // a stream that sends little holds little
  struct Piece {
    h1::Block data;
    std::size_t capacity = 0;
    std::size_t begin = 0;
    std::size_t end = 0;
  };
  void drop_front() noexcept;

  std::vector<Piece> pieces_;
  std::size_t first_ = 0;  // pieces before it are empty
  std::size_t size_ = 0;
  std::size_t given_ = 0;
};

}  // namespace octroi::http::h2
