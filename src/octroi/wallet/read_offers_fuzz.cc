// WWW-Authenticate fields of a hostile service: whatever is offered agrees with a signed invoice,
// and the proof for it is one well-formed field value.
//
// A fuzzer cannot sign, so some bytes stand for parts that are right: 1 an invoice, 2 the macaroon
// for it, 3 a whole Payment challenge over it, 4 that challenge's request parameter, 5 a session's
// challenge with it as the deposit, 6 that one's request parameter.
#include <cstdlib>

#include "octroi/crypto/hash.h"
#include "octroi/l402/mint.h"
#include "octroi/mpp/expiry.h"
#include "octroi/mpp/lightning/charge.h"
#include "octroi/mpp/lightning/session.h"
#include "octroi/wallet/offer.h"

using namespace octroi;
using namespace octroi::wallet;

namespace {

constexpr UnixMillis kNow{1'800'000'000'000};

void require(bool holds) {
  if (!holds) std::abort();
}

struct Parts {
  std::array<std::uint8_t, 32> preimage{};
  std::string invoice;
  std::string macaroon;
  std::string request;
  std::string challenge;
  std::string session_request;
  std::string session;

  Parts() {
    SeededRandom random(1);
    const auto key = crypto::PrivateKey::generate(random);
    preimage = random.bytes<32>();
    bolt11::Invoice i;
    i.network = bolt11::Network::regtest;
    i.created = kNow;
    i.amount = Msat::from_raw_unchecked(10'000);
    i.payment_hash = PaymentHash(crypto::sha256(preimage));
    i.payment_secret = bolt11::PaymentSecret(random.bytes<32>());
    i.description = "fuzz";
    i.expiry = Seconds(900);
    invoice = *bolt11::encode(i, key);
    const auto keys =
        l402::RootKeys::make(Secret(std::string_view("0123456789abcdef0123456789abcdef")));
    l402::TokenTerms terms;
    terms.service = ServiceName("api");
    macaroon = to_base64(*l402::mint(*keys, i.payment_hash, keys->new_token_id(random), terms));
    mpp::lightning::ChargeRequest charge;
    charge.amount = Sat::from_raw_unchecked(10);
    charge.invoice = invoice;
    charge.network = "regtest";
    charge.payment_hash = i.payment_hash;
    request = *mpp::lightning::format_charge_request(charge);
    mpp::Challenge c;
    c.id = "id";
    c.realm = "api.example";
    c.method = "lightning";
    c.intent = "charge";
    c.request = request;
    c.expires = mpp::format_expires(kNow + Millis(600'000));
    challenge = *mpp::format_challenge(c);
    mpp::lightning::SessionRequest prepaid;
    prepaid.amount = Sat::from_raw_unchecked(2);
    prepaid.deposit_invoice = invoice;
    prepaid.payment_hash = i.payment_hash;
    prepaid.deposit_amount = Sat::from_raw_unchecked(10);
    session_request = *mpp::lightning::format_session_request(prepaid);
    c.intent = "session";
    c.request = session_request;
    session = *mpp::format_challenge(c);
  }
};

void check(const Offer& offer, const Secret& preimage) {
  const auto invoice = bolt11::decode(offer.invoice_text);
  require(invoice && invoice->amount && *invoice->amount == offer.amount);
  require(offer.invoice.payment_hash == invoice->payment_hash);
  require(offer.expires > kNow && offer.expires <= invoice->expires());
  if (const auto* challenge = std::get_if<mpp::Challenge>(&offer.challenge)) {
    const auto request = mpp::lightning::parse_charge_request(challenge->request);
    require(request && to_msat(request->amount) == offer.amount);
    require(!request->payment_hash || *request->payment_hash == invoice->payment_hash);
    require(!request->network || *request->network == bolt11::to_string(invoice->network));
  }
  const auto proof = make_proof(offer, preimage);
  if (!proof) return;
  require(proof->field == "Authorization" || proof->field == "Payment-Authorization");
  require(http::is_field_value(proof->value.reveal_text()));
}

void check(const SessionOffer& offer) {
  require(offer.expires > kNow && !offer.unit.is_zero());
  require(offer.invoice.has_value() == !offer.invoice_text.empty());
  if (!offer.invoice) return;
  const auto invoice = bolt11::decode(offer.invoice_text);
  require(invoice && invoice->amount && *invoice->amount == offer.deposit);
  require(invoice->payment_hash == offer.hash && offer.deposit >= to_msat(offer.unit));
  require(offer.pay_before > kNow && offer.pay_before <= invoice->expires());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Parts parts;
  static const Secret preimage{ByteView(parts.preimage)};
  http::Headers headers;
  std::string line;
  for (std::size_t i = 0; i <= size; ++i) {
    if (i == size || data[i] == '\n') {
      headers.add("WWW-Authenticate", line);
      line.clear();
    } else if (data[i] == 1) {
      line += parts.invoice;
    } else if (data[i] == 2) {
      line += parts.macaroon;
    } else if (data[i] == 3) {
      line += parts.challenge;
    } else if (data[i] == 4) {
      line += parts.request;
    } else if (data[i] == 5) {
      line += parts.session;
    } else if (data[i] == 6) {
      line += parts.session_request;
    } else {
      line.push_back(static_cast<char>(data[i]));
    }
  }
  const auto read = read_offers(headers, kNow);
  for (const auto& offer : read.offers) check(offer, preimage);
  for (const auto& session : read.sessions) check(session);
  for (const auto& reason : read.refused) require(!reason.empty());
  require((choose(read.offers, Scheme::payment) == nullptr) == read.offers.empty());
  return 0;
}
