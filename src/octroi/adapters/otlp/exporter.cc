#include "octroi/adapters/otlp/exporter.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "octroi/base/log.h"
#include "octroi/base/trace.h"
#include "octroi/net/tls.h"

namespace octroi::otlp {

namespace {

constexpr std::string_view kModule = "otlp";
constexpr std::uint64_t kMostAnswer = 64 * 1024;
constexpr Millis kTick{250};  // how often it is looked whether a batch is full

bool is_for_later(int status) {
  return status == 429 || status == 502 || status == 503 || status == 504;
}

}  // namespace

Result<std::unique_ptr<Exporter>> Exporter::make(net::Loop& loop, ExporterOptions options,
                                                 SpanQueue& queue, MetricRegistry& metrics) {
  OCTROI_TRY(auto base, http::Url::parse(options.url));
  while (base.target.ends_with('/')) base.target.pop_back();
  http::ClientConfig config;
  config.timeouts = {kTimeout, kTimeout, kTimeout};
  if (!options.ca_pem.empty()) {
    net::TlsClientOptions tls;
    tls.ca_pem = options.ca_pem;
    OCTROI_TRY(config.tls, net::make_tls_client(tls));
  }
  auto client = http::make_client(loop, std::move(config));
  return std::unique_ptr<Exporter>(
      new Exporter(loop, std::move(options), std::move(base), std::move(client), queue, metrics));
}

Exporter::Exporter(net::Loop& loop, ExporterOptions options, http::Url base,
                   std::unique_ptr<http::Client> client, SpanQueue& queue, MetricRegistry& metrics)
    : loop_(loop),
      options_(std::move(options)),
      base_(std::move(base)),
      client_(std::move(client)),
      queue_(queue),
      metrics_(metrics) {}
Exporter::~Exporter() = default;

Task<void> Exporter::run() {
  TaskGroup both;
  both.start(run_traces());
  both.start(run_metrics());
  co_await both.join();
}

Task<void> Exporter::run_traces() {
  const Millis delay = std::min(kDelay, options_.interval);
  while (true) {
    const Millis until = loop_.now() + delay;
    while (loop_.now() < until && queue_.held() < kBatch) co_await loop_.sleep(kTick);
    co_await send_waiting();
  }
}

Task<void> Exporter::run_metrics() {
  while (true) {
    co_await loop_.sleep(options_.interval);
    co_await send_metrics(kTimeout);
  }
}

/// All that has come, the oldest first.
Task<void> Exporter::send_waiting() {
  Millis backoff = kFirstPause;
  int attempts = 0;
  for (queue_.drain(waiting_); !waiting_.empty(); queue_.drain(waiting_)) {
    const Answer answer = co_await send_batch(kTimeout);
    if (answer.sent != Sent::later) {
      backoff = kFirstPause;
      attempts = 0;
      continue;
    }
    if (++attempts == kAttempts) {
      drop_batch("failed");
      attempts = 0;
    }
    co_await loop_.sleep(answer.pause.value_or(backoff));
    backoff = std::min(backoff * 2, kLongestBackoff);
  }
}

/// The oldest of those that wait; they are gone unless they are to be sent again.
Task<Exporter::Answer> Exporter::send_batch(Millis timeout) {
  const std::size_t size = batch_size();
  std::string body = traces_json(options_.resource, std::span(waiting_).first(size));
  const Answer answer = co_await post("traces", std::move(body), timeout);
  if (answer.sent == Sent::later) co_return answer;
  if (answer.sent == Sent::refused) {
    drop_batch("refused");
    co_return answer;
  }
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(size));
  queue_.forget(size);
  const auto sent = static_cast<std::int64_t>(size);
  const std::int64_t rejected = std::min(answer.rejected, sent);
  metrics_.counter("octroi_otlp_spans_total", "Spans that the collector took.")
      .add(sent - rejected);
  if (rejected > 0)
    metrics_
        .counter("octroi_otlp_dropped_total", "Spans that nobody will see.",
                 {{"reason", "rejected"}})
        .add(rejected);
  co_return answer;
}

void Exporter::drop_batch(std::string_view reason) {
  const std::size_t size = batch_size();
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(size));
  queue_.forget(size);
  metrics_
      .counter("octroi_otlp_dropped_total", "Spans that nobody will see.",
               {{"reason", std::string(reason)}})
      .add(static_cast<std::int64_t>(size));
}

Task<void> Exporter::send_metrics(Millis timeout) {
  const std::int64_t now_ns =
      system_clock().now().value * std::int64_t{std::chrono::nanoseconds(Millis(1)).count()};
  auto bodies =
      metrics_json(options_.resource, metrics_.snapshot(), options_.start_ns, now_ns, kPoints);
  for (std::string& body : bodies) {
    const Answer answer = co_await post("metrics", std::move(body), timeout);
    if (answer.sent == Sent::later) co_return;  // the next ones will not be taken either
  }
}

Task<Exporter::Answer> Exporter::post(std::string_view signal, std::string body, Millis timeout) {
  http::Request request;
  request.method = "POST";
  request.url = base_;
  request.url.target += "/v1/";
  request.url.target += signal;
  for (const auto& [name, value] : options_.headers)
    request.headers.set(name, value->reveal_text());
  request.headers.set("Content-Type", "application/json");
  request.body = std::move(body);
  const auto got = co_await client_->fetch(std::move(request), kMostAnswer, timeout);
  Answer out;
  if (!got) {
    note(signal, false, got.error().message());
  } else if (got->status >= 200 && got->status < 300) {
    out.sent = Sent::taken;
    out.rejected = rejected_in(got->body);
    note(signal, true, "");
  } else {
    if (!is_for_later(got->status)) out.sent = Sent::refused;
    out.pause = pause_of(got->headers.get("Retry-After").value_or(""));
    note(signal, false, fmt::format("it answered {}", got->status));
  }
  static constexpr std::array<std::string_view, 3> kNames = {"taken", "later", "refused"};
  metrics_
      .counter("octroi_otlp_requests_total", "Messages to the collector by signal and outcome.",
               {{"outcome", std::string(kNames[static_cast<std::size_t>(out.sent)])},
                {"signal", std::string(signal)}})
      .add();
  co_return out;
}

/// One line when it begins to go wrong, and one when it is good again.
void Exporter::note(std::string_view signal, bool good, std::string_view what) {
  if (good != said_bad_) return;
  said_bad_ = !good;
  if (good) {
    OCTROI_LOG(info, kModule, "the collector takes telemetry again", {{"signal", signal}});
  } else {
    OCTROI_LOG(warn, kModule, "the collector does not take telemetry",
               {{"signal", signal}, {"error", what}});
  }
}

Task<void> Exporter::flush(Millis limit) {
  const Millis until = loop_.now() + limit;
  for (queue_.drain(waiting_); !waiting_.empty() && loop_.now() < until;) {
    const Answer answer = co_await send_batch(std::max(until - loop_.now(), Millis(1)));
    if (answer.sent == Sent::later) break;
  }
  while (!waiting_.empty()) drop_batch("stopped");
  if (loop_.now() < until) co_await send_metrics(std::max(until - loop_.now(), Millis(1)));
}

}  // namespace octroi::otlp
