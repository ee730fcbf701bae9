// octroi/ledger/report_contract.h: what every store must do with reports to price sources, and with
// what the reference price server keeps. For tests only; as store_contract.h.
#pragma once

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "octroi/ledger/allowances.h"
#include "octroi/ledger/session_testing.h"
#include "octroi/ledger/sessions.h"
#include "octroi/ledger/store_testing.h"
#include "octroi/ledger/usage_reports.h"

namespace octroi::ledger {

class ReportContract : public testing::TestWithParam<StoreUnderTest> {
 protected:
  void SetUp() override { fixture_ = GetParam().make(); }
  UsageReports& reports() { return *fixture_->store().usage_reports(); }
  Allowances& allowances() { return *fixture_->store().allowances(); }
  SessionStore& sessions() { return *fixture_->store().sessions(); }

  static UsageReport report_of(std::string id) {
    UsageReport r;
    r.id = std::move(id);
    r.source = "pricer";
    r.subject = token_of(1).hex();
    r.service = "weather";
    r.path = "/v1/chat";
    r.reserved = -42;
    r.created = kStart;
    return r;
  }
  static ReportedAnswer answered(std::string tail = "usage") {
    return {200, "text/event-stream", "identity", true, std::move(tail)};
  }
  static inline const ReportedAnswer kUnseen{499, "", "", false, ""};

  template <class T>
  static T value(Task<Result<T>> task) {
    auto out = sync(std::move(task));
    EXPECT_TRUE(out) << out.error().message();
    return out ? *std::move(out) : T{};
  }
  void open(std::string id, UnixMillis until = kStart + Millis(1000)) {
    ASSERT_TRUE(sync(reports().open_report(report_of(std::move(id)), until)));
  }
  std::vector<UsageReport> claim(UnixMillis now, Millis lease = Millis(5000), int limit = 100) {
    return value(reports().claim_reports(now, now + lease, limit, kUnseen));
  }
  std::vector<std::string> claimed(UnixMillis now, Millis lease = Millis(5000), int limit = 100) {
    std::vector<std::string> out;
    for (const auto& r : claim(now, lease, limit)) out.push_back(r.id);
    return out;
  }
  bool finish(std::string id, ReportedAnswer answer = answered()) {
    return value(reports().finish_report(std::move(id), std::move(answer), kStart));
  }
  std::unique_ptr<StoreFixture> fixture_;
};

using Ids = std::vector<std::string>;

TEST_P(ReportContract, AReportIsToldAsItEnded) {
  UsageReport r = report_of("a");
  r.kind = ReportKind::session;
  r.estimate = 7000_msat;
  r.request_text = std::string("GET / HTTP/1.1\r\n\r\n\0body", 22);
  ASSERT_TRUE(sync(reports().open_report(r, kStart + Millis(1000))));
  EXPECT_EQ(claimed(kStart), Ids{}) << "its request is under way";
  ASSERT_TRUE(finish("a", answered(std::string("\0\xff", 2))));
  const auto told = claim(kStart);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].source, "pricer");
  EXPECT_EQ(told[0].kind, ReportKind::session);
  EXPECT_EQ(told[0].subject, token_of(1).hex());
  EXPECT_EQ(told[0].service, "weather");
  EXPECT_EQ(told[0].path, "/v1/chat");
  EXPECT_EQ(told[0].reserved, -42);
  EXPECT_EQ(told[0].estimate, 7000_msat);
  EXPECT_EQ(told[0].request_text, r.request_text);
  EXPECT_EQ(told[0].created, kStart);
  EXPECT_EQ(told[0].answer, answered(std::string("\0\xff", 2)));
  EXPECT_EQ(told[0].attempts, 1);
}

TEST_P(ReportContract, WhatIsClaimedIsAnybodysAgainWhenTheClaimRunsOut) {
  open("a");
  ASSERT_TRUE(finish("a"));
  EXPECT_EQ(claimed(kStart, Millis(100)), Ids{"a"});
  EXPECT_EQ(claimed(kStart + Millis(99)), Ids{});
  const auto again = claim(kStart + Millis(100));
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].attempts, 2);
  EXPECT_EQ(again[0].answer, answered());
}

TEST_P(ReportContract, ARetryWaitsAndAnEndIsOnce) {
  open("a");
  ASSERT_TRUE(finish("a"));
  ASSERT_EQ(claimed(kStart), Ids{"a"});
  ASSERT_TRUE(sync(reports().retry_report("a", kStart + Millis(50))));
  EXPECT_EQ(claimed(kStart + Millis(49)), Ids{});
  EXPECT_EQ(claimed(kStart + Millis(50)), Ids{"a"});
  EXPECT_TRUE(value(reports().end_report("a")));
  EXPECT_FALSE(value(reports().end_report("a")));
  EXPECT_EQ(claimed(kStart + std::chrono::hours(1)), Ids{});
  EXPECT_TRUE(sync(reports().retry_report("a", kStart)));
}

TEST_P(ReportContract, ARequestThatNobodyServesAnyMoreIsUnseen) {
  open("a", kStart + Millis(1000));
  ASSERT_TRUE(sync(reports().keep_reports_open(kStart + Millis(3000))));
  EXPECT_EQ(claimed(kStart + Millis(2999)), Ids{});
  const auto told = claim(kStart + Millis(3000));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].answer, kUnseen);
  EXPECT_FALSE(finish("a")) << "what was reported so stays";
  EXPECT_EQ(claim(kStart + std::chrono::hours(1))[0].answer, kUnseen);
}

TEST_P(ReportContract, NobodyKeepsOpenWhatAProcessLeft) {
  open("before");
  fixture_->restart();
  open("after");
  ASSERT_TRUE(sync(reports().keep_reports_open(kStart + std::chrono::hours(1))));
  EXPECT_EQ(claimed(kStart + Millis(1000)), Ids{"before"});
  ASSERT_TRUE(finish("after"));
  fixture_->restart();
  EXPECT_EQ(claimed(kStart + Millis(1000)), Ids{"after"}) << "what ended is kept";
}

TEST_P(ReportContract, TheOldestComeFirstAndNoMoreThanAskedFor) {
  for (const int n : {2, 0, 1}) {
    UsageReport r = report_of(std::to_string(n));
    r.created = kStart + Millis(n);
    ASSERT_TRUE(sync(reports().open_report(r, kStart + Millis(n))));
  }
  EXPECT_EQ(claimed(kStart + Millis(10), Millis(5000), 2), (Ids{"0", "1"}));
  EXPECT_EQ(claimed(kStart + Millis(10), Millis(5000), 2), (Ids{"2"}));
}

TEST_P(ReportContract, TheyAreCounted) {
  EXPECT_EQ(value(reports().report_counts()), ReportCounts{});
  open("a");
  open("b");
  ASSERT_TRUE(finish("b"));
  EXPECT_EQ(value(reports().report_counts()), (ReportCounts{1, 1, kStart}));
}

TEST_P(ReportContract, WhatIsStillToBeToldAboutATokenIsKnown) {
  EXPECT_FALSE(value(reports().has_reports(token_of(1).hex())));
  open("a");
  EXPECT_TRUE(value(reports().has_reports(token_of(1).hex())));
  EXPECT_FALSE(value(reports().has_reports(token_of(2).hex())));
  EXPECT_TRUE(value(reports().end_report("a")));
  EXPECT_FALSE(value(reports().has_reports(token_of(1).hex())));
}

TEST_P(ReportContract, AnIdIsTakenOnce) {
  open("a");
  EXPECT_FALSE(sync(reports().open_report(report_of("a"), kStart)));
}

TEST_P(ReportContract, OfManySendersOneClaimsEach) {
  constexpr int kReports = 60;
  for (int i = 0; i < kReports; ++i) {
    const std::string id = std::to_string(i);
    open(id);
    ASSERT_TRUE(finish(id));
  }
  std::mutex mutex;
  std::multiset<std::string> seen;
  std::vector<std::thread> senders;
  for (int t = 0; t < 8; ++t) {
    senders.emplace_back([&] {
      for (;;) {
        const auto mine = claimed(kStart, std::chrono::hours(1), 3);
        if (mine.empty()) return;
        const std::scoped_lock lock(mutex);
        seen.insert(mine.begin(), mine.end());
      }
    });
  }
  for (auto& t : senders) t.join();
  // A sender that met only rows which others hold sees none; what is left is claimed here.
  for (const auto& id : claimed(kStart)) seen.insert(id);
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kReports));
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), seen.size());
}

// --- what a session's request cost

class SessionReport : public ReportContract {
 protected:
  void SetUp() override {
    ReportContract::SetUp();
    ASSERT_TRUE(sync(fixture_->store().record_invoices({invoice_of(1)})));
    OpenSession request = open_of(1);
    request.first_debit = 6000_msat;  // of 10000
    ASSERT_TRUE(sync(sessions().open_session(request)));
    open("a");
    ASSERT_TRUE(finish("a"));
  }
  bool end(Msat cost) {
    return value(reports().end_session_report("a", hash_of(1), 6000_msat, cost, kUsed));
  }
  Msat spent() { return value(sessions().find_session(hash_of(1)))->spent; }
};

TEST_P(SessionReport, WhatWasTooMuchComesBackOnce) {
  EXPECT_TRUE(end(2000_msat));
  EXPECT_EQ(spent(), 2000_msat);
  EXPECT_FALSE(end(1000_msat));
  EXPECT_EQ(spent(), 2000_msat);
}

TEST_P(SessionReport, WhatIsMissingIsTaken) {
  EXPECT_TRUE(end(8000_msat));
  EXPECT_EQ(spent(), 8000_msat);
}

TEST_P(SessionReport, NoMoreIsTakenThanThereIs) {
  EXPECT_TRUE(end(1'000'000_msat));
  EXPECT_EQ(spent(), 10'000_msat);
}

TEST_P(SessionReport, ASessionThatHasEndedStaysAsItIs) {
  ASSERT_TRUE(sync(sessions().close_session(close_of(1))));
  EXPECT_TRUE(end(1000_msat));
  EXPECT_EQ(spent(), 6000_msat);
  EXPECT_EQ(claimed(kStart + std::chrono::hours(1)), Ids{});
}

// --- allowances

class AllowanceContract : public ReportContract {
 protected:
  void SetUp() override {
    ReportContract::SetUp();
    ASSERT_TRUE(
        value(allowances().book_allowance(token_of(1), "chat", "small", 1000_msat, kStart)));
  }
  Allowance find(std::uint8_t n = 1) {
    auto a = value(allowances().find_allowance(token_of(n)));
    EXPECT_TRUE(a);
    return a.value_or(Allowance{});
  }
  bool hold(Msat amount) {
    return value(allowances().hold_allowance(token_of(1), amount, kStart + Millis(5))).has_value();
  }
  SettledAllowance settle_as(std::string id, Msat held, Msat cost) {
    return value(allowances().settle_allowance(std::move(id), token_of(1), held, cost, kStart));
  }
};

TEST_P(AllowanceContract, ABundleIsBookedOnceAToken) {
  EXPECT_FALSE(value(allowances().book_allowance(token_of(1), "chat", "large", 9000_msat, kStart)));
  const Allowance a = find();
  EXPECT_EQ(a.token, token_of(1));
  EXPECT_EQ(a.service, "chat");
  EXPECT_EQ(a.model, "small");
  EXPECT_EQ(a.funds, 1000_msat);
  EXPECT_EQ(a.left(), 1000_msat);
  EXPECT_EQ(a.created, kStart);
  EXPECT_FALSE(a.first_used);
  EXPECT_FALSE(value(allowances().find_allowance(token_of(2))));
  const auto nothing =
      sync(allowances().book_allowance(token_of(3), "chat", "small", Msat(), kStart));
  EXPECT_TRUE(!nothing && nothing.error().is(Errc::bad_amount));
}

TEST_P(AllowanceContract, AHoldTakesWhatIsThereAndNoMore) {
  EXPECT_TRUE(hold(600_msat));
  EXPECT_FALSE(hold(401_msat));
  EXPECT_TRUE(hold(400_msat));
  EXPECT_EQ(find().left(), Msat());
  EXPECT_EQ(find().first_used, kStart + Millis(5));
  EXPECT_FALSE(value(allowances().hold_allowance(token_of(2), 1_msat, kStart)));
}

TEST_P(AllowanceContract, AReportSettlesOnce) {
  ASSERT_TRUE(hold(600_msat));
  const auto first = settle_as("r1", 600_msat, 250_msat);
  EXPECT_TRUE(first.applied);
  EXPECT_EQ(first.debited, 250_msat);
  EXPECT_EQ(first.allowance->left(), 750_msat);
  const auto again = settle_as("r1", 600_msat, 250_msat);
  EXPECT_FALSE(again.applied);
  EXPECT_EQ(find().left(), 750_msat);
  EXPECT_TRUE(settle_as("r2", Msat(), 50_msat).applied);
  EXPECT_EQ(find().left(), 700_msat);
  fixture_->restart();
  EXPECT_FALSE(settle_as("r2", Msat(), 50_msat).applied);
}

TEST_P(AllowanceContract, ABundleNeverOwesNorTakesWhatOthersHold) {
  ASSERT_TRUE(hold(600_msat));
  ASSERT_TRUE(hold(300_msat));
  const auto dear = settle_as("r1", 600_msat, 5000_msat);
  EXPECT_EQ(dear.debited, 700_msat);
  EXPECT_EQ(dear.allowance->held, 300_msat);
  EXPECT_EQ(dear.allowance->left(), Msat());
  EXPECT_EQ(settle_as("r2", 300_msat, 100_msat).debited, 100_msat);
  EXPECT_EQ(find().left(), 200_msat);
}

TEST_P(AllowanceContract, WhatWasNeverUsedIsForgotten) {
  ASSERT_TRUE(value(allowances().book_allowance(token_of(2), "chat", "small", 5_msat, kStart)));
  ASSERT_TRUE(hold(1_msat));
  ASSERT_TRUE(settle_as("r1", 1_msat, 1_msat).applied);
  EXPECT_EQ(value(allowances().prune_allowances(kStart, kStart, 10)), 0);
  EXPECT_EQ(value(allowances().prune_allowances(kStart + Millis(1), kStart, 10)), 1);
  EXPECT_FALSE(value(allowances().find_allowance(token_of(2))));
  EXPECT_EQ(find().spent, 1_msat);
  EXPECT_EQ(value(allowances().prune_allowances(kStart, kStart + Millis(1), 10)), 1);
}

TEST_P(AllowanceContract, ManyThreadsSpendWhatIsThereAndNoMore) {
  std::atomic<int> held{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        if (!hold(50_msat)) continue;
        ++held;
        const std::string id = fmt::format("{}-{}", t, i);
        EXPECT_TRUE(settle_as(id, 50_msat, 40_msat).applied);
        EXPECT_FALSE(settle_as(id, 50_msat, 40_msat).applied);
      }
    });
  }
  for (auto& t : threads) t.join();
  const Allowance a = find();
  EXPECT_EQ(a.held, Msat());
  EXPECT_EQ(a.spent, (*Msat::from_raw(40)).times(held).value_or(Msat()));
  EXPECT_LE(a.spent, a.funds);
  EXPECT_GE(held, 20);
}

}  // namespace octroi::ledger
