#include "octroi/mpp/lightning/session.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "octroi/base/bytes.h"
#include "octroi/json/canonical.h"

namespace octroi::mpp::lightning {
namespace {

const std::string kHex(64, 'c');
PaymentHash hash() { return PaymentHash::from_hex(kHex).value(); }
Sat sat(std::int64_t n) { return Sat::from_raw(n).value(); }
Secret preimage() { return Secret(from_hex(std::string(64, '5')).value()); }
std::string encoded(std::string_view json) { return to_base64url(as_bytes(json)); }

// rule: MPP-110
TEST(SessionRequestCodec, IsCanonicalAndComesBack) {
  SessionRequest r;
  r.amount = sat(2);
  r.payment_hash = hash();
  r.deposit_invoice = "lnbcrt3u1p";
  r.deposit_amount = sat(300);
  r.idle_timeout = Seconds(300);
  r.unit_type = "token";
  r.description = "LLM";
  const std::string json(as_text(from_base64url(format_session_request(r).value()).value()));
  EXPECT_EQ(
      json,
      R"({"amount":"2","currency":"sat","depositAmount":"300","depositInvoice":"lnbcrt3u1p","description":"LLM",)"
      R"("idleTimeout":"300","paymentHash":")" +
          kHex + R"(","unitType":"token"})");
  EXPECT_EQ(json::canonicalize(json).value(), json);
  const SessionRequest back = parse_session_request(encoded(json)).value();
  EXPECT_EQ(back.amount, r.amount);
  EXPECT_EQ(back.payment_hash, r.payment_hash);
  EXPECT_EQ(back.deposit_amount, r.deposit_amount);
  EXPECT_EQ(back.deposit_invoice, r.deposit_invoice);
  EXPECT_EQ(back.idle_timeout, r.idle_timeout);
  EXPECT_EQ(back.unit_type, r.unit_type);
  r.deposit_amount = sat(1);
  EXPECT_TRUE(format_session_request(r).error().is(Errc::malformed_request))
      << "less than one unit";
}

TEST(SessionRequestCodec, ParseRefuses) {
  const auto ok = [](const std::string& json) {
    return parse_session_request(encoded(json)).has_value();
  };
  const std::string head = R"({"amount":"2","currency":"sat","paymentHash":")" + kHex + "\"";
  EXPECT_TRUE(ok(head + "}"));
  EXPECT_TRUE(ok(head + R"(,"new":[]})"));
  EXPECT_FALSE(
      ok(R"({"amount":"2","currency":"sat","methodDetails":{"paymentHash":")" + kHex + "\"}}"))
      << "not at the top";
  EXPECT_FALSE(ok(head + R"(,"depositAmount":"0"})"));
  EXPECT_FALSE(ok(head + R"(,"depositAmount":300})"));
  for (const std::string_view timeout :
       {R"("")", R"("0")", R"("-1")", R"("+1")", R"("1s")", "300", R"("99999999999999999999")"}) {
    EXPECT_FALSE(ok(head + fmt::format(R"(,"idleTimeout":{}}})", timeout))) << timeout;
  }
}

// rule: MPP-111
TEST(SessionActions, RoundTrip) {
  const auto again = [](const SessionAction& action) {
    const std::string text = session_payload_json(action);
    EXPECT_EQ(json::canonicalize(text).value(), text);
    const json::Document d = json::parse(text).value();
    return parse_session_action(d.root()).value();
  };
  const SessionAction open = again(OpenAction{preimage(), "lnbcrt1"});
  EXPECT_EQ(std::get<OpenAction>(open).return_invoice, "lnbcrt1");
  EXPECT_TRUE(std::get<OpenAction>(open).preimage.equals(preimage()));
  const SessionAction bearer = again(BearerAction{hash(), preimage()});
  EXPECT_EQ(std::get<BearerAction>(bearer).session_id, hash());
  const SessionAction top_up = again(TopUpAction{hash(), preimage()});
  EXPECT_TRUE(std::get<TopUpAction>(top_up).top_up_preimage.equals(preimage()));
  const SessionAction close = again(CloseAction{hash(), preimage()});
  EXPECT_EQ(std::get<CloseAction>(close).session_id, hash());
}

TEST(SessionActions, RefuseWhatIsIncomplete) {
  const std::string p(64, '5');
  for (const std::string& text : std::vector<std::string>{
           "{}", R"({"action":1})", R"({"action":"Open"})",
           R"({"action":"topup","sessionId":")" + kHex + "\"}",
           R"({"action":"open","preimage":")" + p + "\"}",
           R"({"action":"open","returnInvoice":"x"})",
           R"({"action":"bearer","preimage":")" + p + "\"}",
           R"({"action":"bearer","sessionId":")" + kHex + "\"}",
           R"({"action":"topUp","sessionId":")" + kHex + R"(","preimage":")" + p + "\"}",
           R"({"action":"close","sessionId":"cc","preimage":")" + p + "\"}",
           R"({"action":"bearer","sessionId":")" + kHex + R"(","preimage":")" +
               std::string(64, 'B') + "\"}"}) {
    const json::Document d = json::parse(text).value();
    const auto action = parse_session_action(d.root());
    ASSERT_FALSE(action.has_value()) << text;
    EXPECT_TRUE(action.error().is(Errc::malformed_payload));
    EXPECT_EQ(std::string(action.error().message()).find("555"), std::string::npos);
  }
  const json::Document d = json::parse(R"({"action":"close","later":true,"sessionId":")" + kHex +
                                       R"(","preimage":")" + p + "\"}")
                               .value();
  EXPECT_TRUE(parse_session_action(d.root()).has_value()) << "unknown members are ignored";
}

// rule: MPP-112
TEST(CloseBodyCodec, HasBothMembersAlways) {
  EXPECT_EQ(close_body({Sat(), RefundStatus::skipped}),
            R"({"status":"closed","refundSats":0,"refundStatus":"skipped"})");
  for (const CloseBody& body : {CloseBody{sat(140), RefundStatus::succeeded},
                                CloseBody{sat(2'100'000'000'000'000), RefundStatus::failed}}) {
    const CloseBody back = parse_close_body(close_body(body)).value();
    EXPECT_EQ(back.refund, body.refund);
    EXPECT_EQ(back.status, body.status);
  }
  EXPECT_FALSE(parse_close_body(R"({"status":"closed","refundSats":140})").has_value());
  EXPECT_FALSE(parse_close_body(R"({"status":"closed","refundSats":-1,"refundStatus":"failed"})")
                   .has_value());
  EXPECT_FALSE(parse_close_body(R"({"status":"closed","refundSats":1.5,"refundStatus":"failed"})")
                   .has_value());
  EXPECT_FALSE(
      parse_close_body(R"({"status":"ok","refundSats":1,"refundStatus":"failed"})").has_value());
  EXPECT_EQ(top_up_body(), R"({"status":"ok"})");
}

// rule: MPP-113
TEST(BalanceEvents, RoundTrip) {
  const BalanceEvent event{hash(), sat(300), sat(2)};
  const std::string text = balance_event_json(event);
  EXPECT_EQ(text, R"({"sessionId":")" + kHex + R"(","balanceSpent":300,"balanceRequired":2})");
  const BalanceEvent back = parse_balance_event(text).value();
  EXPECT_EQ(back.session_id, event.session_id);
  EXPECT_EQ(back.spent, event.spent);
  EXPECT_EQ(back.required, event.required);
  EXPECT_FALSE(parse_balance_event("[]").has_value());
}

// rule: MPP-114
TEST(SessionReceipts, CarryWhatTheDraftAsks) {
  const UnixMillis when = from_unix_seconds(1'773'576'300);
  const std::string tail = R"("status":"success","timestamp":"2026-03-15T12:05:00Z")";
  EXPECT_EQ(receipt_json(close_receipt(hash(), "c", when, {Sat(), RefundStatus::skipped})).value(),
            R"({"challengeId":"c","method":"lightning","reference":")" + kHex +
                R"(","refundSats":0,"refundStatus":"skipped",)" + tail + "}");
  EXPECT_EQ(receipt_json(stream_receipt(hash(), when, sat(202), 101)).value(),
            R"({"method":"lightning","reference":")" + kHex + R"(","spent":202,)" + tail +
                R"(,"units":101})");
  EXPECT_EQ(receipt_json(session_receipt(hash(), "c", when)).value(),
            R"({"challengeId":"c","method":"lightning","reference":")" + kHex + "\"," + tail + "}");
}

}  // namespace
}  // namespace octroi::mpp::lightning
