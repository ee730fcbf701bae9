// The gate around the payment: routes, what is free, blocks, limits, and what passes through.
#include "octroi/paywall/gate_fixture.h"
#include "octroi/secrets/key_ring.h"

namespace octroi::paywall {
namespace {

using fixture::GateTest;
class GateStory : public GateTest {};

TEST_F(GateStory, NotFoundComesBeforePaymentAndMakesNoInvoice) {
  auto s = service();
  s.path = "^/v1/";
  s.host = "api\\.example";
  start(s);
  auto r = get("/other");
  EXPECT_EQ(r.status, 404);
  EXPECT_EQ(field(r, "Content-Type"), "application/problem+json");
  EXPECT_EQ(get("/v1/x").status, 404);  // another host
  EXPECT_EQ(ask({.target = "/v1/x", .host = "api.example"}).status, 402);
  EXPECT_EQ(ask({.target = "/v1/x", .host = "API.Example:8080"}).status, 402);
  EXPECT_EQ(ask({.target = "/v1/x", .host = "api.example.evil"}).status, 404);
  EXPECT_EQ(invoices.calls, 4);
  ASSERT_EQ(access.records.size(), 5U);
  EXPECT_EQ(access.records[0].outcome, "not_found");
}

TEST_F(GateStory, PathsThatCanBeReadTwoWaysAreRefused) {
  start(service());
  for (const char* target : {"/a%00b", "/%2e%2e/x", "/../x", "/a/%2e%2e/%2e%2e/x", "/a%2f..%2fb",
                             "/a/..%2fb", "/a%zz", "/a%"}) {
    const auto r = get(target);
    EXPECT_EQ(r.status, 400) << target;
    EXPECT_EQ(problem(r), "bad-request") << target;
  }
  EXPECT_TRUE(seen.empty());
  EXPECT_EQ(invoices.calls, 0);
}

TEST_F(GateStory, VeryLongPathsAndQueries) {
  auto s = service();
  s.auth = false;
  start(s);
  const std::string path = "/" + std::string(6'000, 'a') + "?" + std::string(1'000, 'b');
  EXPECT_EQ(get(path).status, 200);
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].target, path);
  const auto r = raw("GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(r.starts_with("HTTP/1.1 414")) << r.substr(0, 40);
}

TEST_F(GateStory, WhatIsFree) {
  auto open = service("open");
  open.path = "^/open/";
  open.auth = false;
  auto mixed = service("mixed");
  mixed.free_paths = {"^/health$", "^/public/"};
  start(with({open, mixed}));
  for (const char* target : {"/open/x", "/health", "/public/x"}) {
    EXPECT_EQ(get(target).status, 200) << target;
  }
  EXPECT_EQ(seen.size(), 3U);
  for (const char* target : {"/health/x", "/public", "/public/../secret", "/public/%2e%2e/secret",
                             "/healthx", "/x/public/"}) {
    EXPECT_EQ(get(target).status, 402) << target;
  }
  EXPECT_EQ(seen.size(), 3U);
  // A credential shown where none is needed is neither spent nor passed on.
  const auto proof = buy();
  EXPECT_EQ(get("/open/x", {{"Authorization", proof}}).status, 200);
  EXPECT_FALSE(seen.back().headers.has("Authorization"));
  EXPECT_EQ(get("/v1/data", {{"Authorization", proof}}).status, 200);
}

// Nobody verified an ordinary credential here: a new one each time must not be free each time.
TEST_F(GateStory, AFreeQuotaByTokenIsNotWidenedByNewTokens) {
  auto s = service();
  s.free = {2, Millis(3'600'000), CountBy::token};
  start(with({s}));
  EXPECT_EQ(get("/v1/data", {{"Authorization", "Bearer a"}}).status, 200);
  EXPECT_EQ(get("/v1/data", {{"Authorization", "Bearer b"}}).status, 200);
  EXPECT_EQ(get("/v1/data", {{"Authorization", "Bearer c"}}).status, 402);
  EXPECT_EQ(get().status, 402);
}

TEST_F(GateStory, AFreeQuotaIsCountedByNeighbourhood) {
  auto s = service();
  s.free = {2, Millis(3'600'000), CountBy::ip};
  auto p = with({s});
  p.trusted_proxies = {*net::Cidr::parse("127.0.0.1")};
  start(p);
  const auto from = [&](const char* who) {
    return get("/v1/data", {{"X-Forwarded-For", who}}).status;
  };
  EXPECT_EQ(from("192.0.2.1"), 200);
  EXPECT_EQ(from("192.0.2.200"), 200);
  EXPECT_EQ(from("192.0.2.1"), 402);
  EXPECT_EQ(from("192.0.3.1"), 200);
  clock.advance(Millis(3'600'000));
  EXPECT_EQ(from("192.0.2.1"), 200);
  // Who shows a credential is judged by it, and uses nothing up.
  EXPECT_EQ(
      get("/v1/data", {{"X-Forwarded-For", "198.51.100.1"}, {"Authorization", "Payment x"}}).status,
      402);
  EXPECT_EQ(from("198.51.100.1"), 200);
  EXPECT_EQ(from("198.51.100.1"), 200);
  store.set_unavailable(true);
  EXPECT_NE(from("203.0.113.1"), 200);  // fail closed
}

TEST_F(GateStory, BlockedAddressesGetNothing) {
  auto s = service();
  s.path = "^/v1/";
  s.block = {*net::Cidr::parse("192.0.2.0/24")};
  auto open = service("open");
  open.auth = false;
  auto p = with({s, open});
  p.trusted_proxies = {*net::Cidr::parse("127.0.0.1")};
  p.block = {*net::Cidr::parse("2001:db8::/32")};
  start(p);
  const auto from = [&](const char* who, const char* target) {
    return get(target, {{"X-Forwarded-For", who}}).status;
  };
  EXPECT_EQ(from("192.0.2.9", "/v1/x"), 403);
  EXPECT_EQ(from("192.0.2.9", "/x"), 200);
  EXPECT_EQ(from("192.0.3.9", "/v1/x"), 402);
  EXPECT_EQ(from("2001:db8::9", "/x"), 403);
  EXPECT_EQ(from("2001:db8::9", "/openapi.json"), 403);
  EXPECT_EQ(from("198.51.100.1, 2001:db8::9", "/x"), 403);
  p.block.clear();
  p.services[0].block.clear();
  publish(p);  // live
  EXPECT_EQ(from("192.0.2.9", "/v1/x"), 402);
  EXPECT_EQ(from("2001:db8::9", "/x"), 200);
}

TEST_F(GateStory, MethodsThatAreNotListed) {
  auto s = service();
  s.methods = {"GET", "POST"};
  start(s);
  const auto r = ask({.method = "DELETE"});
  EXPECT_EQ(r.status, 405);
  EXPECT_EQ(field(r, "Allow"), "GET, POST");
  EXPECT_EQ(ask({.method = "HEAD"}).status, 402);
  EXPECT_EQ(ask({.method = "OPTIONS"}).status, 204);
  EXPECT_EQ(invoices.calls, 2);
}

TEST_F(GateStory, PreflightsCostNothing) {
  start(service());
  const Fields fields = {{"Origin", "https://app.example"},
                         {"Access-Control-Request-Method", "POST"}};
  const auto r = ask({.method = "OPTIONS", .fields = fields});
  EXPECT_EQ(r.status, 204);
  EXPECT_EQ(field(r, "Access-Control-Allow-Origin"), "*");
  EXPECT_TRUE(r.headers.has_token("Access-Control-Allow-Headers", "Authorization"));
  EXPECT_EQ(invoices.calls, 0);
  EXPECT_TRUE(seen.empty());
  const auto challenge = get("/v1/data", {{"Origin", "https://app.example"}});
  EXPECT_EQ(challenge.status, 402);
  EXPECT_EQ(field(challenge, "Access-Control-Allow-Origin"), "*");
  EXPECT_TRUE(challenge.headers.has_token("Access-Control-Expose-Headers", "WWW-Authenticate"));
  EXPECT_TRUE(challenge.headers.has_token("Access-Control-Expose-Headers", "Payment-Receipt"));
}

TEST_F(GateStory, WithCorsOffOptionsGoesWhereTheServiceIsFree) {
  auto s = service();
  s.cors.enabled = false;
  s.auth = false;
  start(s);
  const auto r =
      ask({.method = "OPTIONS",
           .fields = {{"Origin", "https://a.example"}, {"Access-Control-Request-Method", "GET"}}});
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.body, "hello");
  EXPECT_FALSE(r.headers.has("Access-Control-Allow-Origin"));
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(GateStory, BodiesOverTheLimits) {
  auto s = service();
  s.digest_limit = 100;
  s.max_body = 200;
  auto streaming = service("streaming");
  streaming.digest = DigestMode::off;
  streaming.path = "^/streaming";
  streaming.max_body = 200;
  start(with({streaming, s}));
  EXPECT_EQ(post(std::string(100, 'x')).status, 402);
  EXPECT_EQ(post(std::string(101, 'x')).status, 413);
  EXPECT_EQ(post(std::string(201, 'x')).status, 413);
  const auto chunked =
      raw("POST /v1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: "
          "chunked\r\n\r\n65\r\n" +
          std::string(101, 'x') + "\r\n0\r\n\r\n");
  EXPECT_TRUE(chunked.starts_with("HTTP/1.1 413")) << chunked;
  const auto upload = [&](std::size_t size, Fields fields = {}) {
    return ask({.method = "POST",
                .target = "/streaming",
                .fields = std::move(fields),
                .body = std::string(size, 'y')});
  };
  const auto asked = upload(150);
  EXPECT_EQ(asked.status, 402);
  EXPECT_FALSE(payment_of(asked)->digest);
  EXPECT_EQ(upload(201).status, 413);
  EXPECT_TRUE(seen.empty());
  // Not bound: another body is fine.
  EXPECT_EQ(upload(170, {{"Authorization", proof(asked)}}).status, 200);
  EXPECT_EQ(seen[0].body, std::string(170, 'y'));
}

TEST_F(GateStory, TheUpstreamSeesTheRequestAndNoPayment) {
  auto s = service();
  s.headers = {{"X-Api-Key", std::make_shared<Secret>(std::string_view("upstream-key"))}};
  start(s);
  const auto proof = this->proof(post("{\"q\":1}"));
  const auto r = post("{\"q\":1}", {{"Authorization", proof},
                                    {"Authorization", "Bearer own"},
                                    {"X-Api-Key", "from the client"},
                                    {"X-Octroi-Token-Id", "spoofed"},
                                    {"x_octroi_amount_msat", "1"},
                                    {"Accept-Payment", "lightning/*"},
                                    {"Payment-Receipt", "spoofed"},
                                    {"Macaroon", "00"},
                                    {"X-Custom", "kept"}});
  EXPECT_EQ(r.status, 200);
  ASSERT_EQ(seen.size(), 1U);
  const auto& h = seen[0].headers;
  EXPECT_EQ(seen[0].body, "{\"q\":1}");
  EXPECT_EQ(h.all("Authorization"), std::vector<std::string_view>{"Bearer own"});
  EXPECT_EQ(h.all("X-Api-Key"), std::vector<std::string_view>{"upstream-key"});
  EXPECT_EQ(*h.get("X-Custom"), "kept");
  for (const auto f : h) {
    EXPECT_EQ(f.value.find(proof.substr(8)), std::string_view::npos) << f.name;
    EXPECT_NE(f.value, "spoofed") << f.name;
  }
  for (const char* name :
       {"X-Octroi-Token-Id", "X-Octroi-Amount-Msat", "x_octroi_amount_msat", "Accept-Payment",
        "Payment-Receipt", "Macaroon", "Payment-Authorization"}) {
    EXPECT_FALSE(h.has(name)) << name;
  }
  EXPECT_EQ(*h.get("X-Forwarded-For"), "127.0.0.1");
  EXPECT_EQ(*h.get("X-Forwarded-Proto"), "http");
  EXPECT_EQ(*h.get("X-Request-Id"), field(r, "X-Request-Id"));
}

TEST_F(GateStory, IdentityIsForwardedWhenAsked) {
  auto s = service();
  s.forward = Forward::identity;
  s.free_paths = {"^/free"};
  start(s);
  const auto asked = get();
  const auto id = l402::parse_challenges(line_of(asked, "L402"))[0].id.token.hex();
  const Fields spoof = {{"X-Octroi-Token-Id", "spoofed"}, {"X-Octroi-Session-Id", "spoofed"}};
  auto fields = spoof;
  fields.emplace_back("Authorization", token(asked));
  EXPECT_EQ(get("/v1/data", fields).status, 200);
  EXPECT_EQ(seen[0].headers.all("X-Octroi-Token-Id"), std::vector<std::string_view>{id});
  EXPECT_EQ(*seen[0].headers.get("X-Octroi-Service"), "api");
  EXPECT_EQ(*seen[0].headers.get("X-Octroi-Amount-Msat"), "10000");
  EXPECT_FALSE(seen[0].headers.has("X-Octroi-Session-Id"));
  fields = spoof;
  fields.emplace_back("Authorization", proof(asked));
  EXPECT_EQ(get("/v1/data", fields).status, 200);
  EXPECT_FALSE(seen[1].headers.has("X-Octroi-Token-Id"));
  EXPECT_EQ(*seen[1].headers.get("X-Octroi-Amount-Msat"), "10000");
  EXPECT_EQ(get("/free", spoof).status, 200);
  EXPECT_FALSE(seen[2].headers.has("X-Octroi-Token-Id"));
  EXPECT_FALSE(seen[2].headers.has("X-Octroi-Service"));
}

TEST_F(GateStory, AnUpstreamsOwnPaymentFieldsStayThere) {
  auto s = service();
  s.auth = false;
  start(s);
  upstream_says(402,
                {{"WWW-Authenticate", "Payment id=\"x\", realm=\"evil\""},
                 {"WWW-Authenticate", "L402 macaroon=\"x\", invoice=\"y\""},
                 {"WWW-Authenticate", "Basic realm=\"own\""},
                 {"Payment-Receipt", "forged"}},
                "upstream wants money");
  const auto r = get();
  EXPECT_EQ(r.status, 402);
  EXPECT_EQ(challenge_lines(r), std::vector<std::string>{"Basic realm=\"own\""});
  EXPECT_FALSE(r.headers.has("Payment-Receipt"));
}

TEST_F(GateStory, APaidAnswerCarriesOurReceiptOnly) {
  start(service());
  upstream_says(200, {{"Payment-Receipt", "forged"}, {"Cache-Control", "public, max-age=9"}}, "x");
  const auto r = get("/v1/data", {{"Authorization", buy()}});
  EXPECT_EQ(r.headers.count("Payment-Receipt"), 1U);
  EXPECT_NE(field(r, "Payment-Receipt"), "forged");
  EXPECT_EQ(field(r, "Cache-Control"), "max-age=9, private");
}

TEST_F(GateStory, ReceiptsOnSuccessesOnly) {
  start(service());
  for (const int status : {200, 201, 204, 206, 301, 400, 404, 500, 503}) {
    upstream_says(status, {}, status == 204 ? "" : "x");
    const auto r = get("/v1/data", {{"Authorization", buy()}});
    EXPECT_EQ(r.status, status);
    EXPECT_EQ(r.headers.has("Payment-Receipt"), status >= 200 && status < 300) << status;
    EXPECT_EQ(r.headers.has_token("Cache-Control", "private"), status < 300) << status;
  }
}

TEST_F(GateStory, RequestIdsAreOursUnlessATrustedProxySaysOne) {
  auto p = with({service()});
  start(p);
  auto r = get("/v1/data", {{"X-Request-Id", "from-client"}});
  const auto own = field(r, "X-Request-Id");
  EXPECT_EQ(own.size(), 24U);
  EXPECT_NE(field(get(), "X-Request-Id"), own);
  EXPECT_EQ(access.records[0].request_id, own);
  EXPECT_EQ(rows.records[0].request_id, own);
  p.trusted_proxies = {*net::Cidr::parse("127.0.0.1")};
  publish(p);
  EXPECT_EQ(field(get("/v1/data", {{"X-Request-Id", "from-proxy_1.2"}}), "X-Request-Id"),
            "from-proxy_1.2");
  for (const std::string& bad : {std::string("a b"), std::string("x\"y"), std::string(129, 'a')}) {
    EXPECT_EQ(field(get("/v1/data", {{"X-Request-Id", bad}}), "X-Request-Id").size(), 24U) << bad;
  }
}

TEST_F(GateStory, DiscoveryNeverShadowsTheUpstreamsOwn) {
  auto s = service();
  s.path = "^/v1/";
  auto p = with({s});
  start(p);
  auto r = get("/openapi.json");
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(field(r, "Content-Type"), "application/json");
  EXPECT_EQ(field(r, "Cache-Control"), "max-age=300");
  EXPECT_TRUE(json::parse(r.body));
  EXPECT_EQ(get("/llms.txt").status, 200);
  EXPECT_EQ(ask({.method = "POST", .target = "/openapi.json", .body = "x"}).status, 404);
  // A service whose path covers it: its own document, at its price.
  p.services[0].path = "";
  publish(p);
  EXPECT_EQ(get("/openapi.json").status, 402);
  p.services[0].auth = false;
  publish(p);
  EXPECT_EQ(get("/openapi.json").body, "hello");
  p.services[0].discovery_shadow = true;
  publish(p);
  EXPECT_TRUE(json::parse(get("/openapi.json").body));
  p.services[0].discovery = false;
  publish(p);
  EXPECT_EQ(get("/openapi.json").body, "hello");
}

TEST_F(GateStory, TargetsAreRewritten) {
  auto s = service();
  s.auth = false;
  s.rewrite_strip = "/api";
  s.rewrite_prefix = "/v2";
  s.upstream.base_path = "/base";
  start(s);
  EXPECT_EQ(get("/api/x?y=z").status, 200);
  EXPECT_EQ(get("/%61pi/x%20y").status, 200);
  EXPECT_EQ(seen[0].target, "/base/v2/x?y=z");
  EXPECT_EQ(seen[1].target, "/base/v2/x%20y");
}

TEST_F(GateStory, UpstreamErrorsWithoutPayment) {
  auto s = service();
  s.auth = false;
  s.timeouts.first_byte = Millis(100);
  start(s);
  upstream_answer = [](http::Exchange& x) { return cut(&x); };
  auto r = get();
  EXPECT_EQ(r.status, 502);
  EXPECT_EQ(field(r, "Cache-Control"), "no-store");
  upstream_answer = [this](http::Exchange& x) { return slow_answer(this, &x, Millis(1'000)); };
  r = get();
  EXPECT_EQ(r.status, 504);
  EXPECT_EQ(access.records.back().outcome, "upstream_failed");
}

TEST_F(GateStory, TrailersCarryNoCredential) {
  auto s = service();
  s.auth = false;
  start(s);
  const auto r =
      raw("POST /v1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
          "1\r\nx\r\n0\r\nPayment-Authorization: Payment abc\r\nAuthorization: L402 a:b\r\n"
          "X-Checksum: kept\r\n\r\n");
  EXPECT_TRUE(r.starts_with("HTTP/1.1 200")) << r;
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_TRUE(seen[0].trailers.has("X-Checksum"));
  for (const char* name : {"Payment-Authorization", "Authorization"}) {
    EXPECT_FALSE(seen[0].headers.has(name)) << name;
    EXPECT_FALSE(seen[0].trailers.has(name)) << name;
  }
}

TEST_F(GateStory, AnUpgradeIsPaidForOnceAndTunnelled) {
  auto s = service();
  s.schemes = {OfferScheme::payment};
  start(s);
  const std::string upgrade = "Connection: close, Upgrade\r\nUpgrade: websocket\r\n";
  const auto unpaid = raw("GET /v1/data HTTP/1.1\r\nHost: h\r\n" + upgrade + "\r\n");
  EXPECT_TRUE(unpaid.starts_with("HTTP/1.1 402")) << unpaid.substr(0, 40);
  EXPECT_TRUE(seen.empty());
  upstream_answer = [](http::Exchange& x) { return tunnel(&x); };
  const auto credential = buy();
  const std::string paid = "GET /v1/data HTTP/1.1\r\nHost: h\r\nAuthorization: " + credential +
                           "\r\n" + upgrade + "\r\n";
  const auto r = raw(paid);
  EXPECT_TRUE(r.starts_with("HTTP/1.1 101")) << r.substr(0, 40);
  EXPECT_TRUE(r.ends_with("through the tunnel"));
  EXPECT_EQ(r.find("\r\nPayment-Receipt:"), std::string::npos);
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_FALSE(seen[0].headers.has("Authorization"));
  EXPECT_TRUE(raw(paid).starts_with("HTTP/1.1 402"));
  EXPECT_EQ(seen.size(), 1U);
}

TEST_F(GateStory, ReloadLeavesRequestsInFlightAlone) {
  auto p = with({service()});
  start(p);
  upstream_answer = [this](http::Exchange& x) { return slow_answer(this, &x, Millis(200)); };
  const auto credential = buy();
  std::map<int, int> statuses;
  TaskGroup group;
  group.start(fetch_into(this, request({.fields = {{"Authorization", credential}}}), &statuses));
  ASSERT_TRUE(wait_for([&] { return seen.size() == 1; }));
  p.services[0].path = "^/elsewhere";
  publish(p);
  EXPECT_EQ(get().status, 404);
  net::run_until(loop, join(&group));
  EXPECT_EQ(statuses[200], 1);
}

TEST_F(GateStory, CountsHowRequestsEnd) {
  start(service());
  std::ignore = get();
  std::ignore = get("/v1/data", {{"Authorization", buy()}});
  const auto count = [&](const char* outcome) {
    return metrics.counter("octroi_requests_total", "", {{"service", "api"}, {"outcome", outcome}})
        .value();
  };
  EXPECT_EQ(count("challenged"), 2);
  EXPECT_EQ(count("paid"), 1);
  EXPECT_EQ(
      metrics.counter("octroi_challenges_total", "", {{"service", "api"}, {"scheme", "payment"}})
          .value(),
      2);
  EXPECT_EQ(metrics
                .counter("octroi_verifications_total", "",
                         {{"service", "api"},
                          {"scheme", "payment"},
                          {"result", "accepted"},
                          {"key_version", secrets::key_label(*with({}).secret.front())}})
                .value(),
            1);
}

}  // namespace
}  // namespace octroi::paywall
