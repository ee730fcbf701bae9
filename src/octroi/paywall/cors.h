// octroi/paywall/cors.h: what browsers need to see the challenge and the receipt of another origin.
// Source  Fetch standard, CORS protocol.  Thread: pure.
#pragma once

#include "octroi/http/message.h"
#include "octroi/paywall/settings.h"

namespace octroi::paywall {

/// OPTIONS with Origin and Access-Control-Request-Method.
[[nodiscard]] bool is_preflight(const http::RequestHead& request);

/// The answer to a preflight: 204, or 403 for an origin that is not listed.
[[nodiscard]] http::ResponseHead preflight_answer(const CorsPolicy& policy,
                                                  const http::RequestHead& request);

/// Adds Access-Control-* to an answer; an upstream's own values are merged, not doubled.
void add_cors(const CorsPolicy& policy, const http::Headers& request, http::Headers& response);

}  // namespace octroi::paywall
