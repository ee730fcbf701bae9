// octroi/pricing/pricer.h: the port of a price source that also keeps accounts: of what the holders of
// L402 tokens have left of the bundle that they bought, and of what a session's request cost.
//
//   token    challenge_minted (before the challenge is shown: a bundle is booked for it) → authorize
//            (before each request: something is set aside) → report_usage (once it ended)
//   session  quote_session (what a request is going to cost) → settle_session (what it did)
//
// Reports  may come twice, with the same id: whoever keeps accounts counts them once.
// Errors   Errc::unavailable when the source cannot be asked or its answer makes no sense; the
//          caller fails closed. Errc::no_price when the source says that it cannot price this.
// Thread   as PriceSource; requests may be open when the source is replaced.
#pragma once

#include <cstdint>
#include <string>

#include "octroi/base/ids.h"
#include "octroi/money/money.h"
#include "octroi/pricing/price_source.h"

namespace octroi::pricing {

struct Authorization {
  bool allowed = false;
  Msat price;                 // refused: of a new bundle; zero: ask for a quote
  std::string reason;         // refused: for the client
  std::int64_t reserved = 0;  // a number of the source's own, told back with the report
};

struct SessionQuote {
  Msat unit;     // what the request is going to cost; shown, and debited before it
  Msat deposit;  // zero: as the configuration says
};

/// How a request ended.
struct Usage {
  std::string id;       // of the report, for whoever gets it twice
  std::string subject;  // token id or session id, in hex
  ServiceName service;
  std::string path;
  int status = 0;  // of the upstream; 499: nobody saw it end
  std::string content_type;
  std::string content_encoding;
  bool complete = false;  // the answer came whole
  std::string tail;       // the end of its body
  std::int64_t reserved = 0;
  Msat estimate;             // session: what was debited before
  std::string request_text;  // session: as request_text.h writes it
};

/// Nobody saw the answer: the client left before it, or octroi was killed.
inline constexpr int kUnseen = 499;

class Pricer : public PriceSource {
 public:
  [[nodiscard]] Pricer* pricer() final { return this; }
  /// A bundle is booked for a token that nobody has paid yet.
  [[nodiscard]] virtual Task<Result<>> challenge_minted(PriceRequest request, TokenId token,
                                                        Msat price) = 0;
  [[nodiscard]] virtual Task<Result<Authorization>> authorize(PriceRequest request,
                                                              TokenId token) = 0;
  [[nodiscard]] virtual Task<Result<>> report_usage(Usage usage) = 0;
  /// `session` empty: for a challenge, before there is one.
  [[nodiscard]] virtual Task<Result<SessionQuote>> quote_session(PriceRequest request,
                                                                 std::string session) = 0;
  [[nodiscard]] virtual Task<Result<Msat>> settle_session(Usage usage) = 0;
};

}  // namespace octroi::pricing
