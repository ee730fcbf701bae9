#include "octroi/adapters/postgres/store.h"

#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "octroi/adapters/postgres/workers.h"
#include "octroi/adapters/sql/store.h"

namespace octroi::postgres {
namespace {

using namespace octroi::ledger;  // NOLINT(google-build-using-namespace): the port's words

class PostgresLanes final : public sql::Lanes {
 public:
  PostgresLanes(const PostgresOptions& o, std::unique_ptr<Session> first) {
    const sql::Lane::Options lane{o.max_batch, o.max_queue};
    for (int i = 0; i < std::max(o.writers, 1); ++i) {
      writers_.push_back(std::make_unique<sql::Lane>(
          std::make_unique<Writer>(Link(o.session, std::exchange(first, nullptr))), lane));
    }
    for (int i = 0; i < std::max(o.readers, 1); ++i) {
      readers_.push_back(
          std::make_unique<sql::Lane>(std::make_unique<Reader>(Link(o.session)), lane));
    }
  }
  sql::Lane& writer(std::uint64_t key) override {
    // Keys are spread in their low bits or not at all: mix before choosing.
    return *writers_[(key * 0x9E3779B97F4A7C15ULL >> 32U) % writers_.size()];
  }
  sql::Lane& reader() override {
    return *readers_[next_.fetch_add(1, std::memory_order_relaxed) % readers_.size()];
  }

 private:
  std::vector<std::unique_ptr<sql::Lane>> writers_;
  std::vector<std::unique_ptr<sql::Lane>> readers_;
  std::atomic<std::size_t> next_{0};
};

/// Claims whose consume() ended without anybody knowing whether they were written. If one was, it
/// is ours, and nothing was delivered over it.
class Doubts {
 public:
  using Claim = std::pair<std::array<std::uint8_t, 32>, std::string>;  // hash and mark

  void add(const PaymentHash& hash, std::string mark) {
    const std::scoped_lock lock(mutex_);
    // Beyond the bound the payer is told that the outcome is unknown, as after a restart.
    if (claims_.size() < kMost) claims_.emplace(hash.raw(), std::move(mark));
  }
  bool any(const PaymentHash& hash) {
    const std::scoped_lock lock(mutex_);
    const auto it = claims_.lower_bound({hash.raw(), ""});
    return it != claims_.end() && it->first == hash.raw();
  }
  /// True for one caller.
  bool take(const PaymentHash& hash, const std::string& mark) {
    const std::scoped_lock lock(mutex_);
    return claims_.erase({hash.raw(), mark}) == 1;
  }

 private:
  static constexpr std::size_t kMost = 100'000;
  std::mutex mutex_;
  std::set<Claim> claims_;
};

/// Answers that were given and could not be written, for as long as this process lives: without
/// them the same credential would be told to wait for ever.
class LostAnswers {
 public:
  using Answer = std::shared_ptr<const StoredResponse>;

  void add(const PaymentHash& hash, Answer answer) {
    const std::scoped_lock lock(mutex_);
    // Beyond the bound a payer is told that the answer is lost.
    if (answers_.size() >= kMost) answer = nullptr;
    if (answers_.size() < 100 * kMost) answers_.insert_or_assign(hash.raw(), std::move(answer));
  }
  bool has(const PaymentHash& hash) {
    const std::scoped_lock lock(mutex_);
    return answers_.contains(hash.raw());
  }
  /// What was lost, and forgets it; a null answer is one that nobody has any more.
  std::optional<Answer> take(const PaymentHash& hash) {
    const std::scoped_lock lock(mutex_);
    const auto it = answers_.find(hash.raw());
    if (it == answers_.end()) return std::nullopt;
    Answer answer = it->second;
    if (answer) answers_.erase(it);
    return answer;
  }

 private:
  static constexpr std::size_t kMost = 1000;
  std::mutex mutex_;
  std::map<std::array<std::uint8_t, 32>, Answer> answers_;
};

/// Sessions whose open, top-up or close may have been written though it failed, or whose answer was
/// lost: the same credential is told what there is (unfinished), not to wait.
class PostgresSessions final : public sql::SqlSessions {
 public:
  PostgresSessions(sql::Lanes& lanes, std::shared_ptr<const std::string> boot,
                   std::shared_ptr<LostAnswers> lost)
      : SqlSessions(lanes, std::move(boot)), lost_(std::move(lost)) {}

  Task<Result<OpenOutcome>> open_session(OpenSession request) override {
    const PaymentHash hash = request.proof.hash;
    auto out = co_await SqlSessions::open_session(std::move(request));
    OCTROI_CO_CHECK(co_await explain(hash, hash, &out));
    co_return out;
  }
  Task<Result<TopUpOutcome>> top_up_session(TopUp request) override {
    const PaymentHash hash = request.proof.hash;
    const PaymentHash session = request.session;
    auto out = co_await SqlSessions::top_up_session(std::move(request));
    OCTROI_CO_CHECK(co_await explain(hash, session, &out));
    co_return out;
  }
  Task<Result<CloseOutcome>> close_session(CloseSession request) override {
    if (!request.proof) co_return co_await SqlSessions::close_session(std::move(request));
    const PaymentHash hash = request.proof->hash;
    const PaymentHash session = request.session;
    auto out = co_await SqlSessions::close_session(std::move(request));
    OCTROI_CO_CHECK(co_await explain(hash, session, &out));
    co_return out;
  }

 private:
  template <class Outcome>
  Task<Result<>> explain(PaymentHash hash, PaymentHash session, Result<Outcome>* out) {
    if (!*out) {
      if (out->error().is(Errc::unavailable)) lost_->add(hash, nullptr);
      co_return fail(out->error());
    }
    if ((*out)->proof.state != ConsumeState::pending || !lost_->has(hash)) co_return Result<>{};
    (*out)->proof.state = ConsumeState::unfinished;
    if (!(*out)->session) {
      OCTROI_CO_TRY((*out)->session, co_await find_session(session));
    }
    co_return Result<>{};
  }

  std::shared_ptr<LostAnswers> lost_;
};

class PostgresStore final : public sql::SqlStore {
 public:
  PostgresStore(std::unique_ptr<sql::Lanes> lanes, Clock& clock, std::string boot)
      : SqlStore(std::move(lanes), clock, std::move(boot)),
        sessions_(this->lanes(), shared_boot(), lost_) {}

  [[nodiscard]] SessionStore* sessions() override { return &sessions_; }

  Task<Result<ConsumeOutcome>> consume(ConsumeRequest request) override {
    const PaymentHash hash = request.hash;
    const std::string mark =
        fmt::format("{}:{:x}", boot(), attempts_.fetch_add(1, std::memory_order_relaxed));
    auto outcome = co_await consume_as(std::move(request), mark);
    if (!outcome) {
      if (outcome.error().is(Errc::unavailable)) doubts_.add(hash, mark);
      co_return outcome;
    }
    if (outcome->state == ConsumeState::pending && doubts_.any(hash)) {
      // The same credential, claimed here by an attempt that could not be told so: whoever asks
      // first now delivers it.
      OCTROI_CO_TRY(const auto winner, co_await pending_mark(hash));
      if (winner && doubts_.take(hash, *winner)) outcome->state = ConsumeState::fresh;
    }
    if (outcome->state == ConsumeState::pending) find_lost_answer(hash, *outcome);
    co_return outcome;
  }

  /// An answer that nobody could write is not being delivered any more: it is given again.
  Task<Result<>> finish_consume(PaymentHash hash, StoredResponse response) override {
    const auto answer = std::make_shared<const StoredResponse>(std::move(response));
    auto kept = co_await SqlStore::finish_consume(hash, *answer);
    if (!kept && kept.error().is(Errc::unavailable)) lost_->add(hash, answer);
    co_return kept;
  }

  void keep_answer(PaymentHash hash, StoredResponse response) override {
    keep(hash, std::make_shared<const StoredResponse>(std::move(response)));
  }

 private:
  void keep(const PaymentHash& hash, LostAnswers::Answer answer) {
    // Shared, because a lane finishes its calls after this object has begun to end.
    post_answer(hash, answer, [hash, answer, lost = lost_](const Error& why) {
      if (why.is(Errc::unavailable)) lost->add(hash, answer);
    });
  }
  /// The same credential asks again: it gets the answer that is not in the database, which is
  /// written once more.
  void find_lost_answer(const PaymentHash& hash, ConsumeOutcome& outcome) {
    auto answer = lost_->take(hash);
    if (!answer) return;
    outcome.state = ConsumeState::unfinished;
    if (!*answer) return;
    if ((*answer)->body_kept) {
      outcome.state = ConsumeState::replay;
      outcome.response = **answer;
    }
    keep(hash, *std::move(answer));
  }

  std::shared_ptr<LostAnswers> lost_ = std::make_shared<LostAnswers>();
  std::atomic<std::uint64_t> attempts_{0};
  Doubts doubts_;
  PostgresSessions sessions_;
};

}  // namespace

Result<std::unique_ptr<Store>> open_postgres_store(PostgresOptions options, Clock& clock,
                                                   Random& random) {
  OCTROI_TRY(auto first, Session::open(options.session));
  OCTROI_CHECK(sql::bring_up_to_date(*first, options.migrate, clock.now()));
  return std::make_unique<PostgresStore>(std::make_unique<PostgresLanes>(options, std::move(first)),
                                         clock, to_hex(random.bytes<16>()));
}

Result<std::vector<sql::MigrationStatus>> postgres_migration_status(const SessionOptions& options) {
  OCTROI_TRY(auto session, Session::open(options));
  return sql::migration_status(*session, sql::embedded_migrations());
}

Result<int> migrate_postgres(const SessionOptions& options, std::int64_t target, Clock& clock) {
  OCTROI_TRY(auto session, Session::open(options));
  const auto known = sql::embedded_migrations();
  if (target < 0) target = static_cast<std::int64_t>(known.size());
  return sql::migrate_to(*session, known, target, clock.now());
}

}  // namespace octroi::postgres
