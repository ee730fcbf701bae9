// octroi/pricing/request_text.h: a request as one text, which is how a price source is told about
// it.
//
//   POST /v1/chat?x=1 HTTP/1.1 · Host · fields · blank line · body, lines ending in CR LF
//
// Written  so that nothing in a path, field or name can be taken for another line. Credentials are
//          taken out by the caller. The text is UTF-8: a byte that is not becomes U+FFFD.
// Read     strictly, as we write it and as Go's httputil does; Errc::no_price when it is no
// request. Thread   pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "octroi/base/result.h"
#include "octroi/pricing/price_source.h"

namespace octroi::pricing {

[[nodiscard]] std::string request_text(const PriceRequest& request);

/// Views into the text.
struct RequestText {
  std::string_view method;
  std::string_view target;
  std::vector<std::pair<std::string_view, std::string_view>> fields;
  std::string_view body;
  /// The first field of that name, in any case.
  [[nodiscard]] std::optional<std::string_view> field(std::string_view name) const;
};
[[nodiscard]] Result<RequestText> read_request_text(std::string_view text);

/// `text` as UTF-8: what is not becomes U+FFFD.
[[nodiscard]] std::string as_utf8(std::string_view text);

}  // namespace octroi::pricing
