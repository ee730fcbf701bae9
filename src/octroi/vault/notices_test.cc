#include "octroi/vault/notices.h"

#include <gtest/gtest.h>

namespace octroi::vault {
namespace {

TEST(Notices, AWindowIsToldOnce) {
  OncePerWindow once;
  EXPECT_TRUE(once.first("a/day/1"));
  EXPECT_FALSE(once.first("a/day/1"));
  EXPECT_TRUE(once.first("a/day/2"));
  EXPECT_TRUE(once.first("b/day/1"));
  EXPECT_FALSE(once.first("a/day/1"));
}

TEST(Notices, WhatIsRememberedIsBounded) {
  OncePerWindow once;
  EXPECT_TRUE(once.first("first"));
  for (std::size_t i = 0; i < OncePerWindow::kMost; ++i) EXPECT_TRUE(once.first(std::to_string(i)));
  EXPECT_TRUE(once.first("first"));
}

TEST(Notices, AsJson) {
  Notice n;
  n.call = "call_1";
  n.key_id = "k1";
  n.policy = "bot";
  n.vendor = "stripe";
  n.operation = "charges.create";
  n.amount = MicroUsd::from_raw(1'500'000).value();
  n.kind = Notice::Kind::spend_unknown;
  EXPECT_EQ(to_string(n.kind), "spend.unknown");
  EXPECT_EQ(to_json(n), R"({"call":"call_1","key_id":"k1","policy":"bot","vendor":"stripe",)"
                        R"("operation":"charges.create","amount":"1.5 usd"})");
  n.kind = Notice::Kind::cap_reached;
  n.agent = "helper";
  n.run = "r7";
  n.period = "day";
  n.limit = "50 usd";
  n.resets_at = UnixMillis{1'763'700'000'000};
  EXPECT_EQ(to_string(n.kind), "cap.reached");
  EXPECT_EQ(to_json(n),
            R"({"call":"call_1","key_id":"k1","agent":"helper","run":"r7","policy":"bot",)"
            R"("vendor":"stripe","operation":"charges.create","amount":"1.5 usd","per":"day",)"
            R"("limit":"50 usd","resets_at":"2025-11-21T04:40:00Z"})");
}

}  // namespace
}  // namespace octroi::vault
