#include "octroi/mpp/receipt.h"

#include <gtest/gtest.h>

#include "octroi/base/bytes.h"

namespace octroi::mpp {
namespace {

std::string encoded(std::string_view json) { return to_base64url(as_bytes(json)); }

Receipt sample() {
  Receipt r;
  r.method = "lightning";
  r.timestamp = "2026-03-10T21:00:00Z";
  r.reference = std::string(64, 'a');
  return r;
}

// rule: MPP-70
TEST(Receipt, IsCanonicalJson) {
  Receipt r = sample();
  r.challenge_id = "c";
  r.extra = {{"units", "101"}, {"refundStatus", "\"succeeded\""}};
  EXPECT_EQ(receipt_json(r).value(), R"({"challengeId":"c","method":"lightning","reference":")" +
                                         r.reference +
                                         R"(","refundStatus":"succeeded","status":"success",)"
                                         R"("timestamp":"2026-03-10T21:00:00Z","units":101})");
  Receipt back = parse_receipt(format_receipt(r).value()).value();
  std::reverse(back.extra.begin(), back.extra.end());
  EXPECT_EQ(back, r);
}

TEST(Receipt, FormatRefusesWhatIsNoReceipt) {
  const auto refused = [](auto change) {
    Receipt r = sample();
    change(r);
    const auto text = format_receipt(r);
    return !text && text.error().is(Errc::malformed_receipt);
  };
  EXPECT_TRUE(refused([](Receipt& r) { r.status = "failed"; }));
  EXPECT_TRUE(refused([](Receipt& r) { r.method = ""; }));
  EXPECT_TRUE(refused([](Receipt& r) { r.timestamp = "now"; }));
  EXPECT_TRUE(refused([](Receipt& r) { r.extra = {{"x", "not json"}}; }));
  EXPECT_TRUE(refused([](Receipt& r) { r.extra = {{"method", "\"x\""}}; }));
}

// rule: MPP-71
TEST(Receipt, ParseWantsItsFourMembers) {
  const auto code = [](std::string_view json) -> std::string {
    const auto receipt = parse_receipt(encoded(json));
    return receipt ? "ok" : std::string(receipt.error().code());
  };
  EXPECT_EQ(
      code(
          R"({"status":"success","method":"m","timestamp":"2026-01-01T00:00:00.123+02:00","reference":""})"),
      "ok");
  EXPECT_EQ(code(R"({"method":"m","timestamp":"2026-01-01T00:00:00Z","reference":"r"})"),
            "mpp.malformed_receipt");
  EXPECT_EQ(code(R"({"status":"success","timestamp":"2026-01-01T00:00:00Z","reference":"r"})"),
            "mpp.malformed_receipt");
  EXPECT_EQ(code(R"({"status":"success","method":"m","reference":"r"})"), "mpp.malformed_receipt");
  EXPECT_EQ(code(R"({"status":"success","method":"m","timestamp":"2026-01-01T00:00:00Z"})"),
            "mpp.malformed_receipt");
  EXPECT_EQ(
      code(
          R"({"status":"failed","method":"m","timestamp":"2026-01-01T00:00:00Z","reference":"r"})"),
      "mpp.malformed_receipt");
  EXPECT_EQ(
      code(R"({"status":"success","method":1,"timestamp":"2026-01-01T00:00:00Z","reference":"r"})"),
      "mpp.malformed_receipt");
  EXPECT_EQ(code(R"({"status":"success","method":"m","timestamp":"2026","reference":"r"})"),
            "mpp.malformed_receipt");
  EXPECT_EQ(code("[]"), "mpp.malformed_receipt");
  EXPECT_TRUE(parse_receipt("a+b").error().is(Errc::malformed_receipt));
  EXPECT_TRUE(parse_receipt(std::string(30'000, 'a')).error().is(Errc::too_large));
}

}  // namespace
}  // namespace octroi::mpp
