// Both ends of the protocol against each other, over sockets, in each way of speaking it.
#include <array>

#include <gtest/gtest.h>

#include "octroi/adapters/pricer/grpc_frame.h"
#include "octroi/adapters/pricer/price_service.h"
#include "octroi/adapters/pricer/remote.h"
#include "octroi/ledger/memory_store.h"
#include "octroi/net/run_until.h"
#include "octroi/pricing/currency.h"

namespace octroi::pricer {
namespace {

using pricing::Errc;

TokenId token_of(std::uint8_t n) {
  std::array<std::uint8_t, 32> raw{};
  raw[3] = n;
  return TokenId(raw);
}

// --- messages

Ask whole_ask() {
  Ask a;
  a.path = "/v1/chat";
  a.http_request_text = "GET / HTTP/1.1\r\n\r\n\"";
  a.service_name = "chat";
  a.token_id = std::string(64, 'a');
  a.session_id = std::string(64, 'b');
  a.price_sats = 7;
  a.http_status = 499;
  a.content_type = "text/event-stream";
  a.content_encoding = "identity";
  a.complete = true;
  a.response_tail = std::string("\0\xff", 2);
  a.reserved_estimate = -5;
  a.estimate_sats = 2'100'000'000'000'000;
  return a;
}

TEST(Wire, BothCodecsSayTheSame) {
  for (const Call call : kCalls) {
    const auto json = json_codec().read_ask(call, json_codec().write(call, whole_ask()));
    const auto proto = proto_codec().read_ask(call, proto_codec().write(call, whole_ask()));
    ASSERT_TRUE(json && proto) << to_string(call);
    Ask seen = *json;
    // GetPrice over gRPC has no room for it.
    if (call == Call::price) seen.service_name.clear();
    EXPECT_EQ(seen, *proto) << to_string(call);
    const Reply reply{7, true, "why", 1, 2, 3, 4, 5, 6};
    EXPECT_EQ(*json_codec().read_reply(call, json_codec().write(call, reply)),
              *proto_codec().read_reply(call, proto_codec().write(call, reply)))
        << to_string(call);
  }
}

TEST(Wire, JsonIsReadAsProtocolBuffersWriteIt) {
  EXPECT_EQ(json_codec().read_reply(Call::price, R"({"priceSats":"12"})")->price_sats, 12);
  EXPECT_EQ(json_codec().read_reply(Call::price, R"({"price_sats":"-12"})")->price_sats, -12);
  for (const char* text : {"", "[]", "{}", R"({"price_sats":1.5})", R"({"price_sats":"1 sat"})",
                           R"({"price_sats":null})", R"({"price_sats":"99999999999999999999"})",
                           R"({"price_sats":1,"price_sats":2})", R"({"price_sats":"-"})"}) {
    const auto read = json_codec().read_reply(Call::price, text);
    EXPECT_TRUE(!read && read.error().is(Errc::unavailable)) << text;
  }
  EXPECT_FALSE(json_codec().read_reply(Call::authorize, "{}"));
  EXPECT_FALSE(json_codec().read_ask(Call::usage, R"({"response_tail":"***"})"));
}

TEST(Wire, AFrameHoldsOneMessage) {
  EXPECT_EQ(unframed(framed("abc")), "abc");
  EXPECT_EQ(unframed(framed("")), "");
  EXPECT_FALSE(unframed(""));
  EXPECT_FALSE(unframed("\0\0\0\0"));
  EXPECT_FALSE(unframed(framed("abc") + "x"));
  EXPECT_FALSE(unframed(framed("abc").substr(0, 7)));
  EXPECT_FALSE(unframed("\1" + framed("abc").substr(1)));
}

// --- client and server

class PricerTest : public testing::TestWithParam<Protocol> {
 protected:
  void SetUp() override { start(nullptr); }

  void start(std::shared_ptr<const Secret> token) {
    service = std::make_unique<PriceService>(book, std::move(token));
    http::ServerConfig config;
    config.listen = *net::Endpoint::parse("127.0.0.1:0");
    auto listening =
        http::listen(loop, config, [this](http::Exchange& e) { return service->handle(e); });
    ASSERT_TRUE(listening) << listening.error().message();
    server = std::move(*listening);
  }
  std::unique_ptr<pricing::Pricer> client(std::shared_ptr<const Secret> token = nullptr) {
    RemoteOptions options;
    options.name = "test";
    options.protocol = GetParam();
    options.url = "http://" + server->local().str();
    options.token = std::move(token);
    auto made = make_remote_pricer(loop, std::move(options), metrics);
    EXPECT_TRUE(made);
    return std::move(*made);
  }
  static pricing::PriceRequest request(std::string body) {
    pricing::PriceRequest r;
    r.service = ServiceName("chat");
    r.method = "POST";
    r.path = "/v1/chat";
    r.authority = "api.example";
    r.body = std::move(body);
    return r;
  }
  static pricing::Usage usage(std::string id, std::int64_t reserved, std::string tail) {
    pricing::Usage u;
    u.id = std::move(id);
    u.subject = token_of(1).hex();
    u.service = ServiceName("chat");
    u.path = "/v1/chat";
    u.status = 200;
    u.content_type = "application/json";
    u.complete = true;
    u.tail = std::move(tail);
    u.reserved = reserved;
    return u;
  }
  template <class T>
  T run(Task<T> task) {
    return net::run_until(loop, std::move(task));
  }
  ledger::Allowance bundle() {
    auto task = store.allowances()->find_allowance(token_of(1));
    return run(std::move(task))->value_or(ledger::Allowance{});
  }

  const std::string kSmall = R"({"model":"small","max_tokens":1000})";
  net::Loop loop;
  ManualClock clock{UnixMillis{1'763'700'000'000}};
  MetricRegistry metrics;
  ledger::MemoryStore store;
  PriceBook book{
      pricing::ModelPrices(
          {{"small", {1000_msat, 2000_msat}}, {"large", {to_msat(9_sat), to_msat(90_sat)}}}, ""),
      to_msat(10_sat), *store.allowances(), clock, system_random()};
  std::unique_ptr<PriceService> service;
  std::unique_ptr<http::Server> server;
};

INSTANTIATE_TEST_SUITE_P(Both, PricerTest, testing::Values(Protocol::http, Protocol::grpc),
                         [](const auto& info) {
                           return info.param == Protocol::http ? "http" : "grpc";
                         });

TEST_P(PricerTest, ABundlesWholeLife) {
  const auto pricer = client();
  const auto quote = run(pricer->quote(request(kSmall)));
  ASSERT_TRUE(quote) << quote.error().message();
  EXPECT_EQ(quote->amount, to_msat(10_sat));
  EXPECT_FALSE(run(pricer->authorize(request(kSmall), token_of(1)))->allowed) << "not booked";
  ASSERT_TRUE(run(pricer->challenge_minted(request(kSmall), token_of(1), quote->amount)));
  ASSERT_TRUE(run(pricer->challenge_minted(request(kSmall), token_of(1), to_msat(99_sat))));
  EXPECT_EQ(bundle().funds, to_msat(10_sat)) << "booked once";

  const auto allowed = run(pricer->authorize(request(kSmall), token_of(1)));
  ASSERT_TRUE(allowed && allowed->allowed);
  EXPECT_GE(allowed->reserved, 2000);
  const Msat held = bundle().held;
  EXPECT_EQ(held, *Msat::from_raw(allowed->reserved));
  const std::string tail =
      R"({"usage":{"prompt_tokens":500,"completion_tokens":500,"total_tokens":1000}})";
  for (int i = 0; i < 2; ++i) {  // the second time changes nothing
    ASSERT_TRUE(run(pricer->report_usage(usage("r1", allowed->reserved, tail))));
    EXPECT_EQ(bundle().spent, 1500_msat);
    EXPECT_EQ(bundle().held, Msat());
  }
}

TEST_P(PricerTest, ACompleteAnswerWithoutUsageIsNotFree) {
  const auto pricer = client();
  ASSERT_TRUE(run(pricer->challenge_minted(request(kSmall), token_of(1), to_msat(10_sat))));
  const auto allowed = run(pricer->authorize(request(kSmall), token_of(1)));
  ASSERT_TRUE(allowed && allowed->allowed);
  ASSERT_TRUE(run(pricer->report_usage(usage("r1", allowed->reserved, "{}"))));
  EXPECT_EQ(bundle().spent, *Msat::from_raw(allowed->reserved));
  pricing::Usage failed = usage("r2", 0, "");
  failed.status = 502;
  ASSERT_TRUE(run(pricer->report_usage(std::move(failed))));
  EXPECT_EQ(bundle().spent, *Msat::from_raw(allowed->reserved));
}

TEST_P(PricerTest, ABundleOfOneModelOpensNoOther) {
  const auto pricer = client();
  ASSERT_TRUE(run(pricer->challenge_minted(request(kSmall), token_of(1), to_msat(10_sat))));
  const auto other =
      run(pricer->authorize(request(R"({"model":"large","max_tokens":1000})"), token_of(1)));
  ASSERT_TRUE(other);
  EXPECT_FALSE(other->allowed);
  EXPECT_GE(other->price, to_msat(90_sat)) << "the bundle that it asks for";
  EXPECT_NE(other->reason.find("another model"), std::string::npos);
  const auto twice =
      run(pricer->authorize(request(R"({"model":"small","model":"large"})"), token_of(1)));
  EXPECT_TRUE(!twice && twice.error().is(Errc::no_price));
  EXPECT_EQ(bundle().held, Msat());
}

TEST_P(PricerTest, WhatMayCostMoreThanIsLeftIsRefused) {
  const auto pricer = client();
  ASSERT_TRUE(run(pricer->challenge_minted(request(kSmall), token_of(1), to_msat(10_sat))));
  int allowed = 0;
  while (run(pricer->authorize(request(kSmall), token_of(1)))->allowed) ++allowed;
  EXPECT_EQ(allowed, 4);
  const auto refused = run(pricer->authorize(request(kSmall), token_of(1)));
  EXPECT_NE(refused->reason.find("lower its max_tokens"), std::string::npos);
  EXPECT_TRUE(run(pricer->authorize(request(R"({"model":"small","max_tokens":10})"), token_of(1)))
                  ->allowed);
}

TEST_P(PricerTest, SessionsAreQuotedAndSettled) {
  const auto pricer = client();
  const auto quote = run(pricer->quote_session(request(kSmall), ""));
  ASSERT_TRUE(quote);
  EXPECT_EQ(quote->unit, to_msat(3_sat));
  EXPECT_EQ(quote->deposit, Msat());
  pricing::Usage u = usage("r", 0, R"({"usage":{"prompt_tokens":500,"completion_tokens":250}})");
  u.estimate = quote->unit;
  u.request_text = "POST / HTTP/1.1\r\nHost: h\r\n\r\n" + kSmall;
  EXPECT_EQ(*run(pricer->settle_session(u)), to_msat(1_sat));
  u.tail = "{}";
  EXPECT_EQ(*run(pricer->settle_session(u)), to_msat(3_sat));
  u.status = 500;
  EXPECT_EQ(*run(pricer->settle_session(u)), Msat());
}

TEST_P(PricerTest, ErrorsSayWhoseTheyAre) {
  const auto pricer = client();
  const auto unknown = run(pricer->quote(request(R"({"model":"none"})")));
  EXPECT_TRUE(!unknown && unknown.error().is(Errc::no_price));
  store.set_unavailable(true);
  const auto away = run(pricer->challenge_minted(request(kSmall), token_of(1), to_msat(1_sat)));
  EXPECT_TRUE(!away && away.error().is(Errc::unavailable));
  store.set_unavailable(false);
  server.reset();
  start(std::make_shared<const Secret>(std::string_view("a token of the price server")));
  const auto refused = run(client()->quote(request(kSmall)));
  EXPECT_TRUE(!refused && refused.error().is(Errc::unavailable));
  EXPECT_TRUE(
      run(client(std::make_shared<const Secret>(std::string_view("a token of the price server")))
              ->quote(request(kSmall))));
}

TEST_P(PricerTest, ACallOutlivesItsClient) {
  auto pricer = client();
  auto pending = pricer->quote(request(kSmall));
  pricer.reset();
  EXPECT_TRUE(run(std::move(pending)));
}

TEST_P(PricerTest, NobodyThereIsUnavailable) {
  const auto pricer = client();
  server.reset();
  const auto quote = run(pricer->quote(request(kSmall)));
  EXPECT_TRUE(!quote && quote.error().is(Errc::unavailable));
  EXPECT_NE(metrics.exposition().find(
                "octroi_pricer_calls_total{call=\"price\",result=\"failed\",source=\"test\"} 1"),
            std::string::npos)
      << metrics.exposition();
}

}  // namespace
}  // namespace octroi::pricer
