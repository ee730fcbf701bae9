// octroi/ledger/services_contract.h: what every ledger::ServiceCatalog must do, as tests. For tests
// only; instantiated as StoreContract is.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "octroi/ledger/services.h"
#include "octroi/ledger/store.h"
#include "octroi/ledger/store_testing.h"

namespace octroi::ledger {

class ServicesContract : public testing::TestWithParam<StoreUnderTest> {
 protected:
  void SetUp() override { fixture_ = GetParam().make(); }
  ServiceCatalog& services() { return *fixture_->store().services(); }
  ServiceList list() {
    auto out = sync(services().list_services());
    EXPECT_TRUE(out) << out.error().message();
    return out ? *std::move(out) : ServiceList{};
  }
  static PutService change(std::string name, std::int64_t judged, std::string document = "{}") {
    PutService c;
    c.name = std::move(name);
    c.document = std::move(document);
    c.judged = judged;
    c.now = kStart + Millis(judged);
    return c;
  }
  std::optional<std::int64_t> put(PutService c) {
    auto out = sync(services().put_service(std::move(c)));
    EXPECT_TRUE(out) << out.error().message();
    return out.value_or(std::nullopt);
  }
  std::optional<std::int64_t> remove(std::string name, std::int64_t judged) {
    auto out = sync(services().remove_service(std::move(name), judged));
    EXPECT_TRUE(out) << out.error().message();
    return out.value_or(std::nullopt);
  }
  static std::string names(const ServiceList& list) {
    std::string out;
    for (const StoredService& s : list.services) out += s.name + " ";
    return out;
  }

  std::unique_ptr<StoreFixture> fixture_;
};

TEST_P(ServicesContract, AnEmptyListHasAVersion) {
  EXPECT_EQ(list().version, 0);
  EXPECT_TRUE(list().services.empty());
  EXPECT_EQ(sync(services().services_version()).value_or(-1), 0);
}

TEST_P(ServicesContract, AServiceIsKeptByteForByte) {
  PutService c = change(
      "weather", 0, R"({"description":"Grüße, \"quoted\" \\ 🌦","match":{"path":"^/v1/\\d+"}})");
  c.enabled = false;
  c.auth_scheme = "l402+payment";
  ASSERT_EQ(put(c), 1);
  fixture_->restart();
  const ServiceList kept = list();
  ASSERT_EQ(kept.services.size(), 1U);
  const StoredService& s = kept.services[0];
  EXPECT_EQ(kept.version, 1);
  EXPECT_EQ(s.name, "weather");
  EXPECT_EQ(s.document, c.document);
  EXPECT_FALSE(s.enabled);
  EXPECT_EQ(s.auth_scheme, "l402+payment");
  EXPECT_EQ(s.version, 1);
  EXPECT_EQ(s.created, kStart);
  EXPECT_EQ(s.updated, kStart);
}

TEST_P(ServicesContract, TheAuthSchemeIsL402UnlessToldOtherwise) {
  ASSERT_TRUE(put(change("a", 0)));
  EXPECT_EQ(list().services.at(0).auth_scheme, "l402");
  EXPECT_TRUE(list().services.at(0).enabled);
}

TEST_P(ServicesContract, AReplacementKeepsItsPlaceAndItsBirthday) {
  ASSERT_TRUE(put(change("b", 0)));
  ASSERT_TRUE(put(change("a", 1)));
  EXPECT_EQ(put(change("b", 2, R"({"x":1})")), 3);
  EXPECT_EQ(names(list()), "b a ") << "in the order in which they were made";
  const StoredService b = list().services[0];
  EXPECT_EQ(b.document, R"({"x":1})");
  EXPECT_EQ(b.created, kStart);
  EXPECT_EQ(b.updated, kStart + Millis(2));
  EXPECT_EQ(b.version, 3);
  EXPECT_EQ(list().services[1].version, 2);
}

TEST_P(ServicesContract, WhatWasJudgedAgainstAnotherListIsNotDone) {
  ASSERT_TRUE(put(change("a", 0)));
  ASSERT_TRUE(put(change("b", 1)));
  EXPECT_FALSE(put(change("c", 1)));
  EXPECT_FALSE(put(change("c", 3)));
  EXPECT_FALSE(remove("a", 1));
  EXPECT_EQ(names(list()), "a b ");
  EXPECT_EQ(list().version, 2) << "a refused change is none";
  EXPECT_EQ(remove("a", 2), 3);
  EXPECT_EQ(names(list()), "b ");
}

TEST_P(ServicesContract, AVersionIsNeverUsedTwice) {
  ASSERT_EQ(put(change("a", 0)), 1);
  ASSERT_EQ(remove("a", 1), 2);
  ASSERT_EQ(put(change("a", 2)), 3);
  EXPECT_EQ(list().services.at(0).version, 3);
  EXPECT_EQ(remove("nobody", 3), 4);
  EXPECT_EQ(sync(services().services_version()).value_or(0), 4);
}

TEST_P(ServicesContract, OfManyWhoChangeAtOnceOneIsRight) {
  constexpr int kThreads = 16;
  for (std::int64_t round = 0; round < 4; ++round) {
    std::atomic<int> done{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        auto out = sync(services().put_service(change("s" + std::to_string(i), round)));
        EXPECT_TRUE(out) << out.error().message();
        if (out && *out) {
          ++done;
          EXPECT_EQ(**out, round + 1);
        }
      });
    }
    for (std::thread& t : threads) t.join();
    EXPECT_EQ(done, 1) << round;
    EXPECT_EQ(list().version, round + 1);
  }
}

TEST_P(ServicesContract, WhoeverTriesAgainGetsThrough) {
  constexpr int kThreads = 8;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int tries = 0; tries < 200; ++tries) {
        const std::int64_t seen = sync(services().services_version()).value_or(0);
        const auto out = sync(services().put_service(change("s" + std::to_string(i), seen)));
        if (out && *out) return;
      }
      ADD_FAILURE() << i << " never got through";
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(list().version, kThreads);
  EXPECT_EQ(list().services.size(), static_cast<std::size_t>(kThreads));
}

TEST_P(ServicesContract, ManyServicesAreListedWhole) {
  const std::string document = "{\"description\":\"" + std::string(2'000, 'x') + "\"}";
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(put(change("s" + std::to_string(i), i, document)));
  }
  const ServiceList all = list();
  ASSERT_EQ(all.services.size(), 300U);
  for (std::size_t i = 0; i < all.services.size(); ++i) {
    EXPECT_EQ(all.services[i].name, "s" + std::to_string(i));
    EXPECT_EQ(all.services[i].document, document);
  }
}

}  // namespace octroi::ledger
