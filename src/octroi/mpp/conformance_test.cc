#include "octroi/mpp/conformance.h"

#include <gtest/gtest.h>

#include "octroi/mpp/errc.h"

namespace octroi::mpp {
namespace {

std::string run(std::string_view operation, std::string_view input) {
  const auto value = run_conformance_operation(operation, input);
  return value ? *value : "error " + std::string(value.error().code());
}

TEST(Conformance, JsonAndBytes) {
  EXPECT_EQ(run("jcs.canonicalize", R"("{\"b\":1, \"a\":[1.0]}")"), R"("{\"a\":[1],\"b\":1}")");
  EXPECT_EQ(run("jcs.canonicalize", R"("{\"a\":1,\"a\":2}")"), "error json.duplicate_key");
  EXPECT_EQ(run("jcs.canonicalize", R"({"a":1})"), "error json.wrong_type");
  EXPECT_EQ(run("base64url.encode", R"("fbff")"), R"("-_8")");
  EXPECT_EQ(run("base64url.decode", R"("-_8")"), R"("fbff")");
  EXPECT_EQ(run("base64url.decode", R"("-_8=")"), R"("fbff")");
  EXPECT_EQ(run("base64url.decode", R"("-_9")"), "error base.bad_base64");
  EXPECT_EQ(run("nothing.such", "{}"), "error mpp.unknown_operation");
  EXPECT_TRUE(is_conformance_operation("challenge.id"));
  EXPECT_FALSE(is_conformance_operation("bolt11.decode"));
}

TEST(Conformance, Challenges) {
  const std::string fields =
      R"({"id":"i","realm":"r","method":"lightning","intent":"charge","request":"e30","expires":"2026-01-01T00:00:00Z"})";
  const std::string line =
      R"("Payment id=\"i\", realm=\"r\", method=\"lightning\", intent=\"charge\", request=\"e30\", expires=\"2026-01-01T00:00:00Z\"")";
  EXPECT_EQ(run("challenge.format", fields), line);
  EXPECT_EQ(run("challenge.parse", "[" + line + "]"), "[" + fields + "]");
  EXPECT_EQ(run("challenge.parse", R"(["Basic x"])"), "error mpp.no_challenge");
  EXPECT_EQ(run("challenge.format",
                R"({"realm":"r","method":"lightning","intent":"charge","request":"e30"})"),
            "error mpp.malformed_challenge");
  EXPECT_EQ(
      run("challenge.format", R"({"id":"i","realm":"r","method":"lightning","intent":"charge"})"),
      "error json.missing");
  EXPECT_EQ(
      run("challenge.format",
          R"({"id":"i","realm":"r","method":"lightning","intent":"charge","request":{"b":1,"a":2},"opaque":{}})"),
      R"("Payment id=\"i\", realm=\"r\", method=\"lightning\", intent=\"charge\", request=\"eyJhIjoyLCJiIjoxfQ\", opaque=\"e30\"")");
  EXPECT_EQ(
      run("challenge.id",
          R"({"secret_hex":"6d70702d746573742d766563746f722d736563726574","realm":"api.example.com",)"
          R"("method":"lightning","intent":"charge","request":"eyJhbW91bnQiOiIxMDAifQ","expires":null})"),
      R"("_9D0WlPoPRltxAd6AdpQd6auVOOeQGJ_J8BkGeBE_bU")");
}

TEST(Conformance, CredentialsAndReceipts) {
  const std::string credential =
      R"({"challenge":{"id":"i","realm":"r","method":"m","intent":"c","request":"e30"},"payload":{"a":1},"source":"s"})";
  const std::string line = run("credential.format", credential);
  EXPECT_TRUE(line.starts_with("\"Payment ey")) << line;
  EXPECT_EQ(run("credential.parse", line), credential);
  EXPECT_EQ(run("credential.parse", R"("Payment !")"), "error mpp.malformed_credential");
  const std::string receipt =
      R"({"status":"success","method":"lightning","timestamp":"2026-01-01T00:00:00Z","reference":"r","challengeId":"c","spent":2})";
  EXPECT_EQ(run("receipt.parse", run("receipt.format", receipt)), receipt);
  EXPECT_EQ(run("receipt.parse", R"("e30")"), "error mpp.malformed_receipt");
}

TEST(Conformance, Ranking) {
  EXPECT_EQ(
      run("accept_payment.rank", R"({"header":"a/x;q=0.1, b/x","offers":["a/x","b/x","c/x"]})"),
      R"(["b/x","a/x"])");
  EXPECT_EQ(
      run("accept_payment.rank",
          R"({"header":"b/*","offers":[{"method":"a","intent":"x"},{"method":"b","intent":"x","id":7}]})"),
      R"([{"method":"b","intent":"x","id":7}])");
  EXPECT_EQ(run("accept_payment.rank", R"({"header":null,"offers":["a/x"]})"), R"(["a/x"])");
  EXPECT_EQ(run("accept_payment.rank", R"({"header":";;","offers":["a/x"]})"), R"(["a/x"])");
}

}  // namespace
}  // namespace octroi::mpp
