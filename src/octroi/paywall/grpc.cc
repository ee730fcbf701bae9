#include "octroi/paywall/grpc.h"

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

std::string grpc_message(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u >= 0x20 && u < 0x7f && c != '%') {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(kHex[u >> 4]);
      out.push_back(kHex[u & 15]);
    }
  }
  return out;
}

void to_grpc(http::ResponseHead& head, std::string_view message) {
  head.headers.set("Content-Type", "application/grpc");
  head.headers.set("grpc-status", fmt::format("{}", grpc_status(head.status)));
  head.headers.set("grpc-message", grpc_message(message));
  head.status = 200;
}

}  // namespace octroi::paywall
