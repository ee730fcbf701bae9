#include "octroi/adapters/otlp/encode.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "octroi/base/bytes.h"
#include "octroi/base/log.h"
#include "octroi/json/value.h"
#include "octroi/json/writer.h"

namespace octroi::otlp {

namespace {

constexpr int kCumulative = 2;
constexpr int kStatusError = 2;
constexpr std::uint32_t kKnowsRemote = 0x100;
constexpr std::uint32_t kIsRemote = 0x200;
constexpr std::string_view kScope = "octroi";

std::string clean(std::string_view text) { return redactor().redact(text); }
std::string decimal(std::int64_t n) { return std::to_string(n); }

/// {"key":…,"value":{"stringValue":…}}
void write_text(json::Writer& w, std::string_view key, std::string_view text) {
  w.begin_object().field("key", key).key("value").begin_object().field("stringValue", text);
  w.end_object().end_object();
}
void write_number(json::Writer& w, std::string_view key, std::int64_t n) {
  w.begin_object().field("key", key).key("value").begin_object().field("intValue", decimal(n));
  w.end_object().end_object();
}

void write_resource(json::Writer& w, const Resource& resource) {
  w.key("resource").begin_object().key("attributes").begin_array();
  for (const auto& [key, value] : resource) write_text(w, key, value);
  w.end_array().end_object();
}

/// What both messages begin with; end() closes it.
struct Envelope {
  Envelope(const Resource& resource, std::string_view outer, std::string_view scoped,
           std::string_view items) {
    w.begin_object().key(outer).begin_array().begin_object();
    write_resource(w, resource);
    w.key(scoped).begin_array().begin_object();
    w.key("scope").begin_object().field("name", kScope).end_object();
    w.key(items).begin_array();
  }
  std::string end() && {
    w.end_array().end_object().end_array().end_object().end_array().end_object();
    return std::move(w).take();
  }
  json::Writer w;
};

int kind_of(SpanKind kind) {
  switch (kind) {
    case SpanKind::internal:
      return 1;
    case SpanKind::server:
      return 2;
    case SpanKind::client:
      return 3;
  }
  return 0;
}

std::uint32_t flags_of(const Span& span) {
  return span.flags | kKnowsRemote | (span.parent_is_remote ? kIsRemote : 0U);
}

void write_span(json::Writer& w, const Span& span) {
  w.begin_object().field("traceId", to_hex(span.trace)).field("spanId", to_hex(span.id));
  if (!span.tracestate.empty()) w.field("traceState", clean(span.tracestate));
  if (span.parent != SpanId{}) w.field("parentSpanId", to_hex(span.parent));
  w.field("flags", std::int64_t{flags_of(span)}).field("name", clean(span.name));
  w.field("kind", kind_of(span.kind));
  w.field("startTimeUnixNano", decimal(span.start_ns));
  w.field("endTimeUnixNano", decimal(span.end_ns));
  w.key("attributes").begin_array();
  for (const SpanAttribute& a : span.attributes) {
    if (const auto* text = std::get_if<std::string>(&a.value)) {
      write_text(w, a.key, clean(*text));
    } else {
      write_number(w, a.key, std::get<std::int64_t>(a.value));
    }
  }
  w.end_array().key("status").begin_object();
  if (span.failed) w.field("code", kStatusError);
  w.end_object().end_object();
}

// ------------------------------------------------------------------------------------------------

std::string_view unit_of(std::string_view name) {
  if (name.ends_with("_total")) name.remove_suffix(6);
  if (name.ends_with("_seconds")) return "s";
  if (name.ends_with("_bytes")) return "By";
  return "1";
}

/// As a JSON number, without passing a double.
std::string seconds_text(std::int64_t micros) {
  return fmt::format("{}.{:06}", micros / 1'000'000, micros % 1'000'000);
}

struct Times {
  std::string start;
  std::string now;
};

void write_labels(json::Writer& w, const Labels& labels) {
  w.key("attributes").begin_array();
  for (const auto& [key, value] : labels) write_text(w, key, value);
  w.end_array();
}

void write_number_point(json::Writer& w, const MetricPoint& point, const Times& times,
                        bool cumulative) {
  w.begin_object();
  write_labels(w, point.labels);
  if (cumulative) w.field("startTimeUnixNano", times.start);
  w.field("timeUnixNano", times.now).field("asInt", decimal(point.value)).end_object();
}

void write_histogram_point(json::Writer& w, const MetricPoint& point, const Times& times) {
  w.begin_object();
  write_labels(w, point.labels);
  w.field("startTimeUnixNano", times.start).field("timeUnixNano", times.now);
  w.field("count", decimal(point.histogram.count));
  w.key("sum").raw(seconds_text(point.histogram.sum_micros));
  w.key("bucketCounts").begin_array();
  for (const std::int64_t n : point.histogram.buckets) w.string(decimal(n));
  w.end_array().key("explicitBounds").begin_array();
  for (const std::int64_t bound : Histogram::kBoundsMicros) w.raw(seconds_text(bound));
  w.end_array().end_object();
}

/// One metric with some of its points.
void write_metric(json::Writer& w, const MetricFamily& family, std::span<const MetricPoint> points,
                  const Times& times) {
  w.begin_object().field("name", family.name).field("description", family.help);
  w.field("unit", unit_of(family.name));
  switch (family.type) {
    case MetricType::counter:
      w.key("sum").begin_object().field("aggregationTemporality", kCumulative);
      w.field("isMonotonic", true).key("dataPoints").begin_array();
      for (const auto& point : points) write_number_point(w, point, times, true);
      break;
    case MetricType::gauge:
      w.key("gauge").begin_object().key("dataPoints").begin_array();
      for (const auto& point : points) write_number_point(w, point, times, false);
      break;
    case MetricType::histogram:
      w.key("histogram").begin_object().field("aggregationTemporality", kCumulative);
      w.key("dataPoints").begin_array();
      for (const auto& point : points) write_histogram_point(w, point, times);
      break;
  }
  w.end_array().end_object().end_object();
}

}  // namespace

std::string traces_json(const Resource& resource, std::span<const std::unique_ptr<Span>> spans) {
  Envelope out(resource, "resourceSpans", "scopeSpans", "spans");
  for (const auto& span : spans) write_span(out.w, *span);
  return std::move(out).end();
}

std::vector<std::string> metrics_json(const Resource& resource,
                                      const std::vector<MetricFamily>& families,
                                      std::int64_t start_ns, std::int64_t now_ns,
                                      std::size_t most) {
  const Times times{decimal(start_ns), decimal(now_ns)};
  std::vector<std::string> out;
  std::optional<Envelope> open;
  std::size_t room = 0;
  for (const MetricFamily& family : families) {
    std::span<const MetricPoint> points = family.points;
    while (!points.empty()) {
      if (room == 0) {
        if (open) out.push_back(std::move(*open).end());
        open.emplace(resource, "resourceMetrics", "scopeMetrics", "metrics");
        room = most;
      }
      const std::size_t some = std::min(room, points.size());
      write_metric(open->w, family, points.first(some), times);
      points = points.subspan(some);
      room -= some;
    }
  }
  if (open) out.push_back(std::move(*open).end());
  return out;
}

std::int64_t rejected_in(std::string_view answer) {
  const auto doc = json::parse(answer);
  if (!doc) return 0;
  const auto partial = doc->root().find("partialSuccess");
  if (!partial) return 0;
  for (const std::string_view name : {"rejectedSpans", "rejectedDataPoints"}) {
    const auto count = partial->find(name);
    if (!count) continue;
    std::int64_t n = 0;
    if (const auto number = count->as_int64()) {
      n = *number;
    } else if (const auto text = count->as_string()) {
      const auto read = std::from_chars(text->data(), text->data() + text->size(), n);
      if (read.ec != std::errc{} || read.ptr != text->data() + text->size()) n = 0;
    }
    return std::max<std::int64_t>(n, 0);
  }
  return 0;
}

std::optional<Millis> pause_of(std::string_view retry_after) {
  if (retry_after.empty() || retry_after.find_first_not_of("0123456789") != retry_after.npos)
    return std::nullopt;
  std::int64_t seconds = 0;
  const auto read =
      std::from_chars(retry_after.data(), retry_after.data() + retry_after.size(), seconds);
  constexpr std::int64_t kMost = kLongestPause.count() / 1000;
  if (read.ec != std::errc{} || seconds > kMost) return kLongestPause;
  return Millis(seconds * 1000);
}

}  // namespace octroi::otlp
