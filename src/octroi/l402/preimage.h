// octroi/l402/preimage.h: a payment preimage on its way through a request: 32 bytes, no allocation,
// wiped when it dies, not printable.
// Thread: a value; moved, not copied.
#pragma once

#include <array>
#include <cstdint>

#include "octroi/base/bytes.h"
#include "octroi/base/ids.h"
#include "octroi/base/secret.h"

namespace octroi::l402 {

class Preimage {
 public:
  Preimage() = default;
  explicit Preimage(const std::array<std::uint8_t, 32>& bytes) : bytes_(bytes) {}
  Preimage(Preimage&& other) noexcept : bytes_(other.bytes_) { other.wipe(); }
  Preimage& operator=(Preimage&& other) noexcept {
    if (this != &other) {
      bytes_ = other.bytes_;
      other.wipe();
    }
    return *this;
  }
  Preimage(const Preimage&) = delete;
  Preimage& operator=(const Preimage&) = delete;
  ~Preimage() { wipe(); }

  [[nodiscard]] ByteView reveal() const { return bytes_; }
  [[nodiscard]] bool equals(const Preimage& other) const {
    return constant_time_equal(bytes_, other.bytes_);
  }
  /// Whether its SHA-256 is that hash.
  [[nodiscard]] bool opens(const PaymentHash& hash) const;

 private:
  void wipe() noexcept { secure_wipe(bytes_.data(), bytes_.size()); }
  std::array<std::uint8_t, 32> bytes_{};
};

}  // namespace octroi::l402
