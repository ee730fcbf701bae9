#include "octroi/adapters/pricer/wire.h"

namespace octroi::pricer {

namespace {
struct Names {
  std::string_view word;
  std::string_view http;
  std::string_view grpc;
};
constexpr std::array<Names, kCalls.size()> kNames = {{
    {"price", "/v1/aperture/price", "/pricesrpc.Prices/GetPrice"},
    {"minted", "/v1/aperture/challenge-minted", "/pricesrpc.Prices/ChallengeMinted"},
    {"authorize", "/v1/aperture/authorize", "/pricesrpc.Prices/AuthorizeRequest"},
    {"usage", "/v1/aperture/usage", "/pricesrpc.Prices/ReportUsage"},
    {"session_quote", "/v1/aperture/session/quote", "/pricesrpc.Prices/QuoteSession"},
    {"session_settle", "/v1/aperture/session/settle", "/pricesrpc.Prices/SettleSession"},
}};
const Names& names(Call call) { return kNames[static_cast<std::size_t>(call)]; }
}  // namespace

std::string_view to_string(Call call) { return names(call).word; }
std::string_view http_path(Call call) { return names(call).http; }
std::string_view grpc_path(Call call) { return names(call).grpc; }

std::optional<Call> call_at(std::string_view path) {
  for (const Call call : kCalls) {
    if (path == names(call).http || path == names(call).grpc) return call;
  }
  return std::nullopt;
}

}  // namespace octroi::pricer
