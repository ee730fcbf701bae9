// octroi/ledger/approval_contract.h: what every ledger::Approvals must do, as tests. For tests
// only; instantiated as StoreContract is.
#pragma once

#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "octroi/ledger/approvals.h"
#include "octroi/ledger/store_testing.h"

namespace octroi::ledger {

class ApprovalContract : public testing::TestWithParam<StoreUnderTest> {
 protected:
  void SetUp() override { fixture_ = GetParam().make(); }
  Approvals& approvals() { return *fixture_->store().approvals(); }

  /// Asked at kStart, over in a minute.
  static Approval question(const std::string& id, std::uint8_t request) {
    Approval a;
    a.id = id;
    a.request.fill(request);
    a.body.fill(static_cast<std::uint8_t>(request + 1));
    a.key_id = "k1";
    a.vendor = "stripe";
    a.operation = "charges.create";
    a.method = "POST";
    a.path = "/v1/charges";
    a.customer = "cus_1";
    a.policy = "bot";
    a.run = "run-1";
    a.agent = "helper";
    a.amount = MicroUsd::from_raw(45'000'000).value();
    a.reason = "45.00 usd is more than 40.00 usd";
    a.asked = kStart;
    a.expires = kStart + Millis(60'000);
    return a;
  }
  AskOutcome ask(Approval wanted, int most = 100) {
    auto out = sync(approvals().ask_approval(std::move(wanted), most));
    EXPECT_TRUE(out) << out.error().message();
    return out ? *std::move(out) : AskOutcome{};
  }
  DecideOutcome decide(const std::string& id, bool yes, Millis after = Millis(1)) {
    auto out = sync(approvals().decide_approval(id, yes, "admin", kStart + after,
                                                kStart + after + Millis(60'000)));
    EXPECT_TRUE(out) << out.error().message();
    return out ? *std::move(out) : DecideOutcome{};
  }
  bool take(const std::string& id, std::uint8_t request, const std::string& by,
            Millis after = Millis(2)) {
    Digest d{};
    d.fill(request);
    auto out = sync(approvals().take_approval(id, d, by, kStart + after));
    EXPECT_TRUE(out) << out.error().message();
    return out && *out != TakeOutcome::refused;
  }
  void give_back(const std::string& id, const std::string& by, Millis taken = Millis(2)) {
    auto out = sync(approvals().give_back_approval(id, by, kStart + taken));
    EXPECT_TRUE(out) << out.error().message();
  }
  ApprovalState state(const std::string& id) {
    auto out = sync(approvals().find_approval(id));
    EXPECT_TRUE(out && *out);
    return out && *out ? (*out)->state : ApprovalState::expired;
  }
  std::int64_t version() { return sync(approvals().approvals_version()).value_or(-1); }

  std::unique_ptr<StoreFixture> fixture_;
};

TEST_P(ApprovalContract, AQuestionComesBackAsItWasAsked) {
  const Approval wanted = question("apr_1", 1);
  const AskOutcome made = ask(wanted);
  EXPECT_TRUE(made.made);
  const auto found = sync(approvals().find_approval("apr_1"));
  ASSERT_TRUE(found && *found);
  const Approval& a = **found;
  EXPECT_EQ(a.request, wanted.request);
  EXPECT_EQ(a.body, wanted.body);
  EXPECT_EQ(a.key_id, "k1");
  EXPECT_EQ(a.operation, "charges.create");
  EXPECT_EQ(a.method, "POST");
  EXPECT_EQ(a.path, "/v1/charges");
  EXPECT_EQ(a.customer, "cus_1");
  EXPECT_EQ(a.policy, "bot");
  EXPECT_EQ(a.run, "run-1");
  EXPECT_EQ(a.agent, "helper");
  EXPECT_EQ(a.amount, wanted.amount);
  EXPECT_EQ(a.reason, wanted.reason);
  EXPECT_EQ(a.state, ApprovalState::pending);
  EXPECT_EQ(a.asked, kStart);
  EXPECT_EQ(a.expires, wanted.expires);
  EXPECT_EQ(a.decided, std::nullopt);
  EXPECT_EQ(sync(approvals().find_approval("apr_2")).value_or(wanted), std::nullopt);
}

TEST_P(ApprovalContract, TheSameRequestIsAskedOnce) {
  EXPECT_TRUE(ask(question("apr_1", 1)).made);
  const AskOutcome again = ask(question("apr_2", 1));
  EXPECT_FALSE(again.made);
  EXPECT_EQ(again.ticket.id, "apr_1");
  EXPECT_TRUE(ask(question("apr_3", 2)).made);  // another request
  // Denied: it is not asked again before it is over.
  EXPECT_TRUE(decide("apr_1", false).applied);
  EXPECT_EQ(ask(question("apr_4", 1)).ticket.state, ApprovalState::denied);
  Approval later = question("apr_5", 1);
  later.asked = kStart + Millis(60'000);
  EXPECT_TRUE(ask(later).made);
}

TEST_P(ApprovalContract, AKeyMayHaveSoManyOpen) {
  EXPECT_TRUE(ask(question("apr_1", 1), 2).made);
  EXPECT_TRUE(ask(question("apr_2", 2), 2).made);
  const AskOutcome third = ask(question("apr_3", 3), 2);
  EXPECT_FALSE(third.made);
  EXPECT_TRUE(third.full);
  Approval other = question("apr_4", 4);
  other.key_id = "k2";
  EXPECT_TRUE(ask(other, 2).made);
  EXPECT_TRUE(decide("apr_1", true).applied);
  EXPECT_TRUE(ask(question("apr_5", 3), 2).made);
}

TEST_P(ApprovalContract, ADecisionIsMadeOnceAndInTime) {
  ask(question("apr_1", 1));
  ask(question("apr_2", 2));
  EXPECT_FALSE(decide("apr_x", true).ticket);
  const DecideOutcome yes = decide("apr_1", true);
  ASSERT_TRUE(yes.applied && yes.ticket);
  EXPECT_EQ(yes.ticket->state, ApprovalState::approved);
  EXPECT_EQ(yes.ticket->decided_by, "admin");
  EXPECT_EQ(yes.ticket->decided, kStart + Millis(1));
  EXPECT_EQ(yes.ticket->expires, kStart + Millis(60'001));
  EXPECT_FALSE(decide("apr_1", false).applied);
  EXPECT_EQ(state("apr_1"), ApprovalState::approved);
  EXPECT_FALSE(decide("apr_2", true, Millis(60'000)).applied);  // nobody's answer was no
  EXPECT_EQ(state("apr_2"), ApprovalState::pending);
}

TEST_P(ApprovalContract, ATicketLetsOneRequestPassOnce) {
  ask(question("apr_1", 1));
  EXPECT_FALSE(take("apr_1", 1, "call_1"));  // nobody agreed
  decide("apr_1", true);
  EXPECT_FALSE(take("apr_1", 2, "call_1"));  // another request
  EXPECT_FALSE(take("apr_1", 1, "call_1", Millis(60'001)));
  EXPECT_TRUE(take("apr_1", 1, "call_1"));
  EXPECT_FALSE(take("apr_1", 1, "call_2"));
  EXPECT_TRUE(take("apr_1", 1, "call_1"));  // its own retry
  EXPECT_FALSE(take("apr_1", 1, "call_1", Approvals::kUsedFor + Millis(3)));
  // The retry of the same call finds it; another call asks anew.
  Approval retry = question("apr_2", 1);
  retry.used_by = "call_1";
  EXPECT_EQ(ask(retry).ticket.id, "apr_1");
  Approval fresh = question("apr_3", 1);
  fresh.used_by = "call_2";
  EXPECT_TRUE(ask(fresh).made);
  EXPECT_EQ(ask(retry).ticket.id, "apr_1") << "whatever is asked, or decided, about the other";
  EXPECT_TRUE(decide("apr_3", false).applied);
  EXPECT_EQ(ask(retry).ticket.id, "apr_1");
  EXPECT_EQ(ask(fresh).ticket.id, "apr_3");
}

TEST_P(ApprovalContract, WhatWasNotSentIsGivenBack) {
  ask(question("apr_1", 1));
  decide("apr_1", true);
  EXPECT_TRUE(take("apr_1", 1, "call_1"));
  give_back("apr_1", "call_2");
  EXPECT_EQ(state("apr_1"), ApprovalState::used);
  give_back("apr_1", "call_1", Millis(1));
  EXPECT_EQ(state("apr_1"), ApprovalState::used);
  give_back("apr_1", "call_1");
  EXPECT_EQ(state("apr_1"), ApprovalState::approved);
  EXPECT_TRUE(take("apr_1", 1, "call_2"));
  EXPECT_FALSE(take("apr_1", 1, "call_1"));
}

/// One of the attempts may have been sent, whichever says that it was not.
TEST_P(ApprovalContract, WhatARetryHasTakenTooIsNotGivenBack) {
  ask(question("apr_1", 1));
  decide("apr_1", true);
  Digest d{};
  d.fill(1);
  const auto taken_at = [&](Millis after) {
    return sync(approvals().take_approval("apr_1", d, "call_1", kStart + after))
        .value_or(TakeOutcome::refused);
  };
  EXPECT_EQ(taken_at(Millis(2)), TakeOutcome::taken);
  EXPECT_EQ(taken_at(Millis(2)), TakeOutcome::again);
  give_back("apr_1", "call_1");
  EXPECT_EQ(state("apr_1"), ApprovalState::used);
  EXPECT_EQ(taken_at(Millis(9)), TakeOutcome::again) << "the same call passes all the same";
}

TEST_P(ApprovalContract, WhatIsOverIsToldOnce) {
  ask(question("apr_1", 1));
  ask(question("apr_2", 2));
  ask(question("apr_3", 3));
  decide("apr_2", true);
  decide("apr_3", false);
  const auto over = [this](Millis after) {
    auto out = sync(approvals().expire_approvals(kStart + after, 10));
    EXPECT_TRUE(out) << out.error().message();
    std::vector<std::string> ids;
    for (const Approval& a : out.value_or(std::vector<Approval>{})) ids.push_back(a.id);
    return ids;
  };
  using Ids = std::vector<std::string>;
  EXPECT_EQ(over(Millis(59'999)), Ids{});
  EXPECT_EQ(over(Millis(60'000)), Ids{"apr_1"});
  EXPECT_EQ(over(Millis(60'000)), Ids{});
  EXPECT_EQ(over(Millis(60'001)), Ids{"apr_2"});
  EXPECT_EQ(state("apr_3"), ApprovalState::denied);
  EXPECT_FALSE(take("apr_2", 1, "call_1"));
}

TEST_P(ApprovalContract, WhatIsOverGoesWhenItsTimeHasPassedAndNothingElseDoes) {
  constexpr Millis kDays30 = std::chrono::hours(24 * 30);
  const auto prune = [this](Millis after, std::optional<Millis> keep) {
    Retention rules;
    rules.approvals = keep;
    const auto report = sync(fixture_->store().prune(kStart + after, rules));
    EXPECT_TRUE(report) << report.error().message();
    return report ? report->approvals : -1;
  };
  const auto is_there = [this](const std::string& id) {
    const auto found = sync(approvals().find_approval(id));
    EXPECT_TRUE(found);
    return found && *found;
  };
  for (int n = 1; n <= 5; ++n)
    ask(question(fmt::format("apr_{}", n), static_cast<std::uint8_t>(n)));
  decide("apr_2", true);   // may be used until 60'001
  decide("apr_3", true);   // likewise
  decide("apr_4", false);  // over at 60'000
  ASSERT_TRUE(take("apr_3", 3, "call_1", Millis(50'000)));
  EXPECT_EQ(prune(kDays30 * 100, std::nullopt), 0) << "for good";
  // Nobody was told that 1 and 5 are not answered and that 2 was not used: they are not over yet.
  EXPECT_EQ(prune(kDays30 * 100, kDays30 * 99), 2);  // 3 and 4
  EXPECT_FALSE(is_there("apr_3") || is_there("apr_4"));
  EXPECT_TRUE(is_there("apr_1") && is_there("apr_2") && is_there("apr_5"));
  EXPECT_FALSE(take("apr_3", 3, "call_1", Millis(50'001)));
  ASSERT_EQ(sync(approvals().expire_approvals(kStart + Millis(60'000), 10))->size(), 2U);
  EXPECT_EQ(prune(kDays30 + Millis(59'999), kDays30), 0);
  EXPECT_EQ(prune(kDays30 + Millis(60'000), kDays30), 2);  // 1 and 5
  EXPECT_TRUE(is_there("apr_2")) << "approved: whether it was used is not told yet";
  ASSERT_EQ(sync(approvals().expire_approvals(kStart + Millis(60'001), 10))->size(), 1U);
  EXPECT_EQ(prune(kDays30 + Millis(60'001), kDays30), 1);
  EXPECT_FALSE(is_there("apr_2"));
  // The same request is a new question.
  EXPECT_TRUE(ask(question("apr_6", 4)).made);
}

TEST_P(ApprovalContract, ATicketIsKeptFromTheLastThatHappenedToIt) {
  ask(question("apr_1", 1));
  decide("apr_1", true);
  ASSERT_TRUE(take("apr_1", 1, "call_1", Millis(40'000)));
  Retention rules;
  rules.approvals = Millis(10'000);
  const auto gone = [&](Millis after) {
    return sync(fixture_->store().prune(kStart + after, rules)).value_or(PruneReport{}).approvals;
  };
  // It might have been used until 60'001.
  EXPECT_EQ(gone(Millis(70'000)), 0);
  EXPECT_TRUE(take("apr_1", 1, "call_1", Millis(69'000))) << "a retry may take it again";
  EXPECT_EQ(gone(Millis(70'001)), 1);
}

TEST_P(ApprovalContract, ManyGoInSeveralSteps) {
  constexpr int kMany = 1'100;
  for (int n = 0; n < kMany; ++n) {
    Approval wanted = question(fmt::format("apr_{}", n), 1);
    std::memcpy(wanted.request.data(), &n, sizeof n);
    ASSERT_TRUE(ask(std::move(wanted), kMany).made);
  }
  Approval open = question("apr_open", 77);
  open.expires = kStart + Millis(60'001);
  ask(std::move(open), kMany + 1);
  const auto over = sync(approvals().expire_approvals(kStart + Millis(60'000), kMany));
  ASSERT_TRUE(over);
  ASSERT_EQ(over->size(), static_cast<std::size_t>(kMany));
  Retention rules;
  rules.approvals = Millis(0);
  const auto report = sync(fixture_->store().prune(kStart + Millis(60'000), rules));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->approvals, kMany);
  EXPECT_EQ(sync(approvals().list_approvals(std::nullopt, 10))->size(), 1U);
}

TEST_P(ApprovalContract, ListsAreNewestFirstAndVersionsRise) {
  const std::int64_t before = version();
  ask(question("apr_1", 1));
  const std::int64_t asked = version();
  EXPECT_GT(asked, before);
  ask(question("apr_2", 2));
  decide("apr_1", true);
  EXPECT_GT(version(), asked);
  const auto all = sync(approvals().list_approvals(std::nullopt, 10));
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[0].id, "apr_2");
  const auto open = sync(approvals().list_approvals(ApprovalState::pending, 10));
  ASSERT_TRUE(open);
  ASSERT_EQ(open->size(), 1U);
  EXPECT_EQ(sync(approvals().list_approvals(std::nullopt, 1))->size(), 1U);
}

TEST_P(ApprovalContract, OfManyAtOnceOnePasses) {
  ask(question("apr_1", 1));
  decide("apr_1", true);
  std::atomic<int> passed{0}, made{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < 4; ++n) {
        if (take("apr_1", 1, "call_" + std::to_string(i) + "_" + std::to_string(n))) ++passed;
        if (ask(question("apr_9" + std::to_string(i) + std::to_string(n), 9)).made) ++made;
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(passed.load(), 1);
  EXPECT_EQ(made.load(), 1);
}

TEST_P(ApprovalContract, TicketsOutliveTheProcess) {
  if (GetParam().name == "memory") GTEST_SKIP() << "it has none";
  ask(question("apr_1", 1));
  decide("apr_1", true);
  EXPECT_TRUE(take("apr_1", 1, "call_1"));
  fixture_->restart();
  EXPECT_EQ(state("apr_1"), ApprovalState::used);
  EXPECT_FALSE(take("apr_1", 1, "call_2"));
}

}  // namespace octroi::ledger
