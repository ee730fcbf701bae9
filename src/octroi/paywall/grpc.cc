#include "octroi/paywall/grpc.h"

#include <algorithm>

#include "octroi/base/percent.h"

namespace octroi::paywall {

bool is_grpc(const http::Headers& request) {
  const auto type = request.get("Content-Type");
  if (!type) return false;
  const std::string_view media = type->substr(0, type->find(';'));
  constexpr std::string_view kGrpc = "application/grpc";
  if (media.size() < kGrpc.size() ||
      !http::equal_ignoring_case(media.substr(0, kGrpc.size()), kGrpc))
    return false;
  const std::string_view rest = media.substr(kGrpc.size());
  return rest.empty() || rest.front() == '+' || rest.front() == ' ';
}

std::optional<Millis> grpc_timeout(const http::Headers& request) {
  const auto text = request.get("grpc-timeout");
  if (!text || text->size() < 2 || text->size() > 9) return std::nullopt;
  std::int64_t n = 0;
  for (const char c : text->substr(0, text->size() - 1)) {
    if (c < '0' || c > '9') return std::nullopt;
    n = n * 10 + (c - '0');
  }
  std::int64_t millis = 0;
  switch (text->back()) {
    case 'H':
      millis = n * 3'600'000;
      break;
    case 'M':
      millis = n * 60'000;
      break;
    case 'S':
      millis = n * 1'000;
      break;
    case 'm':
      millis = n;
      break;
    case 'u':
      millis = (n + 999) / 1'000;
      break;
    case 'n':
      millis = (n + 999'999) / 1'000'000;
      break;
    default:
      return std::nullopt;
  }
  return Millis(std::max<std::int64_t>(millis, 1));
}

int grpc_status(int http_status) {
  switch (http_status) {
    case 400:
    case 413:
    case 414:
    case 431:
      return 3;  // INVALID_ARGUMENT
    case 401:
      return 16;  // UNAUTHENTICATED
    case 402:
      return 13;  // INTERNAL: what gRPC clients of L402 look for
    case 403:
      return 7;  // PERMISSION_DENIED
    case 404:
    case 405:
      return 12;  // UNIMPLEMENTED
    case 409:
      return 10;  // ABORTED
    case 429:
      return 8;  // RESOURCE_EXHAUSTED
    case 502:
    case 503:
      return 14;  // UNAVAILABLE
    case 504:
      return 4;  // DEADLINE_EXCEEDED
    default:
      return http_status >= 500 ? 13 : 2;
  }
}

int grpc_status_of_reset(std::uint32_t code) {
  switch (code) {
    case 0x7:  // REFUSED_STREAM
      return 14;
    case 0x8:  // CANCEL
      return 1;
    case 0xb:  // ENHANCE_YOUR_CALM
      return 8;
    case 0xc:  // INADEQUATE_SECURITY
      return 7;
    default:
      return 13;
  }
}

std::string grpc_message(std::string_view text) {
  return percent_encoded(text, [](char c) { return c >= ' ' && c <= '~' && c != '%'; });
}

void to_grpc(http::ResponseHead& head, std::string_view message, std::optional<int> status) {
  head.headers.set("Content-Type", "application/grpc");
  head.headers.set("grpc-status", fmt::format("{}", status.value_or(grpc_status(head.status))));
  head.headers.set("grpc-message", grpc_message(message));
  head.status = 200;
}

}  // namespace octroi::paywall
