#include "octroi/mpp/lightning/charge.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "octroi/base/bytes.h"
#include "octroi/crypto/hash.h"
#include "octroi/json/canonical.h"

namespace octroi::mpp::lightning {
namespace {

const std::string kPreimage = "0101010101010101010101010101010101010101010101010101010101010101";

PaymentHash hash_of(std::string_view preimage_hex) {
  return PaymentHash(crypto::sha256(from_hex(preimage_hex).value()));
}

ChargeRequest sample() {
  ChargeRequest r;
  r.amount = Sat::from_raw(100).value();
  r.invoice = "lnbcrt1u1p";
  r.network = "regtest";
  r.payment_hash = hash_of(kPreimage);
  return r;
}

std::string encoded(std::string_view json) { return to_base64url(as_bytes(json)); }
std::string json_of(std::string_view base64url) {
  return std::string(as_text(from_base64url(base64url).value()));
}

Credential credential(const std::function<void(Challenge&)>& change, const std::string& payload) {
  Challenge c;
  c.id = "i";
  c.realm = "r";
  c.method = "lightning";
  c.intent = "charge";
  c.request = format_charge_request(sample()).value();
  c.expires = "2026-03-15T12:05:00Z";
  if (change) change(c);
  return parse_credential(format_credential(c, payload).value()).value();
}
const UnixMillis kExpiry = from_unix_seconds(1'773'576'300);

// rule: MPP-100 MPP-101
TEST(ChargeRequestCodec, IsCanonicalAndComesBack) {
  ChargeRequest r = sample();
  EXPECT_EQ(
      json_of(format_charge_request(r).value()),
      R"({"amount":"100","currency":"sat","methodDetails":{"invoice":"lnbcrt1u1p","network":"regtest","paymentHash":")" +
          r.payment_hash->hex() + R"("}})");
  r.description = "<weather> & \"more\" é";
  r.external_id = "order-1";
  r.recipient = "someone";
  const std::string text = format_charge_request(r).value();
  EXPECT_EQ(json::canonicalize(json_of(text)).value(), json_of(text));
  const ChargeRequest back = parse_charge_request(text).value();
  EXPECT_EQ(back.amount, r.amount);
  EXPECT_EQ(back.description, r.description);
  EXPECT_EQ(back.external_id, r.external_id);
  EXPECT_EQ(back.recipient, r.recipient);
  EXPECT_EQ(back.invoice, r.invoice);
  EXPECT_EQ(back.network, r.network);
  EXPECT_EQ(back.payment_hash, r.payment_hash);
}

TEST(ChargeRequestCodec, FormatRefusesNonsense) {
  ChargeRequest r = sample();
  r.amount = Sat();
  EXPECT_TRUE(format_charge_request(r).error().is(Errc::malformed_request));
  r = sample();
  r.invoice.clear();
  EXPECT_TRUE(format_charge_request(r).error().is(Errc::malformed_request));
  r = sample();
  r.network = "testnet";
  EXPECT_TRUE(format_charge_request(r).error().is(Errc::malformed_request));
}

TEST(ChargeRequestCodec, ParseRefusesWhatTheDraftForbids) {
  const auto refused = [](std::string_view json) {
    const auto request = parse_charge_request(encoded(json));
    return !request && request.error().is(Errc::malformed_request);
  };
  const std::string details = R"("methodDetails":{"invoice":"lnbc1"})";
  EXPECT_TRUE(parse_charge_request(encoded(R"({"amount":"1","currency":"sat",)" + details + "}"))
                  .has_value());
  EXPECT_TRUE(
      parse_charge_request(encoded(R"({"amount":"1","currency":"sat","new":1,)" + details + "}"))
          .has_value());
  EXPECT_TRUE(refused(R"({"amount":"1","currency":"BTC",)" + details + "}"))
      << "the drafts' own stale example";
  EXPECT_TRUE(refused(R"({"amount":"1","currency":"SAT",)" + details + "}"));
  EXPECT_TRUE(refused(R"({"amount":"1",)" + details + "}"));
  for (const std::string_view amount :
       {R"("0")", R"("-1")", R"("1.5")", R"("01")", R"("")", R"("1 ")", "1", R"("1e3")",
        R"("2100000000000001")", R"("99999999999999999999")"}) {
    EXPECT_TRUE(refused(fmt::format(R"({{"amount":{},"currency":"sat",{}}})", amount, details)))
        << amount;
  }
  EXPECT_TRUE(refused(R"({"amount":"1","currency":"sat"})"));
  EXPECT_TRUE(refused(R"({"amount":"1","currency":"sat","methodDetails":{}})"));
  EXPECT_TRUE(refused(R"({"amount":"1","currency":"sat","methodDetails":{"invoice":""}})"));
  EXPECT_TRUE(refused(
      R"({"amount":"1","currency":"sat","methodDetails":{"invoice":"x","network":"testnet"}})"));
  EXPECT_TRUE(refused(
      R"({"amount":"1","currency":"sat","methodDetails":{"invoice":"x","paymentHash":"AB"}})"));
  EXPECT_TRUE(
      refused(R"({"amount":"1","currency":"sat","methodDetails":{"invoice":"x","paymentHash":")" +
              std::string(64, 'A') + R"("}})"));
  EXPECT_TRUE(parse_charge_request("!").error().is(Errc::malformed_request));
}

struct Row {
  const char* name;
  std::function<void(Challenge&)> change;
  std::string payload;
  Millis before_expiry{1000};
  std::optional<ProblemType> problem;
};
class VerifyCharge : public testing::TestWithParam<Row> {};

// rule: MPP-102 MPP-103 MPP-104
TEST_P(VerifyCharge, GivesTheProblemOfTheDraft) {
  const Row& row = GetParam();
  const auto proof = verify_charge(credential(row.change, row.payload),
                                   {kExpiry - row.before_expiry, Millis(0), std::nullopt});
  if (!row.problem) {
    ASSERT_TRUE(proof.has_value()) << proof.error().detail;
    EXPECT_EQ(proof->hash, hash_of(kPreimage));
    EXPECT_EQ(proof->request.amount, Sat::from_raw(100).value());
    return;
  }
  ASSERT_FALSE(proof.has_value());
  EXPECT_EQ(problem_uri(proof.error().type), problem_uri(*row.problem));
  EXPECT_FALSE(proof.error().detail.empty());
  EXPECT_EQ(proof.error().detail.find("0101"), std::string::npos) << "the preimage is never quoted";
}

std::string payload(const std::string& preimage) { return "{\"preimage\":\"" + preimage + "\"}"; }

INSTANTIATE_TEST_SUITE_P(
    Rows, VerifyCharge,
    testing::Values(Row{"good", nullptr, payload(kPreimage), Millis(1), std::nullopt},
                    Row{"unknown_fields_are_ignored", nullptr,
                        "{\"x\":1,\"preimage\":\"" + kPreimage + "\"}", Millis(1), std::nullopt},
                    Row{"no_preimage", nullptr, "{}", Millis(1),
                        ProblemType::lightning_malformed_credential},
                    Row{"preimage_not_a_string", nullptr, "{\"preimage\":1}", Millis(1),
                        ProblemType::lightning_malformed_credential},
                    Row{"upper_case", nullptr, payload(std::string(64, 'A')), Millis(1),
                        ProblemType::lightning_malformed_credential},
                    Row{"too_short", nullptr, payload(kPreimage.substr(2)), Millis(1),
                        ProblemType::lightning_malformed_credential},
                    Row{"too_long", nullptr, payload(kPreimage + "00"), Millis(1),
                        ProblemType::lightning_malformed_credential},
                    Row{"with_0x", nullptr, payload("0x" + kPreimage.substr(2)), Millis(1),
                        ProblemType::lightning_malformed_credential},
                    Row{"wrong_preimage", nullptr, payload(std::string(64, '2')), Millis(1),
                        ProblemType::lightning_invalid_preimage},
                    Row{"at_expiry", nullptr, payload(kPreimage), Millis(0),
                        ProblemType::lightning_expired_invoice},
                    Row{"after_expiry", nullptr, payload(kPreimage), Millis(-1),
                        ProblemType::lightning_expired_invoice},
                    Row{"no_expiry", [](Challenge& c) { c.expires.reset(); }, payload(kPreimage),
                        Millis(1), ProblemType::lightning_unknown_challenge},
                    Row{"other_method", [](Challenge& c) { c.method = "tempo"; },
                        payload(kPreimage), Millis(1), ProblemType::lightning_unknown_challenge},
                    Row{"session", [](Challenge& c) { c.intent = "session"; }, payload(kPreimage),
                        Millis(1), ProblemType::lightning_unknown_challenge},
                    Row{"request_not_ours", [](Challenge& c) { c.request = "e30"; },
                        payload(kPreimage), Millis(1), ProblemType::lightning_unknown_challenge}),
    [](const auto& info) { return info.param.name; });

TEST(VerifyChargeExpiry, TheInvoicesEndCountsToo) {
  const Credential c = credential(nullptr, payload(kPreimage));
  const UnixMillis now = kExpiry - Millis(10'000);
  EXPECT_TRUE(verify_charge(c, {now, Millis(0), kExpiry}).has_value());
  EXPECT_EQ(verify_charge(c, {now, Millis(0), now}).error().type,
            ProblemType::lightning_expired_invoice);
  EXPECT_TRUE(verify_charge(c, {now, Millis(1), now}).has_value());
}

TEST(ChargePayload, RoundTrips) {
  const Secret preimage(from_hex(kPreimage).value());
  EXPECT_EQ(charge_payload_json(preimage), payload(kPreimage));
}

// rule: MPP-105
TEST(ChargeReceipt, NamesTheHashAndNeverThePreimage) {
  const Receipt r = charge_receipt(hash_of(kPreimage), "cid", kExpiry);
  EXPECT_EQ(receipt_json(r).value(),
            R"({"challengeId":"cid","method":"lightning","reference":")" +
                hash_of(kPreimage).hex() +
                R"(","status":"success","timestamp":"2026-03-15T12:05:00Z"})");
}

}  // namespace
}  // namespace octroi::mpp::lightning
