#include "octroi/vault/keys.h"

#include <set>

#include <gmock/gmock.h>

namespace octroi::vault {
namespace {

class KeysTest : public ::testing::Test {
 protected:
  SeededRandom random_{7};
  KeyBook book_of(const IssuedKey& issued) {
    ledger::VaultKeyList list;
    list.version = 3;
    list.keys.push_back(issued.record);
    return KeyBook(std::move(list));
  }
};

struct Dress {
  const char* name;
  KeyShape shape;
  bool live;
  const char* prefix;
};
class KeyShapes : public ::testing::TestWithParam<Dress> {};

TEST_P(KeyShapes, IsTheSameKeyInEveryDress) {
  SeededRandom random(11);
  const IssuedKey issued = issue_key(GetParam().live, random);
  const Secret text = issued.text(GetParam().shape);
  EXPECT_TRUE(text.reveal_text().starts_with(GetParam().prefix));
  const auto read = read_key(text.reveal_text());
  ASSERT_TRUE(read) << read.error().message();
  ledger::VaultKeyList list;
  list.keys.push_back(issued.record);
  const KeyBook book(std::move(list));
  const ledger::VaultKey* found = book.find(*read);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->id, issued.record.id);
}
INSTANTIATE_TEST_SUITE_P(
    All, KeyShapes,
    ::testing::Values(Dress{"vault", KeyShape::vault, true, "vault_live_l"},
                      Dress{"vault_test", KeyShape::vault, false, "vault_test_t"},
                      Dress{"stripe", KeyShape::stripe, true, "sk_live_vaultl"},
                      Dress{"stripe_test", KeyShape::stripe, false, "sk_test_vaultt"},
                      Dress{"restricted", KeyShape::restricted, true, "rk_live_vaultl"},
                      Dress{"resend", KeyShape::resend, true, "re_vaultl"},
                      Dress{"openai", KeyShape::openai, true, "sk-vaultl"},
                      Dress{"anthropic", KeyShape::anthropic, false, "sk-ant-vaultt"}),
    [](const auto& row) { return row.param.name; });

TEST_F(KeysTest, StripeShapesHaveThreeParts) {
  const IssuedKey issued = issue_key(false, random_);
  const Secret text = issued.text(KeyShape::stripe);
  EXPECT_EQ(std::count(text.reveal_text().begin(), text.reveal_text().end(), '_'), 2);
}

TEST_F(KeysTest, APairIsTheSameKeyToo) {
  const IssuedKey issued = issue_key(true, random_);
  const Secret text = issued.text(KeyShape::pair);
  const std::string_view pair = text.reveal_text();
  ASSERT_EQ(pair.size(), 34U + 1 + 32);
  const auto read = read_pair(pair.substr(0, 34), pair.substr(35));
  ASSERT_TRUE(read);
  const KeyBook book = book_of(issued);
  EXPECT_NE(book.find(*read), nullptr);
  std::string wrong(pair.substr(35));
  wrong[0] = wrong[0] == 'a' ? 'b' : 'a';
  const auto other = read_pair(pair.substr(0, 34), wrong);
  ASSERT_TRUE(other);
  EXPECT_EQ(book.find(*other), nullptr);
}

TEST_F(KeysTest, ABasicNameCanBeTheKey) {
  const IssuedKey issued = issue_key(true, random_);
  const Secret text = issued.text(KeyShape::vault);
  EXPECT_TRUE(read_pair(text.reveal_text(), ""));
  EXPECT_TRUE(read_pair("account", text.reveal_text()));
  EXPECT_FALSE(read_pair("account", "secret"));
}

TEST_F(KeysTest, EveryTypingErrorIsNoticed) {
  const IssuedKey issued = issue_key(true, random_);
  const Secret text = issued.text(KeyShape::vault);
  const std::string good(text.reveal_text());
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = bad[i] == 'x' ? 'y' : 'x';
    EXPECT_FALSE(read_key(bad)) << i;
  }
  EXPECT_FALSE(read_key(good.substr(0, good.size() - 1)));
  EXPECT_FALSE(read_key(good + "0"));
  EXPECT_FALSE(read_key(""));
}

TEST_F(KeysTest, ALiveKeyDoesNotReadAsATestKey) {
  const IssuedKey issued = issue_key(true, random_);
  const std::string body(issued.body.reveal_text());
  EXPECT_FALSE(read_key("vault_test_" + body));
  EXPECT_FALSE(read_key("sk_test_vault" + body));
  EXPECT_TRUE(read_key("vault_live_" + body));
}

TEST_F(KeysTest, TheRightIdWithAnotherSecretIsUnknown) {
  const IssuedKey one = issue_key(true, random_);
  const IssuedKey two = issue_key(true, random_);
  ledger::VaultKeyList list;
  list.keys.push_back(one.record);
  list.keys.back().secret_hash = two.record.secret_hash;
  const KeyBook book(std::move(list));
  const Secret text = one.text(KeyShape::vault);
  EXPECT_EQ(book.find(*read_key(text.reveal_text())), nullptr);
}

TEST_F(KeysTest, NoTwoAreAlike) {
  std::set<std::string> ids;
  for (int i = 0; i < 2000; ++i) ids.insert(issue_key(true, random_).record.id);
  EXPECT_EQ(ids.size(), 2000U);
}

TEST_F(KeysTest, OnlyAnActiveKeyBeforeItsEndOpens) {
  ledger::VaultKey key = issue_key(true, random_).record;
  const UnixMillis now{1'000'000};
  EXPECT_TRUE(check_key(key, now));
  key.expires = now + Millis(1);
  EXPECT_TRUE(check_key(key, now));
  key.expires = now;
  EXPECT_TRUE(check_key(key, now).error().is(Errc::key_expired));
  key.expires.reset();
  key.state = ledger::VaultKeyState::paused;
  EXPECT_TRUE(check_key(key, now).error().is(Errc::key_paused));
  key.state = ledger::VaultKeyState::revoked;
  EXPECT_TRUE(check_key(key, now).error().is(Errc::key_revoked));
}

TEST(Keys, AreDressedAnewWithoutAskingAnybody) {
  const IssuedKey issued = issue_key(false, system_random());
  for (const KeyShape from : {KeyShape::vault, KeyShape::stripe, KeyShape::resend}) {
    for (const KeyShape to : {KeyShape::vault, KeyShape::stripe, KeyShape::restricted,
                              KeyShape::resend, KeyShape::openai, KeyShape::pair}) {
      const Secret shown = issued.text(from);
      auto dressed = dress_as(shown.reveal_text(), to);
      ASSERT_TRUE(dressed);
      const Secret expected = issued.text(to);
      EXPECT_EQ(dressed->reveal_text(), expected.reveal_text());
    }
  }
  const Secret pair = issued.text(KeyShape::pair);
  EXPECT_FALSE(dress_as(pair.reveal_text(), KeyShape::vault));
  EXPECT_FALSE(dress_as("sk_test_somebody", KeyShape::vault));
}

}  // namespace
}  // namespace octroi::vault
