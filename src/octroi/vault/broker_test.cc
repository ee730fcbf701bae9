#include "octroi/vault/broker.h"

#include <functional>
#include <utility>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "octroi/audit/memory_journal.h"
#include "octroi/json/value.h"
#include "octroi/ledger/memory_approvals.h"
#include "octroi/ledger/memory_spends.h"
#include "octroi/ledger/spend_testing.h"
#include "octroi/net/run_until.h"

namespace octroi::vault {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view kReal = "rk_test_51TheRealKeyOfTheAccount0123456789";

constexpr std::string_view kRealPair =
    "AC11111111111111111111111111111111:22222222222222222222222222222222";

/// A journal whose rows can be acted on before they are acknowledged.
class WatchedJournal final : public audit::Journal {
 public:
  explicit WatchedJournal(Clock& clock) : rows_(clock) {}
  std::function<void(const audit::Event&)> on_row;
  std::vector<audit::Event> events;
  audit::MemoryJournal& memory() { return rows_; }

  std::string writer() const override { return rows_.writer(); }
  Task<Result<audit::RowId>> append(audit::Event event) override {
    if (on_row) on_row(event);
    auto written = co_await rows_.append(event);
    if (written) events.push_back(std::move(event));
    co_return written;
  }
  Task<Result<audit::Page>> query(audit::Filter f) override { return rows_.query(std::move(f)); }
  Task<Result<std::vector<audit::StoredRow>>> rows(std::string w, std::int64_t from,
                                                   int limit) override {
    return rows_.rows(std::move(w), from, limit);
  }
  Task<Result<std::vector<audit::Head>>> heads() override { return rows_.heads(); }
  Task<Result<>> keep_checkpoint(audit::Checkpoint c) override {
    return rows_.keep_checkpoint(std::move(c));
  }
  Task<Result<std::vector<audit::Checkpoint>>> checkpoints(std::string w, std::int64_t after,
                                                           int limit) override {
    return rows_.checkpoints(std::move(w), after, limit);
  }

 private:
  audit::MemoryJournal rows_;
};

struct Sent {
  std::string method, target, authorization, body, idempotency;
};

class BrokerTest : public ::testing::Test, public VendorClients {
 public:
  BrokerTest() {
    http::ServerConfig config;
    config.listen = *net::Endpoint::parse("127.0.0.1:0");
    upstream_ = std::move(
        *http::listen(loop_, config, [this](http::Exchange& x) { return answer(this, &x); }));
    client_ = http::make_client(loop_, {});
    vendors_ = http::make_client(loop_, {});
    issued_ = issue_key(false, random_);
    issued_.record.vendor = "stripe";
    issued_.record.policy = "bot";
    shared_ = std::make_unique<Shared>(Shared{spends_, journal_, metrics_, clock_, random_});
    start(R"({"vendor":"stripe","endpoints":["*"],"daily_cap":"50 usd"})");
  }

  using Change = std::function<void(VaultSettings&)>;
  std::shared_ptr<const Snapshot> snapshot(std::string policy, const Change& change = {}) {
    VaultSettings settings;
    VendorSettings vendor;
    vendor.name = vendor.pack = issued_.record.vendor;
    vendor.live = false;
    vendor.scheme = "http";
    vendor.host = upstream_->local().address.str();
    vendor.port = upstream_->local().port;
    vendor.credential =
        std::make_shared<const Secret>(issued_.record.vendor == "twilio" ? kRealPair : kReal);
    settings.vendors.push_back(std::move(vendor));
    settings.policies.push_back({"bot", issued_.record.vendor, std::move(policy)});
    if (change) change(settings);
    auto snapshot = Snapshot::build(std::move(settings), {});
    EXPECT_TRUE(snapshot) << snapshot.error().message();
    return snapshot ? *snapshot : nullptr;
  }

  void start(std::string policy, std::string pack = "stripe") {
    issued_.record.vendor = std::move(pack);
    auto made = snapshot(std::move(policy));
    ASSERT_NE(made, nullptr);
    server_.reset();
    broker_ = std::make_unique<Broker>(*shared_, *this, std::move(made), book());
    http::ServerConfig config;
    config.listen = *net::Endpoint::parse("127.0.0.1:0");
    server_ = std::move(
        *http::listen(loop_, config, [this](http::Exchange& x) { return broker_->handle(x); }));
  }

  std::shared_ptr<const KeyBook> book() {
    ledger::VaultKeyList list;
    list.keys.push_back(issued_.record);
    return std::make_shared<const KeyBook>(std::move(list));
  }
  /// A new key that goes on with this one.
  void rotate() {
    const ledger::VaultKey old = issued_.record;
    issued_ = issue_key(old.live, random_);
    issued_.record.vendor = old.vendor;
    issued_.record.policy = old.policy;
    issued_.record.line = ledger::counted_as(old);
    broker_->publish(book());
  }
  void revoke() {
    issued_.record.state = ledger::VaultKeyState::revoked;
    broker_->publish(book());
  }

  http::Client& client_for(const Vendor&) override {
    if (on_connect_) on_connect_();
    return *vendors_;
  }

  static Task<void> answer(BrokerTest* self, http::Exchange* x) {
    Sent sent;
    sent.method = x->request().method;
    sent.target = x->request().target;
    sent.authorization = std::string(x->request().headers.get("authorization").value_or(""));
    sent.idempotency = std::string(x->request().headers.get("idempotency-key").value_or(""));
    sent.body = (co_await http::read_all(x->body(), 1U << 20)).value_or("");
    self->sent_.push_back(std::move(sent));
    if (self->reply_) {
      co_await self->reply_(x);
      co_return;
    }
    http::ResponseHead head;
    head.headers.add("Content-Type", "application/json");
    std::ignore = co_await x->respond(
        std::move(head), R"({"id":"ch_1","object":"charge","amount":1000,"currency":"usd"})");
  }

  /// A charge of $10, during whose body something happens. Returns the status.
  int slow_charge(std::function<void()> midway) {
    return net::run_until(loop_, slowly(this, std::move(midway)));
  }
  static Task<int> slowly(BrokerTest* self, std::function<void()> midway) {
    const net::Endpoint at = self->server_->local();
    auto link = co_await self->client_->open({"http", at.address.str(), at.port});
    if (!link) co_return 0;
    const std::string body = "amount=1000&currency=usd&customer=cus_1";
    if (!(co_await (*link)->send_head(self->charge_head(), body.size()))) co_return 0;
    if (!(co_await (*link)->write(as_bytes(body).first(9)))) co_return 0;
    co_await self->loop_.sleep(Millis(50));
    midway();
    if (!(co_await (*link)->write(as_bytes(body).subspan(9)))) co_return 0;
    if (!(co_await (*link)->finish({}))) co_return 0;
    auto answered = co_await (*link)->head();
    co_return answered ? answered->status : 0;
  }

  /// Gone once the vendor has it, and stays until it was settled, or not.
  static Task<void> charge_and_leave(BrokerTest* self, http::Protocol protocol) {
    const net::Endpoint at = self->server_->local();
    auto link = co_await self->client_->open({"http", at.address.str(), at.port, protocol});
    if (!link) co_return;
    const std::string body = "amount=1000&currency=usd&customer=cus_1";
    if (!(co_await (*link)->send_head(self->charge_head(), body.size()))) co_return;
    if (!(co_await (*link)->write(as_bytes(body)))) co_return;
    if (!(co_await (*link)->finish({}))) co_return;
    while (self->sent_.empty()) co_await self->loop_.sleep(Millis(5));
    link->reset();
    for (int i = 0; i < 400 && self->journal_.events.size() < 2; ++i)
      co_await self->loop_.sleep(Millis(10));
  }
  http::RequestHead charge_head() {
    const Secret text = issued_.text(KeyShape::vault);
    http::RequestHead head;
    head.method = "POST";
    head.scheme = "http";
    head.target = "/stripe/v1/charges";
    head.authority = server_->local().str();
    head.headers.add("Authorization", "Bearer " + std::string(text.reveal_text()));
    head.headers.add("Content-Type", "application/x-www-form-urlencoded");
    return head;
  }

  http::Response call(std::string method, std::string target, std::string body,
                      std::string idempotency = "") {
    http::Request request;
    request.method = std::move(method);
    request.url = *http::Url::parse("http://" + server_->local().str() + target);
    const Secret text = issued_.text(KeyShape::vault);
    request.headers.add("Authorization", "Bearer " + std::string(text.reveal_text()));
    const char* type =
        body.starts_with('{') ? "application/json" : "application/x-www-form-urlencoded";
    if (!body.empty()) request.headers.add("Content-Type", type);
    if (!idempotency.empty()) request.headers.add("Idempotency-Key", idempotency);
    request.body = std::move(body);
    auto got = net::run_until(loop_, client_->fetch(std::move(request), 1U << 20, Millis(20'000)));
    EXPECT_TRUE(got) << got.error().message();
    return got ? std::move(*got) : http::Response{};
  }
  http::Response charge(std::string amount, std::string idempotency = "") {
    return call("POST", "/stripe/v1/charges", "amount=" + amount + "&currency=usd&customer=cus_1",
                std::move(idempotency));
  }
  std::vector<ledger::SpendRecord> spends() {
    auto got = net::run_until(loop_, spends_.list_spends({}));
    return got ? std::move(*got) : std::vector<ledger::SpendRecord>{};
  }
  std::vector<std::string> kinds() {
    std::vector<std::string> out;
    for (const auto& e : journal_.events)
      out.push_back(e.kind + " " + std::string(e.verdict ? audit::to_string(*e.verdict) : ""));
    return out;
  }

  net::Loop loop_;
  ManualClock clock_{UnixMillis{1'790'000'000'000}};
  SeededRandom random_{5};
  MetricRegistry metrics_;
  ledger::MemorySpends spends_;
  WatchedJournal journal_{clock_};
  std::unique_ptr<Shared> shared_;
  IssuedKey issued_;
  std::vector<Sent> sent_;
  std::function<Task<void>(http::Exchange*)> reply_;
  std::function<void()> on_connect_;  // before a connection to the vendor is opened
  std::unique_ptr<http::Client> client_, vendors_;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<http::Server> upstream_, server_;
};

TEST_F(BrokerTest, ForwardsWhatWasJudgedWithTheRealKeyAndTellsBothRows) {
  const auto answered = charge("1000");
  EXPECT_EQ(answered.status, 200);
  ASSERT_EQ(sent_.size(), 1U);
  EXPECT_EQ(sent_[0].target, "/v1/charges");
  EXPECT_EQ(sent_[0].authorization, "Bearer " + std::string(kReal));
  EXPECT_EQ(sent_[0].body,
            "amount=1000&currency=usd&customer=cus_1&metadata%5Boctroi_call%5D=" + spends()[0].id);
  EXPECT_THAT(sent_[0].idempotency, HasSubstr("octroi_call_"));
  EXPECT_THAT(kinds(), ElementsAre("call.intent allowed", "call.outcome allowed"));
  const auto held = spends();
  ASSERT_EQ(held.size(), 1U);
  EXPECT_EQ(held[0].state, ledger::SpendState::settled);
  EXPECT_EQ(held[0].settled, 10_usd);
  EXPECT_EQ(held[0].object, "ch_1");
}

/// Whoever waits for a stream has it begun in time, and cannot say when it ends.
TEST_F(BrokerTest, AStreamHasAnHourMoreBeforeItsProcessIsTakenForDead) {
  EXPECT_EQ(charge("1000").status, 200);
  EXPECT_EQ(spends()[0].answer_by - spends()[0].created, Millis(110'000));
  start(R"({"vendor":"openai","endpoints":["*"],"daily_cap":"50 usd"})", "openai");
  EXPECT_EQ(call("POST", "/openai/v1/chat/completions",
                 R"({"model":"gpt-4o","messages":[],"max_tokens":1,"stream":true})")
                .status,
            200);
  for (const auto& r : spends()) {
    if (r.vendor == "openai") EXPECT_EQ(r.answer_by - r.created, Millis(3'710'000));
  }
  EXPECT_EQ(spends().size(), 2U);
}

TEST_F(BrokerTest, NoAuditRowNoCall) {
  journal_.memory().set_unavailable(true);
  EXPECT_EQ(charge("1000").status, 503);
  EXPECT_THAT(sent_, IsEmpty());
  ASSERT_EQ(spends().size(), 1U);
  EXPECT_EQ(spends()[0].state, ledger::SpendState::released);
}

TEST_F(BrokerTest, NoLedgerNoCall) {
  spends_.set_unavailable(true);
  EXPECT_EQ(charge("1000").status, 503);
  EXPECT_THAT(sent_, IsEmpty());
}

TEST_F(BrokerTest, AKeyRevokedWhileTheRowIsWrittenIsNotForwarded) {
  journal_.on_row = [this](const audit::Event& e) {
    if (e.kind == audit::kCallIntent) revoke();
  };
  EXPECT_EQ(charge("1000").status, 401);
  EXPECT_THAT(sent_, IsEmpty());
  ASSERT_EQ(spends().size(), 1U);
  EXPECT_EQ(spends()[0].state, ledger::SpendState::released);
}

/// What became of a call is written after its answer.
TEST_F(BrokerTest, WhatBeganAMomentAgoIsLookedForAgain) {
  EXPECT_EQ(charge("1000").status, 200);
  const std::string id = spends()[0].id;
  struct Later {
    static Task<void> run(BrokerTest* self, std::string id) {
      co_await self->loop_.sleep(Millis(15));
      std::ignore = co_await self->spends_.settle(id, 10_usd, "ch_2", self->clock_.now());
    }
  };
  loop_.post([this, id] { loop_.tasks().start(Later::run(this, id)); });
  EXPECT_EQ(call("POST", "/stripe/v1/charges/ch_2/capture", "").status, 200);
}

Task<void> show_real_key(http::Exchange* x) {
  http::ResponseHead head;
  head.headers.add("Content-Type", "application/json");
  head.headers.add("Request-Id", std::string(kReal));
  std::ignore = co_await x->respond(
      std::move(head), fmt::format(R"({{"id":"{}","amount":1000,"currency":"usd"}})", kReal));
}
TEST_F(BrokerTest, ARealKeyInAnAnswerIsNotKept) {
  reply_ = show_real_key;
  EXPECT_EQ(charge("1000").status, 200);
  EXPECT_EQ(spends()[0].object, "vault_redacted");
  ASSERT_EQ(journal_.events.size(), 2U);
  EXPECT_EQ(journal_.events[1].vendor_request_id, "vault_redacted");
}

TEST_F(BrokerTest, WhatIsNotConfirmedOpensNothingThoughNobodySaysSo) {
  Freshness fresh;
  shared_->fresh = &fresh;
  EXPECT_EQ(charge("1000").status, 503);
  fresh.set_until(Freshness::kForever);
  EXPECT_EQ(charge("1000").status, 200);
  fresh.set_until(loop_.now() + Millis(60'000));
  EXPECT_EQ(charge("1000").status, 200);
  sent_.clear();
  fresh.set_until(loop_.now() + Millis(20));
  net::run_until(loop_, loop_.sleep(Millis(50)));
  EXPECT_EQ(charge("1000").status, 503);
  EXPECT_THAT(sent_, IsEmpty());
  for (const auto& spend : spends())
    EXPECT_EQ(spend.state == ledger::SpendState::released, spend.object.empty());
}

Task<void> decline(http::Exchange* x) {
  http::ResponseHead head;
  head.status = 402;
  std::ignore = co_await x->respond(std::move(head), R"({"error":{"type":"card_error"}})");
}
TEST_F(BrokerTest, ARefusalByTheVendorGivesTheMoneyBack) {
  reply_ = decline;
  EXPECT_EQ(charge("5000").status, 402);
  EXPECT_EQ(spends()[0].state, ledger::SpendState::released);
  EXPECT_THAT(kinds(), ElementsAre("call.intent allowed", "call.outcome failed"));
  reply_ = nullptr;
  EXPECT_EQ(charge("5000").status, 200);
}

Task<void> hang_up(http::Exchange* x) {
  x->abort();
  co_return;
}
Task<void> show(http::Exchange* x, std::string body) {
  http::ResponseHead head;
  head.headers.add("Content-Type", "application/json");
  std::ignore = co_await x->respond(std::move(head), std::move(body));
}
/// Says twice that it is at work, and when it is done.
Task<void> take_time(http::Exchange* x, net::Loop* loop) {
  for (int i = 0; i < 3; ++i) {
    co_await loop->sleep(Millis(60));
    http::ResponseHead hint;
    hint.status = 103;
    hint.headers.add("Link", "</a>");
    if (!(co_await x->interim(std::move(hint)))) co_return;
  }
  co_await show(x, R"({"id":"ch_1","object":"charge","amount":700,"currency":"usd"})");
}
TEST_F(BrokerTest, WhatTheVendorSaysBeforeItsAnswerIsNoReasonToLeaveIt) {
  reply_ = [this](http::Exchange* x) { return take_time(x, &loop_); };
  for (const http::Protocol protocol : {http::Protocol::http1, http::Protocol::h2}) {
    sent_.clear();
    journal_.events.clear();
    net::run_until(loop_, charge_and_leave(this, protocol));
    EXPECT_EQ(sent_.size(), 1U);
    EXPECT_THAT(kinds(), ElementsAre("call.intent allowed", "call.outcome allowed"));
    ASSERT_EQ(journal_.events.size(), 2U);
    EXPECT_EQ(journal_.events[1].settled, 7_usd);
  }
}

TEST_F(BrokerTest, AnUnknownOutcomeKeepsTheHoldAndARetryIsCountedOnce) {
  reply_ = hang_up;
  EXPECT_EQ(charge("5000", "one").status, 502);
  ASSERT_EQ(spends().size(), 1U);
  EXPECT_EQ(spends()[0].state, ledger::SpendState::unknown);
  reply_ = nullptr;
  EXPECT_EQ(charge("1", "two").status, 403);  // the cap is full
  EXPECT_EQ(charge("5000", "one").status, 200);
  ASSERT_EQ(spends().size(), 1U);
  EXPECT_EQ(spends()[0].state, ledger::SpendState::settled);
  EXPECT_EQ(sent_[0].idempotency, sent_[1].idempotency);
  EXPECT_THAT(kinds(),
              ElementsAre("call.intent allowed", "call.outcome unknown", "call.outcome denied",
                          "call.intent allowed", "call.outcome allowed"));
}

/// A key and the one that it was rotated to are one caller, whose retry is the same call.
TEST_F(BrokerTest, ARetryWithTheKeyThatTheFirstWasRotatedToIsTheSameCall) {
  EXPECT_EQ(charge("1000", "k").status, 200);
  rotate();
  EXPECT_EQ(charge("1000", "k").status, 200);
  rotate();
  EXPECT_EQ(charge("1000", "k").status, 200);
  ASSERT_EQ(sent_.size(), 3U);
  EXPECT_EQ(sent_[0].idempotency, sent_[1].idempotency);
  EXPECT_EQ(sent_[0].idempotency, sent_[2].idempotency);
  EXPECT_EQ(spends().size(), 1U);
}

TEST_F(BrokerTest, TheSameContentIsADuplicateAlsoAfterARotation) {
  start(R"({"vendor":"stripe","endpoints":["*"],"daily_cap":"50 usd","dedupe":"10m"})");
  EXPECT_EQ(charge("1000").status, 200);
  rotate();
  EXPECT_EQ(charge("1000").status, 409);
  EXPECT_EQ(sent_.size(), 1U);
}

/// The account that the path names is another one for each key.
TEST_F(BrokerTest, AMessageIsADuplicateAlsoAfterARotation) {
  start(R"({"vendor":"twilio","endpoints":["*"],"daily_cap":"50 usd","dedupe":"10m"})", "twilio");
  const auto send = [this] {
    return call("POST", "/twilio/2010-04-01/Accounts/" + issued_.record.pair_id + "/Messages.json",
                "To=%2B15551234567&From=%2B15550001111&Body=hi")
        .status;
  };
  EXPECT_EQ(send(), 200);
  rotate();
  EXPECT_EQ(send(), 409);
  EXPECT_EQ(sent_.size(), 1U);
}

TEST_F(BrokerTest, ARetryDoesNotGiveBackTheTicketOfWhatWasSent) {
  ledger::MemoryApprovals approvals;
  ApprovalDesk desk(approvals, journal_, metrics_, clock_, random_);
  shared_->approvals = &desk;
  start(R"({"vendor":"stripe","endpoints":["*"],"daily_cap":"50 usd","approve_over":"5 usd"})");
  EXPECT_EQ(charge("1000", "k").status, 403);
  const auto tickets = ledger::sync(approvals.list_approvals(std::nullopt, 10)).value();
  ASSERT_EQ(tickets.size(), 1U);
  ledger::sync(approvals.decide_approval(tickets[0].id, true, "ann", clock_.now(),
                                         clock_.now() + Millis(60'000)))
      .value();
  const auto state = [&] {
    return ledger::sync(approvals.find_approval(tickets[0].id)).value()->state;
  };
  // What is refused before anything was sent gives it back.
  spends_.set_unavailable(true);
  EXPECT_EQ(charge("1000", "k").status, 503);
  EXPECT_EQ(state(), ledger::ApprovalState::approved);
  spends_.set_unavailable(false);
  EXPECT_EQ(charge("1000", "k").status, 200);
  spends_.set_unavailable(true);
  EXPECT_EQ(charge("1000", "k").status, 503);
  EXPECT_EQ(state(), ledger::ApprovalState::used);
  spends_.set_unavailable(false);
  EXPECT_EQ(charge("1000", "other").status, 403);
  EXPECT_EQ(sent_.size(), 1U);
}

TEST_F(BrokerTest, ReadsOfOneIdempotencyKeyAreAsManyCalls) {
  start(R"({"vendor":"stripe","endpoints":["*"],"caps":[{"per":"day","calls":2}]})");
  EXPECT_EQ(call("GET", "/stripe/v1/customers", "", "one").status, 200);
  EXPECT_EQ(call("GET", "/stripe/v1/customers", "", "one").status, 200);
  EXPECT_EQ(call("GET", "/stripe/v1/customers", "", "one").status, 403);
  EXPECT_EQ(sent_.size(), 2U);
}

/// It was a call, and there is no money that somebody should look for.
TEST_F(BrokerTest, AReadThatIsNotAnsweredIsCountedAndWorriesNobody) {
  start(R"({"vendor":"stripe","endpoints":["*"],"daily_cap":"50 usd",)"
        R"("caps":[{"per":"day","calls":2}]})");
  int told = 0;
  shared_->notice = [&](const Notice& n) { told += n.kind == Notice::Kind::spend_unknown ? 1 : 0; };
  reply_ = hang_up;
  EXPECT_EQ(call("GET", "/stripe/v1/customers", "").status, 502);
  ASSERT_EQ(spends().size(), 1U);
  EXPECT_EQ(spends()[0].state, ledger::SpendState::settled);
  EXPECT_EQ(spends()[0].settled, MicroUsd{});
  EXPECT_THAT(kinds(), ElementsAre("call.intent allowed", "call.outcome unknown"));
  EXPECT_EQ(told, 0);
  EXPECT_EQ(charge("1000").status, 502);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(call("GET", "/stripe/v1/customers", "").status, 403);  // both were calls
}

TEST_F(BrokerTest, ARunInTheBodyIsOneWordToo) {
  const auto of_run = [this](const std::string& run) {
    return call("POST", "/stripe/v1/charges", "amount=1&currency=usd&metadata[agent_run_id]=" + run)
        .status;
  };
  for (const std::string& bad : std::vector<std::string>{"a%0Ab", "a%1B[2Jb", "%09a", "a b",
                                                         "%C3%A9", std::string(129, 'a')})
    EXPECT_EQ(of_run(bad), 400) << bad;
  EXPECT_THAT(sent_, IsEmpty());
  EXPECT_EQ(of_run("ticket-7"), 200);
  EXPECT_EQ(spends()[0].run, "ticket-7");
}

constexpr const char* kLookingUp =
    R"({"vendor":"stripe","endpoints":["*"],"daily_cap":"50 usd","unknown_amount":"lookup"})";
TEST_F(BrokerTest, ARetryThatFindsNothingLeftToPayIsCountedAsTheFirst) {
  start(kLookingUp);
  int left = 4000;
  bool answers = false;
  reply_ = [&](http::Exchange* x) {
    const bool asks = x->request().method == "GET";
    if (!asks && !std::exchange(answers, true)) return left = 0, hang_up(x);
    return show(x, fmt::format(R"({{"id":"in_1","amount_remaining":{},"currency":"usd"}})", left));
  };
  EXPECT_EQ(call("POST", "/stripe/v1/invoices/in_1/pay", "", "one").status, 502);
  EXPECT_EQ(call("POST", "/stripe/v1/invoices/in_1/pay", "", "one").status, 200);
  ASSERT_EQ(spends().size(), 1U);
  EXPECT_EQ(spends()[0].state, ledger::SpendState::settled);
  EXPECT_EQ(spends()[0].settled, 40_usd);
}

TEST_F(BrokerTest, ACallThatWaitedIsJudgedByTheMomentInWhichItGoesOn) {
  start(kLookingUp);
  EXPECT_EQ(charge("100").status, 200);
  const auto windows = net::run_until(loop_, spends_.usage("policy/", clock_.now()));
  ASSERT_TRUE(windows && windows->size() == 1);
  reply_ = [&](http::Exchange* x) {
    if (x->request().method == "GET") {
      // The vendor takes its time to be asked, and others go on meanwhile.
      clock_.advance(ledger::kClockSkew + Millis(1));
      const ledger::SpendUsage& w = windows->front();
      auto other = ledger::charge_of("other", 50'000'000, 1'000'000);
      other.now = clock_.now();
      other.holds = {{w.scope, w.unit, w.starts, w.ends, 50'000'000, 1'000'000, true}};
      EXPECT_EQ(ledger::sync(spends_.reserve(other))->state, ledger::ReserveState::applied);
    }
    return show(x, R"({"id":"in_1","amount_remaining":400,"currency":"usd"})");
  };
  EXPECT_EQ(call("POST", "/stripe/v1/invoices/in_1/pay", "").status, 200);
}

TEST_F(BrokerTest, AnIdempotencyKeyIsForOneRequest) {
  EXPECT_EQ(charge("100", "one").status, 200);
  EXPECT_EQ(charge("200", "one").status, 409);
  EXPECT_EQ(sent_.size(), 1U);
}

TEST_F(BrokerTest, ACapIsExactToTheSmallestUnit) {
  EXPECT_EQ(charge("5001").status, 403);
  EXPECT_EQ(charge("5000").status, 200);
  EXPECT_THAT(sent_, ::testing::SizeIs(1));
}

TEST_F(BrokerTest, ACaptureOfWhatWasCountedIsNotCountedAgain) {
  start(R"({"vendor":"stripe","endpoints":["*"],"daily_cap":"10 usd"})");
  EXPECT_EQ(charge("1000").status, 200);  // ch_1
  EXPECT_EQ(call("POST", "/stripe/v1/charges/ch_1/capture", "").status, 200);
  EXPECT_EQ(call("POST", "/stripe/v1/charges/ch_2/capture", "").status, 403);
  EXPECT_EQ(sent_.size(), 2U);
}

constexpr const char* kSmallOnes =
    R"({"vendor":"stripe","endpoints":["*"],"daily_cap":"50 usd","max_amount":"20 usd",)"
    R"("unknown_amount":"lookup","caps":[{"per":"day","calls":50}]})";
/// A payment of $5000 that was begun elsewhere, and may be captured in parts.
Task<void> big_intent(http::Exchange* x) {
  return show(x, R"({"id":"pi_9","amount":500000,"amount_capturable":500000,"currency":"usd"})");
}
TEST_F(BrokerTest, WhoeverTouchesAnObjectDidNotCountIt) {
  start(kSmallOnes);
  reply_ = big_intent;
  const std::string intent = "/stripe/v1/payment_intents/pi_9";
  EXPECT_EQ(call("GET", intent, "").status, 200);
  EXPECT_EQ(call("POST", intent, "metadata[a]=b").status, 200);
  EXPECT_EQ(call("POST", intent + "/confirm", "").status, 403);
  EXPECT_EQ(call("POST", intent + "/capture", "").status, 403);
  // A part of it is judged and counted as a part, and so is the next one.
  EXPECT_EQ(call("POST", intent + "/capture", "amount_to_capture=100").status, 200);
  EXPECT_EQ(call("POST", intent + "/capture", "amount_to_capture=499900").status, 403);
  for (const auto& r : spends()) EXPECT_EQ(r.object, "") << r.operation;
}

TEST_F(BrokerTest, WhatWasCountedStaysCountedWhoeverTouchesIt) {
  reply_ = [](http::Exchange* x) {
    return show(x, R"({"id":"pi_9","amount":1000,"amount_received":0,"currency":"usd"})");
  };
  const std::string intent = "/stripe/v1/payment_intents/pi_9";
  EXPECT_EQ(call("POST", "/stripe/v1/payment_intents", "amount=1000&currency=usd").status, 200);
  EXPECT_EQ(call("POST", intent, "metadata[a]=b").status, 200);
  EXPECT_EQ(call("POST", intent + "/confirm", "").status, 200);
  EXPECT_EQ(call("POST", intent + "/capture", "amount_to_capture=400").status, 200);
  EXPECT_EQ(call("POST", intent + "/capture", "").status, 200);
  MicroUsd all;
  for (const auto& r : spends()) all = *all.plus(r.settled);
  EXPECT_EQ(all, 10_usd);
}

TEST_F(BrokerTest, AConfirmationThatWasLookedUpCountsTheWhole) {
  start(kSmallOnes);
  reply_ = [](http::Exchange* x) {
    return show(x, R"({"id":"pi_9","amount":1500,"currency":"usd"})");
  };
  const std::string intent = "/stripe/v1/payment_intents/pi_9";
  EXPECT_EQ(call("POST", intent + "/confirm", "").status, 200);
  const std::size_t asked = sent_.size();
  EXPECT_EQ(call("POST", intent + "/capture", "").status, 200);
  EXPECT_EQ(sent_.size(), asked + 1);  // nobody was asked again
}

constexpr const char* kWithLookUps =
    R"({"vendor":"stripe","endpoints":["*"],"daily_cap":"50 usd","max_amount":"10 usd",)"
    R"("customers":["cus_1"],"unknown_amount":"lookup","unknown_customer":"lookup"})";
TEST_F(BrokerTest, WhatIsNotInTheRequestIsAskedForWithTheRealKey) {
  start(kWithLookUps);
  reply_ = [](http::Exchange* x) {
    return show(x, R"({"id":"ch_1","amount":1000,"amount_refunded":0,"currency":"usd",)"
                   R"("customer":"cus_1"})");
  };
  EXPECT_EQ(call("POST", "/stripe/v1/refunds", "charge=ch_1").status, 200);
  ASSERT_EQ(sent_.size(), 2U);
  EXPECT_EQ(sent_[0].method, "GET");
  EXPECT_EQ(sent_[0].target, "/v1/charges/ch_1");
  EXPECT_EQ(sent_[0].authorization, "Bearer " + std::string(kReal));
  EXPECT_EQ(spends()[0].amount, 10_usd);
  EXPECT_THAT(journal_.events[0].details,
              ElementsAre(std::pair<std::string, std::string>("looked_up", "/v1/charges/ch_1")));
  EXPECT_EQ(call("POST", "/stripe/v1/refunds", "charge=ch_1").status, 200);
  EXPECT_EQ(sent_.size(), 4U);  // no answer is kept
}

TEST_F(BrokerTest, WhatTheVendorSaysIsJudged) {
  start(kWithLookUps);
  for (const char* object :
       {R"({"id":"ch_1","amount":1001,"amount_refunded":0,"currency":"usd","customer":"cus_1"})",
        R"({"id":"ch_1","amount":900,"amount_refunded":0,"currency":"usd","customer":"cus_2"})",
        R"({"id":"ch_1","amount":900,"amount_refunded":0,"currency":"usd","customer":null})",
        R"({"id":"ch_2","amount":900,"amount_refunded":0,"currency":"usd","customer":"cus_1"})",
        R"({"id":"ch_1","customer":"cus_1"})", "[]", "nothing"}) {
    reply_ = [object](http::Exchange* x) { return show(x, object); };
    EXPECT_EQ(call("POST", "/stripe/v1/refunds", "charge=ch_1").status, 403) << object;
  }
  EXPECT_EQ(sent_.size(), 7U);  // the questions
  EXPECT_THAT(spends(), IsEmpty());
}

TEST_F(BrokerTest, WhoCannotBeAskedRefuses) {
  start(kWithLookUps);
  reply_ = hang_up;
  EXPECT_EQ(call("POST", "/stripe/v1/invoices/in_1/pay", "").status, 403);
  reply_ = decline;
  EXPECT_EQ(call("POST", "/stripe/v1/invoices/in_1/pay", "").status, 403);
  EXPECT_EQ(sent_.size(), 2U);
  EXPECT_EQ(call("POST", "/stripe/v1/subscriptions", "items[0][price]=p&customer=cus_1").status,
            403);
  EXPECT_EQ(sent_.size(), 2U);  // nothing to ask for
}

TEST_F(BrokerTest, AHoldWhoseCommitWasLostIsGivenBack) {
  std::vector<std::string> lost;
  shared_->not_sent = [&](std::string id, UnixMillis at) {
    EXPECT_EQ(at, clock_.now());
    lost.push_back(std::move(id));
  };
  spends_.set_unavailable(true);
  EXPECT_EQ(charge("1000", "one").status, 503);
  EXPECT_THAT(sent_, IsEmpty());
  EXPECT_THAT(lost, ElementsAre(HasSubstr("idem_")));
}

Task<void> trickle(http::Exchange* x, net::Loop* loop) {
  if (!(co_await x->start({}, std::nullopt))) co_return;
  for (int i = 0; i < 2'000; ++i) {
    if (!(co_await x->write(as_bytes(std::string_view("data: more\n\n"))))) co_return;
    co_await loop->sleep(Millis(10));
  }
}
TEST_F(BrokerTest, AStreamOfARevokedKeyEnds) {
  reply_ = [this](http::Exchange* x) { return trickle(x, &loop_); };
  struct Later {
    static Task<void> run(BrokerTest* self) {
      while (self->sent_.empty()) co_await self->loop_.sleep(Millis(10));
      self->revoke();
    }
  };
  loop_.post([this] { loop_.tasks().start(Later::run(this)); });
  http::Request request;
  request.url = *http::Url::parse("http://" + server_->local().str() + "/stripe/v1/events");
  const Secret text = issued_.text(KeyShape::vault);
  request.headers.add("Authorization", "Bearer " + std::string(text.reveal_text()));
  const Millis began = loop_.now();
  auto got = net::run_until(loop_, client_->fetch(std::move(request), 1U << 20, Millis(15'000)));
  EXPECT_FALSE(got);
  EXPECT_LT(loop_.now() - began, Millis(5'000));
}

/// No new book tells that a key has ended, nor one above it.
TEST_F(BrokerTest, AStreamEndsWithItsKeyAndWithThoseAbove) {
  reply_ = [this](http::Exchange* x) { return trickle(x, &loop_); };
  struct Later {
    static Task<void> run(BrokerTest* self) {
      while (self->sent_.empty()) co_await self->loop_.sleep(Millis(10));
      self->clock_.advance(Millis(200));
    }
  };
  for (const bool above : {false, true}) {
    sent_.clear();
    ledger::VaultKey key = issued_.record;
    ledger::VaultKey outer = key;
    outer.id = "above";
    outer.secret_hash.fill(7);
    outer.pair_id = "AC0";
    key.parent = outer.id;
    key.expires = clock_.now() + (above ? Millis(3'600'000) : Millis(100));
    outer.expires = clock_.now() + (above ? Millis(100) : Millis(3'600'000));
    broker_->publish(std::make_shared<const KeyBook>(ledger::VaultKeyList{1, {key, outer}}));
    loop_.post([this] { loop_.tasks().start(Later::run(this)); });
    const Millis began = loop_.now();
    http::Request request;
    request.url = *http::Url::parse("http://" + server_->local().str() + "/stripe/v1/events");
    const Secret text = issued_.text(KeyShape::vault);
    request.headers.add("Authorization", "Bearer " + std::string(text.reveal_text()));
    EXPECT_FALSE(
        net::run_until(loop_, client_->fetch(std::move(request), 1U << 20, Millis(15'000))));
    EXPECT_EQ(sent_.size(), 1U) << above;
    EXPECT_LT(loop_.now() - began, Millis(5'000)) << above;
  }
}

TEST_F(BrokerTest, RefusalsSpeakAsTheVendorDoes) {
  const auto denied = charge("9999999");
  EXPECT_EQ(denied.status, 403);
  EXPECT_EQ(denied.headers.get("Stripe-Should-Retry"), "false");
  const auto doc = json::parse(denied.body);
  ASSERT_TRUE(doc);
  EXPECT_EQ(doc->root().object("error")->string("code").value_or(""), "cap_exceeded");
}

/// Without a path or host that says which vendor is meant, the key does, also when it is refused.
TEST_F(BrokerTest, ARevokedKeyAloneIsAnsweredAsItsVendorDoes) {
  revoke();
  const auto refused = call("POST", "/v1/charges", "amount=1&currency=usd&customer=cus_1");
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.headers.get("Stripe-Should-Retry"), "false");
  const auto doc = json::parse(refused.body);
  ASSERT_TRUE(doc);
  EXPECT_EQ(doc->root().object("error")->string("type").value_or(""), "invalid_request_error");
}

/// Whoever finds one must not see that it is not a key which nobody was given.
TEST_F(BrokerTest, ACanaryAloneIsAnsweredAsNobodysKey) {
  const auto of_nobody = [this] {
    broker_->publish(std::make_shared<const KeyBook>(ledger::VaultKeyList{}));
    return call("GET", "/v1/charges", "");
  }();
  issued_.record.canary = true;
  broker_->publish(book());
  const auto canary = call("GET", "/v1/charges", "");
  EXPECT_EQ(canary.status, of_nobody.status);
  EXPECT_EQ(canary.body, of_nobody.body);
  EXPECT_EQ(canary.headers.get("Stripe-Should-Retry"),
            of_nobody.headers.get("Stripe-Should-Retry"));
}

TEST_F(BrokerTest, AKeyRevokedWhileTheVendorIsConnectedToSendsNothing) {
  on_connect_ = [this] { revoke(); };
  const auto answered = charge("1000");
  EXPECT_EQ(answered.status, 401) << answered.body;
  EXPECT_THAT(sent_, IsEmpty());
  ASSERT_EQ(spends().size(), 1U);
  EXPECT_EQ(spends()[0].state, ledger::SpendState::released);
  EXPECT_THAT(kinds(), ElementsAre("call.intent allowed", "call.outcome denied"));
}

// --- what is replaced while a call is under way

constexpr const char* kMuch = R"({"vendor":"stripe","endpoints":["*"],"daily_cap":"50 usd"})";
constexpr const char* kLittle = R"({"vendor":"stripe","endpoints":["*"],"daily_cap":"2 usd"})";
void second_version(VaultSettings& s) { s.policies[0].version = 2; }

TEST_F(BrokerTest, ACallWhoseBodyTakesLongIsJudgedByWhatIsInForceAfterIt) {
  struct Row {
    const char* what;
    const char* policy;
    Change change;
    int status;
    std::optional<std::int64_t> version = 1;  // of the policy that the rows tell
  };
  for (const Row& row : std::vector<Row>{
           {"another policy that lets it pass", R"({"vendor":"stripe","endpoints":["charges.*"]})",
            second_version, 200, 2},
           {"less in a cap", kLittle, second_version, 403, 2},
           {"no policy", kMuch, [](VaultSettings& s) { s.policies.clear(); }, 403, std::nullopt},
           {"no vendor", kMuch, [](VaultSettings& s) { s.vendors.clear(); }, 404},
           {"a vendor that is read otherwise", kMuch,
            [](VaultSettings& s) { s.vendors[0].pack = "generic"; }, 503},
           {"no real key", kMuch, [](VaultSettings& s) { s.vendors[0].credential = nullptr; }, 503},
           {"another account", kMuch, [](VaultSettings& s) { s.vendors[0].live = true; }, 503},
           {"another real key", kMuch,
            [](VaultSettings& s) {
              s.vendors[0].credential = std::make_shared<const Secret>("rk_test_51Another01234567");
            },
            200}}) {
    start(kMuch);
    sent_.clear();
    journal_.events.clear();
    const int status = slow_charge([&] { broker_->publish(snapshot(row.policy, row.change)); });
    EXPECT_EQ(status, row.status) << row.what;
    EXPECT_EQ(sent_.size(), row.status == 200 ? 1U : 0U) << row.what;
    ASSERT_FALSE(journal_.events.empty()) << row.what;
    EXPECT_EQ(journal_.events[0].policy_version, row.version) << row.what;
  }
  ASSERT_EQ(sent_.size(), 1U);
  EXPECT_EQ(sent_.back().authorization, "Bearer rk_test_51Another01234567");
}

TEST_F(BrokerTest, AKeyAboveThatChangedWhileTheBodyCameIsTheOneThatJudges) {
  struct Books {
    static std::shared_ptr<const KeyBook> of(ledger::VaultKey key, std::string policy_above) {
      ledger::VaultKey above = key;
      above.id = "above";
      above.secret_hash.fill(7);
      above.pair_id = "AC0";
      above.policy = std::move(policy_above);
      key.parent = above.id;
      return std::make_shared<const KeyBook>(ledger::VaultKeyList{1, {key, above}});
    }
  };
  const auto both = [](VaultSettings& s) { s.policies.push_back({"less", "stripe", kLittle}); };
  broker_->publish(snapshot(kMuch, both));
  broker_->publish(Books::of(issued_.record, "bot"));
  EXPECT_EQ(slow_charge([] {}), 200);
  EXPECT_EQ(slow_charge([&] { broker_->publish(Books::of(issued_.record, "less")); }), 403);
  EXPECT_EQ(slow_charge([&] { broker_->publish(Books::of(issued_.record, "none")); }), 403);
  EXPECT_EQ(sent_.size(), 1U);
}

TEST_F(BrokerTest, ACallThatIsLookedUpIsJudgedByThePolicyOfAfterwards) {
  start(kLookingUp);
  reply_ = [&](http::Exchange* x) {
    broker_->publish(snapshot(kLittle, second_version));
    return show(x, R"({"id":"in_1","amount_remaining":400,"currency":"usd"})");
  };
  EXPECT_EQ(call("POST", "/stripe/v1/invoices/in_1/pay", "").status, 403);
  ASSERT_EQ(journal_.events.size(), 1U);
  EXPECT_EQ(journal_.events[0].policy_version, 2);
}

TEST_F(BrokerTest, ACallThatWaitedForAHumanIsJudgedByThePolicyOfAfterwards) {
  ledger::MemoryApprovals approvals;
  ApprovalDesk desk(approvals, journal_, metrics_, clock_, random_);
  shared_->approvals = &desk;
  constexpr const char* kAsking =
      R"({"vendor":"stripe","endpoints":["*"],"daily_cap":"50 usd","approve_over":"5 usd"})";
  const auto waiting = [](VaultSettings& s) { s.approvals.wait = Millis(60'000); };
  for (const auto& [policy, status] :
       std::vector<std::pair<const char*, int>>{{kAsking, 200}, {kMuch, 200}, {kLittle, 403}}) {
    start(kMuch);
    broker_->publish(snapshot(kAsking, waiting));
    std::string ticket;
    desk.on_asked = [&](const ledger::Approval& asked) {
      ticket = asked.id;
      loop_.post([&] {
        broker_->publish(snapshot(policy, second_version));
        const auto done = ledger::sync(approvals.decide_approval(ticket, true, "ann", clock_.now(),
                                                                 clock_.now() + Millis(60'000)));
        ASSERT_TRUE(done && done->applied);
        desk.publish_version(ledger::sync(approvals.approvals_version()).value());
      });
    };
    journal_.events.clear();
    EXPECT_EQ(charge(std::to_string(1'000 + sent_.size())).status, status) << policy;
    EXPECT_EQ(journal_.events.back().policy_version, 2) << policy;
    const auto state = ledger::sync(approvals.find_approval(ticket)).value()->state;
    EXPECT_EQ(state, status == 200 ? ledger::ApprovalState::used : ledger::ApprovalState::approved);
  }
}

}  // namespace
}  // namespace octroi::vault
