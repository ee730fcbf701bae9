#include <gtest/gtest.h>

#include "octroi/ledger/consumption.h"
#include "octroi/ledger/memory_store.h"
#include "octroi/ledger/store_contract.h"
#include "octroi/ledger/stored_headers.h"

namespace octroi::ledger {
namespace {

class MemoryFixture final : public StoreFixture {
 public:
  Store& store() override { return store_; }
  void restart() override { store_.restart(); }

 private:
  MemoryStore store_;
};

INSTANTIATE_TEST_SUITE_P(Memory, StoreContract,
                         testing::Values(StoreUnderTest{
                             "memory", [] { return std::make_unique<MemoryFixture>(); }}),
                         store_name);

TEST(MemoryStore, AnUnavailableStoreAcceptsNothing) {
  MemoryStore store;
  ASSERT_TRUE(sync(store.record_invoices({invoice_of(1)})));
  store.set_unavailable(true);
  const auto refused = sync(store.consume(consume_of(1)));
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::unavailable));
  EXPECT_FALSE(sync(store.ping()));
  EXPECT_EQ(store.operations(), 3U);
  store.set_unavailable(false);
  EXPECT_EQ(sync(store.consume(consume_of(1)))->state, ConsumeState::fresh);
  EXPECT_EQ(store.invoice_count(), 1U);
}

TEST(Errors, EveryCodeIsStableAndDistinct) {
  EXPECT_EQ(error_info(Errc::unavailable).code, "ledger.unavailable");
  EXPECT_EQ(error_info(Errc::newer_schema).code, "ledger.newer_schema");
  EXPECT_EQ(error_info(Errc::locked).code, "ledger.locked");
  EXPECT_EQ(error_info(Errc::corrupt).code, "ledger.corrupt");
  EXPECT_EQ(error_info(Errc::not_pending).code, "ledger.not_pending");
  EXPECT_EQ(error_info(Errc::unavailable).kind, ErrorKind::unavailable);
}

TEST(Schemes, NamesGoBothWays) {
  for (Scheme s : {Scheme::l402, Scheme::mpp_charge, Scheme::mpp_session}) {
    EXPECT_EQ(scheme_from_string(to_string(s)), s);
  }
  EXPECT_FALSE(scheme_from_string("L402"));
  EXPECT_FALSE(scheme_from_string(""));
}

TEST(StoredHeaders, ComeBackAsTheyWere) {
  const StoredHeaders headers = {
      {"content-type", "text/plain"}, {"", ""}, {"set-cookie", "a=1\r\nb"}, {"set-cookie", "a=2"}};
  EXPECT_EQ(*decode_headers(encode_headers(headers)), headers);
  EXPECT_EQ(decode_headers({})->size(), 0U);
}

TEST(StoredHeaders, CutOffAnywhereIsCorruptOrShorter) {
  const Bytes whole = encode_headers({{"name", "value"}, {"n", "v"}});
  for (std::size_t cut = 1; cut < whole.size(); ++cut) {
    const auto part = decode_headers(ByteView(whole).first(cut));
    if (part) {
      EXPECT_EQ(part->size(), 1U) << cut;  // exactly between two lines
    } else {
      EXPECT_TRUE(part.error().is(Errc::corrupt)) << cut;
    }
  }
  const Bytes huge = {0xFF, 0xFF, 0xFF, 0xFF, 'x'};
  EXPECT_FALSE(decode_headers(huge));
}

}  // namespace
}  // namespace octroi::ledger
