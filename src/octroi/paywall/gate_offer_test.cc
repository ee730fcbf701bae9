// What a 402 of the gate says, and when there is none.
#include "octroi/bolt11/bolt11.h"
#include "octroi/mpp/expiry.h"
#include "octroi/paywall/gate_fixture.h"

namespace octroi::paywall {
namespace {

using fixture::GateTest;
class Offers : public GateTest {};

std::vector<std::string> schemes(const http::Response& r) {
  std::vector<std::string> out;
  for (auto line : r.headers.all("WWW-Authenticate")) {
    out.emplace_back(line.substr(0, line.find(' ')));
  }
  return out;
}
using Names = std::vector<std::string>;

TEST_F(Offers, StandInTheOrderThatClientsExpect) {
  start(service());
  const auto r = get();
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(schemes(r), (Names{"L402", "LSAT", "Payment"}));
  EXPECT_EQ(field(r, "Cache-Control"), "no-store");
  EXPECT_EQ(field(r, "Content-Type"), "application/problem+json");
  EXPECT_EQ(problem(r), "payment-required");
  EXPECT_FALSE(r.headers.has("Payment-Receipt"));
  EXPECT_TRUE(seen.empty());
  // L402 and LSAT are one offer, Payment another with an invoice of its own.
  const auto lsat = l402::parse_challenges(line_of(r, "LSAT"));
  ASSERT_EQ(lsat.size(), 1U);
  EXPECT_EQ(invoices.calls, 2);
  const auto l402 = l402::parse_challenges(line_of(r, "L402"));
  ASSERT_EQ(l402.size(), 1U);
  const auto payment = *payment_of(r);
  EXPECT_EQ(l402[0].macaroon, lsat[0].macaroon);
  EXPECT_EQ(l402[0].invoice, lsat[0].invoice);
  EXPECT_NE(l402[0].id.hash, hash_of(payment));
  const auto invoice = bolt11::decode(l402[0].invoice);
  ASSERT_TRUE(invoice);
  EXPECT_EQ(invoice->payment_hash, l402[0].id.hash);
  EXPECT_EQ(*invoice->amount, to_msat(10_sat));
  EXPECT_EQ(payment.realm, "api.example");
  EXPECT_FALSE(payment.header);
  EXPECT_FALSE(payment.opaque);
  EXPECT_FALSE(payment.digest);
  EXPECT_EQ(mpp::parse_expires(*payment.expires)->value, (clock.now() + Millis(900'000)).value);
  // Each offer is a row, and neither row is a payment.
  ASSERT_EQ(rows.records.size(), 2U);
  EXPECT_EQ(rows.records[0].scheme, ledger::Scheme::l402);
  EXPECT_EQ(rows.records[1].scheme, ledger::Scheme::mpp_charge);
  EXPECT_EQ(rows.records[1].challenge_id, payment.id);
}

TEST_F(Offers, OnlyWhatTheServiceAccepts) {
  auto l402 = service("l402");
  l402.path = "^/l402";
  l402.schemes = {OfferScheme::l402};
  auto bare = service("bare");
  bare.path = "^/bare";
  bare.schemes = {OfferScheme::l402};
  bare.lsat = false;
  auto payment = service("payment");
  payment.path = "^/payment";
  payment.schemes = {OfferScheme::payment};
  start(with({l402, bare, payment}));
  EXPECT_EQ(schemes(get("/l402")), (Names{"L402", "LSAT"}));
  EXPECT_EQ(schemes(get("/bare")), (Names{"L402"}));
  EXPECT_EQ(schemes(get("/payment")), (Names{"Payment"}));
  // Without a Payment offer the body is for people.
  const auto plain = get("/l402");
  EXPECT_EQ(plain.body, "payment required\n");
  EXPECT_EQ(field(plain, "Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(field(plain, "Cache-Control"), "no-store");
  // What is not offered is not accepted either.
  const auto token = buy_token({.target = "/l402"});
  EXPECT_EQ(get("/payment", {{"Authorization", token}}).status, 402);
  const auto proof = buy({.target = "/payment"});
  EXPECT_EQ(get("/l402", {{"Authorization", proof}}).status, 402);
  EXPECT_TRUE(seen.empty());
}

TEST_F(Offers, EveryUnpaidRequestGetsAFreshOne) {
  start(service());
  const auto first = get();
  const auto second = get();
  EXPECT_NE(line_of(first, "L402"), line_of(second, "L402"));
  EXPECT_NE(line_of(first, "Payment"), line_of(second, "Payment"));
  EXPECT_EQ(invoices.calls, 4);
}

TEST_F(Offers, AcceptPaymentLeavesSchemesOut) {
  auto only = service("only");
  only.path = "^/only";
  only.schemes = {OfferScheme::payment};
  start(with({only, service()}));
  EXPECT_EQ(schemes(get("/v1/data", {{"Accept-Payment", "lightning/charge"}})),
            (Names{"L402", "LSAT", "Payment"}));
  EXPECT_EQ(schemes(get("/v1/data", {{"Accept-Payment", "tempo/charge"}})),
            (Names{"L402", "LSAT"}));
  EXPECT_EQ(schemes(get("/v1/data", {{"Accept-Payment", "*/*;q=0"}})), (Names{"L402", "LSAT"}));
  // Nothing else to offer: the price is told all the same.
  EXPECT_EQ(schemes(get("/only", {{"Accept-Payment", "tempo/charge"}})), (Names{"Payment"}));
  EXPECT_EQ(schemes(get("/v1/data", {{"Accept-Payment", "((("}})),
            (Names{"L402", "LSAT", "Payment"}));
}

TEST_F(Offers, OneSchemeThatFailsLeavesTheOther) {
  start(service());
  invoices.fails = [](int call) { return call == 1; };
  auto r = get();
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(schemes(r), (Names{"Payment"}));
  EXPECT_EQ(metrics.counter("octroi_offers_failed_total", "", {{"scheme", "l402"}}).value(), 1);
  invoices.fails = [](int call) { return call == 4; };
  r = get();
  EXPECT_EQ(schemes(r), (Names{"L402", "LSAT"}));
  EXPECT_EQ(r.body, "payment required\n");
  EXPECT_EQ(metrics.counter("octroi_offers_failed_total", "", {{"scheme", "payment"}}).value(), 1);
}

TEST_F(Offers, NoNodeIsAnOutageAndNotAFreeService) {
  auto p = with({service()});
  p.max_unpaid = 2;
  start(p);
  invoices.fails = [](int) { return true; };
  for (int i = 0; i < 5; ++i) {  // a failure holds no place under the bound
    const auto r = get();
    EXPECT_EQ(r.status, 503);
    EXPECT_EQ(problem(r), "internal-payment-error");
    EXPECT_TRUE(r.headers.has("Retry-After"));
    EXPECT_FALSE(r.headers.has("WWW-Authenticate"));
  }
  EXPECT_TRUE(seen.empty());
  invoices.fails = [](int) { return false; };
  EXPECT_EQ(get().status, 402);
}

TEST_F(Offers, TheBoundOnUnpaidOnesIsExact) {
  auto p = with({service()});
  p.max_unpaid = 3;
  start(p);
  std::vector<http::Response> got;
  for (int i = 0; i < 3; ++i) got.push_back(get());
  for (const auto& r : got) EXPECT_EQ(r.status, 402);
  const auto full = get();
  EXPECT_EQ(full.status, 429);
  EXPECT_EQ(field(full, "Retry-After"), "900");
  EXPECT_EQ(invoices.calls, 6);
  // Paying one frees the place of its scheme.
  EXPECT_EQ(get("/v1/data", {{"Authorization", proof(got[0])}}).status, 200);
  EXPECT_EQ(schemes(get()), (Names{"Payment"}));
  EXPECT_EQ(get().status, 429);
  // So does time.
  clock.advance(Millis(900'000));
  EXPECT_EQ(schemes(get()), (Names{"L402", "LSAT", "Payment"}));
}

TEST_F(Offers, TenThousandUnpaidRequestsMakeNoMoreInvoicesThanTheBound) {
  auto p = with({service()});
  p.max_unpaid = 4;
  start(p);
  for (int i = 0; i < 500; ++i) {
    const auto r = get();
    ASSERT_TRUE(r.status == 402 || r.status == 429);
  }
  EXPECT_EQ(invoices.calls, 8);
}

TEST_F(Offers, ClientsAreCountedByTheAddressTheProxyTells) {
  auto p = with({service()});
  p.max_unpaid = 1;
  p.trusted_proxies = {*net::Cidr::parse("127.0.0.1")};
  start(p);
  const auto from = [&](const char* forwarded) {
    return get("/v1/data", {{"X-Forwarded-For", forwarded}}).status;
  };
  EXPECT_EQ(from("192.0.2.1"), 402);
  EXPECT_EQ(from("192.0.2.1"), 429);
  EXPECT_EQ(from("8.8.8.8, 192.0.2.1"), 429);
  EXPECT_EQ(from("192.0.2.2"), 402);
  EXPECT_EQ(from("2001:db8::1"), 402);
  EXPECT_EQ(from("2001:db8::2"), 429);  // the same /64
  EXPECT_EQ(from("2001:db8:0:1::2"), 402);
}

TEST_F(Offers, WithoutProxiesTheFieldIsNotBelieved) {
  auto p = with({service()});
  p.max_unpaid = 1;
  start(p);
  EXPECT_EQ(get("/v1/data", {{"X-Forwarded-For", "192.0.2.1"}}).status, 402);
  EXPECT_EQ(get("/v1/data", {{"X-Forwarded-For", "192.0.2.2"}}).status, 429);
}

TEST_F(Offers, BodiesAreBoundWhereThereAreAny) {
  start(service());
  EXPECT_FALSE(payment_of(get())->digest);
  const auto r = post("{\"a\":1}");
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(*payment_of(r)->digest, mpp::format_digest(as_bytes("{\"a\":1}")));
  EXPECT_EQ(*payment_of(ask({.method = "PUT", .body = "x"}))->digest,
            mpp::format_digest(as_bytes("x")));
  EXPECT_EQ(*payment_of(post(""))->digest, mpp::format_digest(ByteView{}));
  EXPECT_FALSE(payment_of(ask({.method = "DELETE"}))->digest);
}

TEST_F(Offers, OptionalParametersOnlyWhereConfigured) {
  auto s = service();
  s.opaque = true;
  s.payment_header = true;
  s.description = "A \"day\" of data";
  start(s);
  const auto c = *payment_of(get());
  EXPECT_TRUE(c.opaque);
  EXPECT_EQ(*c.header, "Payment-Authorization");
  EXPECT_EQ(*c.description, "A \"day\" of data");
}

TEST_F(Offers, MillisatoshisAreRoundedUpForPayment) {
  auto s = service();
  s.price.msat = 1500_msat;
  start(s);
  const auto r = get();
  const auto l402 = bolt11::decode(l402::parse_challenges(line_of(r, "L402"))[0].invoice);
  EXPECT_EQ(*l402->amount, 1500_msat);
  const auto request = mpp::lightning::parse_charge_request(payment_of(r)->request);
  EXPECT_EQ(request->amount, 2_sat);
  EXPECT_EQ(*bolt11::decode(request->invoice)->amount, 2000_msat);
}

TEST_F(Offers, DollarsNeedAFreshRate) {
  auto s = service();
  s.price = {{}, 1_usd};
  auto p = with({s});
  start(p);
  auto r = get();
  EXPECT_EQ(r.status, 503);  // no rate at all: not free
  EXPECT_TRUE(seen.empty());
  p.rate = Rate{100'000_usd, clock.now(), Millis(60'000)};
  publish(p);
  r = get();
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(mpp::lightning::parse_charge_request(payment_of(r)->request)->amount, 1000_sat);
  clock.advance(Millis(60'001));
  r = get();
  EXPECT_EQ(r.status, 503);
  EXPECT_TRUE(r.headers.has("Retry-After"));
  EXPECT_TRUE(seen.empty());
}

TEST_F(Offers, NeverOutliveTheirInvoice) {
  start(service());
  invoices.expiry = Millis(60'000);
  EXPECT_EQ(mpp::parse_expires(*payment_of(get())->expires)->value,
            (clock.now() + Millis(60'000)).value);
}

TEST_F(Offers, ForGrpcCallersAreGrpcAnswers) {
  start(service());
  const auto r = ask({.method = "POST", .fields = {{"Content-Type", "application/grpc"}}});
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(field(r, "grpc-status"), "13");
  EXPECT_EQ(field(r, "grpc-message"), "payment required");
  EXPECT_EQ(schemes(r), (Names{"L402", "LSAT", "Payment"}));
  EXPECT_EQ(field(r, "Cache-Control"), "no-store");
  EXPECT_EQ(r.body, "");
  EXPECT_TRUE(seen.empty());
}

TEST_F(Offers, HeadGetsTheChallengeWithoutABody) {
  start(service());
  const auto r = ask({.method = "HEAD"});
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(schemes(r), (Names{"L402", "LSAT", "Payment"}));
  EXPECT_EQ(r.body, "");
}

TEST_F(Offers, AreNeverMadeOnPathsWithoutInvoices) {
  auto s = service();
  s.no_invoice_paths = {"^/v1/poll"};
  start(s);
  const auto r = get("/v1/poll");
  EXPECT_EQ(r.status, 401);
  EXPECT_EQ(invoices.calls, 0);
  EXPECT_FALSE(r.headers.has("Payment-Receipt"));
  // A token bought elsewhere on the service opens it.
  const auto token = buy_token();
  EXPECT_EQ(get("/v1/poll", {{"Authorization", token}}).status, 200);
  // Hiding the path behind another spelling does not get around it.
  EXPECT_EQ(get("/v1/x/%2e%2e/poll").status, 401);
  EXPECT_EQ(get("//v1//p%6fll").status, 401);
}

TEST_F(Offers, MayBeLimitedToo) {
  auto s = service();
  s.rate_limits = {{"", 2, Millis(60'000), 0, CountBy::token}};
  start(s);
  EXPECT_EQ(get().status, 402);
  EXPECT_EQ(get().status, 402);
  const auto r = get();
  EXPECT_EQ(r.status, 429);
  EXPECT_EQ(field(r, "Retry-After"), "30");
  EXPECT_EQ(invoices.calls, 4);
}

}  // namespace
}  // namespace octroi::paywall
