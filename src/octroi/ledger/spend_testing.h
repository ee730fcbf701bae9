// octroi/ledger/spend_testing.h: short ways to make reservations, and many threads. For tests only.
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "octroi/ledger/spend_ledger.h"
#include "octroi/ledger/store_testing.h"

namespace octroi::ledger {

inline constexpr Millis kSpendDay = std::chrono::hours(24);
/// The day that kStart stands in, and a moment in it.
inline constexpr UnixMillis kDayStart{kStart.value / 86'400'000 * 86'400'000};
inline constexpr UnixMillis kNoon{kDayStart.value + 43'200'000};

inline Hold dollars_of(std::int64_t limit, std::int64_t amount,
                       std::string scope = "policy/bot/day/all/micro_usd",
                       UnixMillis starts = kDayStart) {
  return {std::move(scope), SpendUnit::micro_usd, starts, starts + kSpendDay, limit, amount, true};
}
inline Hold calls_of(std::int64_t limit, std::string scope = "policy/bot/day/all/calls") {
  return {std::move(scope), SpendUnit::calls, kDayStart, kDayStart + kSpendDay, limit, 1, true};
}
inline Reservation spend_of(std::string id, std::int64_t amount, std::vector<Hold> holds,
                            UnixMillis now = kNoon) {
  Reservation r;
  r.id = std::move(id);
  r.fingerprint = digest_of(1);
  r.amount = MicroUsd::from_raw_unchecked(amount);
  r.holds = std::move(holds);
  r.now = now;
  r.answer_by = now + std::chrono::minutes(5);
  r.give_up_at = now + kSpendDay;
  r.replay_until = now + kSpendDay;
  r.vendor = "stripe";
  r.operation = "charges.create";
  r.policy = "bot";
  r.key_id = "k1";
  r.run = "run-1";
  return r;
}
inline Reservation charge_of(std::string id, std::int64_t limit, std::int64_t amount) {
  return spend_of(std::move(id), amount, {dollars_of(limit, amount)});
}
inline MicroUsd micro(std::int64_t n) { return MicroUsd::from_raw_unchecked(n); }

inline void spend_threads(int count, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  threads.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) threads.emplace_back(body, i);
  for (std::thread& t : threads) t.join();
}

}  // namespace octroi::ledger
