// octroi/ledger/session_model_contract.h: random histories of sessions, compared step by step with
// a model that is too simple to be wrong. Part of session_contract.h.
#pragma once

#include <map>
#include <random>
#include <set>
#include <string>

#include "octroi/ledger/session_contract.h"

namespace octroi::ledger {

/// Sessions as plain numbers.
struct ModelSession {
  std::int64_t deposit = 0;
  std::int64_t spent = 0;
  std::int64_t used = 0;
  bool open = true;
  RefundStage stage = RefundStage::none;
  std::int64_t refund = 0;
  std::int64_t rounding = 0;
  std::int64_t fee = 0;
  int attempts = 0;
};

class SessionModel {
 public:
  using Outcome = SessionOutcome;
  std::map<std::uint32_t, ModelSession> sessions;
  std::map<std::uint32_t, std::string> claimed;  // by whom

  ConsumeState open(std::uint32_t n, std::int64_t deposit, std::int64_t first, std::int64_t now) {
    const std::string me = "open";
    if (claimed.contains(n)) return claimed[n] == me ? ConsumeState::pending : ConsumeState::spent;
    claimed[n] = me;
    sessions[n] = {.deposit = deposit, .spent = first, .used = now};
    return ConsumeState::fresh;
  }
  Outcome debit(std::uint32_t n, std::int64_t amount, std::int64_t now) {
    const Outcome can = usable(n);
    if (can != Outcome::applied) return can;
    ModelSession& s = sessions[n];
    if (s.deposit - s.spent < amount) return Outcome::insufficient;
    s.spent += amount;
    s.used = std::max(s.used, now);
    return Outcome::applied;
  }
  Outcome give_back(std::uint32_t n, std::int64_t amount, std::int64_t now) {
    const Outcome can = usable(n);
    if (can != Outcome::applied) return can;
    ModelSession& s = sessions[n];
    if (s.spent < amount) return Outcome::insufficient;
    s.spent -= amount;
    s.used = std::max(s.used, now);
    return Outcome::applied;
  }
  Outcome top_up(std::uint32_t proof, std::uint32_t n, std::int64_t amount, std::int64_t now) {
    if (claimed.contains(proof)) return Outcome::replayed;
    const Outcome can = usable(n);
    if (can != Outcome::applied) return can;
    claimed[proof] = "topUp";
    sessions[n].deposit += amount;
    sessions[n].used = std::max(sessions[n].used, now);
    return Outcome::applied;
  }
  Outcome close(std::uint32_t n, bool only_if_idle, std::int64_t idle, std::int64_t now) {
    const Outcome can = usable(n);
    if (can == Outcome::closed) return Outcome::replayed;
    if (can != Outcome::applied) return can;
    ModelSession& s = sessions[n];
    if (only_if_idle && s.used + idle > now) return Outcome::replayed;
    s.open = false;
    s.rounding = (s.deposit - s.spent) % 1000;
    s.refund = s.deposit - s.spent - s.rounding;
    s.stage = s.refund == 0 ? RefundStage::skipped : RefundStage::due;
    return Outcome::applied;
  }
  bool claim(std::uint32_t n) {
    if (!sessions.contains(n) || sessions[n].stage != RefundStage::due) return false;
    sessions[n].stage = RefundStage::sending;
    ++sessions[n].attempts;
    return true;
  }
  Outcome record(std::uint32_t n, RefundStage end, std::int64_t fee) {
    if (!sessions.contains(n)) return Outcome::not_found;
    ModelSession& s = sessions[n];
    const bool paid = end == RefundStage::succeeded;
    const bool may = s.stage == RefundStage::sending ||
                     (paid && (s.stage == RefundStage::failed || s.stage == RefundStage::due));
    if (!may) return Outcome::replayed;
    s.stage = end;
    s.fee = paid ? fee : 0;
    return Outcome::applied;
  }
  Outcome retry(std::uint32_t n) {
    if (!sessions.contains(n)) return Outcome::not_found;
    if (sessions[n].stage != RefundStage::failed) return Outcome::replayed;
    sessions[n].stage = RefundStage::due;
    return Outcome::applied;
  }
  [[nodiscard]] std::string totals() const {
    std::int64_t deposits = 0, spent = 0, refunded = 0, fees = 0, rounding = 0, open = 0,
                 unpaid = 0;
    for (const auto& [n, s] : sessions) {
      deposits += s.deposit;
      spent += s.spent;
      fees += s.fee;
      rounding += s.rounding;
      if (s.open) open += s.deposit - s.spent;
      (s.stage == RefundStage::succeeded ? refunded : unpaid) += s.refund;
    }
    return fmt::format("deposits {} spent {} refunded {} fees {} rounding {} open {} unpaid {}",
                       deposits, spent, refunded, fees, rounding, open, unpaid);
  }

 private:
  Outcome usable(std::uint32_t n) {
    if (!sessions.contains(n)) return Outcome::not_found;
    return sessions[n].open ? Outcome::applied : Outcome::closed;
  }
};

/// One random step on both; false when they told different things.
class SessionWalk {
 public:
  SessionWalk(SessionStore& store, std::uint64_t seed) : store_(&store), random_(seed) {}
  void use(SessionStore& store) { store_ = &store; }
  SessionModel& model() { return model_; }

  void step() {
    now_ += static_cast<std::int64_t>(pick(40'000));
    const std::uint32_t n = 1 + pick(kSessions + 1);  // the last one is never opened
    const auto amount = static_cast<std::int64_t>(1 + pick(4'000));
    switch (pick(12)) {
      case 0:
        return open(n, amount);
      case 1:
        return top_up(1 + pick(kHashes), n, amount);
      case 2:
        return close(n, pick(4) != 0);
      case 3:
        return check(value(store_->claim_refund(hash_of(n), at())).has_value(), model_.claim(n),
                     "claim");
      case 4:
      case 5:
        return record(n, pick(2) == 0 ? RefundStage::succeeded : RefundStage::failed);
      case 6:
        return check(value(store_->retry_refund(hash_of(n), at())), model_.retry(n), "retry");
      case 7:
        return check(
            value(store_->give_back(hash_of(n), Msat::from_raw_unchecked(amount), at())).outcome,
            model_.give_back(n, amount, now_), "give back");
      default:
        return check(value(store_->debit_session(hash_of(n), "weather",
                                                 Msat::from_raw_unchecked(amount), at()))
                         .outcome,
                     model_.debit(n, amount, now_), "debit");
    }
  }

  void compare() {
    for (const auto& [n, m] : model_.sessions) {
      const auto found = value(store_->find_session(hash_of(n)));
      ASSERT_TRUE(found) << n;
      EXPECT_EQ(raw(found->deposit), m.deposit) << n;
      EXPECT_EQ(raw(found->spent), m.spent) << n;
      EXPECT_EQ(found->last_used.value, m.used) << n;
      EXPECT_EQ(found->state == SessionState::open, m.open) << n;
      EXPECT_EQ(found->refund.stage, m.stage) << n;
      EXPECT_EQ(raw(found->refund.amount), m.refund) << n;
      EXPECT_EQ(raw(found->refund.rounding), m.rounding) << n;
      EXPECT_EQ(raw(found->refund.fee), m.fee) << n;
      EXPECT_EQ(found->refund.attempts, m.attempts) << n;
    }
    const SessionTotals totals = value(store_->session_totals());
    EXPECT_EQ(describe(totals), model_.totals());
    EXPECT_TRUE(balanced(totals));
  }

  static constexpr std::uint32_t kSessions = 6;
  static constexpr std::uint32_t kHashes = 24;  // deposits and top-ups draw from the same

 private:
  std::uint32_t pick(std::uint32_t below) { return static_cast<std::uint32_t>(random_() % below); }
  [[nodiscard]] UnixMillis at() const { return {now_}; }

  void open(std::uint32_t n, std::int64_t first) {
    if (n > kSessions) return;
    OpenSession request = open_of(n);
    request.proof.now = at();
    request.first_debit = Msat::from_raw_unchecked(first);
    const OpenOutcome out = value(store_->open_session(request));
    check(out.proof.state, model_.open(n, raw(request.deposit), first, now_), "open");
  }
  void top_up(std::uint32_t proof, std::uint32_t n, std::int64_t amount) {
    TopUp request = top_up_of(proof, n);
    request.proof.now = at();
    request.amount = Msat::from_raw_unchecked(amount);
    check(value(store_->top_up_session(request)).outcome, model_.top_up(proof, n, amount, now_),
          "top up");
  }
  void close(std::uint32_t n, bool only_if_idle) {
    CloseSession request = close_of(n);
    request.now = at();
    request.only_if_idle = only_if_idle;
    const auto idle = std::int64_t{open_of(n).idle_timeout.count()};
    check(value(store_->close_session(request)).outcome, model_.close(n, only_if_idle, idle, now_),
          "close");
  }
  void record(std::uint32_t n, RefundStage end) {
    const auto fee = static_cast<std::int64_t>(pick(50));
    check(value(store_->record_refund(hash_of(n), end, Msat::from_raw_unchecked(fee), "", at())),
          model_.record(n, end, fee), "record");
  }

  template <class T>
  static T value(Task<Result<T>> task) {
    auto out = sync(std::move(task));
    EXPECT_TRUE(out) << out.error().message();
    return out ? *std::move(out) : T{};
  }
  template <class T>
  static void check(T got, T expected, const char* what) {
    EXPECT_EQ(static_cast<int>(got), static_cast<int>(expected)) << what;
  }

  SessionStore* store_;
  std::mt19937_64 random_;
  std::int64_t now_ = kUsed.value;
  SessionModel model_;
};

TEST_P(SessionContract, RandomHistoriesAreThoseOfTheModel) {
  constexpr int kSteps = 400;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE(seed);
    fixture_ = GetParam().make();
    add_invoices(1, SessionWalk::kHashes);
    SessionWalk walk(sessions(), seed);
    for (int i = 0; i < kSteps && !HasFailure(); ++i) {
      SCOPED_TRACE(i);
      walk.step();
      if (i % 100 == 99) walk.compare();
    }
    // What was answered to nobody stays so over a restart; what was written stays, too.
    restart();
    walk.use(sessions());
    walk.compare();
    EXPECT_GE(walk.model().sessions.size(), 4U) << "the walk must have gone somewhere";
  }
}

}  // namespace octroi::ledger
