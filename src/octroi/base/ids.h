// octroi/base/ids.h: identifiers that cannot be mistaken for each other.
//
//   using ServiceName = StrongId<struct ServiceNameTag>;
// Thread: values.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "octroi/base/bytes.h"

namespace octroi {

/// A text id; ordered and hashable, printable through `str()`.
template <class Tag>
class StrongId {
 public:
  StrongId() = default;
  explicit StrongId(std::string value) : value_(std::move(value)) {}
  explicit StrongId(std::string_view value) : value_(value) {}
  explicit StrongId(const char* value) : value_(value) {}
  [[nodiscard]] const std::string& str() const { return value_; }
  [[nodiscard]] bool empty() const { return value_.empty(); }
  auto operator<=>(const StrongId&) const = default;

 private:
  std::string value_;
};

/// A fixed-size binary id, shown as lower-case hex. Only for values that are not secret.
template <class Tag, std::size_t N>
class BinaryId {
 public:
  static constexpr std::size_t kSize = N;
  BinaryId() = default;
  explicit BinaryId(const std::array<std::uint8_t, N>& value) : value_(value) {}
  [[nodiscard]] static Result<BinaryId> from_hex(std::string_view text,
                                                 HexCase which = HexCase::any) {
    OCTROI_TRY(auto raw, from_hex_exact<N>(text, which));
    return BinaryId(raw);
  }
  [[nodiscard]] static Result<BinaryId> from_bytes(ByteView bytes) {
    if (bytes.size() != N) return fail(BytesErrc::bad_length);
    std::array<std::uint8_t, N> raw{};
    std::memcpy(raw.data(), bytes.data(), N);
    return BinaryId(raw);
  }
  [[nodiscard]] std::string hex() const { return to_hex(value_); }
  [[nodiscard]] ByteView bytes() const { return value_; }
  [[nodiscard]] const std::array<std::uint8_t, N>& raw() const { return value_; }
  auto operator<=>(const BinaryId&) const = default;

 private:
  std::array<std::uint8_t, N> value_{};
};

/// SHA-256 of a Lightning preimage. Public: it stands in the invoice.
using PaymentHash = BinaryId<struct PaymentHashTag, 32>;
/// The random part of an L402 macaroon identifier.
using TokenId = BinaryId<struct TokenIdTag, 32>;
/// Name of a paywall service in the configuration.
using ServiceName = StrongId<struct ServiceNameTag>;
/// Identifies one request in logs, metrics and rows; answered as X-Request-Id.
using RequestId = StrongId<struct RequestIdTag>;

}  // namespace octroi

template <class Tag>
struct std::hash<octroi::StrongId<Tag>> {
  std::size_t operator()(const octroi::StrongId<Tag>& id) const noexcept {
    return std::hash<std::string>{}(id.str());
  }
};
template <class Tag, std::size_t N>
struct std::hash<octroi::BinaryId<Tag, N>> {
  // Most of an id is uniformly random; its beginning may not be (a token id begins with the name of
  // its key) and somebody may choose the rest, so all of it counts.
  std::size_t operator()(const octroi::BinaryId<Tag, N>& id) const noexcept {
    const auto* bytes = reinterpret_cast<const char*>(id.raw().data());
    return std::hash<std::string_view>{}(std::string_view(bytes, N));
  }
};
