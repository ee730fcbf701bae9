// octroi/admin/replies.h: how the admin listener answers and reads parameters. For this module.
//
// Thread  the control loop.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "octroi/http/server.h"

namespace octroi::admin {

Task<void> send(http::Exchange& exchange, int status, std::string type, std::string body);
/// An RFC 9457 document.
Task<void> send_problem(http::Exchange& exchange, int status, std::string detail);
/// 503: the store cannot say.
Task<void> send_unavailable(http::Exchange& exchange, Error error);
Task<void> send_json(http::Exchange& exchange, std::string body);
/// A document, or the problem that the kind of its error is.
Task<void> send_made(http::Exchange& exchange, Result<std::string> made);

/// What the store told, as `write` says it in JSON; 503 when it cannot say.
template <class T, class Write>
Task<void> send_told(http::Exchange& exchange, Result<T> told, Write write) {
  if (told) {
    co_await send_json(exchange, write(*told));
  } else {
    co_await send_unavailable(exchange, std::move(told).error());
  }
}
/// The same of one that may not be there: then it is 404, with `missing`.
template <class T, class Write>
Task<void> send_found(http::Exchange& exchange, Result<std::optional<T>> found, Write write,
                      std::string missing) {
  if (found && !*found) {
    co_await send_problem(exchange, 404, std::move(missing));
  } else {
    co_await send_told(exchange, std::move(found),
                       [write](const std::optional<T>& one) { return write(*one); });
  }
}

/// The decoded parameters; a name alone has an empty value.
[[nodiscard]] std::map<std::string, std::string> query_of(std::string_view query);
inline constexpr std::int64_t kAnyNumber = std::numeric_limits<std::int64_t>::max();
/// From 1 to `most`, or what to say.
[[nodiscard]] tl::expected<std::int64_t, std::string> number_of(const std::string& key,
                                                                const std::string& value,
                                                                std::int64_t most);

}  // namespace octroi::admin
