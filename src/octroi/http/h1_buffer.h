// octroi/http/h1_buffer.h: the bytes of a connection on their way in and out. Internal to http.
// Thread: one loop's.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

#include "octroi/base/bytes.h"
#include "octroi/http/short_copy.h"

namespace octroi::http::h1 {

/// 16 KiB blocks that the connections of a thread lend each other: an idle one holds none.
inline constexpr std::size_t kBlockSize = 16 * 1024;
using Block = std::unique_ptr<std::uint8_t[]>;
[[nodiscard]] Block take_block();
void give_block(Block block) noexcept;

/// What was read and not yet consumed.
class ReadBuffer {
 public:
  ReadBuffer() = default;
  ReadBuffer(const ReadBuffer&) = delete;
  ReadBuffer& operator=(const ReadBuffer&) = delete;
  ~ReadBuffer() { drop(); }

  [[nodiscard]] std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(data_.get()) + begin_, end_ - begin_};
  }
  [[nodiscard]] ByteView bytes() const noexcept { return {data_.get() + begin_, end_ - begin_}; }
  [[nodiscard]] std::size_t size() const noexcept { return end_ - begin_; }
  [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
  void consume(std::size_t n) noexcept {
    begin_ += n;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  /// Room for more bytes, never none: moves or enlarges what is held where that is needed.
  [[nodiscard]] std::span<std::uint8_t> room();
  void filled(std::size_t n) noexcept { end_ += n; }
  /// Gives the memory back while nothing is held.
  void rest() noexcept {
    if (empty()) drop();
  }

 private:
  void drop() noexcept;
  Block data_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

/// Bytes to send: grows, and keeps its memory from message to message.
class OutBuffer {
 public:
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] ByteView bytes() const noexcept {
    return {reinterpret_cast<const std::uint8_t*>(data_.get()), size_};
  }
  void clear() noexcept { size_ = 0; }
  /// Drops the first n bytes.
  void consume(std::size_t n) noexcept {
    std::memmove(data_.get(), data_.get() + n, size_ - n);
    size_ -= n;
  }
  void append(std::string_view text) {
    if (text.empty()) return;
    reserve(text.size());
    size_ = static_cast<std::size_t>(short_copy(data_.get() + size_, text) - data_.get());
  }
  void append_field(std::string_view name, std::string_view value) {
    reserve(name.size() + value.size() + 4);
    char* p = short_copy(data_.get() + size_, name);
    *p++ = ':';
    *p++ = ' ';
    p = short_copy(p, value);
    *p++ = '\r';
    *p++ = '\n';
    size_ = static_cast<std::size_t>(p - data_.get());
  }
  void append_number(std::uint64_t n, int base = 10) {
    reserve(24);
    char* const p = data_.get() + size_;
    size_ += static_cast<std::size_t>(std::to_chars(p, p + 24, n, base).ptr - p);
  }
  /// Forgets memory that only an unusually large message needed.
  void rest() noexcept {
    if (capacity_ <= kBlockSize) return;
    data_.reset();
    capacity_ = size_ = 0;
  }

 private:
  /// Makes room for that many bytes.
  void reserve(std::size_t more) {
    if (size_ + more > capacity_) grow(more);
  }
  void grow(std::size_t more);
  std::unique_ptr<char[]> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace octroi::http::h1
