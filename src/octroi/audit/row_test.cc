#include "octroi/audit/row.h"

#include <gtest/gtest.h>

#include "octroi/audit/chain.h"
#include "octroi/audit/csv.h"
#include "octroi/audit/filter.h"
#include "octroi/audit/journal_testing.h"
#include "octroi/base/bytes.h"
#include "octroi/base/log.h"
#include "octroi/json/writer.h"

namespace octroi::audit {
namespace {

constexpr UnixMillis kThen{1'763'700'000'007};

Event full_event() {
  Event e;
  e.kind = "call.outcome";
  e.id = "c1";
  e.run = "r1";
  e.agent = "ada";
  e.key_id = "k1";
  e.key_name = "mail";
  e.server = "mcp-stripe";
  e.vendor = "stripe";
  e.operation = "charges.create";
  e.method = "POST";
  e.path = "/v1/charges";
  e.direction = "charge";
  e.amount = 1999;
  e.currency = "usd";
  e.reserved = MicroUsd::from_raw_unchecked(19'990'000);
  e.settled = MicroUsd::from_raw_unchecked(19'990'000);
  e.released = MicroUsd{};
  e.cap_usage_after = MicroUsd::from_raw_unchecked(30'000'000);
  e.rate = "ecb-2026-11-20";
  e.customer = "cus_1";
  e.verdict = Verdict::allowed;
  e.reason = "policy.allowed";
  e.policy = "support";
  e.policy_version = 3;
  e.policy_hash = Digest{1};
  e.upstream_status = 200;
  e.vendor_request_id = "req_1";
  e.idempotency_key_hash = Digest{2};
  e.retry_of = "c0";
  e.body_sha256 = Digest{3};
  e.client = "127.0.0.1:4242";
  e.user_agent = "stripe-python";
  e.latency_ms = 12;
  e.mode = "test";
  e.details = {{"a.b", "1"}, {"z", "2"}};
  return e;
}

TEST(Row, TheTextIsCanonicalAndStable) {
  Event e;
  e.kind = "call.intent";
  e.run = "é\"\n";
  e.amount = 5;
  e.details = {{"b", "2"}};
  EXPECT_EQ(row_text({"w1", 2}, kThen, e),
            R"({"amount":5,"at":"2025-11-21T04:40:00.007Z","details":{"b":"2"},)"
            R"("kind":"call.intent","run":"é\"\n","seq":2,"writer":"w1"})");
}

/// Others verify what we wrote years ago: these values never change. Made with another program:
/// sha256 of the tags, the hash before and the hash of the text.
TEST(Row, TheHashesAreThoseOfTheDocumentation) {
  EXPECT_EQ(to_hex(origin_of("w1")),
            "cb8de8cc9da2eca7a1fef47203c50b00f8ceed1906d1ad5bb9e001de6fcd7d71");
  EXPECT_EQ(to_hex(hash_of_row(origin_of("w1"), hash_of_text("{}"))),
            "e952d12b95acaaca858c420c267a82c4f7ed8fc9e43bf3f835d7b6b5567b2703");
}

TEST(Row, EveryMemberIsReadBack) {
  const Event e = full_event();
  const StoredRow stored = make_row({"w1", 9}, kThen, e, Digest{7});
  const Row row = read_row(stored).value();
  EXPECT_EQ(row.event, e);
  EXPECT_EQ(row.id, stored.id);
  EXPECT_EQ(row.at, kThen);
  const StoredRow back = parse_line(export_line(stored)).value();
  EXPECT_EQ(back.text, stored.text);
  EXPECT_EQ(back.prev_hash, stored.prev_hash);
  EXPECT_EQ(back.row_hash, stored.row_hash);
}

TEST(Row, ALineIsReadInWhateverOrderAndSpacing) {
  const StoredRow stored = make_row({"w1", 1}, kThen, call_of(1), origin_of("w1"));
  std::string line = export_line(stored);
  line = "{ \"row_hash\" : \"" + to_hex(stored.row_hash) + "\" , " +
         line.substr(1, line.find(",\"row_hash\"") - 1) + " }";
  EXPECT_EQ(parse_line(line).value().text, stored.text) << line;
}

struct Bad {
  const char* name;
  const char* text;
};
class BadRow : public testing::TestWithParam<Bad> {};
TEST_P(BadRow, IsRefused) {
  const StoredRow stored{{"w1", 1}, GetParam().text, {}, {}, true};
  EXPECT_FALSE(read_row(stored)) << GetParam().text;
}
constexpr const char* kRight =
    R"({"at":"2025-11-21T04:40:00.007Z","kind":"x","seq":1,"writer":"w1"})";
INSTANTIATE_TEST_SUITE_P(
    Texts, BadRow,
    testing::Values(
        Bad{"Empty", ""}, Bad{"NoObject", "[]"},
        Bad{"Spaces", R"({"at":"2025-11-21T04:40:00.007Z", "kind":"x","seq":1,"writer":"w1"})"},
        Bad{"Order", R"({"kind":"x","at":"2025-11-21T04:40:00.007Z","seq":1,"writer":"w1"})"},
        Bad{"AnotherMember",
            R"({"at":"2025-11-21T04:40:00.007Z","kind":"x","seq":1,"writer":"w1","zz":1})"},
        Bad{"Twice",
            R"({"at":"2025-11-21T04:40:00.007Z","kind":"x","kind":"y","seq":1,"writer":"w1"})"},
        Bad{"AnotherNumber",
            R"({"at":"2025-11-21T04:40:00.007Z","kind":"x","seq":2,"writer":"w1"})"},
        Bad{"AnotherWriter",
            R"({"at":"2025-11-21T04:40:00.007Z","kind":"x","seq":1,"writer":"w2"})"},
        Bad{"Escapes",
            R"({"at":"2025-11-21T04:40:00.007Z","kind":"\u0078","seq":1,"writer":"w1"})"},
        Bad{"Time", R"({"at":"2025-11-21T04:40:00Z","kind":"x","seq":1,"writer":"w1"})"},
        Bad{"Verdict",
            R"({"at":"2025-11-21T04:40:00.007Z","kind":"x","seq":1,"verdict":"yes","writer":"w1"})"},
        Bad{"Amount",
            R"({"amount":1.5,"at":"2025-11-21T04:40:00.007Z","kind":"x","seq":1,"writer":"w1"})"},
        Bad{"Huge", R"({"amount":9007199254740992,"at":"2025-11-21T04:40:00.007Z","kind":"x",)"
                    R"("seq":1,"writer":"w1"})"},
        Bad{"EmptyText",
            R"({"agent":"","at":"2025-11-21T04:40:00.007Z","kind":"x","seq":1,"writer":"w1"})"}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(Row, TheRightOneIsRead) { EXPECT_TRUE(read_row({{"w1", 1}, kRight, {}, {}, true})); }

// --- preparing

TEST(Prepared, SecretsThatWereLoadedAreNotWritten) {
  const std::string secret = "sk_live_Zm9vYmFyYmF6cXV4";
  redactor().add_text(secret);
  Event e = call_of(1);
  e.agent = "key is " + secret;
  e.details = {{"x", secret}};
  const Event fit = prepared(e).value();
  const std::string text = row_text({"w", 1}, kThen, fit);
  EXPECT_EQ(text.find(secret), std::string::npos) << text;
  EXPECT_NE(text.find("key is "), std::string::npos);
}

TEST(Prepared, LongTextsAreCutBetweenCharacters) {
  Event e = call_of(1);
  e.agent.clear();
  while (e.agent.size() < 3000) e.agent += "a ü";
  const Event fit = prepared(e).value();
  EXPECT_LE(fit.agent.size(), kLongestText);
  EXPECT_GT(fit.agent.size(), kLongestText - 8);
  EXPECT_TRUE(fit.agent.ends_with("…"));
  EXPECT_TRUE(json::is_utf8(fit.agent));
  EXPECT_EQ(prepared(fit).value(), fit) << "once is enough";
}

TEST(Prepared, WhatMakesNoSenseIsRefusedByName) {
  const std::pair<const char*, void (*)(Event&)> cases[] = {
      {"kind", [](Event& e) { e.kind = ""; }},
      {"kind", [](Event& e) { e.kind = "Call"; }},
      {"kind", [](Event& e) { e.kind = std::string(41, 'a'); }},
      {"kind", [](Event& e) { e.kind = kCheckpointKind; }},
      {"amount", [](Event& e) { e.amount = kLargestNumber + 1; }},
      {"reserved_micro_usd",
       [](Event& e) { e.reserved = MicroUsd::from_raw_unchecked(kLargestNumber + 1); }},
      {"upstream_status", [](Event& e) { e.upstream_status = 1000; }},
      {"details", [](Event& e) { e.details = {{"A", "1"}}; }},
      {"details", [](Event& e) { e.details = {{"a", "1"}, {"a", "2"}}; }},
      {"details", [](Event& e) { e.details.assign(33, {"a", "1"}); }},
  };
  for (const auto& [field, spoil] : cases) {
    Event e = call_of(1);
    spoil(e);
    const auto out = prepared(e);
    ASSERT_FALSE(out) << field;
    EXPECT_TRUE(out.error().is(Errc::bad_event));
    EXPECT_NE(out.error().message().find(field), std::string_view::npos) << out.error().message();
  }
}

// --- the first row

TEST(Chain, AStartNamesTheNewestRowBefore) {
  const Head before{"w0", 12, Digest{4}, kThen};
  const auto reference = reference_of(start_event(before));
  ASSERT_TRUE(reference);
  EXPECT_EQ(reference->id, (RowId{"w0", 12}));
  EXPECT_EQ(reference->row_hash, before.hash);
  EXPECT_FALSE(reference_of(start_event({})));
  Event other = start_event(before);
  other.kind = "sale";
  EXPECT_FALSE(reference_of(other)) << "only of the first row of a chain";
}

// --- CSV

TEST(Csv, HasAColumnForEachMember) {
  const auto columns = [](const std::string& line) {
    std::size_t n = 1;
    bool quoted = false;
    for (const char c : line) {
      if (c == '"') quoted = !quoted;
      if (c == ',' && !quoted) ++n;
    }
    return n;
  };
  const Row row = read_row(make_row({"w1", 1}, kThen, full_event(), {})).value();
  const Row bare = read_row(make_row({"w1", 1}, kThen, start_event({}), {})).value();
  EXPECT_EQ(columns(csv_header()), 40U);
  EXPECT_EQ(columns(csv_line(row)), 40U);
  EXPECT_EQ(columns(csv_line(bare)), 40U);
}

TEST(Csv, ACellIsNeverAFormula) {
  const std::pair<const char*, const char*> cases[] = {
      {"plain", "\"plain\""},
      {"", "\"\""},
      {"a=b", "\"a=b\""},
      {"=1+1", "\"'=1+1\""},
      {"+1", "\"'+1\""},
      {"-1", "\"'-1\""},
      {"@SUM(A1)", "\"'@SUM(A1)\""},
      {"\tx", "\"'\tx\""},
      {"\rx", "\"'\rx\""},
      {"  =1", "\"'  =1\""},
      {"\xc2\xa0=1", "\"'\xc2\xa0=1\""},
      {"say \"hi\", she", "\"say \"\"hi\"\", she\""},
      {"two\nlines", "\"two\nlines\""},
  };
  for (const auto& [text, cell] : cases) EXPECT_EQ(csv_cell(text), cell) << text;
}

// --- cursors

TEST(Cursor, IsReadBack) {
  const Position p{kThen, "w-1", 42};
  EXPECT_EQ(parse_cursor(cursor_text(p)).value(), p);
}

}  // namespace
}  // namespace octroi::audit
