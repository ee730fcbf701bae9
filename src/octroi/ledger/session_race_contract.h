// octroi/ledger/session_race_contract.h: many threads on one session. Part of session_contract.h.
#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "octroi/ledger/session_contract.h"

namespace octroi::ledger {

inline void run_threads(int count, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  threads.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) threads.emplace_back(body, i);
  for (std::thread& t : threads) t.join();
}

TEST_P(SessionContract, SixtyFourThreadsSpendWhatIsThereAndNoMore) {
  constexpr int kThreads = 64;
  open(1);
  std::atomic<std::int64_t> taken{0};
  std::atomic<int> insufficient{0};
  run_threads(kThreads, [&](int thread) {
    for (int i = 0; i < 6; ++i) {
      const auto amount = Msat::from_raw_unchecked(10 + thread % 7);
      const auto out = sync(sessions().debit_session(hash_of(1), "weather", amount, kUsed));
      ASSERT_TRUE(out);
      if (out->outcome == SessionOutcome::applied) taken += raw(amount);
      if (out->outcome == SessionOutcome::insufficient) ++insufficient;
    }
  });
  EXPECT_EQ(raw(find(1).spent), taken);
  EXPECT_EQ(insufficient, 0);  // 64 × 6 × 16 at most
  // Now for the last of it.
  const std::int64_t left = raw(find(1).balance());
  std::atomic<std::int64_t> last{0};
  run_threads(kThreads, [&](int) {
    for (int i = 0; i < 3; ++i) {
      const auto out = sync(sessions().debit_session(hash_of(1), "weather", 97_msat, kUsed));
      ASSERT_TRUE(out);
      if (out->outcome == SessionOutcome::applied) last += 97;
    }
  });
  EXPECT_EQ(last, left / 97 * 97);
  EXPECT_EQ(raw(find(1).balance()), left % 97);
}

TEST_P(SessionContract, DebitsTopUpsGivingBackAndACloseAtOnce) {
  constexpr int kThreads = 64;
  constexpr std::uint32_t kTopUps = 8;
  open(1);
  add_invoices(10, 10 + kTopUps);
  std::atomic<std::int64_t> spent{0};
  std::atomic<std::int64_t> deposited{10'000};
  std::atomic<int> closed{0};
  run_threads(kThreads, [&](int thread) {
    if (thread == 40) {
      CloseSession request = close_of(1);
      request.service.clear();
      const auto out = sync(sessions().close_session(request));
      ASSERT_TRUE(out);
      if (out->outcome == SessionOutcome::applied) ++closed;
      return;
    }
    if (thread % 4 == 0) {  // each top-up is shown by two
      const auto out = sync(sessions().top_up_session(
          top_up_of(10 + static_cast<std::uint32_t>(thread / 4) % kTopUps, 1)));
      ASSERT_TRUE(out);
      if (out->outcome == SessionOutcome::applied) deposited += 10'000;
    }
    for (int i = 0; i < 5; ++i) {
      const auto out = sync(sessions().debit_session(hash_of(1), "weather", 313_msat, kUsed));
      ASSERT_TRUE(out);
      if (out->outcome != SessionOutcome::applied) continue;
      spent += 313;
      if (i != 2) continue;
      const auto back = sync(sessions().give_back(hash_of(1), 113_msat, kUsed));
      ASSERT_TRUE(back);
      if (back->outcome == SessionOutcome::applied) spent -= 113;
    }
  });
  const Session s = find(1);
  EXPECT_EQ(closed, 1);
  EXPECT_EQ(s.state, SessionState::closed);
  EXPECT_EQ(raw(s.spent), spent);
  EXPECT_EQ(raw(s.deposit), deposited);
  EXPECT_LE(s.spent, s.deposit);
  EXPECT_EQ(raw(s.refund.amount) + raw(s.refund.rounding), deposited - spent)
      << "nothing was booked behind the refund";
  EXPECT_TRUE(balanced(totals()));
}

TEST_P(SessionContract, OfManyThreadsOneClosesOneSendsAndOneOpens) {
  constexpr int kThreads = 64;
  add_invoices(1, 1);
  std::atomic<int> opens{0};
  std::atomic<int> closes{0};
  std::atomic<int> claims{0};
  std::atomic<int> ends{0};
  run_threads(kThreads, [&](int) {
    const auto out = sync(sessions().open_session(open_of(1)));
    if (out && out->proof.state == ConsumeState::fresh) ++opens;
  });
  run_threads(kThreads, [&](int) {
    const auto out = sync(sessions().close_session(close_of(1)));
    if (out && out->outcome == SessionOutcome::applied) ++closes;
    const auto mine = sync(sessions().claim_refund(hash_of(1), kUsed));
    if (mine && mine->has_value()) ++claims;
  });
  run_threads(kThreads, [&](int thread) {
    const auto stage = thread % 2 == 0 ? RefundStage::succeeded : RefundStage::failed;
    const auto out = sync(sessions().record_refund(hash_of(1), stage, 0_msat, "", kUsed));
    if (out && *out == SessionOutcome::applied && stage == RefundStage::succeeded) ++ends;
  });
  EXPECT_EQ(opens, 1);
  EXPECT_EQ(closes, 1);
  EXPECT_EQ(claims, 1);
  EXPECT_EQ(ends, 1);
  EXPECT_EQ(find(1).refund.stage, RefundStage::succeeded);
  EXPECT_EQ(find(1).refund.attempts, 1);
}

TEST_P(SessionContract, OfManySessionsOneTakesAReturnInvoice) {
  constexpr std::uint32_t kThreads = 32;
  add_invoices(1, kThreads);
  std::atomic<int> opens{0};
  std::atomic<int> taken{0};
  run_threads(static_cast<int>(kThreads), [&](int thread) {
    OpenSession request = open_of(static_cast<std::uint32_t>(thread) + 1);
    request.return_hash = return_hash_of(1000);
    const auto out = sync(sessions().open_session(request));
    ASSERT_TRUE(out) << out.error().message();
    if (out->return_invoice_taken) {
      ++taken;
    } else if (out->proof.state == ConsumeState::fresh) {
      ++opens;
    }
  });
  EXPECT_EQ(opens, 1);
  EXPECT_EQ(taken, static_cast<int>(kThreads) - 1);
  int consumed = 0;
  for (std::uint32_t n = 1; n <= kThreads; ++n) consumed += is_consumed(n) ? 1 : 0;
  EXPECT_EQ(consumed, 1) << "who was refused keeps its deposit's proof";
}

}  // namespace octroi::ledger
