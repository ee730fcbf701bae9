// expiry, digest, opaque and problems.
#include <set>

#include <gtest/gtest.h>

#include "octroi/base/bytes.h"
#include "octroi/json/value.h"
#include "octroi/mpp/digest.h"
#include "octroi/mpp/expiry.h"
#include "octroi/mpp/opaque.h"
#include "octroi/mpp/problems.h"

namespace octroi::mpp {
namespace {

// rule: MPP-40
TEST(Expiry, ReadsEveryFormAndEndsAtTheMoment) {
  const UnixMillis noon = from_unix_seconds(1'773'576'300);  // 2026-03-15T12:05:00Z
  for (const std::string_view text :
       {"2026-03-15T12:05:00Z", "2026-03-15T12:05:00.000Z", "2026-03-15T14:05:00+02:00",
        "2026-03-15t12:05:00.000000000z"}) {
    EXPECT_EQ(parse_expires(text).value(), noon) << text;
  }
  EXPECT_TRUE(parse_expires("2026-03-15").error().is(Errc::bad_expires));
  EXPECT_TRUE(parse_expires("").error().is(Errc::bad_expires));
  EXPECT_FALSE(is_expired(noon, noon - Millis(1)));
  EXPECT_TRUE(is_expired(noon, noon));
  EXPECT_FALSE(is_expired(noon, noon + Millis(999), Millis(1000))) << "a lenient server";
  EXPECT_TRUE(is_expired(noon, noon - Millis(1000), Millis(-1000))) << "a careful client";
  EXPECT_TRUE(check_expires("2026-03-15T12:05:00Z", noon).error().is(Errc::expired));
  EXPECT_TRUE(check_expires("2026-03-15T12:05:00Z", noon - Millis(1)).has_value());
}

TEST(Expiry, IsNeverWrittenLaterThanItIs) {
  EXPECT_EQ(format_expires(UnixMillis{1'773'576'300'999}), "2026-03-15T12:05:00Z");
}

// rule: MPP-41
TEST(Expiry, TheEarlierEndCounts) {
  const UnixMillis noon = from_unix_seconds(1'773'576'300);
  EXPECT_EQ(effective_expiry("2026-03-15T12:05:00Z", noon + Millis(1)).value(), noon);
  EXPECT_EQ(effective_expiry("2026-03-15T12:05:00Z", noon - Millis(1)).value(), noon - Millis(1));
  EXPECT_EQ(effective_expiry(std::nullopt, noon).value(), noon);
  EXPECT_TRUE(effective_expiry("x", noon).error().is(Errc::bad_expires));
}

// rule: MPP-50 MPP-51
TEST(Digest, EmitsTheStandardFormAndAcceptsBoth) {
  const ByteView body = as_bytes(R"({"hello": "world"})");
  const std::string standard = format_digest(body);
  EXPECT_EQ(standard, "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:")
      << "RFC 9530's own example";
  const std::string value = "X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE";
  for (const std::string& text :
       {standard, "sha-256=" + value + "=", "sha-256=" + value,
        "SHA-256=:" + value + "=:", "sha-512=:unknown:, sha-256=:" + value + "=:",
        " sha-256=:" + value + "=:;p=1 , unixsum=1"}) {
    EXPECT_TRUE(verify_digest(text, body).has_value()) << text;
  }
  EXPECT_TRUE(verify_digest(standard, as_bytes("other")).error().is(Errc::digest_mismatch));
  EXPECT_TRUE(verify_digest(standard + ", " + format_digest(as_bytes("other")), body)
                  .error()
                  .is(Errc::digest_mismatch));
  for (const std::string& text :
       std::vector<std::string>{"", "sha-256", "sha-256=", "sha-256=:abc:", "sha-256=!",
                                "sha-512=:abc:", "sha-256=:" + value + "=:, junk"}) {
    EXPECT_TRUE(verify_digest(text, body).error().is(Errc::malformed_digest)) << text;
  }
}

// rule: MPP-15
TEST(Opaque, IsAFlatCanonicalMap) {
  EXPECT_EQ(format_opaque({}), "e30");
  const OpaqueMap map = {{"b", "2"}, {"a", "é\""}, {"", "x"}};
  EXPECT_EQ(as_text(from_base64url(format_opaque(map)).value()), R"({"":"x","a":"é\"","b":"2"})");
  EXPECT_EQ(parse_opaque(format_opaque(map)).value(), map);
  for (const std::string_view json :
       {R"({"a":1})", R"({"a":{}})", R"({"a":null})", "[]", R"({"a":"1","a":"2"})"}) {
    EXPECT_TRUE(parse_opaque(to_base64url(as_bytes(json))).error().is(Errc::malformed_opaque))
        << json;
  }
  EXPECT_TRUE(parse_opaque("trace-123").error().is(Errc::malformed_opaque));
}

// rule: MPP-80 MPP-81 MPP-82
TEST(Problems, EveryTypeIsKnownByItsUri) {
  std::set<std::string> uris;
  for (const ProblemType type : all_problem_types()) {
    const std::string uri = problem_uri(type);
    EXPECT_TRUE(uri.starts_with("https://paymentauth.org/problems/"));
    EXPECT_EQ(parse_problem_type(uri), type);
    EXPECT_EQ(parse_problem_type(problem_info(type).name), type);
    EXPECT_FALSE(problem_info(type).title.empty());
    uris.insert(uri);
  }
  EXPECT_EQ(uris.size(), kProblemTypes);
  EXPECT_EQ(parse_problem_type("urn:payment:error:x"), std::nullopt);
  const auto status = [](std::string_view name) {
    return problem_info(parse_problem_type(name).value()).status;
  };
  for (const std::string_view name :
       {"payment-required", "payment-insufficient", "payment-expired", "payment-action-required",
        "verification-failed", "malformed-credential", "invalid-challenge", "invalid-payload",
        "lightning/malformed-credential", "lightning/unknown-challenge",
        "lightning/invalid-preimage", "lightning/expired-invoice", "lightning/challenge-expired",
        "lightning/session-not-found", "lightning/session-closed", "lightning/insufficient-balance",
        "lightning/invalid-return-invoice"}) {
    EXPECT_EQ(status(name), 402) << name;
  }
  EXPECT_EQ(status("bad-request"), 400);
  EXPECT_EQ(status("method-unsupported"), 400);
  EXPECT_EQ(status("internal-payment-error"), 500);
}

// rule: MPP-83
TEST(Problems, BodyIsAProblemDocument) {
  Problem p(ProblemType::lightning_invalid_preimage, "wrong \"proof\"", "abc");
  p.extra.emplace_back("hint", "\"pay again\"");
  EXPECT_EQ(
      problem_json(p),
      R"({"type":"https://paymentauth.org/problems/lightning/invalid-preimage","title":"Invalid Preimage",)"
      R"("status":402,"detail":"wrong \"proof\"","challengeId":"abc","hint":"pay again"})");
  p = {ProblemType::internal_payment_error, "later"};
  EXPECT_EQ(p.status(), 500);
  p.status_override = 503;
  EXPECT_EQ(json::parse(problem_json(p)).value().root().int64("status").value(), 503);
}

TEST(Problems, ErrorsHaveTheirs) {
  EXPECT_EQ(problem_for(Error(Errc::several_credentials)).type, ProblemType::bad_request);
  EXPECT_EQ(problem_for(Error(Errc::malformed_credential)).type, ProblemType::malformed_credential);
  EXPECT_EQ(problem_for(Error(Errc::too_large)).type, ProblemType::malformed_credential);
  EXPECT_EQ(problem_for(Error(Errc::wrong_field)).type, ProblemType::invalid_challenge);
  EXPECT_EQ(problem_for(Error(Errc::expired)).type, ProblemType::payment_expired);
  EXPECT_EQ(problem_for(Error(BytesErrc::bad_hex, "inner detail")).type,
            ProblemType::internal_payment_error);
  EXPECT_EQ(problem_for(Error(BytesErrc::bad_hex, "inner detail")).detail.find("inner"),
            std::string::npos);
}

}  // namespace
}  // namespace octroi::mpp
