// octroi/paywall/authenticator.h: one way to pay. The gate composes any number of them: each offers
// its challenge on a 402, each may recognise a credential, and the one that accepted gives the
// receipt.
//
// Life    verify() proves (no side effect) → admit() consumes or debits (the durable step before
//         the relay) → decorate() adds the receipt → settle() keeps the answer, or gives back what
//         was not delivered (the durable step after it).
// Thread  one object per snapshot, shared by the workers; calls run on the caller's loop.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <initializer_list>
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
#include "octroi/mpp/credential.h"
#include "octroi/mpp/problems.h"
#include "octroi/paywall/client_identity.h"
#include "octroi/paywall/credentials.h"
#include "octroi/paywall/route.h"
#include "octroi/paywall/service_metrics.h"
#include "octroi/paywall/settings.h"
#include "octroi/pricing/meter.h"
#include "octroi/pricing/pricer.h"
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
  std::string told_body = {};  // digest of the body that the source of prices is told; empty: none
  /// What a new challenge asks; told only when one is about to be made. A credential is judged by
  /// the amount of its own challenge.
  pricing::Quote quote = {};
  /// Where a source of prices keeps accounts: books what a token is going to buy, before it is
  /// shown.
  std::function<Task<Result<>>(TokenId token, Msat price)> book = {};
  /// Where it quotes sessions: what this request is going to cost one (empty: none yet).
  std::function<Task<Result<pricing::SessionQuote>>(std::string session)> quote_session = {};
  /// The Payment credential, read once: its intent decides already which body is bound.
  std::optional<Result<mpp::Credential>> payment = std::nullopt;
};

/// What an offer sells.
enum class Intent : std::uint8_t {
  token,    // L402: as many requests as the token allows
  charge,   // Payment: one request
  session,  // Payment: requests from a deposit, the rest given back
};
/// In the order in which they stand on a 402.
class Intents {
 public:
  Intents() = default;
  Intents(std::initializer_list<Intent> list) {
    for (const Intent i : list) add(i);
  }
  void add(Intent intent) {
    if (count_ < list_.size()) list_[count_++] = intent;
  }
  [[nodiscard]] const Intent* begin() const { return list_.data(); }
  [[nodiscard]] const Intent* end() const { return list_.data() + count_; }
  [[nodiscard]] bool empty() const { return count_ == 0; }

 private:
  std::array<Intent, 2> list_{};  // one scheme has two at most
  std::size_t count_ = 0;
};

/// How a proof is spent.
enum class Use : std::uint8_t {
  token,    // as often as its conditions allow: nothing is consumed
  once,     // consumed before the relay; the answer is kept for the same credential
  balance,  // its price is taken from a balance before the relay
  door,     // answered by the door itself: the upstream is not asked
};

/// What a session credential asks for; sums as they were shown in its challenge.
struct SessionUse {
  enum class Action : std::uint8_t { open, bearer, top_up, close };
  Action action = Action::bearer;
  PaymentHash session;
  Msat price;               // of this request, on its route, now
  Msat debit;               // open, bearer: taken before the relay; zero: see `price_rose`
  bool price_rose = false;  // open: the route costs more than the challenge said; not served
  Msat deposit;             // open, topUp
  std::string return_invoice = {};  // open
  PaymentHash return_hash = {};
  Millis idle_timeout{};
};

/// What a counted L402 token is asked for; in units.
struct BundleUse {
  std::string service;
  TokenId token;
  pricing::Unit unit = pricing::Unit::request;
  std::uint64_t per = 1;   // what is set aside at once, where answers are metered
  std::int64_t sold = 0;   // of the token as it was bought
  std::int64_t bound = 0;  // of this copy of it
  std::int64_t debit = 1;  // taken before the relay
  std::int64_t left = 0;   // for this copy, once that was taken
};

/// A proof that verified.
struct Grant {
  OfferScheme scheme = OfferScheme::l402;
  ledger::Scheme kind = ledger::Scheme::l402;
  Use use = Use::token;
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
  std::unique_ptr<SessionUse> session = nullptr;  // Payment, intent session
  std::unique_ptr<BundleUse> bundle = nullptr;    // L402, of a token that is counted
};

/// A credential that was recognised and not accepted.
struct Refusal {
  int status = 402;
  mpp::Problem problem;
  /// The holder's own unpaid challenge, byte for byte: given again instead of a new one.
  std::optional<std::string> repeat_challenge;
  std::optional<Millis> retry_after;
  std::string balance = {};  // of a counted token, for the L402-Balance field; empty: none
  Judged result = Judged::refused;
  std::optional<std::size_t> key;
};
using Verdict = std::variant<Grant, Refusal>;

/// After consuming: go on, give the kept answer, give the door's own, or refuse.
struct Proceed {};
struct Answered {
  http::ResponseHead head;  // with its receipt
  std::string body;
  bool replayed = false;  // given before, to the same credential
};
using Admission = std::variant<Proceed, ledger::StoredResponse, Answered, Refusal>;

/// What came of the relay, for those who keep the answer and those who bill what was delivered.
/// Whoever meters parts of an answer counts them where the gate sees them pass (Gate::deliver).
enum class Fate : std::uint8_t {
  delivered,  // the client was sent an answer, or the beginning of one
  abandoned,  // the client left, or its own deadline passed, before there was one
  failed,     // the upstream gave nothing
};
struct Delivery {
  Fate fate = Fate::delivered;
  std::optional<ledger::StoredResponse> answer = std::nullopt;  // with Use::once
  bool has_key = false;  // an Idempotency-Key: the client means to ask for the answer again
  bool metered = false;  // billed by what it held: there is nothing left to give back
};

/// Kept beside an answer instead of its receipt, which is made again on a replay: a receipt value
/// is never stored.
inline constexpr std::string_view kReceiptAt = "octroi-receipt-at";
/// Kept beside the answer to a HEAD: there is no body to give to a GET with the same credential.
inline constexpr std::string_view kHeadOnly = "octroi-head-only";

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
  /// A new challenge with an invoice of its own, for one of those that are wanted.
  virtual Task<Result<Offer>> offer(const RequestContext& context, Intent intent) = 0;
  /// What is to be offered: what can express the quote, and Accept-Payment leaves in.
  [[nodiscard]] virtual Intents wanted(const RequestContext& context) const = 0;
  /// Adds the receipt of a success; `when` is the moment of the first answer, also on a replay.
  virtual void decorate(const Grant& grant, http::ResponseHead& head, UnixMillis when) const = 0;
  /// Once after every relay that admit() let through.
  virtual Task<Result<>> settle(const Grant& grant, Delivery delivery) = 0;
};

}  // namespace octroi::paywall
