// octroi/admin/replies.h: how the admin listener answers and reads parameters. For this module.
//
// Thread  the control loop.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>

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

/// The decoded parameters; a name alone has an empty value.
[[nodiscard]] std::map<std::string, std::string> query_of(std::string_view query);
inline constexpr std::int64_t kAnyNumber = std::numeric_limits<std::int64_t>::max();
/// From 1 to `most`, or what to say.
[[nodiscard]] tl::expected<std::int64_t, std::string> number_of(const std::string& key,
                                                                const std::string& value,
                                                                std::int64_t most);

}  // namespace octroi::admin
