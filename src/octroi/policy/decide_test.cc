#include "octroi/policy/decide.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <set>

#include <gtest/gtest.h>

#include "octroi/ledger/memory_spends.h"
#include "octroi/ledger/store_testing.h"
#include "octroi/policy/policy_testing.h"

namespace octroi::policy {
namespace {

struct Row {
  std::string_view name;
  std::string_view policy;  // members beside vendor and endpoints
  std::function<void(Call&)> change;
  Verdict verdict = Verdict::allow;
  Reason reason = Reason::none;
};

void expect_rows(std::initializer_list<Row> rows, const Call& base) {
  for (const Row& row : rows) {
    Call call = base;
    if (row.change) row.change(call);
    const Decision d = judged(stripe_policy(row.policy), call);
    EXPECT_EQ(to_string(d.verdict), to_string(row.verdict)) << row.name << ": " << d.message;
    EXPECT_EQ(to_string(d.reason), to_string(row.reason)) << row.name;
    EXPECT_EQ(d.message.empty(), d.reason == Reason::none) << row.name;
    if (d.verdict == Verdict::deny) EXPECT_TRUE(d.counted.empty()) << row.name;
  }
}

TEST(Decide, WhatIsNotNamedIsDenied) {
  struct Endpoints {
    std::string_view endpoints, operation, path;
    Reason reason;
  };
  const Endpoints rows[] = {
      {R"(["charges.create"])", "charges.create", "/v1/charges", Reason::none},
      {R"(["charges.create"])", "refunds.create", "/v1/refunds", Reason::operation_denied},
      {R"([])", "charges.create", "/v1/charges", Reason::operation_denied},
      {R"(["*"])", "", "/v1/new_thing", Reason::operation_unknown},
      {R"(["POST /v1/new_thing"])", "", "/v1/new_thing", Reason::none}};
  for (const auto& row : rows) {
    const Policy p =
        policy_of(fmt::format(R"({{"vendor":"stripe","endpoints":{}}})", row.endpoints));
    Call call = charge_call(100);
    call.operation = row.operation;
    call.path = row.path;
    EXPECT_EQ(to_string(judged(p, call).reason), to_string(row.reason)) << row.endpoints;
  }
}

TEST(Decide, EachFieldOfTheSeedPassesAtItsLimitAndNotOneUnitOver) {
  expect_rows(
      {{"max amount", R"("max_amount":"50 usd")", [](Call& c) { c.minor->minor = 5000; }},
       {"one cent over", R"("max_amount":"50 usd")", [](Call& c) { c.minor->minor = 5001; },
        Verdict::deny, Reason::amount_over_max},
       {"its customer", R"("customers":["cus_1"])", {}},
       {"another one", R"("customers":["cus_10"])", {}, Verdict::deny, Reason::customer_denied},
       {"one of two", R"("customers":["cus_1"])", [](Call& c) { c.customers.push_back("cus_2"); },
        Verdict::deny, Reason::customer_denied},
       {"before its end", R"("expires":"2025-11-21T12:00:01Z")", {}},
       {"at its end", R"("expires":"2025-11-21T12:00:00Z")", {}, Verdict::deny, Reason::expired},
       {"another vendor", "", [](Call& c) { c.vendor = "twilio"; }, Verdict::deny,
        Reason::wrong_vendor}},
      charge_call(100));
}

TEST(Decide, CustomersThatNobodyNamesAreRefusedOrLookedUp) {
  constexpr std::string_view kDeny = R"("customers":["cus_1"])";
  constexpr std::string_view kAsk = R"("customers":["cus_1"],"unknown_customer":"lookup")";
  const auto nobody = [](Call& c) { c.customers.clear(); };
  const auto somebody = [](Call& c) {
    c.customers.clear();
    c.customer_unknown = true;
  };
  const auto asked = [&](Call& c) {
    somebody(c);
    c.looked_up = true;
  };
  expect_rows(
      {{"none", kDeny, nobody, Verdict::deny, Reason::customer_unknown},
       {"unknown", kDeny, somebody, Verdict::deny, Reason::customer_unknown},
       {"looked up", kAsk, somebody, Verdict::lookup},
       {"and not found", kAsk, asked, Verdict::deny, Reason::customer_unknown},
       {"none, and nothing to ask for", kAsk, nobody, Verdict::deny, Reason::customer_unknown}},
      charge_call(100));
  EXPECT_EQ(judged(stripe_policy(kDeny), read_call()).verdict, Verdict::allow);
  Call read = read_call();
  read.customers = {"cus_2"};
  EXPECT_EQ(judged(stripe_policy(kDeny), read).reason, Reason::customer_denied);
  Call unknown = charge_call(1);
  somebody(unknown);
  EXPECT_TRUE(judged(stripe_policy(kAsk), unknown).needs_customer);
}

TEST(Decide, AmountsThatNobodyNamesAreRefusedLookedUpOrAssumed) {
  const auto unknown = [](Call& c) {
    c.amount = AmountState::unknown;
    c.minor.reset();
  };
  const auto asked = [&](Call& c) {
    unknown(c);
    c.looked_up = true;
  };
  const auto nothing = [](Call& c) { c.minor.reset(); };
  expect_rows({{"refused", "", unknown, Verdict::deny, Reason::amount_unknown},
               {"a pack that forgot", "", nothing, Verdict::deny, Reason::amount_unknown},
               {"looked up", R"("unknown_amount":"lookup")", unknown, Verdict::lookup},
               {"and not found", R"("unknown_amount":"lookup")", asked, Verdict::deny,
                Reason::amount_unknown},
               {"assumed", R"("unknown_amount":"assume_max","max_amount":"7 usd")", unknown}},
              charge_call(100));
  Call call = charge_call(1);
  unknown(call);
  const Policy p = stripe_policy(
      R"("unknown_amount":"assume_max","max_amount":"7 usd","max_amounts":{"refund":"3 usd"},
         "daily_cap":"10 usd")");
  EXPECT_EQ(judged(p, call).amount, 7_usd);
  EXPECT_EQ(judged(p, call).counted.at(0).hold.amount, 7'000'000);
  call.direction = Direction::refund;
  EXPECT_EQ(judged(p, call).amount, 3_usd);
}

TEST(Decide, CurrenciesFailClosed) {
  Rates rates;
  rates.per_unit = {{"EUR", {1'100'000'000}}};
  rates.as_of = kNow;
  rates.max_age = std::chrono::hours(1);
  const Policy p = stripe_policy(R"("max_amount":"11 usd","daily_cap":"100 usd")");
  EXPECT_EQ(judged(p, charge_call(1000, "eur"), kNow, &rates).amount, 11_usd);
  EXPECT_EQ(judged(p, charge_call(1001, "eur"), kNow, &rates).reason, Reason::amount_over_max);
  EXPECT_EQ(judged(p, charge_call(1, "gbp"), kNow, &rates).reason, Reason::currency_refused);
  EXPECT_EQ(judged(p, charge_call(1, "???"), kNow, &rates).reason, Reason::currency_refused);
  EXPECT_EQ(judged(p, charge_call(1, "eur")).reason, Reason::currency_refused);
  const UnixMillis late = kNow + std::chrono::hours(1) + Millis(1);
  EXPECT_EQ(judged(p, charge_call(1, "eur"), late, &rates).reason, Reason::currency_refused);
}

TEST(Decide, RecipientsSendersAndCountries) {
  const auto no_one = [](Call& c) { c.recipients.clear(); };
  const auto to = [](std::string whom) { return [whom](Call& c) { c.recipients = {whom}; }; };
  const auto from = [](std::string domain) {
    return [domain](Call& c) { c.sender_domains = {domain}; };
  };
  const auto in = [](std::string country) {
    return [country](Call& c) { c.countries = {country}; };
  };
  constexpr std::string_view kRecipients = R"("recipients":["*@example.com","+49*"])";
  constexpr std::string_view kSenders = R"("senders":["example.com","*.mail.org"])";
  constexpr Verdict no = Verdict::deny;
  expect_rows(
      {{"an address", kRecipients, to("A@Example.com")},
       {"a number", kRecipients, to("+4930123")},
       {"another domain", kRecipients, to("a@example.com.evil.org"), no, Reason::recipient_denied},
       {"two in one", kRecipients, to("b@evil.org,a@example.com"), no, Reason::recipient_denied},
       {"two signs", kRecipients, to("b@evil.org@example.com"), no, Reason::recipient_denied},
       {"nobody", kRecipients, no_one, no, Reason::recipient_denied},
       {"a domain", kSenders, from("EXAMPLE.com")},
       {"below it", kSenders, from("a.example.com"), no, Reason::sender_denied},
       {"below the other", kSenders, from("a.b.mail.org")},
       {"the other itself", kSenders, from("mail.org"), no, Reason::sender_denied},
       {"no sender", kSenders, {}, no, Reason::sender_denied},
       {"a country", R"("countries":["de"])", in("DE")},
       {"another", R"("countries":["DE"])", in("US"), no, Reason::country_denied},
       {"none", R"("countries":["DE"])", {}, no, Reason::country_denied}},
      message_call("+4930123"));
  // Who reaches nobody needs no recipient.
  EXPECT_EQ(judged(stripe_policy(kRecipients), charge_call(1)).verdict, Verdict::allow);
}

TEST(Decide, FieldsMustBeWhatTheyMustBe) {
  const auto with = [](std::string name, std::string value) {
    return [name, value](Call& c) { c.fields.emplace_back(name, value); };
  };
  constexpr Verdict no = Verdict::deny;
  constexpr Reason field = Reason::field_denied;
  expect_rows(
      {{"one of", R"("fields":[{"field":"currency","one_of":["usd"]}])", {}},
       {"none of these", R"("fields":[{"field":"currency","one_of":["eur"]}])", {}, no, field},
       {"not there", R"("fields":[{"field":"source","one_of":["x"]}])", {}, no, field},
       {"a second value", R"("fields":[{"field":"currency","one_of":["usd"]}])",
        with("currency", "eur"), no, field},
       {"none of", R"("fields":[{"field":"source","none_of":["x"]}])", {}},
       {"one of them", R"("fields":[{"field":"source","none_of":["x"]}])", with("source", "x"), no,
        field},
       {"like", R"("fields":[{"field":"description","like":["Order *"]}])",
        with("description", "Order 7")},
       {"unlike", R"("fields":[{"field":"description","like":["Order *"]}])",
        with("description", "order 7"), no, field},
       {"at most", R"("fields":[{"field":"quantity","at_most":3}])", with("quantity", "3")},
       {"more", R"("fields":[{"field":"quantity","at_most":3}])", with("quantity", "4"), no, field},
       {"no number", R"("fields":[{"field":"quantity","at_most":3}])", with("quantity", "3.0"), no,
        field},
       {"a huge number", R"("fields":[{"field":"quantity","at_most":3}])",
        with("quantity", "99999999999999999999"), no, field},
       {"at least", R"("fields":[{"field":"quantity","at_least":3}])", with("quantity", "2"), no,
        field},
       {"absent", R"("fields":[{"field":"transfer_data[*","absent":true}])", {}},
       {"there", R"("fields":[{"field":"transfer_data[*","absent":true}])",
        with("transfer_data[destination]", "acct"), no, field},
       {"there in other letters", R"("fields":[{"field":"destination","absent":true}])",
        with("Destination", "x"), no, field},
       {"none of in other letters", R"("fields":[{"field":"source","none_of":["x"]}])",
        with("SOURCE", "x"), no, field},
       {"more in other letters", R"("fields":[{"field":"Quantity","at_most":3}])",
        with("quantity", "4"), no, field},
       {"present in other letters", R"("fields":[{"field":"order","present":true}])",
        with("Order", "1"), no, field},
       {"not read", R"("fields":[{"field":"source","absent":true}])",
        [](Call& c) { c.unread = true; }, no, field},
       {"present", R"("fields":[{"field":"metadata[order]","present":true}])", {}, no, field},
       {"elsewhere", R"("fields":[{"field":"x","present":true,"endpoints":["refunds.*"]}])", {}}},
      charge_call(100));
  EXPECT_EQ(
      judged(stripe_policy(R"("fields":[{"field":"x","present":true}])"), read_call()).verdict,
      Verdict::allow);
}

TEST(Decide, HoldsAreThoseOfTheCapsThatCountTheCall) {
  const Policy p = stripe_policy(
      R"("daily_cap":"250 usd","run_cap":"20 usd","time_zone":"Europe/Berlin",
         "caps":[{"per":"hour","calls":100},{"per":"day","usd":"9 usd","direction":"refund"},
                 {"per":"lifetime","usd":"1000 usd","by":"customer"},
                 {"per":"month","usd":"500 usd","calls":7,"budget":"team"}])");
  const Decision d = judged(p, charge_call(1234));
  ASSERT_EQ(d.counted.size(), 6U);
  EXPECT_TRUE(d.counted[0].hold.scope.starts_with("policy/bot/day@"));
  EXPECT_EQ(to_rfc3339(d.counted[0].hold.starts), "2025-11-20T23:00:00Z");
  EXPECT_EQ(d.counted[0].hold.amount, 12'340'000);
  EXPECT_EQ(d.counted[1].hold.scope, "policy/bot/run:run-1/all/micro_usd");
  EXPECT_EQ(d.counted[1].hold.ends, ledger::kNoEnd);
  EXPECT_EQ(d.counted[2].hold.scope, "policy/bot/hour/all/calls");
  EXPECT_EQ(d.counted[2].hold.amount, 1);
  EXPECT_EQ(d.counted[3].hold.scope, "policy/bot/lifetime/all/micro_usd/customer:cus_1");
  EXPECT_TRUE(d.counted[4].hold.scope.starts_with("budget/team/month@"));
  EXPECT_TRUE(d.counted[4].hold.scope.ends_with("/all/micro_usd"));
  EXPECT_EQ(d.counted[5].hold.limit, 7);
  Call refund = charge_call(100);
  refund.direction = Direction::refund;
  EXPECT_EQ(judged(p, refund).counted.size(), 7U);
  // A read counts as a call only.
  Call read = read_call();
  read.customers = {"cus_1"};
  EXPECT_EQ(judged(p, read).counted.size(), 2U);
  Call nobodys = charge_call(100);
  nobodys.run.clear();
  EXPECT_EQ(judged(p, nobodys).reason, Reason::run_missing);
}

TEST(Decide, ScopesOfAgentsCannotBeForged) {
  const Policy p = stripe_policy(R"("caps":[{"per":"run","usd":"1 usd"}])");
  std::set<std::string> scopes;
  for (const char* run : {"a", "a/all/micro_usd", "a b", "a\nb", "#a", "a\xff", "A"}) {
    Call call = charge_call(1);
    call.run = run;
    const auto counted = judged(p, call).counted;
    ASSERT_EQ(counted.size(), 1U) << run;
    scopes.insert(counted[0].hold.scope);
    EXPECT_EQ(std::ranges::count(counted[0].hold.scope, '/'), 4) << counted[0].hold.scope;
  }
  EXPECT_EQ(scopes.size(), 7U);
}

TEST(Decide, ApprovalIsForMoreThanItsThreshold) {
  constexpr std::string_view kOver = R"("approve_over":"20 usd","daily_cap":"100 usd")";
  expect_rows(
      {{"at it", kOver, [](Call& c) { c.minor->minor = 2000; }},
       {"over it", kOver, [](Call& c) { c.minor->minor = 2001; }, Verdict::approve,
        Reason::needs_approval},
       {"always", R"("approve":["charges.*"])", {}, Verdict::approve, Reason::needs_approval}},
      charge_call(100));
  EXPECT_EQ(judged(stripe_policy(kOver), charge_call(2001)).counted.size(), 1U);
  const Policy both = stripe_policy(R"("approve_over":"20 usd","max_amount":"30 usd")");
  EXPECT_EQ(judged(both, charge_call(3001)).reason, Reason::amount_over_max);
}

TEST(Decide, ShadowSaysWhatItWouldRefuse) {
  const Policy p = stripe_policy(R"("mode":"shadow","max_amount":"1 usd","daily_cap":"5 usd",
                                    "expires":"2025-12-01T00:00:00Z")");
  Decision d = judged(p, charge_call(101));
  EXPECT_EQ(d.verdict, Verdict::allow);
  EXPECT_EQ(d.shadow, Reason::amount_over_max);
  EXPECT_FALSE(d.shadow_message.empty());
  EXPECT_TRUE(d.counted.empty());
  Call unknown = charge_call(1);
  unknown.operation.clear();
  EXPECT_EQ(judged(p, unknown).verdict, Verdict::deny);
  EXPECT_EQ(judged(p, charge_call(1), *p.expires).verdict, Verdict::deny);
  // Its caps count beside those of others, and stop nothing.
  d = judged(p, charge_call(100));
  ASSERT_EQ(d.counted.size(), 1U);
  EXPECT_EQ(d.counted[0].hold.scope, "shadow/policy/bot/day/all/micro_usd");
  ledger::ReserveOutcome outcome;
  outcome.state = ledger::ReserveState::applied;
  outcome.usage = {{"x", ledger::SpendUnit::micro_usd, kNow, kNow, 5'000'000, 0}};
  EXPECT_FALSE(after_reserve(d, outcome).shadow);
  outcome.usage[0].held = 5'000'001;
  EXPECT_EQ(after_reserve(d, outcome).shadow, Reason::cap_exceeded);
  EXPECT_EQ(after_reserve(d, outcome).verdict, Verdict::allow);
}

// --- together with the ledger ---

class WithLedger : public testing::Test {
 protected:
  Decision call(const Policy& p, const Call& c, UnixMillis now = kNow) {
    Decision d = decide(p, c, {now, nullptr});
    if (d.verdict != Verdict::allow) return d;
    ledger::Reservation r;
    r.id = fmt::format("id-{}", ++n_);
    r.amount = d.amount;
    r.holds = d.holds();
    r.now = now;
    r.answer_by = r.give_up_at = r.replay_until = now + std::chrono::hours(1);
    const auto outcome = ledger::sync(spends_->reserve(std::move(r)));
    if (!outcome) {
      ADD_FAILURE() << outcome.error().message();
      return d;
    }
    return after_reserve(std::move(d), *outcome);
  }
  void fresh() { spends_.emplace(); }
  std::optional<ledger::MemorySpends> spends_{std::in_place};
  int n_ = 0;
};

TEST_F(WithLedger, ADailyCapPassesAtItsLimitAndNotOneCentOver) {
  const Policy p = stripe_policy(R"("daily_cap":"50 usd")");
  EXPECT_EQ(call(p, charge_call(4000)).verdict, Verdict::allow);
  const Decision over = call(p, charge_call(1001));
  EXPECT_EQ(over.reason, Reason::cap_exceeded);
  EXPECT_EQ(over.message,
            "This call counts 10.01 usd and would pass the cap a day of 50 usd: 10 usd left; "
            "resets at 2025-11-22T00:00:00Z. Do not retry before that.");
  EXPECT_EQ(call(p, charge_call(1000)).verdict, Verdict::allow);
  EXPECT_EQ(call(p, charge_call(1)).reason, Reason::cap_exceeded);
  EXPECT_EQ(call(p, charge_call(1), kNow + std::chrono::hours(12)).verdict, Verdict::allow);
}

TEST_F(WithLedger, EveryPeriodHasItsOwnWindow) {
  struct Period {
    std::string_view members;
    UnixMillis last, next;
  };
  const auto at = [](std::string_view t) { return from_rfc3339(t).value(); };
  const Period rows[] = {
      {R"("hourly_cap":"1 usd")", at("2025-11-21T12:59:59Z"), at("2025-11-21T13:00:00Z")},
      {R"("daily_cap":"1 usd")", at("2025-11-21T23:59:59Z"), at("2025-11-22T00:00:00Z")},
      {R"("monthly_cap":"1 usd")", at("2025-11-30T23:59:59Z"), at("2025-12-01T00:00:00Z")},
      {R"("daily_cap":"1 usd","time_zone":"America/New_York")", at("2025-11-22T04:59:59Z"),
       at("2025-11-22T05:00:00Z")},
      {R"("caps":[{"per":"day","calls":1}])", at("2025-11-21T23:59:59Z"),
       at("2025-11-22T00:00:00Z")}};
  for (const Period& row : rows) {
    fresh();
    const Policy p = stripe_policy(row.members);
    EXPECT_EQ(call(p, charge_call(100)).verdict, Verdict::allow) << row.members;
    EXPECT_EQ(call(p, charge_call(100), row.last).reason, Reason::cap_exceeded) << row.members;
    EXPECT_EQ(call(p, charge_call(100), row.next).verdict, Verdict::allow) << row.members;
  }
}

TEST_F(WithLedger, ARunAndALifetimeNeverReset) {
  const Policy p = stripe_policy(R"("run_cap":"1 usd","lifetime_cap":"2 usd")");
  EXPECT_EQ(call(p, charge_call(100)).verdict, Verdict::allow);
  const Decision over = call(p, charge_call(1), kNow + std::chrono::hours(9000));
  EXPECT_EQ(over.reason, Reason::cap_exceeded);
  EXPECT_NE(over.message.find("it never resets. Do not retry."), std::string::npos);
  Call other = charge_call(100);
  other.run = "run-2";
  EXPECT_EQ(call(p, other).verdict, Verdict::allow);
  other.run = "run-3";
  EXPECT_EQ(call(p, other).reason, Reason::cap_exceeded);
}

TEST_F(WithLedger, TheBrakeStopsALoop) {
  const Policy p = stripe_policy(R"("velocity":{"calls":3,"per":"10s","then":"pause"})");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(call(p, charge_call(1)).verdict, Verdict::allow);
  const Decision over = call(p, charge_call(1));
  EXPECT_EQ(over.reason, Reason::velocity_exceeded);
  ASSERT_EQ(over.counted.size(), 1U);
  EXPECT_EQ(over.counted[0].then, BrakeAction::pause);
  EXPECT_EQ(call(p, read_call()).verdict, Verdict::allow);
  Call other = charge_call(1);
  other.key_id = "k2";
  EXPECT_EQ(call(p, other).verdict, Verdict::allow);
}

TEST_F(WithLedger, ExplainTellsEverythingThatWasLookedAt) {
  const Policy p = stripe_policy(
      R"("daily_cap":"50 usd","max_amount":"20 usd","customers":["cus_2"],"expires":"2030-01-01T00:00:00Z")");
  const Explanation out = explain(p, charge_call(3000), {kNow, nullptr});
  EXPECT_EQ(out.decision.reason, Reason::customer_denied);
  std::vector<std::string> failed;
  for (const Check& c : out.checks) {
    if (!c.passed) failed.push_back(c.name);
    EXPECT_FALSE(c.detail.empty()) << c.name;
  }
  EXPECT_EQ(failed, (std::vector<std::string>{"customers", "max_amount"}));
  // The same verdict as decide, and what the ledger would say.
  const Policy capped = stripe_policy(R"("daily_cap":"50 usd")");
  EXPECT_EQ(call(capped, charge_call(4500)).verdict, Verdict::allow);
  const auto usage = ledger::sync(spends_->usage(scope_prefix("bot"), kNow));
  ASSERT_TRUE(usage);
  EXPECT_EQ(explain(capped, charge_call(500), {kNow, nullptr}, *usage).decision.verdict,
            Verdict::allow);
  const Explanation over = explain(capped, charge_call(501), {kNow, nullptr}, *usage);
  EXPECT_EQ(over.decision.reason, Reason::cap_exceeded);
  EXPECT_NE(over.checks.back().detail.find("45 usd of 50 usd used"), std::string::npos)
      << over.checks.back().detail;
}

}  // namespace
}  // namespace octroi::policy
