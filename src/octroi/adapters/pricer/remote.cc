#include "octroi/adapters/pricer/remote.h"

#include <utility>

#include "octroi/adapters/pricer/transport.h"
#include "octroi/adapters/pricer/wire.h"
#include "octroi/net/tls.h"
#include "octroi/pricing/currency.h"
#include "octroi/pricing/request_text.h"

namespace octroi::pricer {

using pricing::Errc;

namespace {

std::int64_t wire(Msat amount) { return to_sat_ceil(amount).count(); /* raw: the wire */ }

Result<Msat> amount_of(std::int64_t sats) {
  auto amount = Sat::from_raw(sats);
  if (!amount)
    return fail(Errc::unavailable, "price source: its amount is negative or beyond all money");
  return to_msat(*amount);
}

Ask ask_of(const pricing::PriceRequest& request) {
  Ask ask;
  ask.path = pricing::as_utf8(request.path);
  ask.http_request_text = pricing::request_text(request);
  ask.service_name = request.service.str();
  return ask;
}

Ask ask_of(pricing::Usage usage) {
  Ask ask;
  ask.path = pricing::as_utf8(usage.path);
  ask.service_name = usage.service.str();
  ask.http_status = usage.status;
  ask.content_type = pricing::as_utf8(usage.content_type);
  ask.content_encoding = pricing::as_utf8(usage.content_encoding);
  ask.complete = usage.complete;
  ask.response_tail = std::move(usage.tail);
  return ask;
}

/// What a call under way needs; lives as long as the last of them.
struct Shared {
  Line line;
  const Codec* codec = nullptr;
  Protocol protocol = Protocol::http;
  struct Cells {
    Counter* ok;
    Counter* refused;
    Counter* failed;
  };
  std::array<Cells, kCalls.size()> cells{};
  Histogram* seconds = nullptr;

  Shared(MetricRegistry& metrics, const std::string& name) {
    for (const Call call : kCalls) {
      const auto counted = [&](const char* result) {
        return &metrics.counter(
            "octroi_pricer_calls_total", "Calls of price sources",
            {{"source", name}, {"call", std::string(to_string(call))}, {"result", result}});
      };
      cells[static_cast<std::size_t>(call)] = {counted("ok"), counted("refused"),
                                               counted("failed")};
    }
    seconds = &metrics.histogram("octroi_pricer_call_seconds", "How long price sources took",
                                 {{"source", name}});
  }
};

Task<Result<Reply>> ask(std::shared_ptr<Shared> shared, Call call, Ask what, std::string key) {
  const std::shared_ptr<Line> line(shared, &shared->line);
  net::Loop& loop = line->client->loop();
  const Millis began = loop.now();
  std::string message = shared->codec->write(call, what);
  auto answer = shared->protocol == Protocol::grpc
                    ? co_await call_grpc(line, call, std::move(message), std::move(key))
                    : co_await call_http(line, call, std::move(message), std::move(key));
  auto reply = answer ? shared->codec->read_reply(call, *answer)
                      : Result<Reply>(fail(std::move(answer).error()));
  shared->seconds->observe_micros((loop.now() - began).count() * 1000 /* raw: time */);
  const Shared::Cells& cells = shared->cells[static_cast<std::size_t>(call)];
  (reply ? cells.ok : reply.error().is(Errc::no_price) ? cells.refused : cells.failed)->add();
  co_return reply;
}

// Free functions, so that a call needs nothing of an object that may be replaced meanwhile.

Task<Result<pricing::Quote>> quote(std::shared_ptr<Shared> s, pricing::PriceRequest request) {
  OCTROI_CO_TRY(const Reply reply, co_await ask(std::move(s), Call::price, ask_of(request), {}));
  OCTROI_CO_TRY(const Msat amount, amount_of(reply.price_sats));
  co_return pricing::Quote{amount, {}, std::nullopt};
}

Task<Result<>> minted(std::shared_ptr<Shared> s, pricing::PriceRequest request, TokenId token,
                      Msat price) {
  Ask what = ask_of(request);
  what.token_id = token.hex();
  what.price_sats = wire(price);
  OCTROI_CO_TRY(const Reply reply, co_await ask(std::move(s), Call::minted, std::move(what), {}));
  std::ignore = reply;
  co_return Result<>{};
}

Task<Result<pricing::Authorization>> authorize(std::shared_ptr<Shared> s,
                                               pricing::PriceRequest request, TokenId token) {
  Ask what = ask_of(request);
  what.token_id = token.hex();
  OCTROI_CO_TRY(Reply reply, co_await ask(std::move(s), Call::authorize, std::move(what), {}));
  pricing::Authorization out;
  out.allowed = reply.allowed;
  OCTROI_CO_TRY(out.price, amount_of(reply.price_sats));
  out.reason = std::move(reply.reason);
  out.reserved = reply.reserved_estimate;
  co_return out;
}

Task<Result<>> report(std::shared_ptr<Shared> s, pricing::Usage usage) {
  std::string key = usage.id;
  std::string token = usage.subject;
  const std::int64_t reserved = usage.reserved;
  Ask what = ask_of(std::move(usage));
  what.token_id = std::move(token);
  what.reserved_estimate = reserved;
  OCTROI_CO_TRY(const Reply reply,
                co_await ask(std::move(s), Call::usage, std::move(what), std::move(key)));
  std::ignore = reply;
  co_return Result<>{};
}

Task<Result<pricing::SessionQuote>> session_quote(std::shared_ptr<Shared> s,
                                                  pricing::PriceRequest request,
                                                  std::string session) {
  Ask what = ask_of(request);
  what.session_id = std::move(session);
  OCTROI_CO_TRY(const Reply reply,
                co_await ask(std::move(s), Call::session_quote, std::move(what), {}));
  pricing::SessionQuote out;
  OCTROI_CO_TRY(out.unit, amount_of(reply.unit_price_sats));
  OCTROI_CO_TRY(out.deposit, amount_of(reply.deposit_sats));
  co_return out;
}

Task<Result<Msat>> session_settle(std::shared_ptr<Shared> s, pricing::Usage usage) {
  std::string key = usage.id;
  std::string session = usage.subject;
  std::string text = std::move(usage.request_text);
  const std::int64_t estimate = wire(usage.estimate);
  Ask what = ask_of(std::move(usage));
  what.session_id = std::move(session);
  what.http_request_text = std::move(text);
  what.estimate_sats = estimate;
  OCTROI_CO_TRY(const Reply reply,
                co_await ask(std::move(s), Call::session_settle, std::move(what), std::move(key)));
  co_return amount_of(reply.cost_sats);
}

class RemotePricer final : public pricing::Pricer {
 public:
  explicit RemotePricer(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
  Task<Result<pricing::Quote>> quote(pricing::PriceRequest request) override {
    return pricer::quote(shared_, std::move(request));
  }
  Task<Result<>> challenge_minted(pricing::PriceRequest request, TokenId token,
                                  Msat price) override {
    return minted(shared_, std::move(request), token, price);
  }
  Task<Result<pricing::Authorization>> authorize(pricing::PriceRequest request,
                                                 TokenId token) override {
    return pricer::authorize(shared_, std::move(request), token);
  }
  Task<Result<>> report_usage(pricing::Usage usage) override {
    return report(shared_, std::move(usage));
  }
  Task<Result<pricing::SessionQuote>> quote_session(pricing::PriceRequest request,
                                                    std::string session) override {
    return session_quote(shared_, std::move(request), std::move(session));
  }
  Task<Result<Msat>> settle_session(pricing::Usage usage) override {
    return session_settle(shared_, std::move(usage));
  }

 private:
  std::shared_ptr<Shared> shared_;
};

}  // namespace

Result<std::unique_ptr<pricing::Pricer>> make_remote_pricer(net::Loop& loop, RemoteOptions options,
                                                            MetricRegistry& metrics) {
  auto shared = std::make_shared<Shared>(metrics, options.name);
  OCTROI_TRY(shared->line.url, http::Url::parse(options.url));
  std::string& prefix = shared->line.url.target;
  while (prefix.ends_with('/')) prefix.pop_back();
  http::ClientConfig config;
  config.server_name = options.server_name;
  if (!options.ca_pem.empty()) {
    net::TlsClientOptions tls;
    tls.ca_pem = options.ca_pem;
    OCTROI_TRY(config.tls, net::make_tls_client(std::move(tls)));
  }
  config.timeouts = {options.timeout, options.timeout, options.timeout};
  shared->line.client = http::make_client(loop, std::move(config));
  shared->line.token = std::move(options.token);
  shared->line.timeout = options.timeout;
  shared->protocol = options.protocol;
  shared->codec = options.protocol == Protocol::grpc ? &proto_codec() : &json_codec();
  return std::make_unique<RemotePricer>(std::move(shared));
}

}  // namespace octroi::pricer
