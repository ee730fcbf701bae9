// octroi/paywall/cors.h: what browsers need to see the challenge and the receipt of another origin.
// Source  Fetch standard, CORS protocol.  Thread: pure.
#pragma once

#include <string>
#include <string_view>

#include "octroi/http/message.h"
#include "octroi/paywall/settings.h"

namespace octroi::paywall {

/// OPTIONS with Origin and Access-Control-Request-Method.
[[nodiscard]] bool is_preflight(const http::RequestHead& request);

/// The answer to a preflight: 204, or 403 for an origin that is not listed.
[[nodiscard]] http::ResponseHead preflight_answer(const CorsPolicy& policy,
                                                  const http::RequestHead& request);

/// `policy.expose_headers` as a field has them, made once.
[[nodiscard]] std::string exposed_list(const CorsPolicy& policy);

/// Adds Access-Control-* to an answer; an upstream's own values are merged, not doubled. `exposed`
/// is the policy's exposed_list().
void add_cors(const CorsPolicy& policy, std::string_view exposed, const http::Headers& request,
              http::Headers& response);

}  // namespace octroi::paywall
