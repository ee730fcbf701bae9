// octroi/adapters/otlp/encode.h: spans and metrics as OTLP/JSON, and what a collector answers.
//
// Fields are named in lowerCamelCase, ids are hex, enumerations are numbers and 64-bit integers are
// text. Every text of a span passes through the redactor: paths are what clients sent.
// Thread: pure.
// Source  OpenTelemetry Protocol 1.x, "JSON Protobuf Encoding", "OTLP/HTTP Response".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/metrics.h"
#include "octroi/base/trace.h"

namespace octroi::otlp {

/// Who sends: "service.name" and its like.
using Resource = std::vector<std::pair<std::string, std::string>>;

/// An ExportTraceServiceRequest.
[[nodiscard]] std::string traces_json(const Resource& resource,
                                      std::span<const std::unique_ptr<Span>> spans);

/// ExportMetricsServiceRequests of at most `most` points each. Counters are cumulative sums since
/// `start_ns`, latencies are histograms in seconds.
[[nodiscard]] std::vector<std::string> metrics_json(const Resource& resource,
                                                    const std::vector<MetricFamily>& families,
                                                    std::int64_t start_ns, std::int64_t now_ns,
                                                    std::size_t most);

/// How many of what was sent the collector did not take, by its answer ("partialSuccess").
[[nodiscard]] std::int64_t rejected_in(std::string_view answer);
/// Retry-After in seconds, at most kLongestPause; empty for anything else, a date too.
[[nodiscard]] std::optional<Millis> pause_of(std::string_view retry_after);
inline constexpr Millis kLongestPause{60'000};

}  // namespace octroi::otlp
