#include "octroi/http/sse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace octroi::http {
namespace {

using testing::ElementsAre;

struct Seen {
  std::vector<std::string> events;  // "type|data" of those that are dispatched
  std::vector<std::string> bytes;   // of all
  std::string all;
  bool failed = false;
};

Seen read(std::string_view stream, std::size_t step, SseFramer& framer) {
  Seen seen;
  auto note = [&seen](const SseEvent& e) {
    seen.bytes.emplace_back(e.bytes);
    seen.all += e.bytes;
    if (e.dispatched) seen.events.push_back(std::string(e.type) + "|" + std::string(e.data));
  };
  for (std::size_t at = 0; at < stream.size(); at += step) {
    framer.feed(stream.substr(at, step));
    for (;;) {
      const auto event = framer.next();
      if (!event) {
        seen.failed = true;
        return seen;
      }
      if (!*event) break;
      note(**event);
    }
  }
  if (const auto rest = framer.finish()) note(*rest);
  return seen;
}

struct StreamRow {
  const char* name;
  std::string stream;
  std::vector<std::string> events;
};
class Streams : public testing::TestWithParam<StreamRow> {};

TEST_P(Streams, are_cut_into_the_same_events_whatever_their_pieces) {
  const StreamRow& row = GetParam();
  for (std::size_t step = 1; step <= row.stream.size() + 1; ++step) {
    SseFramer framer;
    const Seen seen = read(row.stream, step, framer);
    EXPECT_EQ(seen.events, row.events) << "in pieces of " << step;
    EXPECT_EQ(seen.all, row.stream) << "in pieces of " << step;
  }
}

INSTANTIATE_TEST_SUITE_P(
    rows, Streams,
    testing::Values(
        StreamRow{"empty", "", {}}, StreamRow{"one", "data: a\n\n", {"|a"}},
        StreamRow{"two", "data: a\n\ndata: b\n\n", {"|a", "|b"}},
        StreamRow{"typed", "event: tick\ndata: 1\n\n", {"tick|1"}},
        StreamRow{"type_is_forgotten", "event: tick\ndata: 1\n\ndata: 2\n\n", {"tick|1", "|2"}},
        StreamRow{"last_type_counts", "event: a\nevent: b\ndata:\n\n", {"b|"}},
        StreamRow{"crlf", "event: t\r\ndata: a\r\n\r\ndata: b\r\n\r\n", {"t|a", "|b"}},
        StreamRow{"cr", "event: t\rdata: a\r\rdata: b\r\r", {"t|a", "|b"}},
        StreamRow{"all_line_ends", "data: a\rdata: b\ndata: c\r\n\r\n", {"|a\nb\nc"}},
        StreamRow{"cr_then_lf_line", "data: a\r\n\ndata: b\n\r\n", {"|a", "|b"}},
        StreamRow{"byte_order_mark",
                  "\xEF\xBB\xBF"
                  "data: a\n\n",
                  {"|a"}},
        StreamRow{"mark_in_the_middle",
                  "data: a\n\n\xEF\xBB\xBF"
                  "data: b\n\n",
                  {"|a"}},
        StreamRow{"half_a_mark",
                  "\xEF\xBB"
                  "data: a\n\n",
                  {}},
        StreamRow{"comments", ": hello\n\n:\ndata: a\n: more\n\n", {"|a"}},
        StreamRow{"many_lines", "data: a\ndata:\ndata: b\n\n", {"|a\n\nb"}},
        StreamRow{"no_colon", "data\n\n", {"|"}},
        StreamRow{"one_space_goes", "data:  a\n\ndata:a\n\n", {"| a", "|a"}},
        StreamRow{"colon_in_data", "data: a: b\n\n", {"|a: b"}},
        StreamRow{"unknown_fields", "data: a\nfoo: b\nData: c\n\n", {"|a"}},
        StreamRow{"no_data_is_no_event", "event: t\nid: 4\n\ndata: a\n\n", {"|a"}},
        StreamRow{"blank_lines", "\n\n\r\n\rdata: a\n\n\n", {"|a"}},
        StreamRow{"cut_off", "data: a\n\ndata: b", {"|a", "|b"}},
        StreamRow{"cut_off_line", "data: a\n\ndata: b\n", {"|a", "|b"}},
        StreamRow{"cut_off_at_cr", "data: a\r\n\r\ndata: b\r", {"|a", "|b"}},
        StreamRow{"cut_off_comment", "data: a\n\n: b", {"|a"}},
        StreamRow{"bytes_that_are_not_text",
                  std::string("data: \xff\x00\x01\n\n", 11),
                  {std::string("|\xff\x00\x01", 4)}}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(SseFramer, gives_an_event_with_its_blank_line_and_not_later) {
  SseFramer framer;
  framer.feed("data: a\n\ndata: b\r\n\r");
  auto event = framer.next();
  ASSERT_TRUE(event && *event);
  EXPECT_EQ((*event)->bytes, "data: a\n\n");
  event = framer.next();
  ASSERT_TRUE(event && *event) << "a CR ends a line";
  EXPECT_EQ((*event)->data, "b");
  EXPECT_EQ((*event)->bytes, "data: b\r\n\r");
  event = framer.next();
  ASSERT_TRUE(event && !*event);
  framer.feed("\ndata: c\r\n\r\n");
  event = framer.next();
  ASSERT_TRUE(event && *event);
  EXPECT_EQ((*event)->bytes, "\ndata: c\r\n\r\n");
  EXPECT_EQ((*event)->data, "c");
  EXPECT_EQ(framer.pending(), 0U);
  EXPECT_FALSE(framer.finish());
}

TEST(SseFramer, keeps_comments_and_bare_fields_as_blocks_of_their_own) {
  SseFramer framer;
  const Seen seen = read(": ping\n\nretry: 1500\nid: 7\n\ndata: a\n\n", 5, framer);
  EXPECT_THAT(seen.bytes, ElementsAre(": ping\n\n", "retry: 1500\nid: 7\n\n", "data: a\n\n"));
  EXPECT_THAT(seen.events, ElementsAre("|a"));
  EXPECT_EQ(framer.last_id(), "7");
  EXPECT_EQ(framer.retry(), 1500U);
}

TEST(SseFramer, ignores_what_is_no_retry_time_and_ids_with_nul) {
  SseFramer framer;
  std::ignore = read(std::string("retry: 12x\nretry: -1\nretry:\nid: 1\n\nid: 2\0\ndata:\n\n", 49),
                     3, framer);
  EXPECT_EQ(framer.retry(), std::nullopt);
  EXPECT_EQ(framer.last_id(), "1");
}

TEST(SseFramer, refuses_an_event_beyond_its_limit_in_whatever_pieces) {
  const std::string fits = "data: 12\n\n";
  const std::string long_one = "data: 123\n\n";
  for (std::size_t step = 1; step <= long_one.size(); ++step) {
    SseFramer small(fits.size());
    EXPECT_FALSE(read(fits + fits, step, small).failed) << step;
    SseFramer other(fits.size());
    const Seen seen = read(fits + long_one + fits, step, other);
    EXPECT_TRUE(seen.failed) << step;
    EXPECT_EQ(seen.all, fits) << step;
    EXPECT_FALSE(other.next()) << "it stays refused";
  }
}

struct TypeRow {
  const char* value;
  bool stream;
};
class Types : public testing::TestWithParam<TypeRow> {};
TEST_P(Types, say_what_is_a_stream) {
  EXPECT_EQ(is_event_stream(GetParam().value), GetParam().stream);
}
INSTANTIATE_TEST_SUITE_P(rows, Types,
                         testing::Values(TypeRow{"text/event-stream", true},
                                         TypeRow{"Text/Event-Stream; charset=utf-8", true},
                                         TypeRow{"text/event-stream ;charset=utf-8", true},
                                         TypeRow{"text/event-streams", false},
                                         TypeRow{"application/json", false}, TypeRow{"", false},
                                         TypeRow{"; text/event-stream", false}));

TEST(FormatSse, is_read_back) {
  EXPECT_EQ(format_sse("", "a"), "data: a\n\n");
  EXPECT_EQ(format_sse("tick", "a\nb"), "event: tick\ndata: a\ndata: b\n\n");
  SseFramer framer;
  EXPECT_THAT(read(format_sse("t", "x\n\ny"), 4, framer).events, ElementsAre("t|x\n\ny"));
}

}  // namespace
}  // namespace octroi::http
