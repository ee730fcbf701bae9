#include "octroi/base/secret.h"

#include <fstream>
#include <thread>
#include <type_traits>

#include <gtest/gtest.h>

#include "octroi/base/random.h"
#include "octroi/base/secret_memory.h"

namespace octroi {
namespace {

static_assert(!std::is_copy_constructible_v<Secret>);
static_assert(!std::is_copy_assignable_v<Secret>);
static_assert(std::is_nothrow_move_constructible_v<Secret>);
static_assert(std::is_nothrow_move_assignable_v<Secret>);
static_assert(!std::equality_comparable<Secret>);
static_assert(!std::is_convertible_v<Secret, std::string_view>);
static_assert(!std::is_convertible_v<std::string_view, Secret>);
static_assert(!fmt::is_formattable<Secret>::value);

TEST(Secret, HoldsEverySize) {
  for (const std::size_t n :
       {0U, 1U, 31U, 32U, 33U, 64U, 65U, 1000U, 4095U, 4096U, 4097U, 70000U}) {
    SCOPED_TRACE(n);
    std::string text(n, 'x');
    for (std::size_t i = 0; i < n; ++i) text[i] = static_cast<char>('a' + i % 26);
    Secret secret{std::string_view(text)};
    EXPECT_EQ(secret.size(), n);
    EXPECT_EQ(secret.empty(), n == 0);
    EXPECT_EQ(secret.reveal_text(), text);
    EXPECT_TRUE(secret.clone().equals(secret));
  }
}

TEST(Secret, NeighboursDoNotOverlap) {
  std::vector<Secret> all;
  for (int i = 0; i < 3000; ++i) {
    all.emplace_back(
        std::string_view(std::string(static_cast<std::size_t>(i % 150), static_cast<char>(i))));
  }
  for (std::size_t i = 0; i < all.size(); i += 2) all[i] = Secret(std::string_view("replaced"));
  for (std::size_t i = 1; i < all.size(); i += 2) {
    ASSERT_EQ(all[i].reveal_text(), std::string(i % 150, static_cast<char>(i)));
  }
}

TEST(Secret, MovingEmptiesTheSource) {
  Secret a{std::string_view("correct horse")};
  Secret b = std::move(a);
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): it is what is tested
  EXPECT_EQ(b.reveal_text(), "correct horse");
  Secret c{std::string_view("other")};
  c = std::move(b);
  EXPECT_TRUE(b.empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(c.reveal_text(), "correct horse");
  Secret& same = c;
  c = std::move(same);
  EXPECT_EQ(c.reveal_text(), "correct horse");
}

TEST(Secret, TakeWipesTheSource) {
  std::string text = "a string long enough to live on the heap, so that its bytes can be looked at";
  text.reserve(200);
  const char* where = text.data();
  const Secret secret = Secret::take(std::move(text));
  EXPECT_EQ(secret.size(), 76U);
  // NOLINTNEXTLINE(bugprone-use-after-move): the string keeps its memory, and that must be clean
  EXPECT_EQ(text.data(), where);
  text.resize(76);
  EXPECT_EQ(std::string(text.data(), 1), std::string(1, '\0'));

  Bytes bytes(64, 0x5a);
  const std::uint8_t* data = bytes.data();
  const Secret second = Secret::take(std::move(bytes));
  EXPECT_EQ(second.reveal()[63], 0x5a);
  bytes.reserve(1);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(bytes.data(), data);
  EXPECT_TRUE(bytes.empty());
}

TEST(Secret, ComparesByValue) {
  const Secret a{std::string_view("secret-value")};
  EXPECT_TRUE(a.equals("secret-value"));
  EXPECT_FALSE(a.equals("secret-valuf"));
  EXPECT_FALSE(a.equals("tecret-value"));
  EXPECT_FALSE(a.equals("secret-valu"));
  EXPECT_FALSE(a.equals(""));
  EXPECT_TRUE(Secret().equals(Secret()));
}

TEST(Secret, WipeZeroes) {
  std::array<std::uint8_t, 16> bytes{};
  bytes.fill(7);
  secure_wipe(bytes.data(), bytes.size());
  EXPECT_EQ(bytes, (std::array<std::uint8_t, 16>{}));
  secure_wipe(nullptr, 0);
}

TEST(Secret, ManyThreadsMakeAndDropThem) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      const std::string text(static_cast<std::size_t>(20 + 40 * t), static_cast<char>('a' + t));
      for (int i = 0; i < 2000; ++i) {
        Secret one{std::string_view(text)};
        const Secret two = one.clone();
        ASSERT_EQ(two.reveal_text(), text);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST(Secret, PagesAreLockedUnlessTheSystemRefuses) {
  const Secret small{std::string_view("0123456789")};
  const Secret large{std::string(100'000, 'x')};
  std::ifstream status("/proc/self/status");
  long locked_kib = -1;
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmLck:")) locked_kib = std::stol(line.substr(6));
  }
  ASSERT_GE(locked_kib, 0);
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
  return;  // they lie on the heap, where the sanitizer sees their bounds
#endif
#if __has_feature(thread_sanitizer)
  return;  // it makes mlock do nothing
#endif
#endif
  if (secrets_are_locked()) EXPECT_GE(locked_kib, 100);
}

TEST(Random, SystemBytesDiffer) {
  EXPECT_NE(system_random().bytes<32>(), system_random().bytes<32>());
  EXPECT_EQ(system_random().secret(48).size(), 48U);
  std::vector<std::uint8_t> large(100000, 0);
  system_random().fill(large);
  EXPECT_LT(std::count(large.begin(), large.end(), 0), 1000);
  system_random().fill({});
}

TEST(Random, SeededRepeats) {
  SeededRandom a(1);
  SeededRandom b(1);
  SeededRandom c(2);
  const auto first = a.bytes<33>();
  EXPECT_EQ(first, b.bytes<33>());
  EXPECT_NE(first, c.bytes<33>());
  EXPECT_NE(first, a.bytes<33>());
}

}  // namespace
}  // namespace octroi
