// octroi/adapters/pricer/wire.h: the messages between a gate and its price source, whichever way
// they are written: JSON over HTTP, or the `pricesrpc.Prices` service over gRPC.
//
// One struct for what is asked and one for what is answered; each call uses some of their members
// (json_wire.cc says which, prices.proto likewise). Amounts are whole satoshis here, as on the
// wire. Errors   pricing::Errc::unavailable: no message of that call.  Thread  values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/result.h"

namespace octroi::pricer {

enum class Call : std::uint8_t {
  price,           // GetPrice
  minted,          // ChallengeMinted
  authorize,       // AuthorizeRequest
  usage,           // ReportUsage
  session_quote,   // QuoteSession
  session_settle,  // SettleSession
};
inline constexpr std::array kCalls = {Call::price, Call::minted,        Call::authorize,
                                      Call::usage, Call::session_quote, Call::session_settle};
/// "price", "minted", …: for metrics.
[[nodiscard]] std::string_view to_string(Call call);
/// "/v1/aperture/price", …
[[nodiscard]] std::string_view http_path(Call call);
/// "/pricesrpc.Prices/GetPrice", …
[[nodiscard]] std::string_view grpc_path(Call call);
/// Of a request's path without query: nothing when it is none of ours.
[[nodiscard]] std::optional<Call> call_at(std::string_view path);

struct Ask {
  std::string path;
  std::string http_request_text;
  std::string service_name;
  std::string token_id;    // hex
  std::string session_id;  // hex
  std::int64_t price_sats = 0;
  std::int64_t http_status = 0;
  std::string content_type;
  std::string content_encoding;
  bool complete = false;
  std::string response_tail;  // bytes
  std::int64_t reserved_estimate = 0;
  std::int64_t estimate_sats = 0;
  bool operator==(const Ask&) const = default;
};

struct Reply {
  std::int64_t price_sats = 0;
  bool allowed = false;
  std::string reason;
  std::int64_t reserved_estimate = 0;
  std::int64_t debited_sats = 0;
  std::int64_t remaining_sats = 0;
  std::int64_t unit_price_sats = 0;
  std::int64_t deposit_sats = 0;
  std::int64_t cost_sats = 0;
  bool operator==(const Reply&) const = default;
};

class Codec {
 public:
  virtual ~Codec() = default;
  [[nodiscard]] virtual std::string write(Call call, const Ask& ask) const = 0;
  [[nodiscard]] virtual std::string write(Call call, const Reply& reply) const = 0;
  [[nodiscard]] virtual Result<Ask> read_ask(Call call, std::string_view text) const = 0;
  [[nodiscard]] virtual Result<Reply> read_reply(Call call, std::string_view text) const = 0;
};
[[nodiscard]] const Codec& json_codec();
[[nodiscard]] const Codec& proto_codec();

/// The most that a message may have; a request's body of a few MiB is among it.
inline constexpr std::uint64_t kMaxMessage = 8ULL << 20;

}  // namespace octroi::pricer
