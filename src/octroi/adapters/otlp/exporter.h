// octroi/adapters/otlp/exporter.h: sends spans and metrics to an OpenTelemetry collector, as
// OTLP over HTTP with JSON bodies: POST <base>/v1/traces and <base>/v1/metrics.
//
// Spans    go in batches of kBatch, or kDelay after they came. What the collector cannot take now
//          (429, 502, 503, 504, no connection, no answer in kTimeout) is sent again after a pause
//          that doubles or is what Retry-After says; after kAttempts, and at any other refusal, a
//          batch is dropped and counted. Nobody ever waits for it: beyond its bound the queue
//          drops.
// Metrics  every `interval`, cumulative, so that what one message lost the next one tells.
// Redirects are not followed. Bodies of answers are not logged.
//
// Thread   its loop's.
// Source   OpenTelemetry Protocol 1.x, "OTLP/HTTP".
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "octroi/adapters/otlp/encode.h"
#include "octroi/adapters/otlp/queue.h"
#include "octroi/base/metrics.h"
#include "octroi/base/secret.h"
#include "octroi/http/client.h"
#include "octroi/net/loop.h"

namespace octroi::otlp {

struct ExporterOptions {
  std::string url;  // of the collector, with or without a path
  std::vector<std::pair<std::string, std::shared_ptr<const Secret>>> headers;
  std::string ca_pem;  // empty: the system's
  Resource resource;
  Millis interval{60'000};    // of metrics; spans wait no longer either
  std::int64_t start_ns = 0;  // since when counters count
};

class Exporter {
 public:
  static constexpr std::size_t kBatch = 512;
  static constexpr std::size_t kPoints = 2'000;  // of metrics, in one message
  static constexpr Millis kDelay{5'000};
  static constexpr Millis kTimeout{10'000};
  static constexpr Millis kFirstPause{1'000};
  static constexpr Millis kLongestBackoff{30'000};
  static constexpr int kAttempts = 8;

  [[nodiscard]] static Result<std::unique_ptr<Exporter>> make(net::Loop& loop,
                                                              ExporterOptions options,
                                                              SpanQueue& queue,
                                                              MetricRegistry& metrics);
  ~Exporter();
  Exporter(const Exporter&) = delete;
  Exporter& operator=(const Exporter&) = delete;

  /// Until it is cancelled.
  Task<void> run();
  /// What is left, once, and the last metrics; gives up after `limit`.
  Task<void> flush(Millis limit);

 private:
  enum class Sent : std::uint8_t { taken, later, refused };
  struct Answer {
    Sent sent = Sent::later;
    std::optional<Millis> pause;
    std::int64_t rejected = 0;
  };

  Exporter(net::Loop& loop, ExporterOptions options, http::Url base,
           std::unique_ptr<http::Client> client, SpanQueue& queue, MetricRegistry& metrics);
  Task<void> run_traces();
  Task<void> run_metrics();
  Task<void> send_waiting();
  Task<Answer> send_batch(Millis timeout);
  Task<void> send_metrics(Millis timeout);
  Task<Answer> post(std::string_view signal, std::string body, Millis timeout);
  void drop_batch(std::string_view reason);
  void note(std::string_view signal, bool good, std::string_view what);
  [[nodiscard]] std::size_t batch_size() const { return std::min(kBatch, waiting_.size()); }

  net::Loop& loop_;
  ExporterOptions options_;
  http::Url base_;
  std::unique_ptr<http::Client> client_;
  SpanQueue& queue_;
  MetricRegistry& metrics_;
  std::vector<std::unique_ptr<Span>> waiting_;  // drained, the oldest first
  bool said_bad_ = false;                       // the log has it that nothing is taken
};

}  // namespace octroi::otlp
