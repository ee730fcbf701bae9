#include "octroi/adapters/postgres/listener.h"

#include <gtest/gtest.h>

#include "octroi/adapters/postgres/postgres_fixture.h"
#include "octroi/adapters/sql/operations.h"
#include "octroi/ledger/store_testing.h"

namespace octroi::postgres {
namespace {

using ledger::News;
using ledger::sync;

template <class Holds>
bool soon(Holds holds) {
  for (int i = 0; i < 4'000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(Millis(5));
  }
  return false;
}

/// A listener and what it was told.
class Ear {
  template <class F>
  auto with(F f) {
    const std::lock_guard lock(mutex_);
    return f();
  }

 public:
  explicit Ear(SessionOptions session, Millis every = Millis(50))
      : listener_({std::move(session), std::string(sql::kRevocationsMark), every},
                  {[this](const Listener::Look& l) {
                     const std::lock_guard lock(mutex_);
                     ++looks_;
                     if (l.first) ++firsts_;
                     value_ = l.value;
                     if (l.asked > asked_) asked_ = l.asked;
                   },
                   [this](const News& n) {
                     const std::lock_guard lock(mutex_);
                     heard_.push_back(n);
                     return n.about == News::About::revocations;
                   }}) {}
  Listener& operator*() { return listener_; }
  Listener* operator->() { return &listener_; }
  int looks() {
    return with([this] { return looks_; });
  }
  int firsts() {
    return with([this] { return firsts_; });
  }
  std::optional<std::string> value() {
    return with([this] { return value_; });
  }
  std::vector<News> heard() {
    return with([this] { return heard_; });
  }
  bool heard(const News& n) {
    const auto all = heard();
    return std::ranges::find(all, n) != all.end();
  }

 private:
  std::mutex mutex_;
  int looks_ = 0;
  int firsts_ = 0;
  Millis asked_{};
  std::optional<std::string> value_;
  std::vector<News> heard_;
  Listener listener_;  // last: it calls into the rest
};

TokenId token(std::uint8_t n) {
  std::array<std::uint8_t, TokenId::kSize> raw{};
  raw[0] = n;
  return TokenId(raw);
}

TEST(Listener, looks_and_finds_what_another_replica_revoked) {
  PostgresFixture f;
  Ear ear(TestServer::shared().options(f.database()));
  ASSERT_TRUE(soon([&] { return ear.looks() > 2; }));
  EXPECT_FALSE(ear.value());
  ASSERT_TRUE(sync(f.store().revoke_token(token(1), {1}, {1})));
  EXPECT_TRUE(soon([&] { return ear.value().has_value(); }));
  const auto before = ear.value();
  ASSERT_TRUE(sync(f.another()->revoke_token(token(2), {1}, {1})));
  EXPECT_TRUE(soon([&] { return ear.value() != before; }));
}

TEST(Listener, hears_what_another_tells) {
  PostgresFixture f;
  const auto options = TestServer::shared().options(f.database());
  Ear one(options);
  Ear other(options);
  ASSERT_TRUE(soon([&] { return one->listens() && other->listens(); }));
  const News money{News::About::session, ledger::hash_of(9)};
  one->tell(money);
  EXPECT_TRUE(soon([&] { return other.heard(money); }));
  one->tell({});
  EXPECT_TRUE(soon([&] { return other.heard({}); }));
}

TEST(Listener, news_of_revocations_make_it_look_at_once) {
  PostgresFixture f;
  const auto options = TestServer::shared().options(f.database());
  Ear one(options);
  Ear other(options, Millis(600'000));
  ASSERT_TRUE(soon([&] { return other->listens() && other.looks() == 1; }));
  ASSERT_TRUE(sync(f.store().revoke_token(token(1), {1}, {1})));
  EXPECT_FALSE(other.value());
  one->tell({});
  EXPECT_TRUE(soon([&] { return other.value().has_value(); }));
  other->look();
  EXPECT_TRUE(soon([&] { return other.looks() >= 3; }));
}

TEST(Listener, a_connection_that_was_cut_is_made_again_and_says_so) {
  PostgresFixture f;
  Ear ear(TestServer::shared().options(f.database()));
  ASSERT_TRUE(soon([&] { return ear.looks() > 2; }));
  EXPECT_EQ(ear.firsts(), 1);
  ASSERT_TRUE(TestServer::shared().admin(
      fmt::format("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
                  f.database())));
  EXPECT_TRUE(soon([&] { return ear.firsts() == 2 && ear->listens(); }));
  const int looks = ear.looks();
  EXPECT_TRUE(soon([&] { return ear.looks() > looks + 1; }));
}

TEST(Listener, ends_while_there_is_no_server) {
  SessionOptions nobody = TestServer::shared().options("postgres");
  nobody.url = "postgresql://octroi@/postgres?host=/nonexistent";
  Ear ear(nobody);
  std::this_thread::sleep_for(Millis(30));
  EXPECT_EQ(ear.looks(), 0);
}

}  // namespace
}  // namespace octroi::postgres
