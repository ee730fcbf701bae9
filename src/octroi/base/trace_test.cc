#include "octroi/base/trace.h"

#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octroi/base/bytes.h"

namespace octroi {
namespace {

constexpr std::string_view kParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

struct Kept final : SpanSink {
  void take(std::unique_ptr<Span> span) noexcept override { spans.push_back(std::move(span)); }
  std::vector<std::unique_ptr<Span>> spans;
};

std::string text_of(const Span& span, std::string_view key) {
  for (const auto& a : span.attributes) {
    if (a.key != key) continue;
    if (const auto* text = std::get_if<std::string>(&a.value)) return *text;
    return std::to_string(std::get<std::int64_t>(a.value));
  }
  return "(none)";
}

// The rules of W3C Trace Context section 3.2.2, each broken once.
TEST(TraceParent, Forms) {
  struct Row {
    const char* name;
    std::string text;
    bool good;
  };
  const std::string id = "4bf92f3577b34da6a3ce929d0e0e4736";
  const std::string span = "00f067aa0ba902b7";
  const std::vector<Row> rows = {
      {"sampled", "00-" + id + "-" + span + "-01", true},
      {"not_sampled", "00-" + id + "-" + span + "-00", true},
      {"flags_to_come", "00-" + id + "-" + span + "-ff", true},
      {"version_to_come", "cc-" + id + "-" + span + "-01", true},
      {"version_to_come_longer", "cc-" + id + "-" + span + "-01-what-is-to-come", true},
      {"version_to_come_glued", "cc-" + id + "-" + span + "-01.more", false},
      {"version_00_longer", "00-" + id + "-" + span + "-01-more", false},
      {"version_00_dash", "00-" + id + "-" + span + "-01-", false},
      {"version_ff", "ff-" + id + "-" + span + "-01", false},
      {"version_no_hex", "0x-" + id + "-" + span + "-01", false},
      {"version_upper", "CC-" + id + "-" + span + "-01", false},
      {"trace_zero", "00-" + std::string(32, '0') + "-" + span + "-01", false},
      {"span_zero", "00-" + id + "-" + std::string(16, '0') + "-01", false},
      {"trace_upper", "00-4BF92F3577B34DA6A3CE929D0E0E4736-" + span + "-01", false},
      {"span_upper", "00-" + id + "-00F067AA0BA902B7-01", false},
      {"flags_upper", "00-" + id + "-" + span + "-0A", false},
      {"trace_short", "00-" + id.substr(1) + "-" + span + "-01", false},
      {"trace_long", "00-0" + id + "-" + span + "-01", false},
      {"span_short", "00-" + id + "-" + span.substr(1) + "-01", false},
      {"flags_short", "00-" + id + "-" + span + "-1", false},
      {"flags_missing", "00-" + id + "-" + span, false},
      {"no_dashes", "00" + id + span + "01", false},
      {"underscores", "00_" + id + "_" + span + "_01", false},
      {"space_before", " 00-" + id + "-" + span + "-01", false},
      {"space_after", "00-" + id + "-" + span + "-01 ", false},
      {"two", "00-" + id + "-" + span + "-01,00-" + id + "-" + span + "-01", false},
      {"empty", "", false},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const auto parsed = parse_traceparent(row.text);
    ASSERT_EQ(parsed.has_value(), row.good);
    if (!row.good) continue;
    EXPECT_EQ(to_hex(parsed->trace), id);
    EXPECT_EQ(to_hex(parsed->span), span);
    EXPECT_EQ(to_traceparent(*parsed), "00" + row.text.substr(2, 53));
  }
}

TEST(TraceState, Forms) {
  std::string many;
  for (int i = 0; i < 32; ++i) many += fmt::format("{}k{}=v", i == 0 ? "" : ",", i);
  const std::vector<std::pair<std::string, bool>> rows = {
      {"vendor=opaque", true},
      {"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", true},
      {"a=1 , b=2", true},
      {"a=1,,b=2", true},
      {"tenant@system=value", true},
      {"1tenant@system=value", true},
      {"a=with space inside", true},
      {many, true},
      {many + ",k32=v", false},
      {"", false},
      {",", false},
      {"a", false},
      {"a=", false},
      {"=1", false},
      {"1a=1", false},
      {"A=1", false},
      {"a=1,a=2", false},
      {"a=1=2", false},
      {"a@=1", false},
      {"@a=1", false},
      {"a@b@c=1", false},
      {"tenant@averylongsystem=1", false},
      {"a b=1", false},
      {"a=\x01", false},
      {"a=\xc3\xa9", false},
      {"a=" + std::string(257, 'x'), false},
      {"a=" + std::string(256, 'x') + ",b=" + std::string(256, 'x'), false},
  };
  for (const auto& [text, good] : rows) EXPECT_EQ(is_tracestate(text), good) << text;
}

TEST(Tracer, GoesOnWithAParentThatWasSampled) {
  Kept kept;
  SeededRandom random(1);
  Tracer tracer(kept, random, 0);
  auto trace = tracer.begin(kParent, "vendor=opaque");
  ASSERT_NE(trace, nullptr);
  trace->server().name = "GET weather";
  auto out = trace->child(SpanKind::client, "GET");
  EXPECT_TRUE(RequestTrace::traceparent(*out).starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
  EXPECT_FALSE(RequestTrace::traceparent(*out).ends_with("00f067aa0ba902b7-01"));
  trace->finish(std::move(out));
  trace->end();
  ASSERT_EQ(kept.spans.size(), 2U);
  const Span& client = *kept.spans[0];
  const Span& server = *kept.spans[1];
  EXPECT_EQ(to_hex(server.trace), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(to_hex(server.parent), "00f067aa0ba902b7");
  EXPECT_TRUE(server.parent_is_remote);
  EXPECT_EQ(server.tracestate, "vendor=opaque");
  EXPECT_EQ(client.trace, server.trace);
  EXPECT_EQ(client.parent, server.id);
  EXPECT_FALSE(client.parent_is_remote);
  EXPECT_NE(client.id, server.id);
  EXPECT_LE(server.start_ns, client.start_ns);
  EXPECT_LE(client.start_ns, client.end_ns);
  EXPECT_LE(server.start_ns, server.end_ns);
}

TEST(Tracer, WhoComesWithAParentHasDecided) {
  Kept kept;
  SeededRandom random(1);
  Tracer none(kept, random, 0);
  Tracer all(kept, random, Tracer::kAll);
  const std::string unsampled = std::string(kParent.substr(0, 53)) + "00";
  EXPECT_EQ(all.begin(unsampled, {}), nullptr);
  EXPECT_NE(none.begin(kParent, {}), nullptr);
  EXPECT_EQ(none.begin(std::nullopt, {}), nullptr);
  EXPECT_EQ(none.begin("nonsense", {}), nullptr);
  auto root = all.begin("nonsense", "vendor=opaque");
  ASSERT_NE(root, nullptr);
  EXPECT_EQ(root->server().parent, SpanId{});
  EXPECT_EQ(root->server().tracestate, "");  // of a trace that is not gone on with
  EXPECT_FALSE(root->server().parent_is_remote);
  EXPECT_EQ(all.begin(kParent, "A=bad")->server().tracestate, "");
}

TEST(Tracer, RecordsAShare) {
  Kept kept;
  SeededRandom random(7);
  Tracer tracer(kept, random, Tracer::kAll / 4);
  int recorded = 0;
  for (int i = 0; i < 4000; ++i) recorded += tracer.begin(std::nullopt, {}) != nullptr ? 1 : 0;
  EXPECT_GT(recorded, 700);
  EXPECT_LT(recorded, 1300);
}

TEST(Span, StatusByTheConventionsOfHttp) {
  struct Row {
    SpanKind kind;
    int status;
    bool failed;
  };
  for (const Row& row : {Row{SpanKind::server, 200, false}, Row{SpanKind::server, 402, false},
                         Row{SpanKind::server, 499, false}, Row{SpanKind::server, 500, true},
                         Row{SpanKind::client, 399, false}, Row{SpanKind::client, 400, true},
                         Row{SpanKind::client, 503, true}, Row{SpanKind::client, 0, false}}) {
    Span span;
    span.kind = row.kind;
    span.set_status(row.status);
    EXPECT_EQ(span.failed, row.failed) << row.status;
    EXPECT_EQ(text_of(span, "error.type"), row.failed ? std::to_string(row.status) : "(none)");
  }
}

TEST(Span, TextsAreBoundedAndMethodsAreFew) {
  Span span;
  span.set("url.path", std::string(5000, 'x'));
  span.set("empty", "");
  span.set_method("PROPFIND");
  EXPECT_EQ(text_of(span, "url.path").size(), Span::kLongestText);
  EXPECT_EQ(text_of(span, "empty"), "(none)");
  EXPECT_EQ(text_of(span, "http.request.method"), "_OTHER");
  EXPECT_EQ(span_word("PROPFIND"), "HTTP");
  EXPECT_EQ(span_word("get"), "HTTP");
  EXPECT_EQ(span_word("PATCH"), "PATCH");
}

}  // namespace
}  // namespace octroi
