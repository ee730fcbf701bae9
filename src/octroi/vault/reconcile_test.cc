#include "octroi/vault/reconcile.h"

#include <functional>

#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include "octroi/audit/memory_journal.h"
#include "octroi/http/server.h"
#include "octroi/ledger/memory_spends.h"
#include "octroi/net/run_until.h"
#include "octroi/vault/late_prices.h"
#include "octroi/vault/pack_testing.h"
#include "octroi/vault/packs/resend/resend.h"

namespace octroi::vault {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr Millis kHour = std::chrono::hours(1);

/// A vendor that answers whatever it is told, and a ledger.
class ReconcileTest : public ::testing::Test, public VendorClients {
 public:
  ReconcileTest() {
    http::ServerConfig config;
    config.listen = *net::Endpoint::parse("127.0.0.1:0");
    server_ = std::move(
        *http::listen(loop_, config, [this](http::Exchange& x) { return answer(this, &x); }));
    client_ = http::make_client(loop_, {});
    VaultSettings settings;
    settings.vendors = {
        vendor("stripe", "rk_test_51TheRealKeyOfTheAccount0123456789"),
        vendor("twilio", "AC11111111111111111111111111111111:22222222222222222222222222222222"),
        vendor("resend", "re_TheRealKey0123456789")};
    snapshot_ = *Snapshot::build(std::move(settings), {});
  }
  VendorSettings vendor(const std::string& name, std::string_view key) {
    VendorSettings v;
    v.name = v.pack = name;
    v.scheme = "http";
    v.host = server_->local().address.str();
    v.port = server_->local().port;
    v.credential = std::make_shared<const Secret>(key);
    return v;
  }
  http::Client& client_for(const Vendor&) override { return *client_; }

  static Task<void> answer(ReconcileTest* self, http::Exchange* x) {
    self->asked_.push_back(x->request().target);
    if (self->on_asked_) self->on_asked_();
    http::ResponseHead head;
    head.status = self->status_;
    head.headers.add("Content-Type", "application/json");
    std::ignore = co_await x->respond(std::move(head), self->body_);
  }

  template <class T>
  T value(Task<Result<T>> task) {
    auto out = net::run_until(loop_, std::move(task));
    EXPECT_TRUE(out) << out.error().message();
    return out ? *std::move(out) : T{};
  }
  /// A charge of a dollar, made that long ago.
  void hold(std::string id, Millis ago = kHour, std::string vendor = "stripe",
            std::string operation = "charges.create", std::string object = {}) {
    ledger::Reservation r;
    r.id = std::move(id);
    r.amount = 1_usd;
    r.now = clock_.now() - ago;
    r.holds = {{"policy/bot/lifetime",
                ledger::SpendUnit::micro_usd,
                {0},
                ledger::kNoEnd,
                50'000'000,
                1'000'000}};
    r.answer_by = r.now + Millis(60'000);
    r.give_up_at = r.now + 24 * kHour;
    r.replay_until = r.give_up_at;
    r.vendor = std::move(vendor);
    r.operation = std::move(operation);
    r.policy = "bot";
    r.object = std::move(object);
    EXPECT_EQ(value(spends_.reserve(std::move(r))).state, ledger::ReserveState::applied);
  }
  void unknown(std::string id, Millis ago = kHour) {
    hold(id, ago);
    value(spends_.mark_unknown(id, "", clock_.now()));
  }
  void settled(std::string id, MicroUsd amount, std::string object) {
    hold(id);
    value(spends_.settle(id, amount, std::move(object), clock_.now()));
  }
  ledger::SpendRecord find(const std::string& id) {
    return value(spends_.find_spend(id)).value_or(ledger::SpendRecord{});
  }
  static std::string charge(const std::string& id, const std::string& mark, int cents,
                            const std::string& status = "succeeded") {
    return fmt::format(
        R"({{"id":"{}","amount":{},"currency":"usd","status":"{}","metadata":{{"octroi_call":"{}"}}}})",
        id, cents, status, mark);
  }
  void shows(const std::vector<std::string>& items) {
    body_ = fmt::format(R"({{"data":[{}],"has_more":false}})", fmt::join(items, ","));
  }
  VendorReport run(Millis grace = Millis(15 * 60'000), bool dry_run = false) {
    ReconcileRules rules;
    rules.vendor = vendor_;
    rules.since = clock_.now() - since_;
    rules.open_only = open_only_;
    rules.grace = grace;
    rules.dry_run = dry_run;
    Reconciler reconciler(spends_, calls_, *this, clock_, snapshot_);
    auto reports = value(reconciler.run(rules));
    EXPECT_EQ(reports.size(), 1U);
    return reports.empty() ? VendorReport{} : std::move(reports[0]);
  }
  /// A call of Resend's that sent these, given as their JSON without a time.
  void mailed(std::string id, std::vector<std::string> mails, Millis ago = kHour) {
    const bool batch = mails.size() > 1;
    const Input in = json_request(batch ? "/emails/batch" : "/emails",
                                  batch ? fmt::format("[{}]", fmt::join(mails, ",")) : mails[0]);
    const auto pack = make_resend_pack();
    const Operation operation = pack->route("POST", in.path);
    const std::string match = pack->questions()->match(operation, in);
    EXPECT_THAT(match, Not(IsEmpty()));
    hold(std::move(id), ago, "resend", operation.name, "match:" + match);
    vendor_ = "resend";
  }
  /// These as Resend's list shows them, made that long ago, the first the newest.
  void lists(std::vector<std::string> mails, Millis ago = kHour) {
    for (std::size_t i = 0; i < mails.size(); ++i) {
      mails[i] = fmt::format(R"({{"id":"m-{}","created_at":"{}",{})", mails.size() - i,
                             to_rfc3339(clock_.now() - ago), mails[i].substr(1));
    }
    shows(mails);
  }
  static std::vector<std::string> what(const VendorReport& report) {
    std::vector<std::string> out;
    for (const auto& c : report.calls)
      out.push_back(c.record.id + " " + std::string(to_string(c.what)));
    return out;
  }
  std::int64_t rows() {
    audit::Filter filter;
    filter.kind = kCallReconciled;
    return std::ssize(value(journal_.query(filter)).rows);
  }

  net::Loop loop_;
  ManualClock clock_{UnixMillis{1'790'000'000'000}};
  MetricRegistry metrics_;
  ledger::MemorySpends spends_;
  audit::MemoryJournal journal_{clock_};
  ledger::SeparateCallBook calls_{spends_, journal_};
  std::string vendor_ = "stripe";
  Millis since_ = 24 * kHour;
  bool open_only_ = false;
  std::string body_ = R"({"data":[],"has_more":false})";
  int status_ = 200;
  std::vector<std::string> asked_;
  std::function<void()> on_asked_;
  std::unique_ptr<http::Client> client_;
  std::unique_ptr<http::Server> server_;
  std::shared_ptr<const Snapshot> snapshot_;
};

/// Nothing is released, and no row says so.
TEST_F(ReconcileTest, AnOutcomeThatComesInWhileTheVendorIsAskedStands) {
  unknown("a");
  on_asked_ = [this] { value(spends_.settle("a", 1_usd, "ch_a", clock_.now())); };
  const auto report = run();
  EXPECT_THAT(what(report), ElementsAre("a same"));
  EXPECT_EQ(report.ledger, 1_usd);
  EXPECT_EQ(find("a").state, ledger::SpendState::settled);
  EXPECT_EQ(rows(), 0);
}

/// Two replicas ask at once: each tells what it changed itself.
TEST_F(ReconcileTest, WhatAnotherReplicaSettledMeanwhileIsNotToldAgain) {
  unknown("a");
  shows({charge("ch_a", "a", 100)});
  on_asked_ = [this] { value(spends_.settle("a", 1_usd, "ch_a", clock_.now())); };
  run();
  EXPECT_EQ(find("a").settled, 1_usd);
  EXPECT_EQ(rows(), 0);
}

TEST_F(ReconcileTest, WhatTheVendorShowsIsSettledOnce) {
  unknown("a");
  hold("b");  // its process died
  hold("c", Millis(1000));
  shows({charge("ch_a", "a", 100), charge("ch_b", "b", 70), charge("ch_c", "c", 100)});
  const auto first = run();
  EXPECT_THAT(what(first), ElementsAre("a settled", "b settled", "c settled"));
  EXPECT_EQ(find("b").settled, MicroUsd::from_raw_unchecked(700'000));
  EXPECT_EQ(find("a").object, "ch_a");
  EXPECT_EQ(first.ledger, first.shown);
  EXPECT_EQ(rows(), 3);
  EXPECT_THAT(what(run()), ElementsAre("a same", "b same", "c same"));
  EXPECT_EQ(rows(), 3);
}

TEST_F(ReconcileTest, WhatTheVendorDoesNotShowIsKeptForTheGrace) {
  unknown("b", Millis(15 * 60'000));
  unknown("a", Millis(14 * 60'000));
  hold("c", Millis(59'000));  // under way
  EXPECT_THAT(what(run()), ElementsAre("a kept", "b released", "c in_flight"));
  EXPECT_EQ(find("a").state, ledger::SpendState::unknown);
  EXPECT_EQ(find("b").state, ledger::SpendState::released);
  EXPECT_EQ(find("c").state, ledger::SpendState::held);
}

TEST_F(ReconcileTest, ARetryUnderWayKeepsTheHold) {
  unknown("a");
  ledger::Reservation again;
  again.id = "a";
  again.amount = 1_usd;
  again.now = clock_.now();
  again.answer_by = again.now + Millis(110'000);
  const auto retry = [&] {
    EXPECT_EQ(value(spends_.reserve(again)).state, ledger::ReserveState::replayed);
  };
  on_asked_ = retry;  // while the vendor shows its list
  EXPECT_THAT(what(run()), ElementsAre("a in_flight"));
  on_asked_ = nullptr;
  EXPECT_THAT(what(run()), ElementsAre("a in_flight"));
  // Nobody answered it, and the vendor has the grace to show it.
  clock_.advance(Millis(15 * 60'000 - 1));
  EXPECT_THAT(what(run()), ElementsAre("a kept"));
  EXPECT_EQ(find("a").state, ledger::SpendState::unknown);
  clock_.advance(Millis(1));
  EXPECT_THAT(what(run()), ElementsAre("a released"));
}

TEST_F(ReconcileTest, AListThatCannotBeReadReleasesNothing) {
  unknown("a");
  for (const auto& [status, body] :
       {std::pair{500, R"({"data":[]})"}, {200, "nothing"}, {200, "{}"}, {301, R"({"data":[]})"}}) {
    status_ = status;
    body_ = body;
    const auto report = run(Millis(0));
    EXPECT_FALSE(report.complete);
    EXPECT_THAT(what(report), ElementsAre("a kept")) << body;
  }
}

TEST_F(ReconcileTest, AListThatNeverEndsCoversWhatItShowed) {
  unknown("a");
  body_ = R"({"data":[],"has_more":true})";
  EXPECT_THAT(what(run(Millis(0))), ElementsAre("a released"));  // an empty page is the end
  unknown("b");
  body_ = fmt::format(
      R"({{"data":[{{"id":"ch_{{}}","amount":1,"currency":"usd","created":{}}}],"has_more":true}})",
      clock_.now().seconds());
  EXPECT_THAT(what(run(Millis(0))), ElementsAre("a same", "b kept"));
}

TEST_F(ReconcileTest, OperationsThatNoListShowsAreLeftToTheSweep) {
  hold("a", kHour, "stripe", "invoices.pay");
  const auto report = run(Millis(0));
  EXPECT_THAT(what(report), ElementsAre("a kept"));
  EXPECT_THAT(asked_, IsEmpty());
}

TEST_F(ReconcileTest, WhatFailedAtTheVendorCostsNothing) {
  unknown("a");
  shows({charge("ch_1", "a", 100, "failed")});
  EXPECT_THAT(what(run()), ElementsAre("a released"));
  unknown("b");
  shows({charge("ch_1", "b", 100, "failed"), charge("ch_2", "b", 100)});  // tried again
  EXPECT_THAT(what(run()), ElementsAre("a same", "b settled"));
  EXPECT_EQ(find("b").settled, 1_usd);
}

TEST_F(ReconcileTest, ADeclinedIntentIsNotSpent) {
  const auto intent = [](const std::string& id, const std::string& mark) {
    std::string out = charge(id, mark, 100, "requires_payment_method");
    out.insert(out.size() - 1, R"(,"last_payment_error":{"code":"card_declined"})");
    return out;
  };
  for (const char* id : {"declined", "lost", "settled"})
    hold(id, kHour, "stripe", "payment_intents.create");
  value(spends_.release("declined", clock_.now()));  // Stripe answered with 402
  value(spends_.mark_unknown("lost", "", clock_.now()));
  value(spends_.settle("settled", 1_usd, "pi_3", clock_.now()));
  shows({intent("pi_1", "declined"), intent("pi_2", "lost"), intent("pi_3", "settled")});
  EXPECT_THAT(what(run()), ElementsAre("declined same", "lost released", "settled same"));
  EXPECT_EQ(find("declined").state, ledger::SpendState::released);
  EXPECT_EQ(find("settled").settled, 1_usd);
}

TEST_F(ReconcileTest, TheVendorsTruthCorrectsTheLedger) {
  settled("a", 1_usd, "ch_a");
  settled("b", 1_usd, "ch_b");
  settled("c", 1_usd, "ch_c");
  unknown("d");
  value(spends_.release("d", clock_.now()));
  shows({charge("ch_a", "a", 90), charge("ch_b", "b", 100), charge("ch_d", "d", 100),
         charge("ch_d2", "d", 100)});
  const auto dry = run(Millis(0), true);
  EXPECT_THAT(what(dry), ElementsAre("a corrected", "b same", "c missing", "d corrected"));
  EXPECT_EQ(find("a").settled, 1_usd);
  const auto report = run(Millis(0));
  EXPECT_EQ(what(report), what(dry));
  EXPECT_EQ(find("a").settled, MicroUsd::from_raw_unchecked(900'000));
  EXPECT_EQ(find("c").settled, 1_usd);  // for a human
  EXPECT_EQ(find("d").settled, 2_usd);
  EXPECT_EQ(rows(), 2);
}

TEST_F(ReconcileTest, AMarkOfAnotherCallIsNotTaken) {
  settled("a", 1_usd, "ch_a");
  shows({charge("ch_a", "b", 100), charge("ch_x", "", 5)});
  const auto report = run();
  EXPECT_THAT(what(report), ElementsAre("a missing"));
  EXPECT_EQ(report.others, 2);
}

TEST_F(ReconcileTest, WhatWasAssumedIsFoundOutLater) {
  unknown("a");
  unknown("b");
  value(spends_.sweep(clock_.now() + 48 * kHour, 10));
  ASSERT_TRUE(find("a").assumed);
  shows({charge("ch_a", "a", 40)});
  EXPECT_THAT(what(run()), ElementsAre("a settled", "b released"));
  EXPECT_EQ(find("a").settled, MicroUsd::from_raw_unchecked(400'000));
  EXPECT_EQ(find("b").settled, MicroUsd{});
  EXPECT_FALSE(find("b").assumed);
}

const std::string kAnn = R"({"from":"m@a.b","to":"ann@y.z","subject":"one"})";
const std::string kBob = R"({"from":"m@a.b","to":["bob@y.z","c@y.z"],"subject":"one"})";

MicroUsd price_of(std::int64_t recipients) { return *kPerRecipient.times(recipients); }

TEST_F(ReconcileTest, ABatchIsAllOfItsMails) {
  mailed("a", {kAnn, kBob, kAnn});
  lists({kAnn, kAnn, kAnn, kBob});
  EXPECT_THAT(what(run()), ElementsAre("a settled"));
  EXPECT_EQ(find("a").settled, price_of(4));
  // It has no name: whoever compares it again finds its mails again.
  EXPECT_THAT(find("a").object, StartsWith("match:3*"));
  const auto again = run();
  EXPECT_THAT(what(again), ElementsAre("a same"));
  EXPECT_EQ(again.others, 1);
  EXPECT_EQ(rows(), 1);
}

TEST_F(ReconcileTest, ABatchThatIsShownInPartIsKeptForTheGrace) {
  mailed("a", {kAnn, kBob}, Millis(14 * 60'000));
  lists({kBob}, Millis(14 * 60'000));
  const auto early = run();
  EXPECT_THAT(what(early), ElementsAre("a kept"));
  EXPECT_EQ(early.calls[0].note, "the vendor shows 1 of 2");
  clock_.advance(Millis(60'000));
  EXPECT_THAT(what(run()), ElementsAre("a settled"));
  EXPECT_EQ(find("a").settled, price_of(2));
  EXPECT_THAT(what(run()), ElementsAre("a same"));
  lists({kAnn, kBob}, Millis(15 * 60'000));  // it was slow
  EXPECT_THAT(what(run()), ElementsAre("a corrected"));
  EXPECT_EQ(find("a").settled, price_of(3));
}

TEST_F(ReconcileTest, ABatchThatTheVendorSaidItDidIsNotTakenBack) {
  mailed("a", {kAnn, kBob});
  value(spends_.settle("a", price_of(3), "", clock_.now()));
  lists({kBob});
  const auto report = run();
  EXPECT_THAT(what(report), ElementsAre("a missing"));
  EXPECT_EQ(report.calls[0].note, "the vendor shows 1 of 2");
  EXPECT_THAT(what(run(2 * kHour)), ElementsAre("a same"));
  EXPECT_EQ(rows(), 0);
}

TEST_F(ReconcileTest, ABatchThatWasRefusedTakesNothingOfTheOneThatWasNot) {
  mailed("a", {kAnn, kBob}, 2 * kHour);
  value(spends_.release("a", clock_.now()));
  mailed("b", {kAnn, kBob});
  value(spends_.settle("b", price_of(3), "", clock_.now()));
  mailed("c", {kAnn, kBob});  // and of this nobody knows
  lists({kAnn, kBob, kAnn, kBob});
  EXPECT_THAT(what(run()), ElementsAre("a same", "b same", "c settled"));
}

TEST_F(ReconcileTest, WhatATemplateWroteIsFoundLast) {
  const std::string by_template = R"({"from":"m@a.b","to":"ann@y.z","template":{"id":"t"}})";
  mailed("a", {by_template}, 2 * kHour);
  mailed("b", {kAnn});
  lists({kAnn});  // only one of them went out, and it has the subject of the other
  EXPECT_THAT(what(run()), ElementsAre("a released", "b settled"));
  mailed("c", {by_template, kBob});
  lists({kAnn, kBob, R"({"from":"m@a.b","to":"ann@y.z","subject":"Welcome"})"});
  EXPECT_THAT(what(run()), ElementsAre("a same", "b same", "c settled"));
  EXPECT_EQ(find("c").settled, price_of(3));
}

/// The one that runs by itself compares nothing that has an outcome.
TEST_F(ReconcileTest, WhatASettledCallSentIsNotTakenForALostOne) {
  open_only_ = true;
  mailed("sent-before", {kAnn}, kHour + Millis(30'000));
  mailed("lost", {kAnn, kAnn}, kHour);
  mailed("sent-after", {kAnn}, kHour - Millis(30'000));
  value(spends_.settle("sent-before", price_of(1), "m-1", clock_.now()));
  value(spends_.settle("sent-after", price_of(1), "m-2", clock_.now()));
  lists({kAnn, kAnn}, kHour);
  EXPECT_THAT(what(run()), ElementsAre("lost released"));
  EXPECT_EQ(find("sent-after").settled, price_of(1));
}

TEST_F(ReconcileTest, ALostCallThatIsOlderThanWhatIsComparedTakesNothingOfTheOthers) {
  mailed("lost", {kAnn}, 3 * kHour);
  mailed("sent", {kAnn}, 2 * kHour);
  value(spends_.settle("sent", price_of(1), "m-1", clock_.now()));
  lists({kAnn}, 2 * kHour);
  since_ = kHour;
  EXPECT_THAT(what(run()), ElementsAre("lost released"));
}

TEST_F(ReconcileTest, AnUnknownVendorIsSaid) {
  ReconcileRules rules;
  rules.vendor = "strype";
  Reconciler reconciler(spends_, calls_, *this, clock_, snapshot_);
  const auto out = net::run_until(loop_, reconciler.run(rules));
  ASSERT_FALSE(out);
  EXPECT_THAT(std::string(out.error().message()), HasSubstr("strype"));
}

TEST_F(ReconcileTest, LatePricesAreAskedForLessAndLessOften) {
  const std::string sid = "SM" + std::string(32, '3');
  hold("a", Millis(0), "twilio", "messages.create", "match:00");
  value(spends_.mark_unknown("a", sid, clock_.now()));
  hold("b", Millis(0), "twilio", "messages.create", "match:00");
  value(spends_.mark_unknown("b", "", clock_.now()));  // nobody knows whether it was sent
  LatePrices late(spends_, calls_, *this, metrics_, clock_);
  const auto look = [&] {
    EXPECT_TRUE(net::run_until(loop_, late.look(snapshot_)));
    return asked_.size();
  };
  body_ = fmt::format(R"({{"sid":"{}","price":null,"status":"sent"}})", sid);
  EXPECT_EQ(look(), 0U);
  clock_.advance(LatePrices::kFirst);
  EXPECT_EQ(look(), 1U);
  EXPECT_EQ(look(), 1U);
  clock_.advance(LatePrices::kFirst * 2);
  EXPECT_EQ(look(), 2U);
  clock_.advance(LatePrices::kFirst * 2);
  EXPECT_EQ(look(), 2U);
  EXPECT_EQ(late.waiting(), 1U);
  for (int i = 0; i < 20; ++i) {
    clock_.advance(LatePrices::kLongest);
    EXPECT_EQ(look(), 3U + static_cast<unsigned>(i));
  }
  body_ = fmt::format(R"({{"sid":"{}","price":"-0.0075","price_unit":"USD"}})", sid);
  LatePrices after_a_restart(spends_, calls_, *this, metrics_, clock_);
  EXPECT_TRUE(net::run_until(loop_, after_a_restart.look(snapshot_)));
  EXPECT_EQ(find("a").state, ledger::SpendState::settled);
  EXPECT_EQ(find("a").settled, MicroUsd::from_raw_unchecked(7'500));
  EXPECT_EQ(find("b").state, ledger::SpendState::unknown);
  EXPECT_EQ(rows(), 1);
}

TEST_F(ReconcileTest, APriceThatNeverComesCountsAsWhatWasHeld) {
  const std::string sid = "SM" + std::string(32, '3');
  hold("a", Millis(0), "twilio", "messages.create");
  value(spends_.mark_unknown("a", sid, clock_.now()));
  status_ = 500;
  LatePrices late(spends_, calls_, *this, metrics_, clock_);
  clock_.advance(25 * kHour);
  EXPECT_TRUE(net::run_until(loop_, late.look(snapshot_)));
  EXPECT_EQ(value(spends_.sweep(clock_.now(), 10)).assumed, 1);
  EXPECT_EQ(find("a").settled, 1_usd);
  EXPECT_TRUE(net::run_until(loop_, late.look(snapshot_)));
  EXPECT_EQ(late.waiting(), 0U);
}

}  // namespace
}  // namespace octroi::vault
