// octroi/app/telemetry.h: what goes to an OpenTelemetry collector, from a thread of its own: a
// collector that is slow or away costs no request anything.
//
// Thread  made and stopped by the control thread; tracer() from any, while this lives.
#pragma once

#include <cstdint>
#include <memory>
#include <thread>

#include "octroi/adapters/otlp/exporter.h"
#include "octroi/adapters/otlp/queue.h"
#include "octroi/base/metrics.h"
#include "octroi/base/trace.h"
#include "octroi/config/model.h"
#include "octroi/net/loop.h"

namespace octroi::app {

class Telemetry {
 public:
  /// Null where the configuration names no collector.
  [[nodiscard]] static Result<std::unique_ptr<Telemetry>> start(
      const config::TelemetrySettings& settings, MetricRegistry& metrics);
  ~Telemetry();
  Telemetry(const Telemetry&) = delete;
  Telemetry& operator=(const Telemetry&) = delete;

  [[nodiscard]] Tracer& tracer() { return tracer_; }
  /// Sends what is left, for at most kLastWords or `grace`, and ends. Blocks. Whoever has the
  /// tracer is gone by then.
  void stop(Millis grace);

  static constexpr std::size_t kMostSpans = 16'384;  // in memory, sent or not
  static constexpr Millis kLastWords{2'000};

 private:
  Telemetry(const config::TelemetrySettings& settings, MetricRegistry& metrics);
  Task<void> last_words(Millis limit);

  otlp::SpanQueue queue_;
  Tracer tracer_;
  net::Loop loop_;
  std::unique_ptr<otlp::Exporter> exporter_;
  TaskGroup exporting_;
  std::thread thread_;
};

/// Its tracer, or null.
[[nodiscard]] inline Tracer* tracer_of(const std::unique_ptr<Telemetry>& telemetry) {
  return telemetry == nullptr ? nullptr : &telemetry->tracer();
}

}  // namespace octroi::app
