#include "octroi/vault/tokens.h"

#include <atomic>
#include <thread>

#include <gmock/gmock.h>

namespace octroi::vault {
namespace {

constexpr UnixMillis kNow{1'700'000'000'000};

Result<MintedToken> minted(std::string_view text, Millis lifetime) {
  return MintedToken{Secret(text), lifetime};
}
std::string text_of(const TokenPtr& token) {
  return token == nullptr ? "none" : std::string(token->text.reveal_text());
}

TEST(TokenCell, IsOneForACredentialWhileSomebodyHoldsIt) {
  auto one = TokenCell::of("a");
  EXPECT_EQ(one, TokenCell::of("a"));
  EXPECT_NE(one, TokenCell::of("b"));
  std::ignore = one->look(kNow, 0, {});
  one->end(minted("t1", Seconds(600)), kNow);
  EXPECT_EQ(TokenCell::of("a")->version(), 1U);
  one.reset();
  EXPECT_EQ(TokenCell::of("a")->version(), 0U);
}

TEST(TokenCell, IsKeptUntilShortlyBeforeItsEnd) {
  TokenCell cell;
  EXPECT_TRUE(cell.look(kNow, 0, {}).mint);
  const auto waiting = cell.look(kNow, 0, {});
  EXPECT_FALSE(waiting.mint);  // one at a time
  EXPECT_EQ(waiting.token, nullptr);
  cell.end(minted("t1", Seconds(600)), kNow);
  EXPECT_EQ(text_of(cell.look(kNow, 0, {}).token), "t1");
  EXPECT_EQ(text_of(cell.look(kNow + Seconds(539), 0, {}).token), "t1");
  // A minute before its end it is time for another one; who comes meanwhile uses the old one.
  EXPECT_TRUE(cell.look(kNow + Seconds(541), 0, {}).mint);
  EXPECT_EQ(text_of(cell.look(kNow + Seconds(541), 0, {}).token), "t1");
  EXPECT_EQ(cell.look(kNow + Seconds(601), 0, {}).token, nullptr);
  cell.end(minted("t2", Seconds(600)), kNow + Seconds(602));
  EXPECT_EQ(text_of(cell.look(kNow + Seconds(602), 0, {}).token), "t2");
}

TEST(TokenCell, ShortLivesAreUsedForThreeQuarters) {
  TokenCell cell;
  std::ignore = cell.look(kNow, 0, {});
  cell.end(minted("t1", Seconds(20)), kNow);
  EXPECT_EQ(text_of(cell.look(kNow + Seconds(14), 0, {}).token), "t1");
  EXPECT_TRUE(cell.look(kNow + Seconds(16), 0, {}).mint);
}

TEST(TokenCell, WhatIsGoodForOnceIsGoodForWhoWaited) {
  TokenCell cell;
  const auto first = cell.look(kNow, 0, {});
  const auto waits = cell.look(kNow, 0, {});
  cell.end(minted("t1", Millis(0)), kNow);
  EXPECT_EQ(text_of(cell.look(kNow, 0, first.rounds).token), "t1");
  EXPECT_EQ(text_of(cell.look(kNow, 0, waits.rounds).token), "t1");
  EXPECT_TRUE(cell.look(kNow, 0, {}).mint);
}

TEST(TokenCell, AFailureIsToldToWhoWaitedAndNotAskedAgainAtOnce) {
  TokenCell cell;
  const auto first = cell.look(kNow, 0, {});
  cell.end(fail(Errc::upstream_failed, "no"), kNow);
  EXPECT_TRUE(cell.look(kNow, 0, first.rounds).failed.has_value());
  EXPECT_TRUE(cell.look(kNow + Millis(900), 0, {}).failed.has_value());
  EXPECT_TRUE(cell.look(kNow + Millis(1'100), 0, {}).mint);
  cell.end(fail(Errc::token_refused, "no"), kNow + Millis(1'100));
  EXPECT_TRUE(cell.look(kNow + Millis(3'000), 0, {}).failed->is(Errc::token_refused));
  EXPECT_TRUE(cell.look(kNow + Millis(3'200), 0, {}).mint);
  cell.end(minted("t1", Seconds(600)), kNow + Millis(3'200));
  EXPECT_EQ(text_of(cell.look(kNow + Millis(3'200), 0, {}).token), "t1");
}

TEST(TokenCell, AFailureToRenewLeavesTheOldOneToItsEnd) {
  TokenCell cell;
  std::ignore = cell.look(kNow, 0, {});
  cell.end(minted("t1", Seconds(600)), kNow);
  const auto turn = cell.look(kNow + Seconds(545), 0, {});
  ASSERT_TRUE(turn.mint);
  cell.end(fail(Errc::upstream_failed, "no"), kNow + Seconds(545));
  EXPECT_EQ(text_of(cell.look(kNow + Seconds(545), 0, turn.rounds).token), "t1");
  EXPECT_TRUE(cell.look(kNow + Seconds(547), 0, {}).mint);
}

TEST(TokenCell, OneThatTheVendorRefusedIsNotShownAgain) {
  TokenCell cell;
  std::ignore = cell.look(kNow, 0, {});
  cell.end(minted("t1", Seconds(600)), kNow);
  EXPECT_TRUE(cell.look(kNow, 1, {}).mint);
  EXPECT_FALSE(cell.look(kNow, 1, {}).mint);
  cell.end(minted("t2", Seconds(600)), kNow);
  EXPECT_EQ(text_of(cell.look(kNow, 1, {}).token), "t2");
  // Both are looked for in answers, until they end.
  EXPECT_EQ(cell.known(kNow).size(), 2U);
  EXPECT_EQ(cell.known(kNow + Seconds(601)).size(), 1U);
}

TEST(TokenCell, DoubtIsForTokensOfSomeAge) {
  TokenCell cell;
  std::ignore = cell.look(kNow, 0, {});
  cell.end(minted("t1", Seconds(600)), kNow);
  cell.doubt(1, kNow + Seconds(59));
  EXPECT_EQ(text_of(cell.look(kNow + Seconds(59), 0, {}).token), "t1");
  cell.doubt(2, kNow + Seconds(61));  // another one's
  EXPECT_EQ(text_of(cell.look(kNow + Seconds(61), 0, {}).token), "t1");
  cell.doubt(1, kNow + Seconds(61));
  EXPECT_TRUE(cell.look(kNow + Seconds(61), 0, {}).mint);
}

TEST(TokenCell, AClockThatWentBackKnowsNothing) {
  TokenCell cell;
  std::ignore = cell.look(kNow, 0, {});
  cell.end(minted("t1", Seconds(600)), kNow);
  EXPECT_EQ(text_of(cell.look(kNow - Seconds(30), 0, {}).token), "t1");
  EXPECT_TRUE(cell.look(kNow - Seconds(61), 0, {}).mint);
}

TEST(TokenCell, ManyThreadsMintOneAfterAnother) {
  TokenCell cell;
  std::atomic<int> minting{0};
  std::atomic<int> mints{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (std::uint64_t after = 0; after < 50;) {
        const auto seen = cell.look(kNow, after, {});
        if (seen.token != nullptr) after = seen.token->number;
        std::ignore = cell.known(kNow);
        if (!seen.mint) continue;
        EXPECT_EQ(++minting, 1);
        ++mints;
        --minting;
        cell.end(minted("token", Seconds(600)), kNow);
      }
    });
  }
  threads.clear();
  EXPECT_GE(mints.load(), 50);
  EXPECT_EQ(cell.version(), static_cast<std::uint64_t>(mints.load()));
}

}  // namespace
}  // namespace octroi::vault
