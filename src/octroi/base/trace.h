// octroi/base/trace.h: what a request leaves behind for whoever asks where its time went: spans of
// one trace, in the terms of OpenTelemetry, and the fields by which a trace crosses processes.
//
//   auto trace = begin_trace(tracer, request.headers);    // null: it is not recorded
//   auto out = trace->child(SpanKind::client, "GET");
//   trace->finish(std::move(out));
//   trace->server().set("http.response.status_code", 200);
//   trace->end();
//
// Sampling  who comes with a valid traceparent has decided; of the others a share is recorded. What
//           is not recorded costs no allocation.
// Never     is a credential, a query or what a customer is called put into a span; texts are cut at
//           kLongestText, and the exporter passes them through the redactor.
// Times     nanoseconds since 1970; an end is its start and what a steady clock says passed.
// Thread    Tracer: any. RequestTrace and Span: one at a time. SpanSink::take: any, does not wait.
// Source    W3C Trace Context sections 3.2 and 3.3 (the fields).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "octroi/base/random.h"

namespace octroi {

using TraceId = std::array<std::uint8_t, 16>;
using SpanId = std::array<std::uint8_t, 8>;

/// What `traceparent` says: the trace, and the span of whoever sent it.
struct TraceParent {
  TraceId trace{};
  SpanId span{};
  std::uint8_t flags = 0;
  [[nodiscard]] bool sampled() const noexcept { return (flags & 1) != 0; }
  bool operator==(const TraceParent&) const = default;
};

/// Empty when it is malformed, all zero or of the forbidden version ff. Of versions to come the
/// part that this one knows is read.
[[nodiscard]] std::optional<TraceParent> parse_traceparent(std::string_view text) noexcept;
/// Of version 00.
[[nodiscard]] std::string to_traceparent(const TraceParent& parent);
/// Whether it is a list of at most 32 members in 512 characters, with no key twice.
[[nodiscard]] bool is_tracestate(std::string_view text) noexcept;

enum class SpanKind : std::uint8_t { internal, server, client };

struct SpanAttribute {
  std::string_view key;  // a literal
  std::variant<std::string, std::int64_t> value;
};

struct Span {
  static constexpr std::size_t kLongestText = 1024;

  TraceId trace{};
  SpanId id{};
  SpanId parent{};  // zero: it is the first
  bool parent_is_remote = false;
  std::uint8_t flags = 1;
  SpanKind kind = SpanKind::internal;
  bool failed = false;
  std::string name;
  std::string tracestate;
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
  std::int64_t steady_start_ns = 0;
  std::vector<SpanAttribute> attributes;
  Span* next = nullptr;  // in a sink's queue

  /// Nothing when the text is empty.
  void set(std::string_view key, std::string_view text);
  void set(std::string_view key, const char* text) { set(key, std::string_view(text)); }
  void set(std::string_view key, const std::string& text) { set(key, std::string_view(text)); }
  void set(std::string_view key, std::int64_t n) { attributes.push_back({key, n}); }
  void set(std::string_view key, int n) { set(key, std::int64_t{n}); }
  /// http.request.method, as "_OTHER" where it is none that RFC 9110 or RFC 5789 defines.
  void set_method(std::string_view method);
  /// http.response.status_code, and that it failed: from 500 on a server's, from 400 a client's.
  /// Nothing when it is 0.
  void set_status(int status);
  /// It failed for another reason than what was answered: "timeout", "connect".
  void set_error(std::string_view type);
};
/// The method, or "HTTP" where it is none that is known: names of spans are few.
[[nodiscard]] std::string_view span_word(std::string_view method) noexcept;

/// Where spans go when they are over.
class SpanSink {
 public:
  virtual ~SpanSink() = default;
  virtual void take(std::unique_ptr<Span> span) noexcept = 0;
};

/// The spans of one request that is recorded.
class RequestTrace {
 public:
  RequestTrace(SpanSink& sink, std::unique_ptr<Span> server)
      : sink_(sink), server_(std::move(server)) {}

  /// Valid until end().
  [[nodiscard]] Span& server() noexcept { return *server_; }
  /// A span below the server's that begins now.
  [[nodiscard]] std::unique_ptr<Span> child(SpanKind kind, std::string name) const;
  /// What is sent to where `span` leads.
  [[nodiscard]] static std::string traceparent(const Span& span);
  /// It ends now.
  void finish(std::unique_ptr<Span> span);
  void end() { finish(std::move(server_)); }

 private:
  SpanSink& sink_;
  std::unique_ptr<Span> server_;
};

class Tracer {
 public:
  static constexpr std::uint32_t kAll = 1'000'000;
  /// Of a million requests that nobody decided about, `share` are recorded.
  Tracer(SpanSink& sink, Random& random, std::uint32_t share)
      : sink_(sink), random_(random), share_(share) {}

  /// The fields of the request: a traceparent that is missing, doubled or malformed is none, and
  /// neither is its tracestate then.
  [[nodiscard]] std::unique_ptr<RequestTrace> begin(std::optional<std::string_view> traceparent,
                                                    std::string_view tracestate);

 private:
  SpanSink& sink_;
  Random& random_;
  std::uint32_t share_;
};

/// For who has a request's fields: `headers` is an http::Headers. Null when there is no tracer.
template <class Headers>
[[nodiscard]] std::unique_ptr<RequestTrace> begin_trace(Tracer* tracer, const Headers& headers) {
  if (tracer == nullptr) return nullptr;
  const auto parent = headers.get("traceparent");
  if (!parent) return tracer->begin(std::nullopt, {});
  if (headers.count("traceparent") > 1) return tracer->begin(std::nullopt, {});
  std::string joined;  // several fields are one list
  if (headers.count("tracestate") > 1) {
    for (const std::string_view one : headers.all("tracestate")) {
      if (!joined.empty()) joined += ',';
      joined += one;
    }
    return tracer->begin(parent, joined);
  }
  return tracer->begin(parent, headers.get("tracestate").value_or(""));
}

/// Makes `span` the parent of what `headers` are sent to.
template <class Headers>
void put_trace(const Span& span, Headers& headers) {
  headers.set("traceparent", RequestTrace::traceparent(span));
  if (span.tracestate.empty()) {
    headers.remove("tracestate");
  } else {
    headers.set("tracestate", span.tracestate);
  }
}

}  // namespace octroi
