// Sessions survive the process, and nobody reads, moves or changes them unseen.
#include "octroi/wallet/session_book.h"

#include <filesystem>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "octroi/crypto/hash.h"
#include "octroi/net/run_until.h"
#include "octroi/wallet/errors.h"

namespace octroi::wallet {
namespace {

constexpr UnixMillis kNow{1'800'000'000'000};

PaymentHash hash_of(std::string_view text) { return PaymentHash(crypto::sha256(as_bytes(text))); }
Secret preimage(std::string_view text) {
  return Secret(ByteView(crypto::sha256(as_bytes("proof of " + std::string(text)))));
}

mpp::Challenge challenge(std::string id) {
  mpp::Challenge c;
  c.id = std::move(id);
  c.realm = "api.example";
  c.method = "lightning";
  c.intent = "session";
  c.request = "e30";
  c.expires = "2030-01-01T00:00:00Z";
  c.description = "two \"words\" \\ and more";
  c.header = "Payment-Authorization";
  return c;
}

SessionRecord record(std::string_view name) {
  SessionRecord r;
  r.id = hash_of(name);
  r.origin = "https://api.example:443";
  r.realm = "api.example";
  r.url = "https://api.example/v1/a?key=1";
  r.method = "POST";
  r.paths = {"/v1/a", "/v1/b"};
  r.stage = SessionStage::open;
  r.preimage = preimage(name);
  r.challenge = challenge("first");
  r.challenge_expires = kNow + Millis(1000);
  r.unit = 2_sat;
  r.deposit = to_msat(40_sat);
  r.spent = to_msat(6_sat);
  r.return_invoice = "lnbcrt1";
  r.return_hash = hash_of("return");
  r.idle_timeout = Seconds(300);
  r.opened = kNow;
  r.last_used = kNow + Millis(5);
  r.refund = 34_sat;
  r.refund_status = mpp::lightning::RefundStatus::failed;
  r.refund_seen = 1_msat;
  r.detail = "ended";
  r.top_up = PendingTopUp{hash_of("more"), challenge("second"), to_msat(20_sat), preimage("more")};
  return r;
}

/// Everything but the secrets, which are compared by themselves.
void expect_same(const SessionRecord& a, const SessionRecord& b) {
  auto plain = [](const SessionRecord& r) {
    SessionRecord copy = r.clone();
    copy.preimage = Secret();
    if (copy.top_up) copy.top_up->preimage = Secret();
    return std::string(encode(copy)->reveal_text());
  };
  EXPECT_EQ(plain(a), plain(b));
  EXPECT_TRUE(a.preimage.equals(b.preimage));
  ASSERT_EQ(a.top_up.has_value(), b.top_up.has_value());
  if (a.top_up) EXPECT_TRUE(a.top_up->preimage.equals(b.top_up->preimage));
}

TEST(SessionRecord, ReadsBackWhatItWrote) {
  SessionRecord full = record("a");
  SessionRecord paying;
  paying.id = hash_of("b");
  paying.challenge = challenge("x");
  paying.stage = SessionStage::paying;
  SessionRecord asked = record("c");
  asked.top_up->preimage = Secret();
  asked.refund.reset();
  asked.refund_status.reset();
  for (const SessionRecord* r : {&full, &paying, &asked}) {
    const auto form = encode(*r);
    ASSERT_TRUE(form);
    const auto back = decode_session(*form);
    ASSERT_TRUE(back) << back.error().message();
    expect_same(*r, *back);
  }
}

TEST(SessionRecord, KeepsProofsOutOfTheJson) {
  const auto form = encode(record("a"));
  ASSERT_TRUE(form);
  const std::string_view text = form->reveal_text();
  const auto json = text.substr(0, text.find('\n'));
  EXPECT_EQ(json.find(to_hex(preimage("a").reveal())), std::string_view::npos);
  EXPECT_EQ(json.find(to_hex(preimage("more").reveal())), std::string_view::npos);
}

TEST(SessionRecord, RefusesWhatIsNotWhole) {
  const auto form = encode(record("a"));
  const std::string text(form->reveal_text());
  const auto json_end = text.find('\n');
  struct Row {
    const char* name;
    std::string form;
  };
  const Row rows[] = {
      {"empty", ""},
      {"no proofs", text.substr(0, json_end)},
      {"half a proof", text.substr(0, text.size() - 2)},
      {"not JSON", "x\n\n"},
      {"an object without members", "{}\n\n"},
      {"a newer version", "{\"v\":2" + text.substr(text.find(','))},
      {"half the JSON", text.substr(0, json_end / 2) + "\n\n"},
  };
  for (const auto& row : rows) {
    const auto got = decode_session(Secret(std::string_view(row.form)));
    ASSERT_FALSE(got) << row.name;
    EXPECT_TRUE(got.error().is(Errc::session_store)) << row.name;
  }
}

TEST(SessionRecord, KnowsWhichPathsAreItsOwn) {
  SessionRecord r;
  remember_path(r, "/v1/weather");
  EXPECT_EQ(fitness(r, "/v1/weather"), 2);
  EXPECT_EQ(fitness(r, "/v1/tides"), 1);
  EXPECT_EQ(fitness(r, "/v1/tides/today"), 1);
  EXPECT_EQ(fitness(r, "/v2/weather"), 0);
  EXPECT_EQ(fitness(r, "/v1"), 0);
  for (int i = 0; i < 100; ++i) remember_path(r, "/p" + std::to_string(i));
  EXPECT_LE(r.paths.size(), 32U);
  EXPECT_EQ(r.paths.back(), "/p99");
  remember_path(r, "/p90");
  EXPECT_EQ(std::ranges::count(r.paths, "/p90"), 1);
}

class SessionBookTest : public testing::Test {
 protected:
  SessionBookTest() {
    dir_ = std::filesystem::temp_directory_path() /
           ("octroi-sessions-" + std::to_string(::getpid()) + "-" +
            testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(dir_);
  }
  ~SessionBookTest() override { std::filesystem::remove_all(dir_); }
  std::unique_ptr<SessionBook> open() {
    auto book = SessionBook::open((dir_ / "wallet").string(), system_random());
    EXPECT_TRUE(book) << book.error().message();
    return std::move(*book);
  }
  std::string file(std::string_view name) const {
    return (dir_ / "wallet/sessions" / (hash_of(name).hex() + ".session")).string();
  }
  std::filesystem::path dir_;
};

TEST_F(SessionBookTest, AnotherProcessFindsWhatWasSaved) {
  ASSERT_TRUE(open()->save(record("a")));
  const auto book = open();
  const auto found = book->find(hash_of("a"));
  ASSERT_TRUE(found && *found);
  expect_same(**found, record("a"));
  EXPECT_FALSE(*book->find(hash_of("b")));
  EXPECT_EQ(book->of_origin("https://api.example:443")->size(), 1U);
  EXPECT_TRUE(book->of_origin("https://other.example:443")->empty());
  ASSERT_TRUE(book->remove(hash_of("a")));
  EXPECT_TRUE(book->all()->empty());
}

TEST_F(SessionBookTest, IsForItsOwnerOnly) {
  ASSERT_TRUE(open()->save(record("a")));
  for (const std::string& path : {file("a"), (dir_ / "wallet/sessions.key").string()}) {
    struct stat s{};
    ASSERT_EQ(::stat(path.c_str(), &s), 0) << path;
    EXPECT_EQ(s.st_mode & 0777U, 0600U) << path;
  }
  for (const char* folder : {"wallet", "wallet/sessions"}) {
    struct stat s{};
    ASSERT_EQ(::stat((dir_ / folder).c_str(), &s), 0);
    EXPECT_EQ(s.st_mode & 0777U, 0700U) << folder;
  }
  const auto bytes = read_file(file("a"));
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->find("api.example"), std::string::npos);
  EXPECT_EQ(bytes->find(to_hex(preimage("a").reveal())), std::string::npos);
}

TEST_F(SessionBookTest, WhatDoesNotOpenIsAnErrorAndIsLeftAlone) {
  auto book = open();
  ASSERT_TRUE(book->save(record("a")));
  ASSERT_TRUE(book->save(record("b")));
  const std::string good = *read_file(file("a"));
  struct Row {
    const char* name;
    std::string content;
  };
  std::string changed = good;
  changed[changed.size() / 2] = static_cast<char>(changed[changed.size() / 2] ^ 1);
  const Row rows[] = {{"a bit is changed", changed},
                      {"cut off", good.substr(0, good.size() / 2)},
                      {"empty", ""},
                      {"another session's", *read_file(file("b"))}};
  for (const auto& row : rows) {
    ASSERT_TRUE(write_file_atomic(file("a"), as_bytes(row.content)));
    EXPECT_FALSE(book->find(hash_of("a"))) << row.name;
    const auto all = book->all();
    ASSERT_FALSE(all) << row.name;
    EXPECT_TRUE(all.error().is(Errc::session_store)) << row.name;
    EXPECT_FALSE(book->change(hash_of("a"), [](SessionRecord&) {})) << row.name;
    EXPECT_EQ(*read_file(file("a")), row.content) << row.name;
  }
  ASSERT_TRUE(write_file_atomic(file("a"), as_bytes(good)));
  std::filesystem::remove(dir_ / "wallet/sessions.key");
  EXPECT_FALSE(open()->find(hash_of("a")));  // with another key
}

TEST_F(SessionBookTest, ChangesOfSeveralProcessesAreAllThere) {
  ASSERT_TRUE(open()->save([] {
    SessionRecord r = record("a");
    r.spent = {};
    return r;
  }()));
  constexpr int kProcesses = 4;
  constexpr int kRounds = 20;
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto book = SessionBook::open((dir_ / "wallet").string(), system_random());
      for (int round = 0; book && round < kRounds; ++round) {
        const auto done = (*book)->change(
            hash_of("a"), [](SessionRecord& r) { r.spent = *r.spent.plus(1_msat); });
        if (!done || !*done) ::_exit(1);
      }
      ::_exit(book ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ((*open()->find(hash_of("a")))->spent, *Msat::from_raw(kProcesses * kRounds));
  EXPECT_FALSE(*open()->change(hash_of("gone"), [](SessionRecord&) {}));
}

TEST_F(SessionBookTest, OneAtATimePaysForAnOrigin) {
  net::Loop loop;
  const auto book = open();
  {
    const auto first = net::run_until(loop, book->claim(loop, "https://a", Millis(1000)));
    ASSERT_TRUE(first);
    const auto second = net::run_until(loop, book->claim(loop, "https://a", Millis(60)));
    ASSERT_FALSE(second);
    EXPECT_TRUE(second.error().is(Errc::session_busy));
    EXPECT_TRUE(net::run_until(loop, book->claim(loop, "https://b", Millis(60))));
  }
  EXPECT_TRUE(net::run_until(loop, book->claim(loop, "https://a", Millis(60))));
}

TEST_F(SessionBookTest, ForgetsOnlyWhatEndedLongAgo) {
  auto book = open();
  SessionRecord old = record("old");
  old.stage = SessionStage::closed;
  SessionRecord running = record("running");
  SessionRecord recent = record("recent");
  recent.stage = SessionStage::closed;
  recent.last_used = kNow + Millis(100'000);
  for (const SessionRecord* r : {&old, &running, &recent}) ASSERT_TRUE(book->save(*r));
  ASSERT_TRUE(book->prune(kNow + Millis(50'000)));
  EXPECT_FALSE(*book->find(old.id));
  EXPECT_TRUE(*book->find(running.id));
  EXPECT_TRUE(*book->find(recent.id));
  EXPECT_EQ(book->all()->front().id, recent.id);
}

}  // namespace
}  // namespace octroi::wallet
