// The server's HTTP/2 as seen by clients that break the rules, or keep them to do harm.
#include <gtest/gtest.h>

#include "octroi/http/h2_frames_test.h"
#include "octroi/http/server.h"
#include "octroi/task/sync.h"

namespace octroi::http::h2 {
namespace {

struct Seen {
  int requests = 0;
  int running = 0;
  int peak = 0;
  Event go;
};
/// Runs until the test says so, whatever becomes of its stream.
Task<void> linger_on(Exchange* x, Seen* seen) {
  ++seen->requests;
  seen->peak = std::max(seen->peak, ++seen->running);
  co_await seen->go.wait();
  --seen->running;
  std::ignore = co_await x->respond({}, "late");
}
Task<void> count(Exchange* x, Seen* seen) {
  ++seen->requests;
  std::ignore = co_await x->respond({}, "ok");
}
Task<void> read_to_end(Exchange* x, Seen* seen, std::string* error) {
  ++seen->requests;
  const auto body = co_await read_all(x->body(), 1 << 20);
  *error = body ? "" : std::string(body.error().code());
  ResponseHead head;
  head.status = body ? 200 : 408;
  std::ignore = co_await x->respond(std::move(head), "read");
}

class H2AttackTest : public testing::Test {
 protected:
  template <class T>
  T run(Task<T> task) {
    return net::run_until(loop, std::move(task));
  }
  /// Sends all, and reads until the server closes or `patience` has passed.
  std::string play(Server& server, const std::string& bytes, Millis patience = Millis(3000)) {
    return run(play_to(&loop, server.local(), bytes, patience));
  }
  static Task<std::string> play_to(net::Loop* loop, net::Endpoint to, std::string bytes,
                                   Millis patience) {
    Wire wire = co_await Wire::to(loop, to);
    co_await wire.send(std::move(bytes));
    co_return co_await wire.rest(patience);
  }
  std::unique_ptr<Server> counting(ServerLimits limits = {}) {
    return serve(loop, [this](Exchange& x) { return count(&x, &seen); }, limits);
  }
  net::Loop loop;
  Seen seen;
};

std::string repeat(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

// ---- heads

TEST_F(H2AttackTest, AHeadThatHttp1WouldRefuseNeverReachesAHandler) {
  auto server = counting();
  struct Row {
    const char* name;
    Fields fields;
    std::string expected;  // a status, or how the stream is refused
  };
  const Fields good = get_fields();
  const auto with = [&good](std::size_t at, std::string value) {
    Fields fields = good;
    fields[at].second = std::move(value);
    return fields;
  };
  const auto without = [&good](std::size_t at) {
    Fields fields = good;
    fields.erase(fields.begin() + static_cast<std::ptrdiff_t>(at));
    return fields;
  };
  const auto plus = [&good](Fields more) {
    Fields fields = good;
    fields.insert(fields.end(), more.begin(), more.end());
    return fields;
  };
  const std::string kMalformed = "RST_STREAM 1 PROTOCOL_ERROR";
  const std::vector<Row> rows = {
      {"no method", without(0), kMalformed},
      {"no scheme", without(1), kMalformed},
      {"no path", without(3), kMalformed},
      {"neither authority nor host", without(2), kMalformed},
      {"empty path", with(3, ""), kMalformed},
      {"relative path", with(3, "a"), kMalformed},
      {"path with a space", with(3, "/a b"), kMalformed},
      {"path with a fragment", with(3, "/a#b"), "400"},
      {"path with a backslash", with(3, "/a\\b"), "400"},
      {"path beyond ASCII", with(3, "/\xc3\xa4"), "400"},
      {"absolute path", with(3, "http://a.test/"), kMalformed},
      {"asterisk for GET", with(3, "*"), kMalformed},
      {"long path", with(3, "/" + std::string(9000, 'p')), "414"},
      {"another scheme", with(1, "ftp"), "400"},
      {"method with a space", with(0, "GE T"), kMalformed},
      {"CONNECT", {{":method", "CONNECT"}, {":authority", "a.test:443"}}, "501"},
      {"authority with a user", with(2, "me@a.test"), "400"},
      {"authority with a space", with(2, "a test"), kMalformed},
      {"authority with two ports", with(2, "a.test:1:2"), "400"},
      {"empty authority", with(2, ""), kMalformed},
      {"another host", plus({{"host", "b.test"}}), "400"},
      {"two hosts", plus({{"host", "a.test"}, {"host", "a.test"}}), kMalformed},
      {"two authorities", plus({{":authority", "a.test"}}), kMalformed},
      {"pseudo field last",
       {{":method", "GET"}, {"x", "1"}, {":scheme", "http"}, {":path", "/"}},
       kMalformed},
      {"unknown pseudo field", plus({{":secret", "1"}}), kMalformed},
      {"status in a request", plus({{":status", "200"}}), kMalformed},
      {"upper case", plus({{"X-Upper", "1"}}), kMalformed},
      {"space in a name", plus({{"a b", "1"}}), "400"},
      {"colon in a name", plus({{"a:b", "1"}}), "400"},
      {"empty name", plus({{"", "1"}}), "400"},
      {"line end in a value", plus({{"x", "1\r\nhost: b"}}), "400"},
      {"NUL in a value", plus({{"x", std::string("1\0", 2)}}), "400"},
      {"control in a value", plus({{"x", "\x01"}}), "400"},
      {"space before a value", plus({{"x", " 1"}}), "400"},
      {"connection", plus({{"connection", "close"}}), kMalformed},
      {"keep-alive", plus({{"keep-alive", "1"}}), kMalformed},
      {"proxy-connection", plus({{"proxy-connection", "1"}}), kMalformed},
      {"upgrade", plus({{"upgrade", "h2c"}}), kMalformed},
      {"transfer-encoding", plus({{"transfer-encoding", "chunked"}}), kMalformed},
      {"te gzip", plus({{"te", "gzip"}}), kMalformed},
      {"length with a sign", plus({{"content-length", "+1"}}), kMalformed},
      {"length list", plus({{"content-length", "1, 1"}}), kMalformed},
      {"two lengths", plus({{"content-length", "0"}, {"content-length", "0"}}), kMalformed},
      {"length without body", plus({{"content-length", "5"}}), kMalformed},
      {"unknown expectation", plus({{"expect", "miracles"}}), "417"},
      {"extended CONNECT",
       {{":method", "CONNECT"},
        {":scheme", "http"},
        {":path", "/"},
        {":authority", "a.test"},
        {":protocol", "websocket"}},
       kMalformed},
      {"large head", plus({{"x", std::string(130'000, 'l')}}), "GOAWAY COMPRESSION_ERROR"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const std::string head = block(row.fields);
    std::string bytes = hello();
    if (head.size() <= 16384) {
      bytes += frame(NGHTTP2_HEADERS, kEnd | kEndHeaders, 1, head);
    } else {
      bytes += frame(NGHTTP2_HEADERS, kEnd, 1, head.substr(0, 16384));
      for (std::size_t at = 16384; at < head.size(); at += 16384) {
        const std::string part = head.substr(at, 16384);
        bytes += frame(NGHTTP2_CONTINUATION, at + 16384 >= head.size() ? kEndHeaders : 0, 1, part);
      }
    }
    bytes += frame(NGHTTP2_GOAWAY, 0, 0, std::string(8, '\0'));  // nothing more: close after it
    const std::string got = play(*server, bytes);
    std::string said = refusals(got);
    for (const Frame& f : frames_of(got)) {
      if (f.type != NGHTTP2_HEADERS) continue;
      nghttp2_hd_inflater* inflater = nullptr;
      nghttp2_hd_inflate_new(&inflater);
      nghttp2_nv nv;
      int flags = 0;
      std::vector<std::uint8_t> payload(f.payload.begin(), f.payload.end());
      nghttp2_hd_inflate_hd2(inflater, &nv, &flags, payload.data(), payload.size(), 1);
      said = std::string(reinterpret_cast<const char*>(nv.value), nv.valuelen);
      nghttp2_hd_inflate_del(inflater);
    }
    EXPECT_EQ(said, row.expected);
    EXPECT_EQ(seen.requests, 0);
  }
}

TEST_F(H2AttackTest, LimitsOfAHead) {
  ServerLimits limits;
  limits.max_head = 4096;
  limits.max_fields = 10;
  auto server = counting(limits);
  const auto code = [&](const Fields& more, bool continued = false) {
    Fields fields = get_fields();
    fields.insert(fields.end(), more.begin(), more.end());
    auto c = run(H2Client::to(&loop, server->local()));
    std::ignore = continued;
    return run(c->answer(c->request(fields))).status;
  };
  EXPECT_EQ(code(Fields(10, {"x", "1"})), 200);
  EXPECT_EQ(code(Fields(11, {"x", "1"})), 431);
  EXPECT_EQ(code({{"x", std::string(3800, 'v')}}), 200);
  EXPECT_EQ(code({{"x", std::string(4000, 'v')}}), 431);
  EXPECT_EQ(code(Fields(30, {"cookie", "a=1"})), 200);   // crumbs are one field
  EXPECT_EQ(code(Fields(200, {"cookie", "a=1"})), 431);  // of a limited size
}

TEST_F(H2AttackTest, ALengthThatIsNotKeptIsNoWholeBody) {
  std::string error;
  auto server = serve(loop, [&](Exchange& x) { return read_to_end(&x, &seen, &error); });
  Fields fields = get_fields();
  fields[0].second = "POST";
  fields.emplace_back("content-length", "4");
  for (const char* body : {"abc", "abcde"}) {
    error = "-";
    EXPECT_EQ(refusals(play(*server,
                            hello() + frame(NGHTTP2_HEADERS, kEndHeaders, 1, block(fields)) +
                                frame(NGHTTP2_DATA, kEnd, 1, body),
                            Millis(200))),
              "RST_STREAM 1 PROTOCOL_ERROR");
    EXPECT_EQ(error, "http.closed");
  }
}

TEST_F(H2AttackTest, AHeadThatExplodesIsNotDecodedForLong) {
  auto server = counting();
  // A field of 4000 bytes goes into the table; then each byte stands for it.
  std::string head = block(get_fields());
  head += std::string("\x40\x01x\x7f", 4);
  std::size_t n = 4000 - 127;
  for (; n >= 128; n >>= 7) head += static_cast<char>(0x80 | (n & 0x7f));
  head += static_cast<char>(n) + std::string(4000, 'v');
  head += std::string(10'000, '\xbe');
  EXPECT_EQ(refusals(play(*server, hello() + frame(NGHTTP2_HEADERS, kEnd | kEndHeaders, 1, head))),
            "GOAWAY ENHANCE_YOUR_CALM");
  EXPECT_EQ(seen.requests, 0);
}

TEST_F(H2AttackTest, AHeadIsNotContinuedForEver) {
  auto server = counting();
  std::string bytes = hello() + frame(NGHTTP2_HEADERS, kEnd, 1, block(get_fields()));
  bytes += repeat(frame(NGHTTP2_CONTINUATION, 0, 1, literal("x", "1")), 20);
  EXPECT_EQ(refusals(play(*server, bytes)), "GOAWAY ENHANCE_YOUR_CALM");
  EXPECT_EQ(seen.requests, 0);
}

// ---- floods

TEST_F(H2AttackTest, FramesThatMoveNothing) {
  struct Row {
    const char* name;
    std::string once;
    int times;
  };
  const std::string zero4(4, '\0');
  const std::string open =
      frame(NGHTTP2_HEADERS, kEndHeaders, 1,
            block({{":method", "POST"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}}));
  const std::vector<Row> rows = {
      {"PING", frame(NGHTTP2_PING, 0, 0, std::string(8, 'p')), 5000},
      {"PING acks", frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, std::string(8, 'p')), 5000},
      {"SETTINGS", frame(NGHTTP2_SETTINGS, 0, 0), 500},
      {"empty DATA", frame(NGHTTP2_DATA, 0, 1), 5000},
      {"PRIORITY", frame(NGHTTP2_PRIORITY, 0, 3, zero4 + "\x10"), 5000},
      {"WINDOW_UPDATE", frame(NGHTTP2_WINDOW_UPDATE, 0, 1, std::string("\0\0\0\1", 4)), 5000},
      {"unknown", frame(0x77, 0, 0, "?"), 5000},
      {"empty CONTINUATION", frame(NGHTTP2_CONTINUATION, 0, 1), 5000},
  };
  auto server = serve(loop, [this](Exchange& x) { return linger_on(&x, &seen); });
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    std::string start = open;
    if (row.once[3] == NGHTTP2_CONTINUATION) {
      start[4] = 0;  // its block goes on
    }
    const std::string got = play(*server, hello() + start + repeat(row.once, row.times));
    const std::string said = refusals(got);
    EXPECT_EQ(said, "GOAWAY ENHANCE_YOUR_CALM");
    // A few answers to PING and SETTINGS are due, not one each.
    EXPECT_LE(frames_of(got).size(), 2100U);
  }
  seen.go.set();
}

TEST_F(H2AttackTest, AnswersThatNobodyReadsDoNotPileUp) {
  // Few enough to be no flood, but not read by their sender.
  auto server = counting();
  auto c = run(H2Client::to(&loop, server->local()));
  for (int i = 0; i < 60; ++i) nghttp2_submit_settings(c->session(), NGHTTP2_FLAG_NONE, nullptr, 0);
  for (int i = 0; i < 100; ++i) nghttp2_submit_ping(c->session(), NGHTTP2_FLAG_NONE, nullptr);
  EXPECT_EQ(run(c->answer(c->request(get_fields()))).status, 200);
}

TEST_F(H2AttackTest, RapidResetIsSentAway) {
  auto server = counting();
  std::string bytes = hello();
  for (std::uint32_t id = 1; id < 4001; id += 2) {
    bytes += frame(NGHTTP2_HEADERS, kEnd | kEndHeaders, id, block(get_fields()));
    bytes += frame(NGHTTP2_RST_STREAM, 0, id, std::string("\0\0\0\x8", 4));
  }
  EXPECT_EQ(refusals(play(*server, bytes)), "GOAWAY ENHANCE_YOUR_CALM");
  EXPECT_LE(seen.requests, 700);
}

TEST_F(H2AttackTest, MakingUsResetCountsAsMuch) {
  auto server = counting();
  Fields fields = get_fields();
  fields.emplace_back("content-length", "5");  // and no body
  std::string bytes = hello();
  for (std::uint32_t id = 1; id < 4001; id += 2)
    bytes += frame(NGHTTP2_HEADERS, kEnd | kEndHeaders, id, block(fields));
  const std::string got = play(*server, bytes);
  EXPECT_NE(refusals(got).find("GOAWAY ENHANCE_YOUR_CALM"), std::string::npos);
  EXPECT_EQ(seen.requests, 0);
}

TEST_F(H2AttackTest, HandlersOfResetStreamsStillCount) {
  ServerLimits limits;
  limits.max_streams = 10;
  auto server = serve(loop, [this](Exchange& x) { return linger_on(&x, &seen); }, limits);
  auto c = run(H2Client::to(&loop, server->local()));
  run(c->until([&] { return c->settled; }, kTestPatience));
  for (int i = 0; i < 25; ++i) {
    const std::int32_t id = c->request(get_fields());
    std::ignore = run(c->flush());
    run(loop.sleep(Millis(2)));
    c->reset(id);
    std::ignore = run(c->flush());
  }
  run(loop.sleep(Millis(20)));
  EXPECT_EQ(seen.requests, 10);
  EXPECT_EQ(seen.peak, 10);
  const std::int32_t refused = c->request(get_fields());
  EXPECT_EQ(run(c->answer(refused)).reset, NGHTTP2_REFUSED_STREAM);
  seen.go.set();
  run(loop.sleep(Millis(20)));
  EXPECT_EQ(run(c->answer(c->request(get_fields()))).status, 200);
}

TEST_F(H2AttackTest, PushFromAClientAndAPassedOverStream) {
  auto server = counting();
  EXPECT_EQ(refusals(play(*server, hello() + frame(NGHTTP2_PUSH_PROMISE, kEndHeaders, 1,
                                                   std::string("\0\0\0\2", 4)))),
            "GOAWAY PROTOCOL_ERROR");
  EXPECT_EQ(
      refusals(play(*server,
                    hello() + frame(NGHTTP2_HEADERS, kEnd | kEndHeaders, 5, block(get_fields())) +
                        frame(NGHTTP2_HEADERS, kEnd | kEndHeaders, 3, block(get_fields())))),
      "GOAWAY PROTOCOL_ERROR");
}

// ---- slowness

TEST_F(H2AttackTest, HeadsThatDoNotEnd) {
  ServerLimits limits;
  limits.head_timeout = Millis(150);
  auto server = counting(limits);
  const std::string head = frame(NGHTTP2_HEADERS, kEnd | kEndHeaders, 1, block(get_fields()));
  struct Row {
    const char* name;
    std::string bytes;
    const char* expected;
  };
  for (const Row& row : {
           Row{"half a preface", std::string(kPreface.substr(0, 20)), "GOAWAY ENHANCE_YOUR_CALM"},
           Row{"half a frame's header", hello() + head.substr(0, 5), "GOAWAY ENHANCE_YOUR_CALM"},
           Row{"half a frame", hello() + head.substr(0, 15), "GOAWAY ENHANCE_YOUR_CALM"},
           Row{"half a block", hello() + frame(NGHTTP2_HEADERS, kEnd, 1, block(get_fields())),
               "GOAWAY ENHANCE_YOUR_CALM"},
           Row{"nothing after the preface", hello(), "GOAWAY NO_ERROR"},
       }) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(refusals(play(*server, row.bytes)), row.expected);
  }
  EXPECT_EQ(seen.requests, 0);
}

TEST_F(H2AttackTest, ManyHeadsInHalvesAreNotOneSlowHead) {
  ServerLimits limits;
  limits.head_timeout = Millis(1'000);  // the whole takes longer, each head a fraction of it
  auto server = counting(limits);
  Wire wire = run(Wire::to(&loop, server->local()));
  std::string bytes = hello();
  for (std::uint32_t id = 1; id < 41; id += 2)
    bytes += frame(NGHTTP2_HEADERS, kEnd | kEndHeaders, id, block(get_fields()));
  const std::size_t step = bytes.size() / 20 + 1;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    ASSERT_TRUE(run(wire.send(bytes.substr(at, step))));
    run(loop.sleep(Millis(60)));
  }
  EXPECT_EQ(refusals(run(wire.rest(Millis(50)))), "");
  EXPECT_EQ(seen.requests, 20);
}

TEST_F(H2AttackTest, AnIdleConnectionIsClosed) {
  ServerLimits limits;
  limits.idle_timeout = Millis(150);
  auto server = counting(limits);
  const std::string got =
      play(*server, hello() + frame(NGHTTP2_HEADERS, kEnd | kEndHeaders, 1, block(get_fields())));
  EXPECT_EQ(seen.requests, 1);
  EXPECT_EQ(refusals(got), "GOAWAY NO_ERROR");
}

TEST_F(H2AttackTest, ABodyThatStopsOrTrickles) {
  std::string error;
  ServerLimits limits;
  limits.body_timeout = Millis(150);
  auto server = serve(loop, [&](Exchange& x) { return read_to_end(&x, &seen, &error); }, limits);
  Fields fields = get_fields();
  fields[0].second = "POST";
  const std::string got = play(*server,
                               hello() + frame(NGHTTP2_HEADERS, kEndHeaders, 1, block(fields)) +
                                   frame(NGHTTP2_DATA, 0, 1, "half"),
                               Millis(3000));
  EXPECT_EQ(error, "http.timeout");
  EXPECT_EQ(refusals(got), "RST_STREAM 1 NO_ERROR");  // after the answer
}

Task<void> answer_much(Exchange* x, std::string* error) {
  const auto sent = co_await x->respond({}, std::string(1 << 20, 'm'));
  *error = sent ? "" : std::string(sent.error().code());
}

TEST_F(H2AttackTest, AWindowThatStaysShut) {
  ServerLimits limits;
  limits.body_timeout = Millis(150);
  std::string error = "-";
  auto server = serve(loop, [&](Exchange& x) { return answer_much(&x, &error); }, limits);
  auto c = run(H2Client::to(&loop, server->local(), /*window=*/0, /*reads=*/false));
  const Answer got = run(c->answer(c->request(get_fields())));
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.reset, NGHTTP2_CANCEL);
  EXPECT_EQ(error, "http.timeout");
}

TEST_F(H2AttackTest, ARefusalThatIsNotTaken) {
  ServerLimits limits;
  limits.body_timeout = Millis(150);
  auto server = counting(limits);
  auto c = run(H2Client::to(&loop, server->local(), /*window=*/0, /*reads=*/false));
  Fields fields = get_fields("/a#b");
  const Answer got = run(c->answer(c->request(fields)));
  EXPECT_EQ(got.status, 400);
  EXPECT_EQ(got.reset, NGHTTP2_CANCEL);
}

TEST_F(H2AttackTest, APeerThatDoesNotReadAtAll) {
  ServerLimits limits;
  limits.body_timeout = Millis(200);
  std::string error = "-";
  struct Flood {
    static Task<void> back(Exchange* x, std::string* why) {
      const std::string piece(64 * 1024, 'f');
      auto sent = co_await x->start({}, std::nullopt);
      while (sent) sent = co_await x->write(as_bytes(piece));
      *why = sent.error().code();
    }
  };
  auto server = serve(loop, [&](Exchange& x) { return Flood::back(&x, &error); }, limits);
  auto c = run(H2Client::to(&loop, server->local(), (1U << 31) - 1));
  c->open_window(0, (1 << 30));
  c->request(get_fields());
  std::ignore = run(c->flush());
  for (int i = 0; i < 200 && error == "-"; ++i) run(loop.sleep(Millis(20)));
  EXPECT_TRUE(error == "http.closed" || error == "http.timeout") << error;
  for (int i = 0; i < 100 && server->connections() > 0; ++i) run(loop.sleep(Millis(20)));
  EXPECT_EQ(server->connections(), 0U);
}

}  // namespace
}  // namespace octroi::http::h2
