// octroi/base/secret.h: a secret value: wiped when it dies, moved but never copied by accident, and
// not printable: formatting, streaming or comparing one with == does not compile (secret_test.cc
// and base/compile_fail/ prove it).
//
// Memory   locked and kept out of core dumps where the system allows it.
// Thread   a value; share by `const Secret&` only.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>

#include <fmt/core.h>

#include "octroi/base/bytes.h"

namespace octroi {

/// Overwrites memory in a way the compiler may not remove.
void secure_wipe(void* data, std::size_t size) noexcept;

/// Equal in time that depends on the lengths only.
[[nodiscard]] bool constant_time_equal(ByteView a, ByteView b) noexcept;

class Secret {
 public:
  Secret() = default;
  /// Copies the bytes; the caller wipes its own.
  explicit Secret(ByteView bytes);
  explicit Secret(std::string_view text) : Secret(as_bytes(text)) {}
  /// Takes the bytes and wipes the source.
  static Secret take(std::string&& text);
  static Secret take(Bytes&& bytes);

  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  /// A copy, spelled out because it doubles what has to be guarded.
  [[nodiscard]] Secret clone() const { return Secret(reveal()); }

  /// The value. The name is long to be seen in review; never let the view outlive the secret.
  [[nodiscard]] ByteView reveal() const { return {data_, size_}; }
  [[nodiscard]] std::string_view reveal_text() const { return as_text(reveal()); }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] bool equals(const Secret& other) const {
    return constant_time_equal(reveal(), other.reveal());
  }
  [[nodiscard]] bool equals(std::string_view text) const {
    return constant_time_equal(reveal(), as_bytes(text));
  }

  bool operator==(const Secret&) const = delete;
  friend std::ostream& operator<<(std::ostream&, const Secret&) = delete;

 private:
  void reset() noexcept;

  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace octroi

template <class Char>
struct fmt::formatter<octroi::Secret, Char> {
  formatter() = delete;  // a Secret cannot be formatted
};
