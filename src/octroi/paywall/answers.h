// octroi/paywall/answers.h: the error documents of the gate (RFC 9457), and small rules about
// answers. Thread: pure.
#pragma once

#include <string>
#include <string_view>

#include "octroi/base/clock.h"
#include "octroi/http/message.h"
#include "octroi/mpp/problems.h"
#include "octroi/paywall/settings.h"

namespace octroi::paywall {

/// A refusal that is not about a payment has the type about:blank.
struct Complaint {
  int status = 500;
  std::string detail;
  std::string type = "about:blank";
  std::string title = {};  // empty: the status's reason phrase
};
/// A payment problem under the status that the situation calls for.
[[nodiscard]] Complaint complaint(const mpp::Problem& problem, int status);
[[nodiscard]] std::string to_json(const Complaint& complaint);

/// Whole seconds for Retry-After, at least 1.
[[nodiscard]] std::string retry_after_seconds(Millis wait);

/// Adds "private" to Cache-Control; other directives stay, "public" goes.
void make_private(http::Headers& headers);

/// Fields of an answer that are kept for a replay.
[[nodiscard]] bool is_kept_field(std::string_view name);

/// The target sent upstream: base path, rewrite, and the path as it was judged where the raw
/// spelling could be read another way.
[[nodiscard]] std::string upstream_target(const ServiceSettings& service,
                                          std::string_view raw_target,
                                          std::string_view judged_path);

}  // namespace octroi::paywall
