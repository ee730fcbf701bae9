#include "octroi/app/webhook.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "octroi/base/log.h"
#include "octroi/base/random.h"
#include "octroi/crypto/hash.h"
#include "octroi/json/writer.h"
#include "octroi/net/ssrf.h"

namespace octroi::app {

namespace {

constexpr std::string_view kModule = "webhook";
constexpr Millis kDeadline{10'000};
constexpr Millis kFirstPause{500};
constexpr std::uint64_t kMostAnswer = 64 * 1024;

}  // namespace

std::string webhook_signature(const Secret& secret, std::string_view timestamp,
                              std::string_view body) {
  std::string signed_text(timestamp);
  signed_text += '.';
  signed_text += body;
  return "v1=" + to_hex(crypto::hmac_sha256(secret.reveal(), as_bytes(signed_text)));
}

struct Webhook::State {
  State(net::Loop& l, MetricRegistry& m) : loop(l), metrics(m) {}
  net::Loop& loop;
  MetricRegistry& metrics;
  vault::WebhookSettings settings;
  std::optional<http::Url> url;
  std::shared_ptr<http::Client> client;
  int under_way = 0;

  void count(std::string_view outcome) {
    metrics
        .counter("octroi_webhook_deliveries_total", "Messages to the webhook by outcome.",
                 {{"outcome", std::string(outcome)}})
        .add();
  }
};

namespace {

Task<Result<>> deliver_once(Webhook::State* state, std::string body) {
  http::Request request;
  request.method = "POST";
  request.url = *state->url;
  const std::string timestamp = std::to_string(system_clock().now().value / 1000);
  request.headers.add("Content-Type", "application/json");
  request.headers.add("Octroi-Timestamp", timestamp);
  if (state->settings.secret != nullptr) {
    request.headers.add("Octroi-Signature",
                        webhook_signature(*state->settings.secret, timestamp, body));
  }
  request.body = std::move(body);
  const std::shared_ptr<http::Client> client = state->client;  // a reload may replace it
  OCTROI_CO_TRY(const auto answer,
                co_await client->fetch(std::move(request), kMostAnswer, kDeadline));
  if (answer.status >= 200 && answer.status < 300) co_return Result<>{};
  co_return fail(http::Errc::bad_message, fmt::format("it answered {}", answer.status));
}

Task<void> deliver(std::shared_ptr<Webhook::State> state, std::string type, std::string body) {
  Millis pause = kFirstPause;
  ++state->under_way;
  for (int i = 1; i <= Webhook::kAttempts && state->client != nullptr; ++i) {
    auto sent = co_await deliver_once(state.get(), body);
    if (sent) {
      state->count("delivered");
      --state->under_way;
      co_return;
    }
    OCTROI_LOG(warn, kModule, "not delivered",
               {{"type", type}, {"attempt", i}, {"error", sent.error().message()}});
    if (i < Webhook::kAttempts) co_await state->loop.sleep(pause);
    pause = pause * 3;
  }
  state->count("failed");
  --state->under_way;
}

}  // namespace

Webhook::Webhook(net::Loop& loop, MetricRegistry& metrics)
    : state_(std::make_shared<State>(loop, metrics)) {}
Webhook::~Webhook() = default;

void Webhook::configure(vault::WebhookSettings settings) {
  State& s = *state_;
  s.settings = std::move(settings);
  s.client.reset();
  s.url.reset();
  if (s.settings.url.empty()) return;
  auto url = http::Url::parse(s.settings.url);
  if (!url) {
    OCTROI_LOG(error, kModule, "its address cannot be used", {{"error", url.error().message()}});
    return;
  }
  s.url = std::move(*url);
  http::ClientConfig config;
  config.timeouts.first_byte = kDeadline;
  if (!s.settings.allow_private) {
    config.guard = [](const std::string& host, const net::IpAddress& address) -> Result<> {
      OCTROI_CHECK(net::check_public_host(host));
      return net::check_public(address);
    };
  }
  s.client = http::make_client(s.loop, std::move(config));
}

void Webhook::send(std::string type, std::string data) {
  if (state_->client == nullptr) return;
  const std::vector<std::string>& events = state_->settings.events;
  if (std::find(events.begin(), events.end(), type) == events.end()) return;
  if (state_->under_way >= kMostAtOnce) {
    state_->count("dropped");
    OCTROI_LOG(error, kModule, "too many messages are under way; one was dropped",
               {{"type", type}});
    return;
  }
  json::Writer w;
  w.begin_object().field("id", "evt_" + to_hex(system_random().bytes<10>()));
  w.field("type", type).field("at", to_rfc3339(system_clock().now()));
  w.key("data").raw(data).end_object();
  state_->loop.tasks().start(deliver(state_, std::move(type), std::move(w).take()));
}

}  // namespace octroi::app
