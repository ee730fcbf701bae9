#include "octroi/admin/api.h"

#include <gtest/gtest.h>

#include "octroi/admin/server_testing.h"
#include "octroi/json/value.h"

namespace octroi::admin {
namespace {

constexpr UnixMillis kNow{1'800'000'000'000};

class ApiTest : public AdminServerTest {
 protected:
  ApiTest() : AdminServerTest(kNow) { start(false); }

  void start(bool metrics_public, bool metrics_on = true) {
    Wiring wiring = wired();
    wiring.metrics_on = metrics_on;
    wiring.metrics_public = metrics_public;
    wiring.checks = {{"store", [this] { return check(&store_down); }},
                     {"node", [this] { return check(&node_down); }}};
    wiring.info = [] { return info(); };
    wiring.revoke = [this](TokenId id) { return revoke(this, id); };
    wiring.reload = [this] { return reload(this); };
    serve(std::move(wiring));
  }
  static Task<Result<>> check(const bool* down) {
    if (*down) co_return fail(ledger::Errc::unavailable, "it is away");
    co_return Result<>{};
  }
  static Task<std::string> info() { co_return R"({"version":"test"})"; }
  static Task<Result<>> revoke(ApiTest* self, TokenId id) {
    if (self->revoke_fails) co_return fail(ledger::Errc::unavailable, "a worker is stuck");
    self->revoked.push_back(id);
    co_return co_await self->store.revoke_token(id, kNow + Millis(1'000'000), kNow);
  }
  static Task<Result<std::string>> reload(ApiTest* self) {
    ++self->reloads;
    if (self->reload_fails) co_return fail(ledger::Errc::corrupt, "line 3: no such key");
    co_return R"({"reloaded":true})";
  }

  http::Response ask(std::string method, std::string target,
                     std::optional<std::string> authorization = std::string("Bearer ") + kToken) {
    Fields fields;
    if (authorization) fields.emplace_back("Authorization", *authorization);
    return ask_with(std::move(method), std::move(target), fields);
  }
  http::Response get(std::string target) { return ask("GET", std::move(target)); }

  void sell(std::uint8_t n, std::string service, ledger::Scheme scheme, bool settled,
            Millis age = Millis(0)) {
    std::array<std::uint8_t, 32> raw{};
    raw[0] = n;
    ledger::TransactionRecord row;
    row.hash = PaymentHash(raw);
    row.service = std::move(service);
    row.scheme = scheme;
    row.amount = 10'000_msat;
    if (scheme == ledger::Scheme::l402) {
      row.token_id = TokenId(raw);
    } else {
      row.challenge_id = fmt::format("challenge-{}", n);
    }
    row.request_id = "request";
    row.created = kNow - age;
    row.expires = kNow + Millis(900'000);
    ledger::InvoiceRecord invoice{row.hash, row.amount, row.created, row.expires, 0};
    const PaymentHash hash = row.hash;
    std::ignore = net::run_until(loop, store.record_invoices({invoice}));
    std::ignore = net::run_until(loop, store.record_transactions({std::move(row)}));
    if (settled) std::ignore = net::run_until(loop, store.settle(hash, kNow));
  }
  std::vector<std::int64_t> ids(const http::Response& r) {
    std::vector<std::int64_t> out;
    const auto d = json::parse(r.body);
    EXPECT_TRUE(d) << r.body;
    if (!d) return out;
    const auto list = d->root().array("transactions");
    EXPECT_TRUE(list) << r.body;
    if (!list) return out;
    for (const auto& t : list->elements()) out.push_back(*t.int64("id"));
    return out;
  }

  bool store_down = false;
  bool node_down = false;
  bool revoke_fails = false;
  bool reload_fails = false;
  int reloads = 0;
  std::vector<TokenId> revoked;
};
using Ids = std::vector<std::int64_t>;

TEST_F(ApiTest, HealthNeedsNoCredentialAndNothingElse) {
  store_down = node_down = true;
  const auto r = ask("GET", "/healthz", std::nullopt);
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.body, "ok\n");
  EXPECT_EQ(ask("HEAD", "/healthz", std::nullopt).status, 200);
}

TEST_F(ApiTest, ReadyNamesWhatFails) {
  EXPECT_EQ(ask("GET", "/readyz", std::nullopt).status, 200);
  node_down = true;
  auto r = ask("GET", "/readyz", std::nullopt);
  EXPECT_EQ(r.status, 503);
  EXPECT_EQ(r.body, "node: it is away\n");
  store_down = true;
  r = ask("GET", "/readyz", std::nullopt);
  EXPECT_EQ(r.body, "store: it is away\nnode: it is away\n");
  node_down = store_down = false;
  EXPECT_EQ(ask("GET", "/readyz", std::nullopt).body, "ok\n");
}

TEST_F(ApiTest, EverythingElseNeedsTheToken) {
  for (const char* target :
       {"/metrics", "/api/v1/info", "/api/v1/transactions", "/api/v1/tokens/revoked",
        "/api/v1/sessions", "/api/v1/sessions/totals", "/api/v1/openapi.json", "/none", "/healthz/",
        "/api/v1/../../healthz"}) {
    for (const std::optional<std::string>& bad :
         {std::optional<std::string>(), std::optional<std::string>("Bearer wrong"),
          std::optional<std::string>("Bearer"), std::optional<std::string>("Bearer "),
          std::optional<std::string>(std::string("Basic ") + kToken),
          std::optional<std::string>(kToken),
          std::optional<std::string>(std::string("Bearer ") + kToken + "x"),
          std::optional<std::string>(std::string("Bearer  ") + kToken)}) {
      const auto r = ask("GET", target, bad);
      EXPECT_EQ(r.status, 401) << target << " " << bad.value_or("none");
      EXPECT_TRUE(r.headers.has("WWW-Authenticate"));
      EXPECT_EQ(r.body.find(kToken), std::string::npos);
    }
  }
  EXPECT_EQ(ask("POST", "/api/v1/reload", std::nullopt).status, 401);
  EXPECT_EQ(ask("POST", "/api/v1/tokens/" + std::string(64, 'a') + "/revoke", "Bearer x").status,
            401);
  EXPECT_EQ(reloads, 0);
  EXPECT_TRUE(revoked.empty());
  EXPECT_EQ(ask("GET", "/api/v1/info", std::string("bearer ") + kToken).status, 200);
}

TEST_F(ApiTest, AnEmptyTokenOpensNothing) {
  Wiring wiring = wired(std::make_shared<Secret>());
  wiring.info = [] { return info(); };
  api = std::make_unique<Api>(std::move(wiring));
  EXPECT_EQ(ask("GET", "/api/v1/info", "Bearer ").status, 401);
  EXPECT_EQ(ask("GET", "/api/v1/info", "Bearer x").status, 401);
  api = std::make_unique<Api>(wired(nullptr));
  EXPECT_EQ(ask("GET", "/api/v1/info", "Bearer x").status, 401);
}

TEST_F(ApiTest, MetricsArePublicOnlyWhenTold) {
  metrics.counter("octroi_test_total", "A test").add(3);
  auto r = get("/metrics");
  EXPECT_EQ(r.status, 200);
  EXPECT_NE(r.body.find("octroi_test_total 3"), std::string::npos) << r.body;
  EXPECT_EQ(*r.headers.get("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(ask("GET", "/metrics", std::nullopt).status, 401);
  start(true);
  EXPECT_EQ(ask("GET", "/metrics", std::nullopt).status, 200);
  EXPECT_EQ(ask("GET", "/api/v1/info", std::nullopt).status, 401);
  start(true, false);
  EXPECT_EQ(get("/metrics").status, 404);
  EXPECT_NE(ask("GET", "/metrics", std::nullopt).status, 200);
}

TEST_F(ApiTest, AnswersAreNotForCaches) {
  for (const char* target : {"/healthz", "/metrics", "/api/v1/info", "/none"}) {
    const auto r = get(target);
    EXPECT_EQ(*r.headers.get("Cache-Control"), "no-store") << target;
    EXPECT_EQ(*r.headers.get("X-Content-Type-Options"), "nosniff") << target;
  }
}

TEST_F(ApiTest, WhatIsNotThere) {
  EXPECT_EQ(get("/api/v1/none").status, 404);
  EXPECT_EQ(ask("GET", "/api/v1/reload").status, 404);
  EXPECT_EQ(ask("POST", "/api/v1/info").status, 404);
  EXPECT_EQ(ask("POST", "/api/v1/tokens/revoke").status, 404);
  const auto r = get("/none");
  const auto d = json::parse(r.body);
  ASSERT_TRUE(d);
  EXPECT_EQ(*r.headers.get("Content-Type"), "application/problem+json");
  EXPECT_EQ(*d->root().int64("status"), 404);
}

TEST_F(ApiTest, DescribesItself) {
  EXPECT_EQ(get("/api/v1/info").body, R"({"version":"test"})");
  const auto r = get("/api/v1/openapi.json");
  const auto d = json::parse(r.body);
  ASSERT_TRUE(d);
  for (const char* path :
       {"/healthz", "/readyz", "/metrics", "/api/v1/info", "/api/v1/transactions",
        "/api/v1/tokens/revoked", "/api/v1/tokens/{id}/revoke", "/api/v1/sessions",
        "/api/v1/sessions/totals", "/api/v1/sessions/{id}", "/api/v1/sessions/{id}/close",
        "/api/v1/sessions/{id}/retry-refund", "/api/v1/reload"}) {
    EXPECT_TRUE(d->root().object("paths")->object(path)) << path;
  }
}

TEST_F(ApiTest, TransactionsAreNewestFirstAndFiltered) {
  sell(1, "a", ledger::Scheme::l402, true, Millis(3'600'000));
  sell(2, "a", ledger::Scheme::mpp_charge, false);
  sell(3, "b c", ledger::Scheme::mpp_charge, true);
  struct Row {
    const char* query;
    Ids ids;
  };
  for (const Row& row :
       {Row{"", {3, 2, 1}}, Row{"?", {3, 2, 1}}, Row{"?service=a", {2, 1}},
        Row{"?service=b%20c", {3}}, Row{"?service=b+c", {3}}, Row{"?service=none", {}},
        Row{"?scheme=l402", {1}}, Row{"?scheme=mpp_charge&state=settled", {3}},
        Row{"?state=pending", {2}}, Row{"?limit=2", {3, 2}}, Row{"?before=3", {2, 1}},
        Row{"?before=3&limit=1", {2}}, Row{"?from=2027-01-15T07:30:00Z", {3, 2}},
        Row{"?to=2027-01-15T07:30:00Z", {1}}}) {
    const auto r = get(std::string("/api/v1/transactions") + row.query);
    EXPECT_EQ(r.status, 200) << row.query;
    EXPECT_EQ(ids(r), row.ids) << row.query;
  }
}

TEST_F(ApiTest, ATransactionSaysEverythingButSecrets) {
  sell(1, "a", ledger::Scheme::l402, true);
  sell(2, "b", ledger::Scheme::mpp_charge, false);
  const auto d = json::parse(get("/api/v1/transactions").body);
  ASSERT_TRUE(d);
  std::vector<json::Value> all;
  for (const auto& t : d->root().array("transactions")->elements()) all.push_back(t);
  ASSERT_EQ(all.size(), 2U);
  const auto& pending = all[0];
  EXPECT_EQ(*pending.string("auth_type"), "mpp_charge");
  EXPECT_EQ(*pending.string("state"), "pending");
  EXPECT_EQ(*pending.string("challenge_id"), "challenge-2");
  EXPECT_TRUE(pending.member("token_id")->is_null());
  EXPECT_TRUE(pending.member("settled_at")->is_null());
  const auto& settled = all[1];
  EXPECT_EQ(*settled.string("auth_type"), "l402");
  EXPECT_EQ(*settled.string("state"), "settled");
  EXPECT_EQ(*settled.int64("amount_msat"), 10'000);
  EXPECT_EQ(settled.string("token_id")->size(), 64U);
  EXPECT_EQ(settled.string("payment_hash")->size(), 64U);
  EXPECT_EQ(*settled.string("settled_at"), "2027-01-15T08:00:00Z");
  EXPECT_EQ(*settled.string("created_at"), "2027-01-15T08:00:00Z");
}

TEST_F(ApiTest, PagesLeadToTheEnd) {
  for (std::uint8_t n = 1; n <= 5; ++n) sell(n, "a", ledger::Scheme::mpp_charge, false);
  std::string query = "?limit=2";
  Ids seen;
  for (int page = 0; page < 5; ++page) {
    const auto r = get("/api/v1/transactions" + query);
    for (auto id : ids(r)) seen.push_back(id);
    const auto d = json::parse(r.body);
    const auto next = *d->root().member("next_before");
    if (next.is_null()) break;
    query = fmt::format("?limit=2&before={}", *next.as_int64());
  }
  EXPECT_EQ(seen, (Ids{5, 4, 3, 2, 1}));
}

TEST_F(ApiTest, AWrongParameterIsNamed) {
  struct Row {
    const char* query;
    const char* says;
  };
  for (const Row& row :
       {Row{"?scheme=bitcoin", "scheme"}, Row{"?state=lost", "state"}, Row{"?limit=0", "limit"},
        Row{"?limit=1001", "limit"}, Row{"?limit=-1", "limit"}, Row{"?limit=", "limit"},
        Row{"?limit=99999999999999999999", "limit"}, Row{"?before=x", "before"},
        Row{"?before=0", "before"}, Row{"?from=yesterday", "from"}, Row{"?to=2027-13-01", "to"},
        Row{"?sevice=a", "sevice"}, Row{"?sevice", "sevice"}, Row{"?limit", "limit"}}) {
    const auto r = get(std::string("/api/v1/transactions") + row.query);
    EXPECT_EQ(r.status, 400) << row.query;
    EXPECT_NE(r.body.find(row.says), std::string::npos) << row.query << r.body;
  }
}

TEST_F(ApiTest, AStoreThatIsAwayIsAnOutage) {
  store.set_unavailable(true);
  EXPECT_EQ(get("/api/v1/transactions").status, 503);
  EXPECT_EQ(get("/api/v1/tokens/revoked").status, 503);
}

TEST_F(ApiTest, RevokingIsAcknowledged) {
  const std::string id = std::string(62, '0') + "ab";
  auto r = ask("POST", "/api/v1/tokens/" + id + "/revoke");
  EXPECT_EQ(r.status, 200);
  const auto d = json::parse(r.body);
  ASSERT_TRUE(d);
  EXPECT_EQ(*d->root().string("id"), id);
  EXPECT_EQ(*d->root().string("revoked_at"), "2027-01-15T08:00:00Z");
  ASSERT_EQ(revoked.size(), 1U);
  r = get("/api/v1/tokens/revoked");
  EXPECT_EQ(r.body, "{\"tokens\":[\"" + id + "\"]}");
  for (const std::string& bad :
       {std::string("ab"), std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'g'),
        std::string(62, 'a') + "%61%61", std::string("a/b")}) {
    EXPECT_EQ(ask("POST", "/api/v1/tokens/" + bad + "/revoke").status, 400) << bad;
  }
  EXPECT_EQ(ask("GET", "/api/v1/tokens/" + id + "/revoke").status, 404);
  revoke_fails = true;
  r = ask("POST", "/api/v1/tokens/" + id + "/revoke");
  EXPECT_EQ(r.status, 503);
  EXPECT_NE(r.body.find("a worker is stuck"), std::string::npos);
  EXPECT_EQ(revoked.size(), 1U);
}

TEST_F(ApiTest, ReloadingTellsWhatCameOfIt) {
  EXPECT_EQ(ask("POST", "/api/v1/reload").body, R"({"reloaded":true})");
  reload_fails = true;
  const auto r = ask("POST", "/api/v1/reload");
  EXPECT_EQ(r.status, 400);
  EXPECT_NE(r.body.find("line 3"), std::string::npos);
}

}  // namespace
}  // namespace octroi::admin
