#include "octroi/mpp/credential.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "octroi/base/bytes.h"

namespace octroi::mpp {
namespace {

std::string encoded(std::string_view json) { return "Payment " + to_base64url(as_bytes(json)); }

const std::string kChallenge =
    R"({"id":"i","realm":"r","method":"lightning","intent":"charge","request":"e30"})";

Challenge sample() {
  Challenge c;
  c.id = "i";
  c.realm = "r";
  c.method = "lightning";
  c.intent = "charge";
  c.request = "e30";
  return c;
}

// rule: MPP-30
TEST(Credential, ComesBackAsItWasWritten) {
  Challenge c = sample();
  c.expires = "2026-03-15T12:05:00.000Z";
  c.digest = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";
  c.description = "café \"x\"";
  c.opaque = "e30";
  c.header = "Payment-Authorization";
  const std::string text = format_credential(c, R"({"b":1, "a":"x"})", "did:key:z6Mk").value();
  const Credential back = parse_credential(text).value();
  EXPECT_EQ(back.challenge(), c);
  EXPECT_EQ(back.payload().to_json(), R"({"a":"x","b":1})");
  EXPECT_EQ(back.source(), "did:key:z6Mk");
}

TEST(Credential, IsCanonicalJson) {
  const std::string text = format_credential(sample(), R"({"preimage":"00"})").value();
  EXPECT_EQ(
      text,
      encoded(
          R"({"challenge":{"id":"i","intent":"charge","method":"lightning","realm":"r","request":"e30"},)"
          R"("payload":{"preimage":"00"}})"));
}

// rule: MPP-31
TEST(Credential, ReadsWhatOthersWrite) {
  const std::string json =
      fmt::format(R"( {{ "payload" : {{"x":[1,2]}}, "new": 1, "challenge": {} }} )", kChallenge);
  for (const std::string& text :
       {encoded(json), "payment " + encoded(json).substr(8),
        "PAYMENT\t  " + encoded(json).substr(8) + "  ",
        encoded(json) + std::string((4 - to_base64url(as_bytes(json)).size() % 4) % 4, '=')}) {
    const auto credential = parse_credential(text);
    ASSERT_TRUE(credential.has_value()) << credential.error().message();
    EXPECT_EQ(credential->challenge(), sample());
    EXPECT_EQ(credential->payload().to_json(), R"({"x":[1,2]})");
    EXPECT_EQ(credential->source(), std::nullopt);
  }
}

struct Bad {
  const char* name;
  std::string text;
};
class BadCredential : public testing::TestWithParam<Bad> {};

TEST_P(BadCredential, IsRefused) {
  const auto credential = parse_credential(GetParam().text);
  ASSERT_FALSE(credential.has_value());
  EXPECT_TRUE(credential.error().is(Errc::malformed_credential)) << credential.error().code();
}

INSTANTIATE_TEST_SUITE_P(
    Rows, BadCredential,
    testing::Values(
        Bad{"empty", ""}, Bad{"other_scheme", "Bearer abc"}, Bad{"scheme_prefix", "Payments e30"},
        Bad{"scheme_only", "Payment"}, Bad{"scheme_and_blank", "Payment  "},
        Bad{"not_base64", "Payment a+b/"}, Bad{"stray_bits", "Payment e31"},
        Bad{"line_break", "Payment e3\n0"}, Bad{"inner_blank", "Payment e3 0"},
        Bad{"two_tokens", "Payment e30, e30"}, Bad{"not_json", encoded("abc")},
        Bad{"not_an_object", encoded("[]")}, Bad{"no_members", encoded("{}")},
        Bad{"no_payload", encoded("{\"challenge\":" + kChallenge + "}")},
        Bad{"payload_not_an_object",
            encoded("{\"challenge\":" + kChallenge + ",\"payload\":\"x\"}")},
        Bad{"challenge_not_an_object", encoded(R"({"challenge":"x","payload":{}})")},
        Bad{"no_id",
            encoded(
                R"({"challenge":{"realm":"r","method":"m","intent":"i","request":"e30"},"payload":{}})")},
        Bad{"empty_id",
            encoded(
                R"({"challenge":{"id":"","realm":"r","method":"m","intent":"i","request":"e30"},"payload":{}})")},
        Bad{"request_as_object",
            encoded(
                R"({"challenge":{"id":"i","realm":"r","method":"m","intent":"i","request":{}},"payload":{}})")},
        Bad{"expires_not_a_string",
            encoded(
                R"({"challenge":{"id":"i","realm":"r","method":"m","intent":"i","request":"e30","expires":1},"payload":{}})")},
        Bad{"source_not_a_string",
            encoded("{\"challenge\":" + kChallenge + ",\"payload\":{},\"source\":1}")},
        Bad{"duplicate_member",
            encoded("{\"challenge\":" + kChallenge + ",\"payload\":{},\"payload\":{}}")},
        Bad{"duplicate_in_payload",
            encoded("{\"challenge\":" + kChallenge + ",\"payload\":{\"a\":1,\"a\":2}}")},
        Bad{"too_deep", encoded("{\"challenge\":" + kChallenge + ",\"payload\":{\"a\":" +
                                std::string(20, '[') + std::string(20, ']') + "}}")},
        Bad{"text_after", encoded("{\"challenge\":" + kChallenge + ",\"payload\":{}}x")}),
    [](const auto& info) { return info.param.name; });

// rule: MPP-32
TEST(Credential, SizeIsCheckedBeforeDecoding) {
  const std::string frame = "{\"challenge\":" + kChallenge + ",\"payload\":{\"a\":\"\"}}";
  const auto of_size = [&](std::size_t size) {
    std::string json = frame;
    json.insert(json.size() - 3, size - frame.size(), 'x');
    return encoded(json);
  };
  EXPECT_TRUE(parse_credential(of_size(kMaxCredentialBytes)).has_value());
  EXPECT_TRUE(parse_credential(of_size(kMaxCredentialBytes + 1)).error().is(Errc::too_large));
  EXPECT_TRUE(parse_credential("Payment " + std::string(100'000, '!')).error().is(Errc::too_large));
}

TEST(Credential, ErrorsQuoteNothing) {
  const std::string preimage(64, '7');
  const auto bad =
      parse_credential(encoded("{\"challenge\":" + kChallenge + ",\"payload\":{\"preimage\":\"" +
                               preimage + "\"},\"payload\":1}"));
  EXPECT_EQ(std::string(bad.error().message()).find("777"), std::string::npos);
}

TEST(Credential, FingerprintIsOfTheMeaning) {
  const auto print = [](const std::string& json) {
    return parse_credential(encoded(json)).value().fingerprint();
  };
  const auto base = print("{\"challenge\":" + kChallenge + R"(,"payload":{"a":1,"b":2}})");
  EXPECT_EQ(print("{ \"payload\":{\"b\":2, \"a\":1.0}, \"challenge\":" + kChallenge +
                  ",\"source\":\"x\"}"),
            base);
  EXPECT_NE(print("{\"challenge\":" + kChallenge + R"(,"payload":{"a":1,"b":3}})"), base);
  std::string other = kChallenge;
  other.replace(other.find("\"i\""), 3, "\"j\"");
  EXPECT_NE(print("{\"challenge\":" + other + R"(,"payload":{"a":1,"b":2}})"), base);
}

// rule: MPP-33
TEST(FindCredential, OneOfManyFields) {
  using Views = std::vector<std::string_view>;
  const auto find = [](Views authorization, Views payment) {
    return find_credential(authorization, payment);
  };
  EXPECT_EQ(find({}, {}).value(), std::nullopt);
  EXPECT_EQ(find({"Bearer x", "Basic y"}, {}).value(), std::nullopt);
  EXPECT_EQ(find({"Bearer x", "payment abc"}, {}).value()->value, "payment abc");
  EXPECT_EQ(find({"Bearer x"}, {"Payment abc"}).value()->field,
            CredentialField::payment_authorization);
  EXPECT_EQ(find({"Digest a=\"1, Payment b\""}, {}).value(), std::nullopt);
  EXPECT_TRUE(find({"Payment a", "Payment b"}, {}).error().is(Errc::several_credentials));
  EXPECT_TRUE(find({"Payment a", "Payment a"}, {}).error().is(Errc::several_credentials));
  EXPECT_TRUE(find({"Payment a"}, {"Payment a"}).error().is(Errc::several_credentials));
  EXPECT_TRUE(find({"Payment a, Payment b"}, {}).error().is(Errc::several_credentials));
  EXPECT_TRUE(find({"Payment a,payment b"}, {}).error().is(Errc::several_credentials));
}

// rule: MPP-34
TEST(CheckField, TheChallengeSelectsIt) {
  Challenge c = sample();
  const Credential plain = parse_credential(format_credential(c, "{}").value()).value();
  c.header = "Payment-Authorization";
  const Credential own = parse_credential(format_credential(c, "{}").value()).value();
  EXPECT_TRUE(check_field(plain, CredentialField::authorization).has_value());
  EXPECT_TRUE(check_field(own, CredentialField::payment_authorization).has_value());
  EXPECT_TRUE(
      check_field(plain, CredentialField::payment_authorization).error().is(Errc::wrong_field));
  EXPECT_TRUE(check_field(own, CredentialField::authorization).error().is(Errc::wrong_field));
}

}  // namespace
}  // namespace octroi::mpp
