#include "octroi/base/ids.h"

#include <set>

#include <gtest/gtest.h>

namespace octroi {
namespace {

// Ids that share a part (token ids begin with the name of their key) must not share a hash.
TEST(BinaryId, EveryByteCountsInTheHash) {
  std::set<std::size_t> seen;
  for (std::size_t at = 0; at < 32; ++at) {
    std::array<std::uint8_t, 32> bytes{};
    for (unsigned value = 1; value < 256; ++value) {
      bytes[at] = static_cast<std::uint8_t>(value);
      seen.insert(std::hash<TokenId>{}(TokenId(bytes)));
    }
  }
  EXPECT_EQ(seen.size(), 32U * 255U);
}

}  // namespace
}  // namespace octroi
