// Unary calls of gRPC over the HTTP/2 client. Source  gRPC over HTTP/2, "Requests", "Responses".
#include <charconv>

#include "octroi/adapters/pricer/grpc_frame.h"
#include "octroi/adapters/pricer/transport.h"
#include "octroi/net/deadline.h"
#include "octroi/pricing/currency.h"

namespace octroi::pricer {

using pricing::Errc;

namespace {

/// INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION, OUT_OF_RANGE: about the request.
bool refuses_request(int status) {
  return status == 3 || status == 5 || status == 9 || status == 11;
}

tl::unexpected<Error> broken(const Error& error) {
  return fail(Errc::unavailable, "price source: " + std::string(error.message()));
}

http::RequestHead head_of(const Line& line, Call call, const std::string& key) {
  http::RequestHead head;
  head.method = "POST";
  head.target = line.url.target + std::string(grpc_path(call));
  head.authority = line.url.authority();
  head.scheme = line.url.scheme;
  head.headers.set("Content-Type", "application/grpc");
  head.headers.set("TE", "trailers");
  head.headers.set("grpc-timeout", fmt::format("{}m", line.timeout.count() /* raw: time */));
  if (line.token) {
    head.headers.set("Authorization", "Bearer " + std::string(line.token->reveal_text()));
  }
  if (!key.empty()) head.headers.set("Idempotency-Key", key);
  return head;
}

/// Of trailers, or of the head of an answer that has nothing else.
Result<int> status_in(const http::Headers& trailers, const http::Headers& head) {
  const auto text =
      trailers.has("grpc-status") ? trailers.get("grpc-status") : head.get("grpc-status");
  int status = 0;
  if (!text) return fail(Errc::unavailable, "price source: its answer has no grpc-status");
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), status);
  if (error != std::errc() || end != text->data() + text->size())
    return fail(Errc::unavailable, "price source: its grpc-status is no number");
  return status;
}

Task<Result<std::string>> exchange(std::shared_ptr<Line> line, Call call, std::string message,
                                   std::string key) {
  const http::Origin origin{line->url.scheme, line->url.host, line->url.port, http::Protocol::h2};
  auto opened = co_await line->client->open(origin);
  if (!opened) co_return broken(opened.error());
  http::ClientExchange& stream = **opened;
  const std::string body = framed(message);
  if (auto sent = co_await stream.send_head(head_of(*line, call, key), std::nullopt); !sent)
    co_return broken(sent.error());
  if (auto sent = co_await stream.write(as_bytes(body)); !sent) co_return broken(sent.error());
  if (auto sent = co_await stream.finish({}); !sent) co_return broken(sent.error());
  http::ResponseHead head;
  do {
    auto next = co_await stream.head();
    if (!next) co_return broken(next.error());
    head = std::move(*next);
  } while (head.status < 200);
  if (head.status != 200) {
    co_return fail(Errc::unavailable,
                   fmt::format("price source: it answered with status {}", head.status));
  }
  auto answer = co_await http::read_all(stream.body(), kMaxMessage);
  if (!answer) co_return broken(answer.error());
  OCTROI_CO_TRY(const int status, status_in(stream.body().trailers(), head.headers));
  if (status != 0) {
    co_return fail(refuses_request(status) ? Errc::no_price : Errc::unavailable,
                   fmt::format("price source: it answered with grpc-status {}", status));
  }
  const auto reply = unframed(*answer);
  if (!reply) co_return fail(Errc::unavailable, "price source: its answer is not one gRPC message");
  co_return std::string(*reply);
}

}  // namespace

Task<Result<std::string>> call_grpc(std::shared_ptr<Line> line, Call call, std::string message,
                                    std::string key) {
  net::Loop& loop = line->client->loop();
  const Millis limit = line->timeout;
  auto answer = co_await net::within(
      loop, limit, exchange(std::move(line), call, std::move(message), std::move(key)));
  if (!answer) co_return fail(Errc::unavailable, "price source: no answer in time");
  co_return std::move(*answer);
}

}  // namespace octroi::pricer
