#include "octroi/base/function.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "octroi/base/ids.h"
#include "octroi/base/result.h"

namespace octroi {
namespace {

TEST(UniqueFunction, HoldsWhatOnlyMoves) {
  auto owned = std::make_unique<int>(41);
  UniqueFunction<int(int)> add = [n = std::move(owned)](int more) { return *n + more; };
  UniqueFunction<int(int)> moved = std::move(add);
  EXPECT_EQ(moved(1), 42);
  EXPECT_FALSE(static_cast<bool>(add));  // NOLINT(bugprone-use-after-move): it is what is tested
  EXPECT_TRUE(static_cast<bool>(moved));
  EXPECT_FALSE(static_cast<bool>(UniqueFunction<void()>()));
}

TEST(UniqueFunction, DropsAReturnValueThatIsNotWanted) {
  int called = 0;
  UniqueFunction<void()> f = [&called] { return ++called; };
  f();
  EXPECT_EQ(called, 1);
}

TEST(UniqueFunction, PassesArgumentsThatOnlyMove) {
  UniqueFunction<std::string(std::unique_ptr<std::string>)> f =
      [](std::unique_ptr<std::string> text) { return *text + "!"; };
  EXPECT_EQ(f(std::make_unique<std::string>("moved")), "moved!");
}

Result<int> half(int n) {
  if (n % 2 != 0) return fail(BytesErrc::bad_length, "odd");
  return n / 2;
}
Result<int> quarter(int n) {
  OCTROI_TRY(const int h, half(n));
  return half(h);
}
Result<> check_even(int n) {
  OCTROI_CHECK(half(n));
  return {};
}

TEST(Result, MacrosPassErrorsUpward) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error().message(), "odd");
  EXPECT_TRUE(quarter(6).error().is(BytesErrc::bad_length));
  EXPECT_FALSE(quarter(6).error().is(BytesErrc::bad_hex));
  EXPECT_TRUE(check_even(2));
  EXPECT_FALSE(check_even(1));
}

TEST(Error, TellsWhere) {
  const Error plain(BytesErrc::bad_hex);
  EXPECT_EQ(plain.message(), "base.bad_hex");
  EXPECT_EQ(plain.kind(), ErrorKind::invalid);
  const Error told = Error(BytesErrc::bad_hex, "digits").within("price").within("service weather");
  EXPECT_EQ(told.message(), "service weather: price: digits");
  EXPECT_EQ(told.code(), "base.bad_hex");
}

TEST(Ids, AreOrderedHashedAndStrict) {
  const auto hash = PaymentHash::from_hex(std::string(64, 'A')).value();
  EXPECT_EQ(hash.hex(), std::string(64, 'a'));
  EXPECT_FALSE(PaymentHash::from_hex(std::string(64, 'A'), HexCase::lower));
  EXPECT_FALSE(PaymentHash::from_hex(std::string(63, 'a')));
  EXPECT_FALSE(PaymentHash::from_bytes(Bytes(31)));
  EXPECT_EQ(PaymentHash::from_bytes(hash.bytes()).value(), hash);
  EXPECT_EQ(std::hash<PaymentHash>{}(hash),
            std::hash<PaymentHash>{}(PaymentHash::from_bytes(hash.bytes()).value()));
  EXPECT_LT(ServiceName("a"), ServiceName("b"));
  EXPECT_EQ(std::hash<ServiceName>{}(ServiceName("a")), std::hash<std::string>{}("a"));
  EXPECT_TRUE(ServiceName().empty());
}

}  // namespace
}  // namespace octroi
