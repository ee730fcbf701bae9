#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octroi/base/log.h"

namespace octroi {
namespace {

const std::string kHex64 = "3f1a9c5e7d2b48604c8e1f0a9b6d7c3e5a2f4b8091c7d6e3f0a1b2c3d4e5f607";
const std::string kBase64Of32 = "PxqcXn0rSGBMjh8Km218PlovS4CRx9bj8KGyw9Tl9gc=";
const std::string kMacaroon = "AgEEbHNhdAJCAABz2TwQ7mXnqJQkY1nRr5ZlYdPb0LrUj1w7pVhM";
const std::string kJson = "eyJjaGFsbGVuZ2UiOnsiaWQiOiJ4N1RnMnBMcVI5bUt2TndZM2hCY1phIn19";

struct Row {
  const char* name;
  std::string text;
  std::string expected;
};

void check(const std::vector<Row>& rows) {
  const Redactor redactor;
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(redactor.redact(row.text), row.expected);
  }
}

TEST(Redactor, CutsCredentialShapes) {
  check({
      {"authorization field", "GET / Authorization: Bearer abc", "GET / Authorization: [redacted]"},
      {"only that line", "authorization: x y z\r\nhost: a", "authorization: [redacted]\r\nhost: a"},
      {"authorization in JSON", R"({"authorization":"Bearer x\"y","status":3})",
       R"({"authorization":"[redacted]","status":3})"},
      {"proxy authorization", "Proxy-Authorization: Basic eA==", "Proxy-Authorization: [redacted]"},
      {"payment authorization", "Payment-Authorization: zzz", "Payment-Authorization: [redacted]"},
      {"receipt", "payment-receipt: zzz", "payment-receipt: [redacted]"},
      {"receipt with equals sign", "payment-receipt=zzz", "payment-receipt=[redacted]"},
      {"cookie", "Set-Cookie: session=1; Path=/", "Set-Cookie: [redacted]"},
      {"Payment credential", "got Payment " + kJson + " from a client",
       "got Payment [redacted] from a client"},
      {"Payment, lower case", "payment " + kJson, "payment [redacted]"},
      {"bare credential", "value " + kJson + ".", "value [redacted]"},
      {"L402", "L402 " + kMacaroon + ":" + kHex64, "L402 [redacted]"},
      {"LSAT", "lsat " + kMacaroon + ":" + kHex64 + "!", "lsat [redacted]!"},
      {"L402 with two macaroons", "L402 " + kMacaroon + "," + kMacaroon + ":" + kHex64 + " end",
       "L402 [redacted] end"},
      {"L402 of an unknown macaroon form", "L402 zzzz1234567890ABCDEFGH:" + kHex64,
       "L402 [redacted]"},
      {"macaroon alone", "root (" + kMacaroon + ")", "root ([redacted])"},
      {"macaroon with a preimage, no scheme", kMacaroon + ":" + kHex64, "[redacted]"},
      {"macaroon parameter", "L402 macaroon=\"" + kMacaroon + "\", invoice=\"lnbcrt1\"",
       "L402 macaroon=\"[redacted]\", invoice=\"lnbcrt1\""},
      {"macaroon in hex, labelled", "Grpc-Metadata-Macaroon: 0201036c6e6402f801030a10",
       "Grpc-Metadata-Macaroon: [redacted]"},
      {"macaroon in hex, bare", "x 0201036c6e64" + kHex64 + kHex64, "x [redacted]"},
      {"preimage", "preimage=" + kHex64, "preimage=[redacted]"},
      {"preimage with words", "payment_preimage: " + kHex64 + " ok",
       "payment_preimage: [redacted] ok"},
      {"preimage in JSON", "{\"r_preimage\":\"" + kHex64 + "\"}",
       "{\"r_preimage\":\"[redacted]\"}"},
      {"preimage in base64", "payment_preimage: " + kBase64Of32, "payment_preimage: [redacted]"},
      {"preimage in camel case", "{\"paymentPreimage\":\"" + kHex64 + "\"}",
       "{\"paymentPreimage\":\"[redacted]\"}"},
      {"JSON in a JSON string", "{\\\"preimage\\\":\\\"" + kHex64 + "\\\"}",
       "{\\\"preimage\\\":\\\"[redacted]\\\"}"},
      {"macaroon in camel case", "adminMacaroon=" + kMacaroon, "adminMacaroon=[redacted]"},
      {"vault key", "key vault_live_8Xa93kQzPw2b refused", "key [redacted] refused"},
      {"vault test key", "vault_test_8Xa93kQzPw2b", "[redacted]"},
      {"vendor key", "sk_live_vault9sKd8sLq", "[redacted]"},
      {"bearer", "sent Bearer a1b2c3d4e5", "sent Bearer [redacted]"},
      {"basic", "sent basic dXNlcjpwYXNz", "sent basic [redacted]"},
      {"password in a URL", "postgres://octroi:hunter2@db:5432/x",
       "postgres://[redacted]@db:5432/x"},
      {"two in one text", "preimage=" + kHex64 + " vault_live_8Xa93kQzPw2b",
       "preimage=[redacted] [redacted]"},
  });
}

TEST(Redactor, LeavesTheRest) {
  const Redactor redactor;
  for (const std::string& text : std::vector<std::string>{
           "",
           "settled",
           "payment_hash=" + kHex64,
           "payment " + kHex64,
           "hash " + kHex64,
           "l402 " + kHex64,
           "no authorization was given",
           "payment acknowledgement_received ok",
           "basic authentication is needed",
           "bearer token missing",
           "preimage is missing",
           "preimage hash " + kHex64,
           "the macaroon: bad signature",
           "lightning.macaroon: /var/lib/lnd/data/chain/bitcoin/admin.macaroon not found",
           "https://api.example.com/v1/a@b",
           "lnbcrt10u1pjq2x7npp5qqqqqqqq",
           "vault_live_",
           "AgE",
           "receipt written",
           "time 12:30:15",
           "cookies",
           "token_id=" + kHex64}) {
    EXPECT_EQ(redactor.redact(text), text);
  }
}

TEST(Redactor, CutsRegisteredSecretsInEveryForm) {
  Redactor redactor;
  const std::string secret = "s3cr\"et/with \\odd+bytes?";
  redactor.add(Secret{std::string_view(secret)});
  const auto hidden = [&](const std::string& text) {
    return redactor.redact("<" + text + ">") == "<[redacted]>";
  };
  EXPECT_TRUE(hidden(secret));
  EXPECT_TRUE(hidden(to_hex(as_bytes(secret))));
  EXPECT_TRUE(hidden(to_base64(as_bytes(secret))));
  EXPECT_TRUE(hidden(to_base64url(as_bytes(secret))));
  EXPECT_TRUE(hidden("s3cr%22et%2Fwith%20%5Codd%2Bbytes%3F"));
  EXPECT_EQ(redactor.redact("a " + secret + " b " + secret), "a [redacted] b [redacted]");
  EXPECT_EQ(redactor.redact(secret.substr(1)), secret.substr(1));
}

TEST(Redactor, CutsASecretInsideLongerBase64) {
  const std::string secret = "hunter2-hunter2";
  for (std::size_t before = 0; before < 7; ++before) {
    SCOPED_TRACE(before);
    Redactor redactor;
    redactor.add_text(secret);
    const std::string whole = std::string(before, '~') + secret + ":tail";
    const std::string cut = redactor.redact("x=" + to_base64(as_bytes(whole)));
    EXPECT_THAT(cut, testing::HasSubstr("[redacted]"));
    // What stays is too little to hold more than the last and first characters of the secret.
    EXPECT_LT(cut.size(), 2 + 10 + (before * 8 + 5) / 6 + 8 + 4);
  }
}

TEST(Redactor, OverlappingSecretsLeaveNothing) {
  Redactor redactor;
  redactor.add_text("abcdefghij");
  redactor.add_text("ghijklmnop");
  redactor.add_text("abcdefgh");
  redactor.add_text("abcdefgh");
  EXPECT_EQ(redactor.redact("-abcdefghijklmnop-"), "-[redacted]-");
}

TEST(Redactor, IgnoresShortSecrets) {
  Redactor redactor;
  redactor.add_text("weather");
  redactor.add_text("");
  EXPECT_EQ(redactor.redact("service weather"), "service weather");
  redactor.add_text("weather8");
  EXPECT_EQ(redactor.redact("service weather8"), "service [redacted]");
}

TEST(Redactor, TakesLinearTimeOnHostileText) {
  const Redactor redactor;
  for (const std::string& unit :
       std::vector<std::string>{"preimage=", "Payment ", "://", "L402 a", "macaroon=\"", "AgE",
                                "0201:", "basic a.", "authorization", "vault_live_ "}) {
    std::string text;
    while (text.size() < (1U << 19)) text += unit;
    EXPECT_LE(redactor.redact(text).size(), text.size() + 64) << unit;
  }
}

}  // namespace
}  // namespace octroi
