// octroi/wallet/payer.h: the wallet door: one fetch that may cost something.
//
//   guard → request → 402 → parse all challenges → cross-check → decide → reserve → journal → pay →
//   settle → one retry → receipt
//
// Never    pays an amountless, expired, foreign or contradicting invoice; pays the same hash twice;
//          pays on another origin than the one asked for; pays again after a refusal; follows with
//          the credential to another host; overwrites a field that the caller set.
// Nothing  a challenge over nothing is answered with its proof: neither node nor journal is asked.
// Thread   one loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/http/client.h"
#include "octroi/ledger/spend_journal.h"
#include "octroi/lightning/node.h"
#include "octroi/wallet/errors.h"
#include "octroi/wallet/offer.h"
#include "octroi/wallet/settings.h"

namespace octroi::wallet {

struct FetchRequest {
  http::Request http;
  std::optional<Msat> max_cost;  // only tightens the configured limit
  std::optional<Msat> max_fee;
  bool pay = true;
  bool dry_run = false;
  std::optional<Scheme> prefer;
  bool follow_redirects = false;
  int max_redirects = 10;
  bool private_targets = false;  // development: this machine and its network may be fetched
  // Prepaid sessions; only SessionManager looks at these.
  bool session = false;      // rather than paying for this request alone
  bool close_after = false;  // end the session afterwards, and see what comes back
  /// Gets the body of an event stream as it arrives; null: it is collected as any other body.
  std::function<Result<>(ByteView)> on_stream;
  std::uint64_t max_body = 64ULL << 20;
  Millis timeout{60'000};
  Seconds payment_timeout{60};
};

/// What became of the session that a fetch used.
struct SessionUse {
  PaymentHash id;
  bool opened = false;  // by this fetch
  Msat topped_up;       // by this fetch
  Msat deposit;         // all of it
  Msat spent;           // as far as we were told
  bool closed = false;
  std::optional<Sat> refund;        // what the service says that it gave back
  std::optional<Msat> refund_seen;  // what our node received
  std::string stream_receipt;       // JSON of the payment-receipt event
};

struct FetchResult {
  http::Response response;
  std::string url;               // the final one
  std::optional<Scheme> scheme;  // of the payment
  Msat paid;
  Msat fee;
  std::string receipt;         // Payment-Receipt, as received
  std::optional<Proof> proof;  // what was sent: secret
  // a dry run
  bool would_pay = false;
  std::optional<Offer> offer;      // what was, or would be, paid
  std::vector<std::string> notes;  // why challenges were left out
  std::optional<SessionUse> session;
  std::optional<SessionOffer> session_offer;  // of a dry run
  bool streamed = false;                      // the body went to on_stream
};

/// An error of the client below in the wallet's terms.
[[nodiscard]] Error network_error(const Error& e);

class Payer {
 public:
  /// Opens the node and the journal only when something is to be paid.
  struct Means {
    std::function<Task<Result<lightning::Node*>>()> node;
    std::function<Result<ledger::SpendJournal*>()> journal;
    ledger::Spender by = {};  // for the audit
  };
  Payer(http::Client& client, Means means, Limits limits, Clock& clock)
      : client_(client), means_(std::move(means)), limits_(limits), clock_(clock) {}

  Task<Result<FetchResult>> fetch(FetchRequest request);

  // The parts of a fetch, for who decides between them.
  /// The answer to the request as it is, and what a 402 among them offers.
  struct Asked {
    FetchResult result;
    ReadOffers read;
    std::string asked_origin;
    std::string final_origin;
  };
  /// `request` is left with the URL that redirects led to.
  Task<Result<Asked>> ask(FetchRequest* request);
  /// What fetch() does once it was answered.
  Task<Result<FetchResult>> settle(FetchRequest request, Asked asked);
  /// Nothing is paid on another origin than the one asked for, nor over plain HTTP.
  [[nodiscard]] static Result<> may_pay(const FetchRequest& request, const Asked& asked);
  /// Against --max-cost and the limit a payment.
  [[nodiscard]] Result<> decide(const FetchRequest& request, Msat amount) const;
  /// Journal, pay, settle. The amount was decided about.
  Task<Result<lightning::Payment>> pay(std::string invoice_text, bolt11::Invoice invoice,
                                       std::string host, std::string scheme,
                                       std::optional<Msat> max_fee, Seconds timeout);
  /// What became of a payment that an earlier process began: paid, or nothing when it certainly was
  /// not. payment_unknown otherwise. Never pays.
  Task<Result<std::optional<lightning::Payment>>> recall(PaymentHash hash);

  /// Pays an invoice under the same limits and journal.
  Task<Result<lightning::Payment>> pay_invoice(std::string text, std::optional<Msat> max_fee,
                                               Seconds timeout);

  struct Reconciled {
    PaymentHash hash;
    ledger::SpendStage stage = ledger::SpendStage::unknown;
  };
  /// Asks the node what became of every open entry; never pays.
  Task<Result<std::vector<Reconciled>>> reconcile();

 private:
  Task<Result<http::Response>> send(FetchRequest* request, std::string* origin);
  [[nodiscard]] Msat fee_limit(const std::optional<Msat>& asked) const;

  http::Client& client_;
  Means means_;
  Limits limits_;
  Clock& clock_;
};

}  // namespace octroi::wallet
