#include "octroi/admin/session_api.h"

#include <gtest/gtest.h>

#include "octroi/admin/server_testing.h"
#include "octroi/json/value.h"
#include "octroi/ledger/session_testing.h"

namespace octroi::admin {
namespace {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the books are its subject

using Numbers = std::vector<std::uint32_t>;

class SessionApiTest : public AdminServerTest {
 protected:
  SessionApiTest() : AdminServerTest(kUsed) {
    Wiring wiring = wired();
    wiring.sessions = {[this](PaymentHash id) { return close(this, id); },
                       [this](PaymentHash id) { return retry(this, id); }};
    serve(std::move(wiring));
    for (std::uint32_t n = 1; n <= 5; ++n) open(n);
  }

  void open(std::uint32_t n) {
    std::ignore = run(store.record_invoices({invoice_of(n)}));
    OpenSession request = open_of(n);
    request.proof.service = n % 2 == 0 ? "maps" : "weather";
    request.first_debit = 1'001_msat;
    ASSERT_TRUE(run(store.sessions()->open_session(request)));
  }
  static Task<Result<SessionResult>> close(SessionApiTest* self, PaymentHash id) {
    CloseSession request;
    request.session = id;
    request.reason = CloseReason::operator_;
    request.now = kUsed;
    OCTROI_CO_TRY(auto out, co_await self->store.sessions()->close_session(request));
    co_return SessionResult{out.outcome, std::move(out.session)};
  }
  static Task<Result<SessionResult>> retry(SessionApiTest* self, PaymentHash id) {
    ++self->retries;
    OCTROI_CO_TRY(const auto out, co_await self->store.sessions()->retry_refund(id, kUsed));
    OCTROI_CO_TRY(auto session, co_await self->store.sessions()->find_session(id));
    co_return SessionResult{out, std::move(session)};
  }
  http::Response ask(std::string method, std::string target, bool with_token = true) {
    return ask_with(std::move(method), std::move(target), with_token ? bearer() : Fields());
  }
  static std::string path_of(std::uint32_t n) { return "/api/v1/sessions/" + hash_of(n).hex(); }
  /// The first byte of each id in the list.
  Numbers listed(const std::string& query) {
    const auto r = ask("GET", "/api/v1/sessions" + query);
    EXPECT_EQ(r.status, 200) << query << r.body;
    const auto doc = json::parse(r.body);
    Numbers out;
    if (!doc) return out;
    for (const auto& s : doc->root().array("sessions")->elements()) {
      out.push_back(PaymentHash::from_hex(*s.string("id"))->raw()[0]);
    }
    return out;
  }

  int retries = 0;
};

TEST_F(SessionApiTest, SessionsAreListedNewestFirstAndFiltered) {
  ASSERT_TRUE(run(close(this, hash_of(2))));
  struct Row {
    std::string query;
    Numbers ids;
  };
  const std::string third = hash_of(3).hex();
  for (const Row& row :
       {Row{"", {5, 4, 3, 2, 1}}, Row{"?service=maps", {4, 2}}, Row{"?state=closed", {2}},
        Row{"?state=open&service=maps", {4}}, Row{"?refund=due", {2}}, Row{"?refund=failed", {}},
        Row{"?limit=2", {5, 4}}, Row{"?before=" + third, {2, 1}},
        Row{"?limit=1&before=" + third, {2}}}) {
    EXPECT_EQ(listed(row.query), row.ids) << row.query;
  }
}

TEST_F(SessionApiTest, PagesLeadToTheEnd) {
  std::string query = "?limit=2";
  Numbers seen;
  for (int page = 0; page < 5; ++page) {
    for (const auto n : listed(query)) seen.push_back(n);
    const auto doc = json::parse(ask("GET", "/api/v1/sessions" + query).body);
    ASSERT_TRUE(doc);
    const auto next = doc->root().string("next_before");
    if (!next) break;
    query = "?limit=2&before=" + std::string(*next);
  }
  EXPECT_EQ(seen, (Numbers{5, 4, 3, 2, 1}));
}

TEST_F(SessionApiTest, AWrongParameterIsNamed) {
  for (const char* query : {"?state=lost", "?refund=maybe", "?before=abc", "?limit=0",
                            "?limit=1001", "?limit=x", "?sevice=a"}) {
    const auto r = ask("GET", std::string("/api/v1/sessions") + query);
    EXPECT_EQ(r.status, 400) << query;
    const std::string name = std::string(query).substr(1, std::string(query).find('=') - 1);
    EXPECT_NE(r.body.find(name), std::string::npos) << r.body;
  }
}

TEST_F(SessionApiTest, ASessionIsShownWithItsMoney) {
  auto doc = json::parse(ask("GET", path_of(1)).body);
  ASSERT_TRUE(doc);
  const auto open_one = doc->root();
  EXPECT_EQ(*open_one.string("id"), hash_of(1).hex());
  EXPECT_EQ(*open_one.string("service"), "weather");
  EXPECT_EQ(*open_one.string("state"), "open");
  EXPECT_EQ(*open_one.int64("deposit_msat"), 10'000);
  EXPECT_EQ(*open_one.int64("spent_msat"), 1'001);
  EXPECT_EQ(*open_one.int64("balance_msat"), 8'999);
  EXPECT_EQ(*open_one.string("return_invoice"), open_of(1).return_invoice);
  EXPECT_TRUE(open_one.member("refund")->is_null());
  EXPECT_TRUE(open_one.member("closed_at")->is_null());
  EXPECT_EQ(ask("GET", path_of(77)).status, 404);
  EXPECT_EQ(ask("GET", "/api/v1/sessions/abc").status, 400);
}

TEST_F(SessionApiTest, ClosingTellsWhatCameOfIt) {
  const auto first = ask("POST", path_of(1) + "/close");
  EXPECT_EQ(first.status, 200);
  auto doc = json::parse(first.body);
  ASSERT_TRUE(doc);
  EXPECT_EQ(*doc->root().string("outcome"), "applied");
  const auto session = *doc->root().object("session");
  EXPECT_EQ(*session.string("state"), "closed");
  EXPECT_EQ(*session.string("close_reason"), "operator");
  EXPECT_EQ(*session.int64("balance_msat"), 0);
  const auto refund = *session.object("refund");
  EXPECT_EQ(*refund.string("status"), "due");
  EXPECT_EQ(*refund.int64("amount_msat"), 8'000);
  EXPECT_EQ(*refund.int64("rounding_msat"), 999);
  doc = json::parse(ask("POST", path_of(1) + "/close").body);
  ASSERT_TRUE(doc);
  EXPECT_EQ(*doc->root().string("outcome"), "replayed");
  EXPECT_EQ(ask("POST", path_of(77) + "/close").status, 404);
  EXPECT_EQ(ask("POST", "/api/v1/sessions/abc/close").status, 400);
}

TEST_F(SessionApiTest, OnlyAFailedRefundIsRetried) {
  EXPECT_EQ(ask("POST", path_of(1) + "/retry-refund").status, 409) << "open";
  ASSERT_TRUE(run(close(this, hash_of(1))));
  const auto due = ask("POST", path_of(1) + "/retry-refund");
  EXPECT_EQ(due.status, 409);
  EXPECT_NE(due.body.find("due"), std::string::npos) << "says why";
  ASSERT_TRUE(*run(store.sessions()->claim_refund(hash_of(1), kUsed)));
  ASSERT_TRUE(run(
      store.sessions()->record_refund(hash_of(1), RefundStage::failed, 0_msat, "no route", kUsed)));
  const auto again = ask("POST", path_of(1) + "/retry-refund");
  EXPECT_EQ(again.status, 200);
  EXPECT_NE(again.body.find("\"attempts\":1"), std::string::npos) << again.body;
  EXPECT_EQ(ask("POST", path_of(77) + "/retry-refund").status, 404);
  EXPECT_EQ(retries, 4);
}

TEST_F(SessionApiTest, TheTotalsBalance) {
  ASSERT_TRUE(run(close(this, hash_of(1))));
  const auto doc = json::parse(ask("GET", "/api/v1/sessions/totals").body);
  ASSERT_TRUE(doc);
  const auto sum = [&](const char* name) { return *doc->root().int64(name); };
  EXPECT_EQ(sum("deposits_msat"), 50'000);
  EXPECT_EQ(sum("spent_msat"), 5'005);
  EXPECT_EQ(sum("rounding_msat"), 999);
  EXPECT_EQ(sum("unpaid_refunds_msat"), 8'000);
  EXPECT_EQ(sum("deposits_msat"), sum("spent_msat") + sum("refunded_msat") + sum("rounding_msat") +
                                      sum("open_balances_msat") + sum("unpaid_refunds_msat"));
}

TEST_F(SessionApiTest, EverythingNeedsTheTokenAndAKnownVerb) {
  for (const std::string& target :
       {std::string("/api/v1/sessions"), path_of(1), path_of(1) + "/close"}) {
    EXPECT_EQ(ask("GET", target, false).status, 401) << target;
    EXPECT_EQ(ask("POST", target, false).status, 401) << target;
  }
  EXPECT_EQ(ask("GET", path_of(1) + "/close").status, 404);
  EXPECT_EQ(ask("POST", path_of(1)).status, 404);
  EXPECT_EQ(ask("POST", path_of(1) + "/reopen").status, 404);
  EXPECT_EQ(ask("GET", path_of(1) + "/").status, 404);
  EXPECT_EQ(ask("GET", "/api/v1/sessions/").status, 404);
  EXPECT_EQ((*run(store.sessions()->find_session(hash_of(1))))->state, SessionState::open);
}

TEST_F(SessionApiTest, WhatIsAwayIsAnOutage) {
  store.set_unavailable(true);
  for (const std::string& target :
       {std::string("/api/v1/sessions"), std::string("/api/v1/sessions/totals"), path_of(1)}) {
    EXPECT_EQ(ask("GET", target).status, 503) << target;
  }
  EXPECT_EQ(ask("POST", path_of(1) + "/close").status, 503);
  EXPECT_EQ(ask("POST", path_of(1) + "/retry-refund").status, 503);
}

}  // namespace
}  // namespace octroi::admin
