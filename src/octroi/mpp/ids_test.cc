#include "octroi/mpp/ids.h"

#include <gtest/gtest.h>

#include "octroi/base/bytes.h"
#include "octroi/json/canonical.h"
#include "octroi/json/test_vectors.h"
#include "octroi/mpp/opaque.h"

namespace octroi::mpp {
namespace {

std::string text_or_empty(json::Value row, std::string_view key) {
  const auto text = row.optional_string(key).value();
  return text ? std::string(*text) : std::string();
}

// rule: MPP-20 MPP-21
TEST(ChallengeId, MatchesEveryVector) {
  const json::Document table = json::read_test_table("mpp/challenge_ids.json");
  int rows = 0;
  for (const json::Value row : table.root().array("vectors")->elements()) {
    SCOPED_TRACE(*row.string("name"));
    const crypto::HmacSha256Key key(as_bytes(*row.string("secret")));
    Challenge c;
    c.realm = *row.string("realm");
    c.method = *row.string("method");
    c.intent = *row.string("intent");
    c.request = to_base64url(as_bytes(json::canonicalize(*row.string("request_json")).value()));
    c.expires = text_or_empty(row, "expires");
    c.digest = text_or_empty(row, "digest");
    c.header = text_or_empty(row, "header");
    c.opaque = text_or_empty(row, "opaque");
    c.description = "never bound";
    if (const auto map = row.find("opaque_map")) {
      OpaqueMap entries;
      for (const auto& [name, value] : map->members())
        entries.emplace(name, value.as_string().value());
      c.opaque = format_opaque(entries);
    }
    EXPECT_EQ(challenge_id(key, id_slots(c)), *row.string("id"));
    EXPECT_TRUE(is_challenge_id(key, id_slots(c), *row.string("id")));
    EXPECT_FALSE(is_challenge_id(key, id_slots(c), std::string(*row.string("id")) + "="));
    ++rows;
  }
  EXPECT_EQ(rows, 13);
}

TEST(ChallengeId, EverySlotCounts) {
  const crypto::HmacSha256Key key(as_bytes("0123456789abcdef0123456789abcdef"));
  const IdSlots base{"r", "m", "i", "q", "e", "d", "o", ""};
  const std::string id = challenge_id(key, base);
  for (std::string_view IdSlots::* slot :
       {&IdSlots::realm, &IdSlots::method, &IdSlots::intent, &IdSlots::request, &IdSlots::expires,
        &IdSlots::digest, &IdSlots::opaque, &IdSlots::header}) {
    IdSlots other = base;
    other.*slot = "other";
    EXPECT_NE(challenge_id(key, other), id);
  }
  EXPECT_NE(challenge_id(key, {"r", "m", "i", "q", "", "e", "", ""}),
            challenge_id(key, {"r", "m", "i", "q", "e", "", "", ""}));
}

Secret secret(char fill) { return Secret(std::string(32, fill)); }

// rule: MPP-22
TEST(KeyRing, VerifiesWithEveryVersion) {
  const Secret current = secret('a');
  const Secret previous = secret('b');
  const Secret foreign = secret('c');
  const KeyRing ring = KeyRing::from_secrets({&current, &previous}).value();
  const IdSlots slots{"r", "lightning", "charge", "e30", "", "", "", ""};
  EXPECT_EQ(ring.verify_id(slots, challenge_id(crypto::HmacSha256Key(current), slots)), 0U);
  EXPECT_EQ(ring.verify_id(slots, challenge_id(crypto::HmacSha256Key(previous), slots)), 1U);
  EXPECT_EQ(ring.verify_id(slots, challenge_id(crypto::HmacSha256Key(foreign), slots)),
            std::nullopt);
  EXPECT_EQ(ring.verify_id(slots, ""), std::nullopt);
  EXPECT_EQ(challenge_id(ring.current(), slots),
            challenge_id(crypto::HmacSha256Key(current), slots));
}

TEST(KeyRing, RefusesEmptyAndShort) {
  EXPECT_TRUE(KeyRing::from_secrets({}).error().is(Errc::bad_key_ring));
  const Secret shorter(std::string(31, 'x'));
  EXPECT_TRUE(KeyRing::from_secrets({&shorter}).error().is(Errc::bad_key_ring));
}

TEST(Identifiers, TheSeparatorIsRefused) {
  EXPECT_TRUE(check_realm("api.example.com:8402").has_value());
  EXPECT_TRUE(check_realm("a|b").error().is(Errc::bad_identifier));
  EXPECT_TRUE(check_realm("").error().is(Errc::bad_identifier));
  EXPECT_TRUE(check_realm("caf\xC3\xA9").error().is(Errc::bad_identifier));
  EXPECT_TRUE(check_realm("a\nb").error().is(Errc::bad_identifier));
  EXPECT_TRUE(check_method("lightning").has_value());
  EXPECT_TRUE(check_method("b|lightning").error().is(Errc::bad_identifier));
  EXPECT_TRUE(check_method("x402").error().is(Errc::bad_identifier));
  EXPECT_TRUE(check_intent("charge-v2").has_value());
  EXPECT_TRUE(check_intent("a|b").error().is(Errc::bad_identifier));
  EXPECT_TRUE(check_intent("a_b").error().is(Errc::bad_identifier));
}

}  // namespace
}  // namespace octroi::mpp
