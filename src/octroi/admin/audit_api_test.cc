#include "octroi/admin/audit_api.h"

#include <gtest/gtest.h>

#include "octroi/admin/audit_json.h"
#include "octroi/admin/server_testing.h"
#include "octroi/audit/checkpointer.h"
#include "octroi/audit/export.h"
#include "octroi/audit/journal_testing.h"
#include "octroi/json/value.h"

namespace octroi::admin {
namespace {

class AuditApiTest : public AdminServerTest {
 protected:
  AuditApiTest() : AdminServerTest(UnixMillis{1'763'700'000'000}) {
    Wiring wiring = wired();
    wiring.revoke = [this](TokenId) { return revoke(this); };
    wiring.audit = {[this] { return checkpoint(this); }, [this] { return verify(this); }};
    serve(std::move(wiring));
  }
  static Task<Result<>> revoke(AuditApiTest* self) {
    ++self->revoked;
    co_return Result<>{};
  }
  static Task<Result<std::string>> checkpoint(AuditApiTest* self) {
    OCTROI_CO_CHECK(co_await self->checkpointer.run_once());
    co_return to_hex(self->checkpointer.public_key());
  }
  static Task<Result<audit::Report>> verify(AuditApiTest* self) {
    audit::Verifier v({self->checkpointer.public_key()});
    OCTROI_CO_CHECK(co_await audit::verify_store(*self->store.journal(), v));
    co_return std::move(v).finish();
  }
  void append(int n, const std::string& run = "run-1") {
    ASSERT_TRUE(audit::now_of(store.journal()->append(audit::call_of(n, run))));
  }
  http::Response ask(std::string method, std::string target, bool with_token = true) {
    Fields fields = with_token ? bearer() : Fields();
    fields.emplace_back("User-Agent", "a test");
    return ask_with(std::move(method), std::move(target), fields);
  }
  std::vector<audit::Row> written() {
    return audit::now_of(store.journal()->query({})).value().rows;
  }

  audit::Checkpointer checkpointer{*store.journal(), audit::signer_of(), clock, {}};
  int revoked = 0;
};

TEST_F(AuditApiTest, QueriesNarrowAndPage) {
  for (int n = 1; n <= 5; ++n) append(n, n == 3 ? "run-2" : "run-1");
  auto r = ask("GET", "/api/v1/audit?run=run-2");
  EXPECT_EQ(r.status, 200);
  auto doc = json::parse(r.body).value();
  const auto rows = doc.root().array("rows").value();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ((*rows.elements().begin()).string("id").value(), "call-3");
  EXPECT_TRUE(doc.root().find("next")->is_null());
  r = ask("GET", "/api/v1/audit?limit=4&kind=call.intent");
  doc = json::parse(r.body).value();
  EXPECT_EQ(doc.root().array("rows")->size(), 4U);
  const std::string next(doc.root().string("next").value());
  r = ask("GET", "/api/v1/audit?limit=4&kind=call.intent&cursor=" + next);
  doc = json::parse(r.body).value();
  EXPECT_EQ(doc.root().array("rows")->size(), 1U);
}

TEST_F(AuditApiTest, WhatCannotBeUnderstoodIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"/api/v1/audit?limit=0", "limit"},
      {"/api/v1/audit?limit=1001", "limit"},
      {"/api/v1/audit?verdict=maybe", "verdict"},
      {"/api/v1/audit?from=yesterday", "from"},
      {"/api/v1/audit?cursor=x", "cursor"},
      {"/api/v1/audit?color=red", "color"},
      {"/api/v1/audit/rows", "writer"},
      {"/api/v1/audit/rows?writer=memory&from=x", "from"},
      {"/api/v1/audit/rows?writer=memory&after=1", "after"},
      {"/api/v1/audit/rows?writer=A%20B", "writer"},
      {"/api/v1/audit/checkpoints?writer=memory&limit=2000", "limit"},
  };
  for (const auto& [target, named] : cases) {
    const auto r = ask("GET", target);
    EXPECT_EQ(r.status, 400) << target << r.body;
    EXPECT_NE(r.body.find(named), std::string::npos) << target << r.body;
  }
  EXPECT_EQ(ask("GET", "/api/v1/audit/nothing").status, 404);
  EXPECT_EQ(ask("GET", "/api/v1/audit", false).status, 401);
  EXPECT_EQ(ask("DELETE", "/api/v1/audit").status, 404) << "nothing here changes a row";
}

TEST_F(AuditApiTest, RowsAndCheckpointsMakeAnExportThatVerifies) {
  for (int n = 1; n <= 4; ++n) append(n);
  const auto writers = ask("GET", "/api/v1/audit/writers");
  const auto doc = json::parse(writers.body).value();
  EXPECT_EQ(doc.root().string("public_key").value(), to_hex(checkpointer.public_key()));
  EXPECT_EQ(doc.root().string("writer").value(), "memory");
  audit::Verifier v({checkpointer.public_key()});
  for (const char* part : {"checkpoints?writer=memory", "rows?writer=memory&from=1"}) {
    const auto r = ask("GET", std::string("/api/v1/audit/") + part);
    EXPECT_EQ(r.status, 200);
    for (std::size_t at = 0; at < r.body.size();) {
      const std::size_t end = r.body.find('\n', at);
      v.add_line(std::string_view(r.body).substr(at, end - at));
      at = end + 1;
    }
  }
  const audit::Report report = std::move(v).finish();
  EXPECT_EQ(audit::verdict_of(report), "valid");
  EXPECT_EQ(report.rows, 5);
  EXPECT_EQ(report.checkpoints, 1) << "asking for the writers signed one";
  EXPECT_EQ(report.unsigned_rows, 0);
}

TEST_F(AuditApiTest, TheServerVerifiesItself) {
  append(1);
  const auto r = ask("GET", "/api/v1/audit/verify");
  EXPECT_EQ(r.status, 200);
  const auto doc = json::parse(r.body).value();
  EXPECT_TRUE(doc.root().boolean("valid").value());
  EXPECT_EQ(doc.root().int64("rows").value(), 2);
  EXPECT_TRUE(doc.root().find("first_bad")->is_null());
}

TEST_F(AuditApiTest, EveryChangeIsWrittenDownBeforeItIsMade) {
  const std::string id(64, 'a');
  EXPECT_EQ(ask("POST", "/api/v1/tokens/" + id + "/revoke").status, 200);
  EXPECT_EQ(revoked, 1);
  const auto rows = written();
  ASSERT_EQ(rows.size(), 2U) << "the beginning of the chain and the change";
  const audit::Event& e = rows[0].event;
  EXPECT_EQ(e.kind, audit::kAdminChange);
  EXPECT_EQ(e.method, "POST");
  EXPECT_EQ(e.path, "/api/v1/tokens/aaaaaaaaaaaaaaa…/revoke");
  EXPECT_EQ(e.user_agent, "a test");
  EXPECT_TRUE(e.client.starts_with("127.0.0.1")) << e.client;
}

TEST_F(AuditApiTest, WhatCannotBeWrittenDownIsNotDone) {
  store.set_unavailable(true);
  EXPECT_EQ(ask("POST", "/api/v1/tokens/" + std::string(64, 'a') + "/revoke").status, 503);
  EXPECT_EQ(revoked, 0);
}

TEST_F(AuditApiTest, ReadingAndStrangersLeaveNoRow) {
  ask("GET", "/api/v1/tokens/revoked");
  ask("POST", "/api/v1/tokens/" + std::string(64, 'a') + "/revoke", false);
  EXPECT_TRUE(written().empty());
}

TEST(AuditJson, AFilterSurvivesItsParameters) {
  audit::Filter f;
  f.run = "r";
  f.key_id = "k";
  f.verdict = audit::Verdict::denied;
  f.from = UnixMillis{1'763'700'000'007};
  f.to = UnixMillis{1'763'700'001'000};
  f.cursor = "1.2.w";
  f.limit = 7;
  audit::Filter back;
  for (const auto& [name, value] : audit_parameters(f)) {
    EXPECT_TRUE(set_audit_filter(back, name, value).value()) << name;
  }
  EXPECT_EQ(back.run, f.run);
  EXPECT_EQ(back.key_id, f.key_id);
  EXPECT_EQ(back.verdict, f.verdict);
  EXPECT_EQ(back.from, f.from);
  EXPECT_EQ(back.to, f.to);
  EXPECT_EQ(back.cursor, f.cursor);
  EXPECT_EQ(back.limit, 7);
}

}  // namespace
}  // namespace octroi::admin
