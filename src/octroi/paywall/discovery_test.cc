#include "octroi/paywall/discovery.h"

#include <gtest/gtest.h>

#include "octroi/json/value.h"

namespace octroi::paywall {
namespace {

ServiceSettings service(std::string name, std::string path) {
  ServiceSettings s;
  s.name = ServiceName(std::move(name));
  s.path = std::move(path);
  s.schemes = {OfferScheme::l402, OfferScheme::payment};
  s.price.msat = to_msat(10_sat);
  return s;
}
PaywallSettings with(std::vector<ServiceSettings> services) {
  PaywallSettings p;
  p.realm = "api.example";
  p.services = std::move(services);
  return p;
}
json::Document openapi(const PaywallSettings& p) {
  auto d = json::parse(Discovery(p).openapi());
  EXPECT_TRUE(d) << Discovery(p).openapi();
  return std::move(*d);
}

TEST(Discovery, DescribesWhatIsSold) {
  auto s = service("weather", "^/v1/");
  s.description = "Weather of \"today\"";
  s.methods = {"GET"};
  s.prices = {{"^/v1/forecast$", {"POST"}, {1500_msat, {}}}};
  const auto d = openapi(with({s}));
  EXPECT_EQ(*d.root().string("openapi"), "3.1.0");
  EXPECT_EQ(*d.root().object("info")->string("title"), "api.example");
  EXPECT_TRUE(d.root().object("x-service-info"));
  const auto paths = *d.root().object("paths");
  const auto get = paths.object("/v1/{path}")->object("get");
  ASSERT_TRUE(get);
  EXPECT_EQ(*get->string("summary"), "Weather of \"today\"");
  ASSERT_TRUE(get->object("responses")->object("402"));
  const auto offers = *get->object("x-payment-info")->array("offers");
  int count = 0;
  for (const auto& offer : offers.elements()) {
    ++count;
    EXPECT_EQ(*offer.string("intent"), "charge");
    EXPECT_EQ(*offer.string("method"), "lightning");
    EXPECT_EQ(*offer.string("amount"), "10");
    EXPECT_EQ(*offer.string("currency"), "sat");
  }
  EXPECT_EQ(count, 1);
  EXPECT_FALSE(paths.object("/v1/{path}")->object("post"));
  const auto post = paths.object("/v1/forecast")->object("post");
  ASSERT_TRUE(post);
  EXPECT_TRUE(post->object("requestBody"));
  // Payment charges whole satoshis: what is listed is what will be asked.
  for (const auto& offer : post->object("x-payment-info")->array("offers")->elements()) {
    EXPECT_EQ(*offer.string("amount"), "2");
  }
}

TEST(Discovery, TemplatesDeclareTheirParameter) {
  const auto d = openapi(with({service("a", "^/v1/")}));
  const auto path = *d.root().object("paths")->object("/v1/{path}");
  int declared = 0;
  for (const auto& p : path.array("parameters")->elements()) {
    ++declared;
    EXPECT_EQ(*p.string("name"), "path");
    EXPECT_EQ(*p.string("in"), "path");
    EXPECT_TRUE(*p.boolean("required"));
  }
  EXPECT_EQ(declared, 1);
}

TEST(Discovery, FreeIsNotSoldAndL402HasNoPaymentOffer) {
  auto free = service("free", "^/free$");
  free.auth = false;
  auto l402 = service("l402", "^/l402$");
  l402.schemes = {OfferScheme::l402};
  const auto d = openapi(with({free, l402}));
  const auto paths = *d.root().object("paths");
  const auto unsold = paths.object("/free")->object("get");
  ASSERT_TRUE(unsold);
  EXPECT_FALSE(unsold->object("x-payment-info"));
  EXPECT_FALSE(unsold->object("responses")->object("402"));
  const auto get = paths.object("/l402")->object("get");
  EXPECT_FALSE(get->object("x-payment-info"));
  EXPECT_TRUE(get->object("responses")->object("402"));
}

TEST(Discovery, SessionsAreOffersWithThePriceOfAUnit) {
  auto s = service("prepaid", "^/prepaid$");
  s.intents = {PaymentIntent::charge, PaymentIntent::session};
  s.session.price = Price{to_msat(2_sat), std::nullopt};
  const auto d = openapi(with({s}));
  const auto get = d.root().object("paths")->object("/prepaid")->object("get");
  std::vector<std::pair<std::string, std::string>> listed;
  for (const auto& offer : get->object("x-payment-info")->array("offers")->elements())
    listed.emplace_back(*offer.string("intent"), *offer.string("amount"));
  const std::vector<std::pair<std::string, std::string>> expected = {{"charge", "10"},
                                                                     {"session", "2"}};
  EXPECT_EQ(listed, expected);
  EXPECT_NE(Discovery(with({s})).llms().find("Payment (lightning/session)"), std::string::npos);
}

TEST(Discovery, ASessionTellsWhatItsAmountBuys) {
  struct Row {
    const char* name;
    const char* unit;
    std::uint64_t per;
    std::optional<Price> deposit;
    const char* told;  // unitType per depositAmount
    const char* llms;
  };
  const Price forty{to_msat(40_sat), std::nullopt};
  const std::vector<Row> rows = {
      {"requests", "request", 1, std::nullopt, "request 1 40", "2 sat for each request, from"},
      {"tokens", "token", 1000, std::nullopt, "token 1000 40", "2 sat for 1000 tokens, from"},
      {"a deposit", "chunk", 10, forty, "chunk 10 40", "2 sat for 10 chunks, from a deposit"},
      {"KiB", "KiB", 64, forty, "KiB 64 40", "2 sat for 64 KiB, from a deposit"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    auto s = service("prepaid", "^/prepaid$");
    s.intents = {PaymentIntent::session};
    s.schemes = {OfferScheme::payment};
    s.session.price = Price{to_msat(2_sat), std::nullopt};
    s.session.unit = row.unit;
    s.session.per = row.per;
    s.session.deposit = row.deposit;
    const auto d = openapi(with({s}));
    const auto get = d.root().object("paths")->object("/prepaid")->object("get");
    for (const auto& offer : get->object("x-payment-info")->array("offers")->elements()) {
      EXPECT_EQ(fmt::format("{} {} {}", *offer.string("unitType"), *offer.uint64("per"),
                            *offer.string("depositAmount")),
                row.told);
    }
    const std::string llms = Discovery(with({s})).llms();
    EXPECT_NE(llms.find(row.llms), std::string::npos) << llms;
    EXPECT_EQ(llms.find("lightning/charge"), std::string::npos) << "it sells no single requests";
  }
}

// Nothing is to be paid, but a proof is asked for.
TEST(Discovery, AZeroPriceIsAnOffer) {
  auto zero = service("zero", "^/zero$");
  zero.price.msat = 0_msat;
  const auto d = openapi(with({zero}));
  const auto get = d.root().object("paths")->object("/zero")->object("get");
  EXPECT_TRUE(get->object("responses")->object("402"));
  const auto offers = get->object("x-payment-info")->array("offers");
  ASSERT_TRUE(offers);
  EXPECT_EQ(*(*offers->elements().begin()).string("amount"), "0");
}

TEST(Discovery, AQuotedPriceHasNoAmount) {
  auto s = service("quoted", "^/quoted$");
  s.price_source = "prices";
  const Discovery made(with({s}));
  const auto d = json::parse(made.openapi());
  const auto offers = d->root()
                          .object("paths")
                          ->object("/quoted")
                          ->object("get")
                          ->object("x-payment-info")
                          ->array("offers");
  ASSERT_TRUE(offers);
  EXPECT_TRUE((*offers->elements().begin()).find("amount")->is_null());
  EXPECT_NE(made.llms().find("quoted for each request"), std::string::npos) << made.llms();
}

TEST(Discovery, ADynamicPriceHasNoAmount) {
  auto s = service("usd", "^/usd$");
  s.price = {.msat = {}, .usd = 1_usd};
  const auto d = openapi(with({s}));
  const auto get = d.root().object("paths")->object("/usd")->object("get");
  for (const auto& offer : get->object("x-payment-info")->array("offers")->elements()) {
    EXPECT_FALSE(offer.string("amount"));
    ASSERT_TRUE(offer.member("amount"));
    EXPECT_TRUE(offer.member("amount")->is_null());
  }
}

TEST(Discovery, WhatIsNotListedIsNowhere) {
  auto open = service("open", "^/open$");
  auto hidden = service("hidden", "^/hidden$");
  hidden.discovery = false;
  hidden.description = "internal";
  const Discovery d(with({open, hidden}));
  EXPECT_EQ(d.openapi().find("hidden"), std::string::npos);
  EXPECT_EQ(d.openapi().find("internal"), std::string::npos);
  EXPECT_EQ(d.llms().find("hidden"), std::string::npos);
  EXPECT_NE(d.llms().find("open"), std::string::npos);
  const Discovery nothing(with({hidden}));
  EXPECT_EQ(nothing.openapi(), "");
  EXPECT_EQ(nothing.llms(), "");
}

TEST(Discovery, ShowsNoHeaderSecretsAndNoUpstream) {
  auto s = service("s", "^/s$");
  s.upstream.addresses = {{"internal-host"}};
  s.headers = {{"X-Key", std::make_shared<Secret>(std::string_view("hunter2hunter2"))}};
  const Discovery d(with({s}));
  for (const auto& text : {d.openapi(), d.llms()}) {
    EXPECT_EQ(text.find("internal-host"), std::string::npos);
    EXPECT_EQ(text.find("hunter2"), std::string::npos);
    EXPECT_EQ(text.find("X-Key"), std::string::npos);
  }
}

TEST(Discovery, LlmsTextNamesPricesAndSchemes) {
  auto s = service("weather", "^/v1/");
  s.description = "Forecasts";
  s.prices = {{"^/v1/dear", {}, {to_msat(50_sat), {}}}};
  auto free = service("status", "^/status$");
  free.auth = false;
  const Discovery d(with({s, free}));
  EXPECT_TRUE(d.llms().starts_with("# api.example\n"));
  for (const char* part :
       {"weather: Forecasts", "50 sat", "10 sat by L402, Payment", "/status: free"}) {
    EXPECT_NE(d.llms().find(part), std::string::npos) << part << "\n" << d.llms();
  }
}

TEST(Discovery, LlmsTextSaysWhatACountedTokenHolds) {
  auto chat = service("chat", "^/v1/");
  chat.token.meter = MeterSettings{"token", 1000, 100, std::nullopt};
  auto files = service("files", "^/files/");
  files.token.meter = MeterSettings{"KiB", 1024, std::nullopt, Price{to_msat(10_sat), {}}};
  auto one = service("one", "^/one/");
  one.token.meter = MeterSettings{"request", 1, 1, std::nullopt};
  const Discovery d(with({chat, files, one}));
  for (const char* part :
       {"by L402 (a token holds 100000 tokens), Payment",
        "by L402 (a token holds 1024 KiB for each 10 sat)", "by L402 (a token holds 1 request)"}) {
    EXPECT_NE(d.llms().find(part), std::string::npos) << part << "\n" << d.llms();
  }
}

TEST(Discovery, AnEarlierServiceKeepsItsPath) {
  auto first = service("first", "^/same$");
  auto second = service("second", "^/same$");
  second.price.msat = to_msat(99_sat);
  const auto d = openapi(with({first, second}));
  const auto get = d.root().object("paths")->object("/same")->object("get");
  for (const auto& offer : get->object("x-payment-info")->array("offers")->elements()) {
    EXPECT_EQ(*offer.string("amount"), "10");
  }
}

}  // namespace
}  // namespace octroi::paywall
