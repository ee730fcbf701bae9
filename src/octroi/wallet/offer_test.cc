#include "octroi/wallet/offer.h"

#include <gtest/gtest.h>

#include "octroi/crypto/hash.h"
#include "octroi/l402/header.h"
#include "octroi/l402/mint.h"
#include "octroi/mpp/credential.h"
#include "octroi/mpp/expiry.h"
#include "octroi/mpp/lightning/charge.h"
#include "octroi/mpp/lightning/session.h"

namespace octroi::wallet {
namespace {

constexpr UnixMillis kNow{1'800'000'000'000};

/// Where a service contradicts itself.
struct Lie {
  std::optional<Sat> amount = std::nullopt;
  std::optional<PaymentHash> hash = std::nullopt;
  std::optional<std::string> network = std::nullopt;
  std::optional<std::string> expires = std::nullopt;
  bool amountless = false;
  Millis invoice_age{0};
  bool names_hash = true;
  std::string method = "lightning";
  std::string intent = "charge";
};

/// Makes challenges the way an honest service does; each test then lies in one place.
class OfferTest : public testing::Test {
 protected:
  PaymentHash next_hash() {
    preimage = random_.bytes<32>();
    return PaymentHash(crypto::sha256(preimage));
  }
  std::string invoice(const PaymentHash& hash, const Lie& lie = {}, Msat amount = to_msat(10_sat)) {
    bolt11::Invoice i;
    i.network = bolt11::Network::regtest;
    i.created = kNow - lie.invoice_age;
    if (!lie.amountless) i.amount = amount;
    i.payment_hash = hash;
    i.payment_secret = bolt11::PaymentSecret(random_.bytes<32>());
    i.description = "test";
    i.expiry = Seconds(900);
    auto text = bolt11::encode(i, key_);
    EXPECT_TRUE(text);
    return *text;
  }
  std::string l402(const PaymentHash& in_macaroon, const std::string& invoice_text,
                   l402::SchemeName scheme = l402::SchemeName::l402) {
    const auto keys =
        l402::RootKeys::make(Secret(std::string_view("0123456789abcdef0123456789abcdef")));
    l402::TokenTerms terms;
    terms.service = ServiceName("api");
    const auto macaroon = l402::mint(*keys, in_macaroon, keys->new_token_id(random_), terms);
    EXPECT_TRUE(macaroon) << macaroon.error().message();
    if (!macaroon) return {};
    return l402::format_challenge(scheme, *macaroon, invoice_text);
  }
  std::string l402() {
    const auto hash = next_hash();
    return l402(hash, invoice(hash));
  }
  std::string payment(const Lie& lie = {}) {
    const auto hash = next_hash();
    mpp::lightning::ChargeRequest request;
    request.amount = lie.amount.value_or(10_sat);
    request.invoice = invoice(hash, lie);
    request.network = lie.network.value_or("regtest");
    if (lie.names_hash) request.payment_hash = lie.hash.value_or(hash);
    mpp::Challenge c;
    c.id = "id-of-the-challenge";
    c.realm = "api.example";
    c.method = lie.method;
    c.intent = lie.intent;
    c.request = *mpp::lightning::format_charge_request(request);
    c.expires = lie.expires.value_or(mpp::format_expires(kNow + Millis(600'000)));
    return *mpp::format_challenge(c);
  }
  /// A session of 2 sat a unit with a deposit of 10 sat.
  std::string session(const Lie& lie = {}, Sat unit = 2_sat,
                      std::optional<Sat> says_deposit = 10_sat) {
    const auto hash = next_hash();
    mpp::lightning::SessionRequest request;
    request.amount = unit;
    request.deposit_invoice = invoice(hash, lie);
    request.payment_hash = lie.hash.value_or(hash);
    request.deposit_amount = says_deposit;
    request.idle_timeout = Seconds(300);
    mpp::Challenge c;
    c.id = "id-of-the-challenge";
    c.realm = "api.example";
    c.method = "lightning";
    c.intent = "session";
    c.request = *mpp::lightning::format_session_request(request);
    c.expires = lie.expires.value_or(mpp::format_expires(kNow + Millis(600'000)));
    return *mpp::format_challenge(c);
  }
  static ReadOffers read(std::initializer_list<std::string> lines) {
    http::Headers h;
    for (const auto& line : lines) EXPECT_TRUE(h.add("WWW-Authenticate", line));
    return read_offers(h, kNow);
  }

  std::array<std::uint8_t, 32> preimage{};

 private:
  SeededRandom random_{3};
  crypto::PrivateKey key_ = crypto::PrivateKey::generate(random_);
};

TEST_F(OfferTest, HonestOnesAreRead) {
  const auto payment_line = payment();
  const auto l402_line = l402();
  const auto got = read({l402_line, payment_line});
  ASSERT_EQ(got.offers.size(), 2U);
  EXPECT_TRUE(got.refused.empty());
  EXPECT_EQ(got.offers[0].scheme, Scheme::l402);
  EXPECT_EQ(got.offers[1].scheme, Scheme::payment);
  for (const auto& offer : got.offers) EXPECT_EQ(offer.amount, to_msat(10_sat));
  EXPECT_EQ(got.offers[0].expires, kNow + Millis(900'000));
  EXPECT_EQ(got.offers[1].expires, kNow + Millis(600'000));  // the earlier of the two
}

TEST_F(OfferTest, WhatContradictsItsInvoiceIsRefusedWithTheReason) {
  struct Row {
    const char* name;
    Lie lie;
    const char* says;
  };
  const Row rows[] = {
      {"a smaller amount", {.amount = 9_sat}, "9 sat"},
      {"a larger amount", {.amount = 11_sat}, "11 sat"},
      {"another hash", {.hash = PaymentHash(crypto::sha256(as_bytes("x")))}, "payment hash"},
      {"another network", {.network = "mainnet"}, "mainnet"},
      {"no amount", {.amountless = true}, "no amount"},
      {"an expired invoice", {.invoice_age = Millis(900'000)}, "expired"},
      {"an invoice about to expire", {.invoice_age = Millis(891'000)}, "about to"},
      {"an expired challenge", {.expires = mpp::format_expires(kNow - Millis(1'000))}, "expired"},
      {"a challenge about to expire",
       {.expires = mpp::format_expires(kNow + Millis(5'000))},
       "about to"},
      {"another method", {.method = "tempo"}, "lightning/charge"},
      {"another intent", {.intent = "subscription"}, "lightning/charge"},
      {"a charge that calls itself a session", {.intent = "session"}, "paymentHash"},
  };
  for (const auto& row : rows) {
    const auto got = read({payment(row.lie)});
    EXPECT_TRUE(got.offers.empty()) << row.name;
    ASSERT_EQ(got.refused.size(), 1U) << row.name;
    EXPECT_NE(got.refused[0].find(row.says), std::string::npos)
        << row.name << ": " << got.refused[0];
  }
  EXPECT_EQ(read({payment({.invoice_age = Millis(880'000)})}).offers.size(), 1U);
  EXPECT_EQ(read({payment({.names_hash = false})}).offers.size(), 1U);
}

TEST_F(OfferTest, SessionsAreReadBesideTheOthers) {
  const auto got = read({payment(), session(), session({}, 2_sat, std::nullopt)});
  EXPECT_EQ(got.offers.size(), 1U);
  EXPECT_TRUE(got.refused.empty());
  ASSERT_EQ(got.sessions.size(), 2U);
  for (const auto& s : got.sessions) {
    EXPECT_EQ(s.unit, 2_sat);
    EXPECT_EQ(s.deposit, to_msat(10_sat));
    EXPECT_EQ(s.idle_timeout, Seconds(300));
    ASSERT_TRUE(s.invoice);
    EXPECT_EQ(s.hash, s.invoice->payment_hash);
    EXPECT_EQ(s.expires, kNow + Millis(600'000));
    EXPECT_EQ(s.field(), "Authorization");
  }
}

TEST_F(OfferTest, ASessionThatContradictsItsDepositIsRefused) {
  struct Row {
    const char* name;
    std::string line;
    const char* says;
  };
  const Row rows[] = {
      {"a smaller deposit", session({}, 2_sat, 9_sat), "9 sat"},
      {"a larger deposit", session({}, 2_sat, 11_sat), "11 sat"},
      {"another hash", session({.hash = PaymentHash(crypto::sha256(as_bytes("x")))}), "hash"},
      {"a deposit below one unit", session({}, 11_sat, std::nullopt), "one unit"},
      {"an expired challenge", session({.expires = mpp::format_expires(kNow)}), "expired"},
  };
  for (const auto& row : rows) {
    const auto got = read({row.line});
    EXPECT_TRUE(got.sessions.empty()) << row.name;
    ASSERT_EQ(got.refused.size(), 1U) << row.name;
    EXPECT_NE(got.refused[0].find(row.says), std::string::npos)
        << row.name << ": " << got.refused[0];
  }
}

TEST_F(OfferTest, ASessionWhoseDepositCannotBePaidCanStillBeShown) {
  struct Row {
    const char* name;
    std::string line;
  };
  const Row rows[] = {
      {"an expired invoice", session({.invoice_age = Millis(900'000)})},
      {"an invoice about to expire", session({.invoice_age = Millis(895'000)})},
      {"no amount", session({.amountless = true})},
      {"a challenge about to expire",
       session({.expires = mpp::format_expires(kNow + Millis(5'000))})},
  };
  for (const auto& row : rows) {
    const auto got = read({row.line});
    ASSERT_EQ(got.sessions.size(), 1U) << row.name;
    EXPECT_FALSE(got.sessions[0].invoice) << row.name;
    EXPECT_TRUE(got.sessions[0].invoice_text.empty()) << row.name;
  }
}

TEST_F(OfferTest, AnL402TokenIsForItsInvoice) {
  const auto hash = next_hash();
  const auto other = next_hash();
  auto got = read({l402(hash, invoice(other))});
  EXPECT_TRUE(got.offers.empty());
  ASSERT_EQ(got.refused.size(), 1U);
  EXPECT_NE(got.refused[0].find("payment hash"), std::string::npos);
  EXPECT_TRUE(read({l402(hash, invoice(hash, {.amountless = true}))}).offers.empty());
  EXPECT_TRUE(read({l402(hash, invoice(hash, {.invoice_age = Millis(895'000)}))}).offers.empty());
  EXPECT_TRUE(read({l402(hash, "lnbcrt1nonsense")}).offers.empty());
  // A token of another kind says nothing that could contradict.
  got = read({"L402 macaroon=\"opaque-token.1\", invoice=\"" + invoice(hash) + "\""});
  ASSERT_EQ(got.offers.size(), 1U);
  EXPECT_TRUE(read({"L402 macaroon=\"a:b\", invoice=\"" + invoice(hash) + "\""}).offers.empty());
  EXPECT_TRUE(read({"L402 invoice=\"" + invoice(hash) + "\""}).offers.empty());
}

TEST_F(OfferTest, OneInvoiceUnderTwoNamesIsOneOffer) {
  const auto hash = next_hash();
  const auto text = invoice(hash);
  const auto got = read({l402(hash, text), l402(hash, text, l402::SchemeName::lsat), l402()});
  EXPECT_EQ(got.offers.size(), 2U);
}

TEST_F(OfferTest, ChallengesStandAnywhere) {
  const auto a = l402();
  const auto b = payment();
  struct Row {
    const char* name;
    std::vector<std::string> lines;
    std::size_t offers;
  };
  const Row rows[] = {
      {"one line each", {a, b}, 2},
      {"all on one line", {a + ", " + b}, 2},
      {"the other way round", {b + ", " + a}, 2},
      {"others between", {"Basic realm=\"x\", " + b + ", Bearer", "Digest nonce=\"1\", " + a}, 2},
      {"the same line twice", {a, b, a, b}, 2},
      {"scheme in other case", {"payMENT" + b.substr(7), "l402" + a.substr(4)}, 2},
      {"none", {"Basic realm=\"x\""}, 0},
      {"inside a quoted string", {"Basic realm=\"Payment id=1\""}, 0},
  };
  for (const auto& row : rows) {
    http::Headers h;
    for (const auto& line : row.lines) h.add("www-authenticate", line);
    EXPECT_EQ(read_offers(h, kNow).offers.size(), row.offers) << row.name;
  }
  EXPECT_TRUE(read_offers({}, kNow).offers.empty());
}

TEST_F(OfferTest, OneBadChallengeLeavesTheOthers) {
  const auto got = read({payment({.amount = 1_sat}), l402(), "Payment id=\"x\"", "L402"});
  EXPECT_EQ(got.offers.size(), 1U);
  EXPECT_EQ(got.offers[0].scheme, Scheme::l402);
  EXPECT_GE(got.refused.size(), 1U);
}

TEST_F(OfferTest, ChoosesThePreferredElseTheFirst) {
  auto got = read({l402(), payment()});
  EXPECT_EQ(choose({}, Scheme::l402), nullptr);
  EXPECT_EQ(choose(got.offers, std::nullopt), &got.offers[0]);
  EXPECT_EQ(choose(got.offers, Scheme::payment), &got.offers[1]);
  got.offers.pop_back();
  EXPECT_EQ(choose(got.offers, Scheme::payment), &got.offers[0]);
}

TEST_F(OfferTest, ProofsGoWhereTheChallengeSays) {
  const auto text = payment();
  auto got = read({text});
  const Secret secret{ByteView(preimage)};
  auto proof = make_proof(got.offers[0], secret);
  ASSERT_TRUE(proof);
  EXPECT_EQ(proof->field, "Authorization");
  const auto credential = mpp::parse_credential(proof->value.reveal_text());
  ASSERT_TRUE(credential);
  EXPECT_EQ(credential->challenge().id, "id-of-the-challenge");
  EXPECT_TRUE(mpp::lightning::parse_preimage(credential->payload())->equals(secret));
  std::get<mpp::Challenge>(got.offers[0].challenge).header = "Payment-Authorization";
  EXPECT_EQ(make_proof(got.offers[0], secret)->field, "Payment-Authorization");

  const auto hash = next_hash();
  for (const auto scheme : {l402::SchemeName::l402, l402::SchemeName::lsat}) {
    const auto line = l402(hash, invoice(hash), scheme);
    const auto offers = read({line});
    proof = make_proof(offers.offers[0], Secret(ByteView(preimage)));
    ASSERT_TRUE(proof);
    EXPECT_TRUE(proof->value.reveal_text().starts_with(line.substr(0, 5)));
    const std::array<std::string_view, 1> lines = {proof->value.reveal_text()};
    const auto parsed = l402::parse_credential({lines, {}, {}});
    ASSERT_TRUE(parsed && *parsed);
    EXPECT_EQ((*parsed)->id.hash, hash);
  }
}

}  // namespace
}  // namespace octroi::wallet
