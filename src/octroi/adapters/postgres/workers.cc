#include "octroi/adapters/postgres/workers.h"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "octroi/base/log.h"
#include "octroi/ledger/store.h"

namespace octroi::postgres {
namespace {

using ledger::Errc;
using std::chrono::steady_clock;

constexpr Millis kShortestPause{50};
constexpr Millis kLongestPause{500};
constexpr int kTries = 6;

Error outcome_unknown() {
  return {
      Errc::unavailable,
      "PostgreSQL: the connection was lost while a commit was under way; whether it was written "
      "is not known"};
}

/// Calls of one key stay in their order.
std::vector<std::shared_ptr<sql::Call>> by_key(sql::Batch batch) {
  std::vector<std::pair<std::uint64_t, std::size_t>> order;
  for (std::size_t i = 0; i < batch.size(); ++i) order.emplace_back(batch[i]->key(), i);
  std::ranges::sort(order);
  std::vector<std::shared_ptr<sql::Call>> out;
  for (const auto& [key, i] : order) out.push_back(batch[i]);
  return out;
}

void refuse_all(sql::Batch batch, const Error& why) {
  for (const auto& call : batch) call->refuse(why);
}

}  // namespace

Result<Session*> Link::get() {
  tidy();
  if (session_) return session_.get();
  if (why_ && steady_clock::now() < not_before_) return fail(*why_);
  auto made = Session::open(options_);
  if (!made) {
    if (!why_) OCTROI_LOG(error, "store", "unreachable", {{"reason", made.error().message()}});
    why_ = made.error();
    pause_ = std::clamp(pause_ * 2, kShortestPause, kLongestPause);
    not_before_ = steady_clock::now() + pause_;
    return fail(*why_);
  }
  if (why_) OCTROI_LOG(info, "store", "reachable", {});
  why_.reset();
  pause_ = Millis(0);
  session_ = *std::move(made);
  return session_.get();
}

void Link::tidy() {
  if (session_ && !session_->alive()) session_.reset();
}

// --- writing

void Writer::run_batch(sql::Batch batch) {
  const auto ordered = by_key(batch);
  for (int tries = 0; tries < 2; ++tries) {
    auto session = link_.get();
    if (!session) return refuse_all(batch, session.error());
    switch (try_together(**session, ordered)) {
      case End::done:
        return;
      case End::not_begun:
        continue;
      case End::one_by_one:
        for (const auto& call : ordered) do_alone(*call);
        return;
    }
  }
  refuse_all(batch, {Errc::unavailable, "PostgreSQL: the connection was lost twice"});
}

Writer::End Writer::try_together(Session& session, sql::Batch batch) {
  session.set_manner(Session::Manner::eager);
  if (!session.begin()) return session.lost() ? End::not_begun : End::one_by_one;
  for (const auto& call : batch) {
    const bool good = call->run(session);
    if (session.lost()) return End::not_begun;
    if (!good || session.undo_wanted() || session.trouble() != Trouble::none) {
      session.rollback();
      return End::one_by_one;
    }
  }
  if (session.commit()) return End::done;
  if (session.lost()) {
    refuse_all(batch, outcome_unknown());
    return End::done;
  }
  session.rollback();
  return End::one_by_one;
}

void Writer::do_alone(sql::Call& call) {
  for (int tries = 1; tries <= kTries; ++tries) {
    auto session = link_.get();
    if (!session) return call.refuse(session.error());
    if (try_alone(**session, call) == End::done) return;
    // Whoever we collided with has to get out of the way first.
    std::this_thread::sleep_for(Millis(1) * tries * tries);
  }
  call.refuse({Errc::unavailable, "PostgreSQL: other transactions stood in the way too often"});
}

Writer::End Writer::try_alone(Session& session, sql::Call& call) {
  session.set_manner(Session::Manner::careful);
  if (auto begun = session.begin(); !begun) {
    if (session.lost()) return End::not_begun;
    call.refuse(begun.error());
    session.rollback();
    return End::done;
  }
  const bool good = call.run(session);
  if (session.lost()) return End::not_begun;
  if (session.trouble() == Trouble::none && good) {
    if (session.commit()) return End::done;
    if (session.lost()) {
      call.refuse(outcome_unknown());
      return End::done;
    }
  }
  session.rollback();
  switch (session.trouble()) {
    case Trouble::again:
    case Trouble::lost:
      return End::one_by_one;
    case Trouble::statement:
      // An operation that made an error into an answer does not know that it was rolled back.
      if (good && session.first_error()) call.refuse(*session.first_error());
      return End::done;
    case Trouble::none:
      return End::done;  // the operation itself said no
  }
  return End::done;
}

// --- reading

void Reader::run_batch(sql::Batch batch) {
  for (const auto& call : batch) run(*call);
}

void Reader::run(sql::Call& call) {
  for (int tries = 0; tries < 3; ++tries) {
    auto session = link_.get();
    if (!session) return call.refuse(session.error());
    (*session)->start_reading();
    if (call.run(**session)) return;
    if (!(*session)->lost()) {
      const bool again = (*session)->trouble() == Trouble::again;
      (*session)->rollback();
      if (!again) return;
    }
  }
  call.refuse({Errc::unavailable, "PostgreSQL: the connection was lost repeatedly"});
}

}  // namespace octroi::postgres
