// octroi/paywall/grpc.h: how a refusal looks to a gRPC caller: HTTP 200 whose head is also its end
// ("trailers-only"), with grpc-status and grpc-message beside the challenge fields.
// Source  gRPC over HTTP/2, "Responses"; L402 in gRPC metadata.  Thread: pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/clock.h"
#include "octroi/http/message.h"

namespace octroi::paywall {

/// application/grpc, application/grpc+proto…; grpc-web speaks plain HTTP statuses and is not
/// included.
[[nodiscard]] bool is_grpc(const http::Headers& request);

/// The time that the caller gives to the call, from `grpc-timeout` (at most eight digits and a
/// unit); rounded up to milliseconds, at least one. Empty without, or when it cannot be read: the
/// upstream judges it then.
[[nodiscard]] std::optional<Millis> grpc_timeout(const http::Headers& request);

/// google.rpc.Code for the statuses a gate answers. 402 is 13 (INTERNAL), as every L402 client
/// expects.
[[nodiscard]] int grpc_status(int http_status);

/// What a gRPC client would make of a call that its server reset with this code (RFC 9113
/// section 7); gRPC over HTTP/2, "Errors".
[[nodiscard]] int grpc_status_of_reset(std::uint32_t code);

/// Percent-encodes what grpc-message may not hold.
[[nodiscard]] std::string grpc_message(std::string_view text);

/// Turns an answer into its gRPC form; header fields stay. `status`: instead of the one that goes
/// with the HTTP status.
void to_grpc(http::ResponseHead& head, std::string_view message, std::optional<int> status = {});

}  // namespace octroi::paywall
