// octroi/base/result.h: Result<T>, the value or the Error, and the two macros that pass errors
// upward.
//
//   OCTROI_TRY(auto invoice, decode(text));             // returns the error from a plain function
//   OCTROI_CO_TRY(Msat price, co_await quote(request)); // the same inside a Task
//   OCTROI_CHECK(validate(x));                          // when there is no value to bind
//   return fail(Errc::expired, "challenge expired 3 s ago");
#pragma once

#include <tl/expected.hpp>

#include "octroi/base/error.h"

namespace octroi {

template <class T = void>
using Result = tl::expected<T, Error>;

template <ErrorEnum E>
[[nodiscard]] tl::unexpected<Error> fail(E e, std::string message = {}) {
  return tl::unexpected<Error>(Error(e, std::move(message)));
}

[[nodiscard]] inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace octroi

#define OCTROI_CONCAT_(a, b) a##b
#define OCTROI_CONCAT(a, b) OCTROI_CONCAT_(a, b)

#define OCTROI_TRY_IMPL_(tmp, ret, decl, expr)                     \
  auto tmp = (expr);                                               \
  if (!tmp) [[unlikely]] {                                         \
    ret ::tl::unexpected<::octroi::Error>(std::move(tmp).error()); \
  }                                                                \
  decl = *std::move(tmp)

#define OCTROI_TRY(decl, ...) \
  OCTROI_TRY_IMPL_(OCTROI_CONCAT(octroi_try_, __COUNTER__), return, decl, (__VA_ARGS__))
#define OCTROI_CO_TRY(decl, ...) \
  OCTROI_TRY_IMPL_(OCTROI_CONCAT(octroi_try_, __COUNTER__), co_return, decl, (__VA_ARGS__))

#define OCTROI_CHECK_IMPL_(tmp, ret, expr)                         \
  if (auto tmp = (expr); !tmp) [[unlikely]] {                      \
    ret ::tl::unexpected<::octroi::Error>(std::move(tmp).error()); \
  }                                                                \
  static_assert(true)

#define OCTROI_CHECK(...) \
  OCTROI_CHECK_IMPL_(OCTROI_CONCAT(octroi_check_, __COUNTER__), return, (__VA_ARGS__))
#define OCTROI_CO_CHECK(...) \
  OCTROI_CHECK_IMPL_(OCTROI_CONCAT(octroi_check_, __COUNTER__), co_return, (__VA_ARGS__))
