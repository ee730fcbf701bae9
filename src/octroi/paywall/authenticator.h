// octroi/paywall/authenticator.h: one way to pay. The gate composes any number of them: each offers
// its challenge on a 402, each may recognise a credential, and the one that accepted gives the
// receipt.
//
// Life    verify() proves (no side effect) → admit() consumes (the durable step before the relay) →
//         decorate() adds the receipt → settle() keeps the answer (the durable step after it).
// Thread  one object per snapshot, shared by the workers; calls run on the caller's loop.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/http/message.h"
#include "octroi/ledger/store.h"
#include "octroi/money/money.h"
#include "octroi/mpp/problems.h"
#include "octroi/paywall/client_identity.h"
#include "octroi/paywall/credentials.h"
#include "octroi/paywall/route.h"
#include "octroi/paywall/service_metrics.h"
#include "octroi/paywall/settings.h"
#include "octroi/pricing/price_source.h"
#include "octroi/task/task.h"

namespace octroi::paywall {

/// What is known about a request when it is judged.
struct RequestContext {
  const Service& service;
  const CompiledRule& rule;
  ServiceMetrics& metrics;
  std::string method;  // as sent
  std::string path;    // decoded, normalised
  std::string query;
  std::string digest;  // of the body that really came, RFC 9530; empty where bodies are not bound
  std::string idempotency_key;
  const http::Headers& headers;
  ClientIdentity client;
  UnixMillis now;
  std::string request_id;
  std::optional<std::uint64_t> body_length = std::nullopt;  // empty: not known beforehand
  /// What a new challenge asks; told only when one is about to be made. A credential is judged by
  /// the amount of its own challenge.
  pricing::Quote quote = {};
};

/// A proof that verified.
struct Grant {
  OfferScheme scheme = OfferScheme::l402;
  ledger::Scheme kind = ledger::Scheme::l402;
  PaymentHash hash;
  Msat amount;
  std::string challenge_id;                  // Payment
  std::optional<TokenId> token_id;           // L402
  ledger::Digest payload{};                  // Payment: what a replay must repeat
  UnixMillis expires;                        // until when the proof could be shown again
  std::optional<std::size_t> key;            // which key of the ring verified, for metrics
  std::optional<std::int64_t> max_requests;  // L402: how many the token opens in all
  bool zero_amount = false;  // Payment: nothing was paid, so there is no hash to consume
  bool via_payment_authorization = false;
};

/// A credential that was recognised and not accepted.
struct Refusal {
  int status = 402;
  mpp::Problem problem;
  /// The holder's own unpaid challenge, byte for byte: given again instead of a new one.
  std::optional<std::string> repeat_challenge;
  std::optional<Millis> retry_after;
  Judged result = Judged::refused;
  std::optional<std::size_t> key;
};
using Verdict = std::variant<Grant, Refusal>;

/// After consuming: go on, give the kept answer, or refuse.
struct Proceed {};
using Admission = std::variant<Proceed, ledger::StoredResponse, Refusal>;

/// The challenge of one scheme: its WWW-Authenticate lines, all about one invoice.
struct Offer {
  std::vector<std::string> lines;
  std::optional<PaymentHash> hash;  // empty: it asks for nothing, so there is no invoice
  std::string challenge_id;         // Payment
};

class Authenticator {
 public:
  virtual ~Authenticator() = default;
  [[nodiscard]] virtual OfferScheme scheme() const = 0;
  [[nodiscard]] virtual bool presented(const Credentials& credentials) const = 0;
  virtual Task<Verdict> verify(const Credentials& credentials, const RequestContext& context) = 0;
  virtual Task<Admission> admit(const Grant& grant, const RequestContext& context) = 0;
  /// A new challenge with an invoice of its own.
  virtual Task<Result<Offer>> offer(const RequestContext& context) = 0;
  /// Whether the scheme can express the quote, and Accept-Payment leaves it in.
  [[nodiscard]] virtual bool wanted(const RequestContext& context) const = 0;
  /// Adds the receipt of a success; `when` is the moment of the first answer, also on a replay.
  virtual void decorate(const Grant& grant, http::ResponseHead& head, UnixMillis when) const = 0;
  virtual Task<Result<>> settle(const Grant& grant, ledger::StoredResponse response) = 0;
};

}  // namespace octroi::paywall
