#include "octroi/adapters/pricer/transport.h"
#include "octroi/pricing/currency.h"

namespace octroi::pricer {

using pricing::Errc;

namespace {

/// 400, 404 and 422 are about the request; the rest of 4xx (a wrong token, too many calls) is not.
bool refuses_request(int status) { return status == 400 || status == 404 || status == 422; }

}  // namespace

Task<Result<std::string>> call_http(std::shared_ptr<Line> line, Call call, std::string message,
                                    std::string key) {
  http::Request request;
  request.method = "POST";
  request.url = line->url;
  request.url.target += http_path(call);
  request.headers.set("Content-Type", "application/json");
  request.headers.set("Accept", "application/json");
  if (line->token) {
    request.headers.set("Authorization", "Bearer " + std::string(line->token->reveal_text()));
  }
  if (!key.empty()) request.headers.set("Idempotency-Key", key);
  request.body = std::move(message);
  auto answer = co_await line->client->fetch(std::move(request), kMaxMessage, line->timeout);
  if (!answer)
    co_return fail(Errc::unavailable, "price source: " + std::string(answer.error().message()));
  if (answer->status == 200) co_return std::move(answer->body);
  co_return fail(refuses_request(answer->status) ? Errc::no_price : Errc::unavailable,
                 fmt::format("price source: it answered with status {}", answer->status));
}

}  // namespace octroi::pricer
