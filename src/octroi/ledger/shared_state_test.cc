#include "octroi/ledger/memory_shared_state.h"
#include "octroi/ledger/news.h"
#include "octroi/ledger/shared_contract.h"
#include "octroi/ledger/store_testing.h"

namespace octroi::ledger {
namespace {

struct MemoryFixture {
  ManualClock clock{UnixMillis{1'800'000'000'000}};
  MemorySharedState one{clock};
  SharedState& state(int /*replica*/) { return one; }
  template <class T>
  T run(Task<T> task) {
    return sync(std::move(task));
  }
  void pass(Millis ms) { clock.advance(ms); }
};
OCTROI_SHARED_CONTRACT(MemoryShared, MemoryFixture);

TEST(MemoryShared, fails_and_forgets_on_demand) {
  MemoryFixture f;
  const RateBucket b{"b", 60, Millis(60'000), 0};
  EXPECT_TRUE(f.run(f.one.take_rates({b}))->granted);
  f.one.set_up(false);
  EXPECT_FALSE(f.run(f.one.take_rates({b})));
  EXPECT_FALSE(f.one.up());
  f.one.set_up(true);
  f.one.forget();
  EXPECT_FALSE(f.run(f.one.take_rates({b}))->granted);
  f.pass(Millis(1'000));
  EXPECT_TRUE(f.run(f.one.take_rates({b}))->granted);
}

TEST(News, text_and_back) {
  const News revoked;
  const News money{News::About::session, hash_of_unpaid(7)};
  EXPECT_EQ(news_from(to_text(revoked)), revoked);
  EXPECT_EQ(news_from(to_text(money)), money);
  for (const char* text : {"", "s", "s ", "s 12", "q", "r ", "S 00"})
    EXPECT_FALSE(news_from(text)) << text;
  EXPECT_FALSE(news_from("s " + std::string(64, 'A')));
  EXPECT_TRUE(news_from("s " + std::string(64, 'a')));
}

}  // namespace
}  // namespace octroi::ledger
