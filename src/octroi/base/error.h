// octroi/base/error.h: what every fallible function returns when it fails.
//
// Each module owns one `enum class Errc` with a comment per value and a function
// `ErrorInfo error_info(Errc)` beside it, found by argument-dependent lookup, that gives the stable
// code ("mpp.expired") and the kind. Scripts and tests rely on codes, people read messages.
//
// Thread   values; no shared state.
// Secrets  a message names the field and the fix, never a secret, credential or preimage.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace octroi {

/// What a caller can do about an error; the doors map it to a status and an exit code.
enum class ErrorKind : std::uint8_t {
  invalid,      // the input is malformed or contradicts itself: 4xx, exit 2
  refused,      // well-formed, but the answer is no (bad proof, policy, expired)
  not_found,    // what was named does not exist
  conflict,     // someone else got there first, or the state does not allow it
  limit,        // too large, too many, too often
  unavailable,  // a peer (node, store, upstream) cannot be reached now: retry later
  timeout,      // the deadline passed; the outcome may be unknown
  internal,     // our fault
};

struct ErrorInfo {
  std::string_view code;  // static storage, "module.reason"
  ErrorKind kind = ErrorKind::internal;
};

template <class E>
concept ErrorEnum = std::is_enum_v<E> && requires(E e) {
  { error_info(e) } -> std::convertible_to<ErrorInfo>;
};

class [[nodiscard]] Error {
 public:
  /// Implicit, so that `fail(Errc::x)` reads well.
  template <ErrorEnum E>
  Error(E e, std::string message = {})  // NOLINT(google-explicit-constructor)
      : info_(error_info(e)), message_(std::move(message)) {}

  [[nodiscard]] std::string_view code() const { return info_.code; }
  [[nodiscard]] ErrorKind kind() const { return info_.kind; }
  /// Safe to show to whoever caused the error; the code when nothing more was said.
  [[nodiscard]] std::string_view message() const {
    return message_.empty() ? info_.code : std::string_view(message_);
  }

  template <ErrorEnum E>
  [[nodiscard]] bool is(E e) const {
    return info_.code == error_info(e).code;
  }

  /// The same error, told from further out: "service weather: price: ...".
  [[nodiscard]] Error within(std::string_view where) && {
    message_ = std::string(where) + ": " + std::string(message());
    return std::move(*this);
  }

 private:
  ErrorInfo info_;
  std::string message_;
};

}  // namespace octroi
