// octroi/paywall/facts.h: what is true of a request, as the conditions of a token ask for it.
// Thread: pure.
#pragma once

#include <string>
#include <string_view>

#include "octroi/http/headers.h"
#include "octroi/paywall/authenticator.h"
#include "octroi/paywall/route.h"

namespace octroi::paywall {

/// What was sold when a source quoted the price: the rule, method, path, query and length of the
/// body that the source was asked about, and the body itself where it was told, so that a cheap
/// quote opens nothing that might be dear.
[[nodiscard]] std::string quoted_place(const RequestContext& context);

/// The value of a query parameter or header field. Empty, which no bound and no list of values
/// allows, when it is absent, when it is there twice, or when it cannot be decoded: two programs
/// could read it differently.
[[nodiscard]] std::string fact_value(const FactSource& source, std::string_view query,
                                     const http::Headers& headers);

}  // namespace octroi::paywall
