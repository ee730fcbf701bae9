#include "octroi/paywall/request_id.h"

#include <set>

#include <gtest/gtest.h>

namespace octroi::paywall {
namespace {

TEST(RequestIds, AreNeverTheSame) {
  SeededRandom random(1);
  RequestIds ids(random);
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = ids.next();
    EXPECT_EQ(id.size(), 24U);
    EXPECT_TRUE(from_hex(id));
    EXPECT_TRUE(seen.insert(id).second) << i;
  }
}

}  // namespace
}  // namespace octroi::paywall
