#include "octroi/app/telemetry.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <unistd.h>

#include "octroi/app/version.h"
#include "octroi/base/bytes.h"
#include "octroi/base/log.h"
#include "octroi/base/random.h"

namespace octroi::app {

namespace {

constexpr std::string_view kModule = "otlp";

/// A new one each start: counters that begin at nothing are those of another instance.
std::string instance_id() {
  std::string id = to_hex(system_random().bytes<16>());
  for (const std::size_t at : {8U, 13U, 18U, 23U}) id.insert(at, 1, '-');
  id[14] = '4';  // RFC 9562: random
  id[19] = 'a';
  return id;
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : "";
}

otlp::Resource resource_of(const config::TelemetrySettings& settings) {
  otlp::Resource out = {{"service.name", settings.otlp_service},
                        {"service.version", std::string(kVersion)},
                        {"service.instance.id", instance_id()}};
  if (std::string host = host_name(); !host.empty()) out.emplace_back("host.name", std::move(host));
  return out;
}

}  // namespace

Telemetry::Telemetry(const config::TelemetrySettings& settings, MetricRegistry& metrics)
    : queue_(kMostSpans, metrics.counter("octroi_otlp_dropped_total", "Spans that nobody will see.",
                                         {{"reason", "queue"}})),
      tracer_(queue_, system_random(), settings.otlp_sample) {}

Result<std::unique_ptr<Telemetry>> Telemetry::start(const config::TelemetrySettings& settings,
                                                    MetricRegistry& metrics) {
  if (settings.otlp.empty()) return std::unique_ptr<Telemetry>();
  std::unique_ptr<Telemetry> made(new Telemetry(settings, metrics));
  otlp::ExporterOptions options;
  options.url = settings.otlp;
  options.headers = settings.otlp_headers;
  for (const auto& [name, value] : options.headers) redactor().add(*value);
  options.ca_pem = settings.otlp_ca_pem;
  options.resource = resource_of(settings);
  options.interval = settings.otlp_interval;
  options.start_ns =
      system_clock().now().value * std::int64_t{std::chrono::nanoseconds(Millis(1)).count()};
  auto exporter = otlp::Exporter::make(made->loop_, std::move(options), made->queue_, metrics);
  if (!exporter) return fail(std::move(exporter).error().within("telemetry.otlp"));
  made->exporter_ = std::move(*exporter);
  made->loop_.post([t = made.get()] { t->exporting_.start(t->exporter_->run()); });
  made->thread_ = std::thread([t = made.get()] { t->loop_.run(); });
  OCTROI_LOG(info, kModule, "telemetry goes to a collector", {{"url", settings.otlp}});
  return made;
}

Telemetry::~Telemetry() { stop(Millis(0)); }

Task<void> Telemetry::last_words(Millis limit) {
  exporting_.cancel();
  if (limit > Millis(0)) co_await exporter_->flush(limit);
  loop_.stop();
}

void Telemetry::stop(Millis grace) {
  if (!thread_.joinable()) return;
  loop_.post(
      [this, limit = std::min(grace, kLastWords)] { loop_.tasks().start(last_words(limit)); });
  thread_.join();
  exporter_.reset();
}

}  // namespace octroi::app
