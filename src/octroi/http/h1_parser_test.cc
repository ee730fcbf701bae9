#include "octroi/http/h1_parser.h"

#include <gtest/gtest.h>

#include "octroi/http/h1_body.h"
#include "octroi/http/testdata_test.h"

namespace octroi::http::h1 {
namespace {

/// Gives the parser one byte more at a time, at a new address each time.
Step parse_by_bytes(HeadParser& parser, std::string_view bytes, std::string& last) {
  parser.reset();
  Step step = Step::more;
  for (std::size_t n = 0; n <= bytes.size(); ++n) {
    last = std::string(bytes.substr(0, n));
    last.shrink_to_fit();
    step = parser.parse(last);
    if (step != Step::more) break;
  }
  return step;
}

std::string verdict_of(const HeadParser& parser, Step step) {
  switch (step) {
    case Step::more:
      return "more";
    case Step::done:
      return "accept";
    case Step::fault:
      return std::string(fault_name(parser.fault()));
  }
  return "?";
}

TEST(RequestHeads, EveryRowWholeAndByteByByte) {
  const json::Document table = load_table("request_heads.json");
  std::size_t rows = 0;
  const auto cases = *table.root().array("cases");
  for (const json::Value row : cases.elements()) {
    ++rows;
    const std::string name(*row.string("name"));
    SCOPED_TRACE(name);
    const std::string bytes = to_bytes(*row.string("bytes"));
    HeadParser parser(HeadParser::Kind::request, {});
    std::string buffer = bytes;
    for (const bool whole : {true, false}) {
      parser.reset();
      const Step step = whole ? parser.parse(buffer) : parse_by_bytes(parser, bytes, buffer);
      ASSERT_EQ(verdict_of(parser, step), *row.string("verdict"));
      if (step != Step::done) continue;
      EXPECT_EQ(parser.method(), *row.string("method"));
      EXPECT_EQ(parser.target(), to_bytes(*row.string("target")));
      EXPECT_EQ(parser.host(), *row.string("host"));
      EXPECT_EQ(framing_text(parser.request_framing()), *row.string("framing"));
      const auto version = *row.optional_string("version");
      EXPECT_EQ(parser.version(), version == "1.0" ? Version::http10 : Version::http11);
      EXPECT_EQ(bytes.substr(parser.size() - 4, 4), "\r\n\r\n");
      if (!whole) {
        EXPECT_EQ(parser.size(), buffer.size());  // not one byte too many
      }
      const auto fields = row.find("fields");
      if (!fields) continue;
      Headers headers;
      parser.copy_fields(headers);
      std::size_t i = 0;
      for (const json::Value field : fields->elements()) {
        std::vector<std::string> pair;
        for (const json::Value text : field.elements()) pair.push_back(to_bytes(*text.as_string()));
        ASSERT_LT(i, headers.size());
        EXPECT_EQ(headers.at(i).name, pair[0]);
        EXPECT_EQ(headers.at(i).value, pair[1]);
        ++i;
      }
      EXPECT_EQ(i, headers.size());
    }
  }
  EXPECT_GT(rows, 140U);
}

TEST(ResponseHeads, EveryRowWholeAndByteByByte) {
  const json::Document table = load_table("response_heads.json");
  const auto cases = *table.root().array("cases");
  for (const json::Value row : cases.elements()) {
    SCOPED_TRACE(*row.string("name"));
    const std::string bytes = to_bytes(*row.string("bytes"));
    HeadParser parser(HeadParser::Kind::response, {});
    std::string buffer = bytes;
    for (const bool whole : {true, false}) {
      parser.reset();
      const Step step = whole ? parser.parse(buffer) : parse_by_bytes(parser, bytes, buffer);
      ASSERT_EQ(verdict_of(parser, step), *row.string("verdict"));
      if (step != Step::done) continue;
      EXPECT_EQ(parser.status(), *row.int64("status"));
      EXPECT_EQ(framing_text(parser.response_framing(*row.string("method"))),
                *row.string("framing"));
    }
  }
}

struct Decoded {
  std::string verdict;
  std::string body;
  std::string rest;
  std::vector<std::pair<std::string, std::string>> trailers;
};

/// Feeds `step` bytes at a time through the reader that connections use.
Decoded decode(std::string_view bytes, std::size_t step) {
  BodyReader reader({16 * 1024, 100, 0});
  reader.begin({BodyKind::chunked, 0});
  ReadBuffer buffer;
  Decoded out;
  std::size_t fed = 0;
  for (;;) {
    const BodyReader::Pull pull = reader.pull(buffer);
    if (pull.what == BodyReader::Pull::What::data) {
      EXPECT_FALSE(pull.data.empty());
      out.body.append(as_text(pull.data));
      continue;
    }
    if (pull.what == BodyReader::Pull::What::end || pull.what == BodyReader::Pull::What::fault) {
      out.verdict = pull.what == BodyReader::Pull::What::end ? "end" : "fault";
      break;
    }
    if (fed == bytes.size()) {
      out.verdict = "more";
      break;
    }
    const auto room = buffer.room();
    const std::size_t n = std::min({step, bytes.size() - fed, room.size()});
    std::memcpy(room.data(), bytes.data() + fed, n);
    buffer.filled(n);
    fed += n;
  }
  out.rest = std::string(buffer.text()) + std::string(bytes.substr(fed));
  for (const Field f : reader.trailers()) out.trailers.emplace_back(f.name, f.value);
  return out;
}

TEST(ChunkedBodies, EveryRowInEveryStep) {
  const json::Document table = load_table("chunked_bodies.json");
  const auto cases = *table.root().array("cases");
  for (const json::Value row : cases.elements()) {
    SCOPED_TRACE(*row.string("name"));
    const std::string bytes = to_bytes(*row.string("bytes"));
    for (const std::size_t step :
         {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, std::size_t{100'000}}) {
      const Decoded got = decode(bytes, step);
      ASSERT_EQ(got.verdict, *row.string("verdict")) << step;
      if (got.verdict == "fault") continue;
      EXPECT_EQ(got.body, *row.string("body"));
      if (got.verdict != "end") continue;
      EXPECT_EQ(got.rest, *row.string("rest"));
      std::vector<std::pair<std::string, std::string>> expected;
      const auto trailers = *row.array("trailers");
      for (const json::Value t : trailers.elements()) {
        std::vector<std::string> pair;
        for (const json::Value text : t.elements()) pair.emplace_back(*text.as_string());
        expected.emplace_back(pair[0], pair[1]);
      }
      EXPECT_EQ(got.trailers, expected);
    }
  }
}

TEST(Limits, AreKeptToTheByte) {
  const std::string line = "GET /" + std::string(95, 'x') + " HTTP/1.1\r\n";
  const std::string rest = "Host: a\r\n\r\n";
  struct Row {
    std::string name;
    Limits limits;
    std::string bytes;
    std::string verdict;
  };
  const std::string many = line + "Host: a\r\nA: 1\r\nB: 2\r\n\r\n";
  for (const Row& row : std::initializer_list<Row>{
           {"head fits", {line.size() + rest.size(), 100, 8192}, line + rest, "accept"},
           {"head one too small",
            {line.size() + rest.size() - 1, 100, 8192},
            line + rest,
            "head_too_large"},
           {"first line too long", {50, 100, 8192}, line + rest, "target_too_long"},
           {"target fits", {4096, 100, 96}, line + rest, "accept"},
           {"target one too long", {4096, 100, 95}, line + rest, "target_too_long"},
           {"fields fit", {4096, 3, 8192}, many, "accept"},
           {"one field too many", {4096, 2, 8192}, many, "too_many_fields"},
           {"endless line", {64, 100, 8192}, std::string(64, 'A'), "target_too_long"},
       }) {
    HeadParser parser(HeadParser::Kind::request, row.limits);
    EXPECT_EQ(verdict_of(parser, parser.parse(row.bytes)), row.verdict) << row.name;
    std::string last;
    EXPECT_EQ(verdict_of(parser, parse_by_bytes(parser, row.bytes, last)), row.verdict) << row.name;
  }
}

TEST(Connect, IsReadWhereTunnelsAreOpened) {
  Limits limits;
  limits.connect = true;
  struct Row {
    std::string name, bytes, verdict, target, host;
  };
  const std::string host = "Host: a.example:443\r\n";
  for (const Row& row : std::initializer_list<Row>{
           {"as it should be", "CONNECT a.example:443 HTTP/1.1\r\n" + host + "\r\n", "accept",
            "a.example:443", "a.example:443"},
           {"a Host without its port", "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "accept", "a.example:443", "a.example:443"},
           {"HTTP/1.0 without Host", "CONNECT a.example:443 HTTP/1.0\r\n\r\n", "accept",
            "a.example:443", "a.example:443"},
           {"an address", "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n", "accept",
            "[::1]:443", "[::1]:443"},
           {"no length", "CONNECT a.example:443 HTTP/1.1\r\n" + host + "Content-Length: 0\r\n\r\n",
            "accept", "a.example:443", "a.example:443"},
           {"no port", "CONNECT a.example HTTP/1.1\r\n" + host + "\r\n", "bad_target", "", ""},
           {"an empty port", "CONNECT a.example: HTTP/1.1\r\n" + host + "\r\n", "bad_target", "",
            ""},
           {"an address without port", "CONNECT [::1] HTTP/1.1\r\n" + host + "\r\n", "bad_target",
            "", ""},
           {"a path", "CONNECT /a HTTP/1.1\r\n" + host + "\r\n", "bad_target", "", ""},
           {"a URL", "CONNECT http://a.example:443/ HTTP/1.1\r\n" + host + "\r\n", "bad_target", "",
            ""},
           {"a user", "CONNECT u@a.example:443 HTTP/1.1\r\n" + host + "\r\n", "bad_target", "", ""},
           {"a body", "CONNECT a.example:443 HTTP/1.1\r\n" + host + "Content-Length: 1\r\n\r\n",
            "bad_content_length", "", ""},
           {"a coded body",
            "CONNECT a.example:443 HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n",
            "bad_transfer_coding", "", ""},
           {"no Host", "CONNECT a.example:443 HTTP/1.1\r\n\r\n", "bad_host", "", ""},
       }) {
    HeadParser parser(HeadParser::Kind::request, limits);
    EXPECT_EQ(verdict_of(parser, parser.parse(row.bytes)), row.verdict) << row.name;
    if (row.verdict != "accept") continue;
    EXPECT_EQ(parser.target(), row.target) << row.name;
    EXPECT_EQ(parser.host(), row.host) << row.name;
    EXPECT_FALSE(parser.absolute()) << row.name;
    EXPECT_EQ(parser.request_framing(), Framing{}) << row.name;
  }
}

TEST(AbsoluteForm, KeepsItsScheme) {
  for (const auto& [target, absolute, https] :
       std::initializer_list<std::tuple<std::string, bool, bool>>{
           {"/x", false, false},
           {"http://a/x", true, false},
           {"https://a/x", true, true},
           {"HTTPS://a", true, true},
       }) {
    HeadParser parser(HeadParser::Kind::request, {});
    const std::string bytes = "GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n";
    ASSERT_EQ(parser.parse(bytes), Step::done) << target;
    EXPECT_EQ(parser.absolute(), absolute) << target;
    EXPECT_EQ(parser.absolute_https(), https) << target;
  }
}

TEST(Signals, OfConnectionExpectAndUpgrade) {
  HeadParser parser(HeadParser::Kind::request, {});
  const std::string bytes =
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Keep-Alive ,UPGRADE\r\nconnection: close\r\n"
      "Upgrade: websocket\r\nExpect: 100-Continue\r\nDate: now\r\n\r\n";
  ASSERT_EQ(parser.parse(bytes), Step::done);
  const Signals& s = parser.signals();
  EXPECT_TRUE(s.close && s.keep_alive && s.upgrade && s.names_fields && s.has_upgrade_field &&
              s.expect_continue && s.has_date);
  EXPECT_FALSE(s.expect_other);
}

TEST(HeadParser, AWarmParserIsAsGoodAsANewOne) {
  HeadParser parser(HeadParser::Kind::request, {});
  const std::string first =
      "POST /1 HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\n";
  const std::string second = "GET /2 HTTP/1.1\r\nHost: b\r\n\r\n";
  ASSERT_EQ(parser.parse(first), Step::done);
  parser.reset();
  ASSERT_EQ(parser.parse(second), Step::done);
  EXPECT_EQ(parser.method(), "GET");
  EXPECT_EQ(parser.host(), "b");
  EXPECT_EQ(parser.version(), Version::http11);
  EXPECT_EQ(framing_text(parser.request_framing()), "none");
  EXPECT_FALSE(parser.signals().close);
  EXPECT_FALSE(parser.content_length());
}

TEST(Faults, HaveStatusAndWords) {
  EXPECT_EQ(status_of(Fault::unsupported_version), 505);
  EXPECT_EQ(status_of(Fault::unknown_transfer_coding), 501);
  EXPECT_EQ(status_of(Fault::method_not_served), 501);
  EXPECT_EQ(status_of(Fault::too_many_fields), 431);
  EXPECT_EQ(status_of(Fault::head_too_large), 431);
  EXPECT_EQ(status_of(Fault::target_too_long), 414);
  EXPECT_EQ(status_of(Fault::bad_host), 400);
  for (int i = 0; i <= static_cast<int>(Fault::long_extensions); ++i) {
    EXPECT_FALSE(describe(static_cast<Fault>(i)).empty());
  }
}

}  // namespace
}  // namespace octroi::http::h1
