// octroi/ledger/store_testing.h: what tests of and over a Store share: running a task without a
// loop, a store that can be killed, and short ways to make rows. For tests only.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "octroi/ledger/store.h"
#include "octroi/task/group.h"

namespace octroi::ledger {

/// Runs a task that finishes without a loop, and gives its value.
template <class T>
T sync(Task<T> task) {
  std::optional<T> out;
  TaskGroup group;
  auto run = [](Task<T> t, std::optional<T>* into) -> Task<void> {
    into->emplace(co_await std::move(t));
  };
  group.start(run(std::move(task), &out));
  EXPECT_TRUE(out.has_value()) << "the task waits for a loop";
  return std::move(*out);
}

/// A store and the means to kill it.
class StoreFixture {
 public:
  virtual ~StoreFixture() = default;
  [[nodiscard]] virtual Store& store() = 0;
  /// Ends the process that uses the store, as far as the store can tell, and starts another.
  virtual void restart() = 0;
  /// Other processes may use the same store: it cannot tell that the one before was the last.
  [[nodiscard]] virtual bool shared() const { return false; }
};

struct StoreUnderTest {
  std::string name;
  std::function<std::unique_ptr<StoreFixture>()> make;
};
inline std::string store_name(const testing::TestParamInfo<StoreUnderTest>& info) {
  return info.param.name;
}

// --- short ways to say things
// ----------------------------------------------------------------------

inline constexpr UnixMillis kStart{1'763'700'000'000};

inline PaymentHash hash_of(std::uint32_t n) {
  std::array<std::uint8_t, 32> raw{};
  for (std::size_t i = 0; i < 4; ++i) raw[i] = static_cast<std::uint8_t>(n >> (8 * i));
  raw[31] = 0xAB;
  return PaymentHash(raw);
}
inline TokenId token_of(std::uint8_t n) {
  std::array<std::uint8_t, 32> raw{};
  raw[0] = n;
  return TokenId(raw);
}
inline Digest digest_of(std::uint8_t n) {
  Digest d{};
  d[5] = n;
  return d;
}
inline InvoiceRecord invoice_of(std::uint32_t n, Millis life = std::chrono::minutes(15)) {
  return {hash_of(n), 10'000_msat, kStart, kStart + life, n};
}
inline TransactionRecord transaction_of(std::uint32_t n, Scheme scheme,
                                        std::string service = "weather") {
  TransactionRecord r;
  r.hash = hash_of(n);
  r.service = std::move(service);
  r.scheme = scheme;
  r.amount = 10'000_msat;
  r.challenge_id = "challenge-" + std::to_string(n);
  if (scheme == Scheme::l402) r.token_id = token_of(static_cast<std::uint8_t>(n));
  r.request_id = "request-" + std::to_string(n);
  r.created = kStart + Millis(n);
  r.expires = kStart + std::chrono::minutes(15);
  return r;
}
inline ConsumeRequest consume_of(std::uint32_t n, std::string key = "key-1") {
  ConsumeRequest r;
  r.hash = hash_of(n);
  r.scheme = Scheme::mpp_charge;
  r.service = "weather";
  r.challenge_id = "challenge-" + std::to_string(n);
  r.payload = digest_of(1);
  r.idempotency_key = std::move(key);
  r.now = kStart + std::chrono::minutes(1);
  r.keep_until = kStart + std::chrono::minutes(15);
  return r;
}
inline StoredResponse answer_of(std::string body = "sunny") {
  return {200, {{"content-type", "text/plain"}, {"x-empty", ""}}, std::move(body), true};
}

}  // namespace octroi::ledger
