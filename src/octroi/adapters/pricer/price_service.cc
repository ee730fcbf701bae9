#include "octroi/adapters/pricer/price_service.h"

#include <utility>

#include "octroi/adapters/pricer/grpc_frame.h"
#include "octroi/base/log.h"
#include "octroi/json/writer.h"
#include "octroi/pricing/currency.h"

namespace octroi::pricer {

namespace {

constexpr int kInvalidArgument = 3;
constexpr int kUnimplemented = 12;
constexpr int kUnavailable = 14;
constexpr int kUnauthenticated = 16;

std::string error_json(std::string_view text) {
  json::Writer w;
  w.begin_object().field("error", text).end_object();
  return std::move(w).take();
}

/// What stands in a trailer: visible ASCII (gRPC over HTTP/2, "Status-Message", without its
/// escapes).
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) out.push_back(c >= 0x20 && c < 0x7f && c != '%' ? c : '?');
  return out;
}

Task<Result<>> respond_grpc(http::Exchange* exchange, int status, std::string message) {
  http::ResponseHead head;
  head.headers.set("Content-Type", "application/grpc");
  OCTROI_CO_CHECK(co_await exchange->start(std::move(head), std::nullopt));
  if (status == 0) {
    const std::string body = framed(message);
    OCTROI_CO_CHECK(co_await exchange->write(as_bytes(body)));
  }
  http::Headers trailers;
  trailers.set("grpc-status", std::to_string(status));
  if (status != 0) trailers.set("grpc-message", plain(message));
  co_return co_await exchange->finish(trailers);
}

Task<Result<>> respond_json(http::Exchange* exchange, int status, std::string body) {
  http::ResponseHead head;
  head.status = status;
  head.headers.set("Content-Type", "application/json");
  if (status == 503) head.headers.set("Retry-After", "1");
  co_return co_await exchange->respond(std::move(head), std::move(body));
}

}  // namespace

bool PriceService::may_ask(const http::Headers& headers) const {
  if (!token_) return true;
  constexpr std::string_view kBearer = "Bearer ";
  const std::string_view shown = headers.get("Authorization").value_or("");
  return shown.starts_with(kBearer) && token_->equals(shown.substr(kBearer.size()));
}

Task<PriceService::Told> PriceService::serve(http::Exchange* exchange, bool grpc) {
  const http::RequestHead& request = exchange->request();
  const auto call = call_at(request.path());
  if (!call) co_return Told{404, kUnimplemented, "there is no such call"};
  if (request.method != "POST") co_return Told{405, kUnimplemented, "calls are POST"};
  if (!may_ask(request.headers)) co_return Told{401, kUnauthenticated, "the token is not known"};
  std::string key(request.headers.get("Idempotency-Key").value_or(""));
  auto body = co_await http::read_all(exchange->body(), kMaxMessage + 5);
  if (!body) co_return Told{413, kInvalidArgument, "the message could not be read"};
  std::string_view message = *body;
  if (grpc) {
    const auto inner = unframed(message);
    if (!inner) co_return Told{400, kInvalidArgument, "expected one uncompressed message"};
    message = *inner;
  }
  const Codec& codec = grpc ? proto_codec() : json_codec();
  auto ask = codec.read_ask(*call, message);
  if (!ask) co_return Told{400, kInvalidArgument, std::string(ask.error().message())};
  auto reply = co_await book_.answer(*call, std::move(*ask), std::move(key));
  if (reply) co_return Told{200, 0, codec.write(*call, *reply)};
  const bool ours =
      !reply.error().is(pricing::Errc::no_price) && reply.error().kind() != ErrorKind::invalid;
  if (ours) {
    OCTROI_LOG(error, "pricer", "a call failed",
               {{"call", to_string(*call)}, {"error", reply.error().message()}});
  }
  co_return Told{ours ? 503 : 422, ours ? kUnavailable : kInvalidArgument,
                 ours ? std::string("the books cannot be read or written now")
                      : std::string(reply.error().message())};
}

Task<void> PriceService::handle(http::Exchange& exchange) {
  if (exchange.request().method == "GET" && exchange.request().path() == "/healthz") {
    std::ignore = co_await respond_json(&exchange, 200, "{}");
    co_return;
  }
  const bool grpc =
      exchange.request().headers.get("Content-Type").value_or("").starts_with("application/grpc");
  Told told = co_await serve(&exchange, grpc);
  if (grpc) {
    std::ignore = co_await respond_grpc(&exchange, told.grpc, std::move(told.message));
  } else {
    std::ignore = co_await respond_json(
        &exchange, told.status,
        told.status == 200 ? std::move(told.message) : error_json(told.message));
  }
}

}  // namespace octroi::pricer
