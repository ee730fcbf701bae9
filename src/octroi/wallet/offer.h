// octroi/wallet/offer.h: what a 402 offers, read from all challenges of all its fields, and the
// checks that must pass before one is paid.
//
// The invoice is authoritative: whatever the challenge says beside it (amount, hash, network,
// expiry) must agree with what was signed, or nothing is paid.
// Source  Lightning charge, client requirements; Lightning session, "Challenge Request"; L402
// protocol.   Thread: pure.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "octroi/bolt11/bolt11.h"
#include "octroi/http/message.h"
#include "octroi/lightning/node.h"
#include "octroi/mpp/challenge.h"
#include "octroi/wallet/errors.h"

namespace octroi::wallet {

/// An L402 or LSAT challenge as a payer needs it. The token is the server's own and is given back
/// as it came; when it is a macaroon of the usual form, its payment hash must be the invoice's.
struct L402Challenge {
  bool lsat = false;
  std::string token;
  std::string invoice;
};

enum class Scheme : std::uint8_t { l402, payment };
[[nodiscard]] std::string_view to_string(Scheme s);

struct Offer {
  Scheme scheme = Scheme::l402;
  std::variant<L402Challenge, mpp::Challenge> challenge;
  std::string invoice_text;
  bolt11::Invoice invoice;  // decoded, signature checked
  Msat amount;              // zero: nothing is asked for but a proof, and there is no invoice
  UnixMillis expires;       // the earlier of challenge and invoice

  [[nodiscard]] bool is_free() const { return amount.is_zero(); }
  /// The field that its proof goes into.
  [[nodiscard]] std::string_view field() const;
};

/// A prepaid session: what one unit costs, and the deposit that begins one or tops one up.
struct SessionOffer {
  mpp::Challenge challenge;
  Sat unit;
  std::optional<Seconds> idle_timeout;
  PaymentHash hash;                        // of the deposit: the id of a session that it opens
  std::string invoice_text;                // empty: nothing can be paid, only shown with a session
  std::optional<bolt11::Invoice> invoice;  // decoded, signature checked
  Msat deposit;
  UnixMillis expires;     // of the challenge: until then it can be shown
  UnixMillis pay_before;  // the earlier of challenge and invoice

  [[nodiscard]] std::string_view field() const;
};

struct ReadOffers {
  std::vector<Offer> offers;           // checked, in the order of the answer
  std::vector<SessionOffer> sessions;  // likewise
  std::vector<std::string> refused;    // why the others are not among them
};
/// Challenges that contradict their invoice are left out, with the reason.
[[nodiscard]] ReadOffers read_offers(const http::Headers& response, UnixMillis now);

/// A challenge of a session as it was stored.
[[nodiscard]] Result<SessionOffer> read_session_offer(mpp::Challenge challenge, UnixMillis now);

/// The value for the Authorization field and the name of the field to use.
struct Proof {
  std::string field;
  Secret value;
};
/// `preimage` is not looked at where nothing was to be paid.
[[nodiscard]] Result<Proof> make_proof(const Offer& offer, const Secret& preimage);
/// `payload_json` is taken and wiped.
[[nodiscard]] Result<Proof> make_proof(const mpp::Challenge& challenge, std::string payload_json);

/// The first of the preferred scheme, else the first; only of those whose proof overwrites no field
/// of the request's own. Null: there is none.
[[nodiscard]] const Offer* choose(const std::vector<Offer>& offers, std::optional<Scheme> prefer,
                                  const http::Headers& own = {});

}  // namespace octroi::wallet
