// The server's HTTP/2 as clients see it that follow the rules. Those that do not:
// h2_attack_test.cc.
#include <gtest/gtest.h>

#include "octroi/http/client.h"
#include "octroi/http/h2_frames_test.h"
#include "octroi/http/server.h"
#include "octroi/net/tls_identity.h"
#include "octroi/task/sync.h"

namespace octroi::http::h2 {
namespace {

ResponseHead status(int code) {
  ResponseHead head;
  head.status = code;
  return head;
}

/// Answers with all that it was asked.
Task<void> echo(Exchange* x) {
  const auto body = co_await read_all(x->body(), 4 << 20);
  const RequestHead& r = x->request();
  std::string text = r.method + " " + r.target + " " + r.authority + " " + r.scheme +
                     (r.version == Version::http2 ? " h2" : " h1");
  for (const Field f : r.headers) text += "\n" + std::string(f.name) + ": " + std::string(f.value);
  text += "\n\n" + (body ? *body : "!" + std::string(body.error().code()));
  for (const Field f : x->body().trailers())
    text += "\n" + std::string(f.name) + "=" + std::string(f.value);
  std::ignore = co_await x->respond(status(200), text);
}
Handler echo_handler() {
  return [](Exchange& x) { return echo(&x); };
}

Fields post_fields(Fields more = {}) {
  Fields fields = {
      {":method", "POST"}, {":scheme", "http"}, {":authority", "a.test"}, {":path", "/up"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

class H2ServerTest : public testing::Test {
 protected:
  template <class T>
  T run(Task<T> task) {
    return net::run_until(loop, std::move(task));
  }
  std::unique_ptr<H2Client> connect(Server& server, std::uint32_t window = 1 << 20,
                                    bool reads = true) {
    return run(H2Client::to(&loop, server.local(), window, reads));
  }
  Answer ask(H2Client& c, const Fields& fields, std::optional<Upload> upload = {}) {
    return run(c.answer(c.request(fields, std::move(upload))));
  }
  bool until(H2Client& c, std::function<bool()> done, Millis patience = kTestPatience) {
    return run(c.until(std::move(done), patience));
  }
  net::Loop loop;
};

// ---- messages

TEST_F(H2ServerTest, ARequestIsWhatHttp1WouldHaveMadeOfIt) {
  auto server = serve(loop, echo_handler());
  auto c = connect(*server);
  const Answer got = ask(*c, {{":method", "GET"},
                              {":scheme", "https"},
                              {":authority", "API.test:8080"},
                              {":path", "/a?b=c"},
                              {"cookie", "a=1"},
                              {"x-one", "1"},
                              {"cookie", "b=2"},
                              {"te", "trailers"}});
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.body,
            "GET /a?b=c api.test:8080 http h2\nx-one: 1\nte: trailers\ncookie: a=1; b=2\n\n");
  EXPECT_TRUE(got.headers.has("date"));
  EXPECT_EQ(got.headers.get("content-length"), std::to_string(got.body.size()));
  EXPECT_EQ(got.reset, NGHTTP2_NO_ERROR);
}

TEST_F(H2ServerTest, HostStandsInForAMissingAuthority) {
  auto server = serve(loop, echo_handler());
  auto c = connect(*server);
  const Answer got =
      ask(*c, {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {"host", "B.test"}});
  EXPECT_EQ(got.body, "GET / b.test http h2\n\n");
}

TEST_F(H2ServerTest, OneListenerSpeaksBothVersions) {
  auto server = serve(loop, echo_handler());
  auto c = connect(*server);
  EXPECT_EQ(ask(*c, get_fields()).status, 200);
  Wire wire = run(Wire::to(&loop, server->local()));
  EXPECT_TRUE(run(wire.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")));
  EXPECT_NE(run(wire.rest()).find("GET / a http h1"), std::string::npos);
}

TEST_F(H2ServerTest, ThePrefaceMayTrickle) {
  auto server = serve(loop, echo_handler());
  Wire wire = run(Wire::to(&loop, server->local()));
  const std::string bytes =
      hello() + frame(NGHTTP2_HEADERS, kEnd | kEndHeaders, 1, block(get_fields("/slow")));
  for (const char c : bytes) {
    ASSERT_TRUE(run(wire.send(std::string(1, c))));
    run(loop.sleep(Millis(1)));
  }
  EXPECT_NE(run(wire.until("GET /slow a.test http h2")).find("GET /slow"), std::string::npos);
}

TEST_F(H2ServerTest, OverTlsTheHandshakeDecides) {
  const net::Identity id = std::move(*net::make_identity({"x", "DNS:a.test", 30, false, nullptr}));
  auto server = serve(loop, echo_handler(), {},
                      *net::make_tls_server(id.certificate, id.key, {"h2", "http/1.1"}));
  for (const auto& [offer, expected] :
       {std::pair<std::vector<std::string>, std::string>{{"h2", "http/1.1"}, "h2"},
        {{"http/1.1"}, "http/1.1"},
        {{}, ""}}) {
    net::TlsClientOptions options;
    options.pinned_certificate_pem = id.certificate;
    options.alpn = offer;
    auto tcp = run(net::connect(loop, server->local(), kTestPatience));
    auto tls = run(net::tls_connect(std::move(*tcp), *net::make_tls_client(std::move(options)),
                                    "a.test", kTestPatience));
    ASSERT_TRUE(tls) << tls.error().message();
    EXPECT_EQ((*tls)->alpn(), expected);
    if (expected == "h2") {
      H2Client c(std::move(*tls));
      EXPECT_EQ(ask(c, get_fields()).body, "GET / a.test https h2\n\n");
    } else {
      Wire wire(std::move(*tls));
      EXPECT_TRUE(run(wire.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")));
      EXPECT_NE(run(wire.rest()).find("GET / a https h1"), std::string::npos);
    }
  }
}

TEST_F(H2ServerTest, ManyAtOnceAreAnsweredEach) {
  auto server = serve(loop, echo_handler());
  auto c = connect(*server);
  std::map<std::int32_t, std::string> expected;
  for (int i = 0; i < 300; ++i) {
    const std::string path = "/" + std::to_string(i);
    expected[c->request(get_fields(path))] = "GET " + path + " a.test http h2\n\n";
  }
  until(*c, [&] {
    return std::ranges::all_of(c->answers, [](const auto& a) { return a.second.closed; });
  });
  EXPECT_TRUE(c->goaways.empty());
  for (const auto& [id, body] : expected) {
    ASSERT_EQ(c->answers[id].reset, NGHTTP2_NO_ERROR) << id;
    ASSERT_EQ(c->answers[id].body, body);
  }
}

TEST_F(H2ServerTest, ShapesOfAnswers) {
  struct Row {
    std::string name, method;
    int code;
    std::string body;          // what the handler says
    std::string sent, length;  // what arrives
  };
  const std::vector<Row> rows = {
      {"plain", "GET", 200, "hello", "hello", "5"},
      {"empty", "GET", 200, "", "", "0"},
      {"head", "HEAD", 200, "hello", "", "5"},
      {"no content", "GET", 204, "", "", "-"},
      {"not modified", "GET", 304, "", "", "-"},
      {"payment required", "POST", 402, "pay", "pay", "3"},
  };
  const Row* now = nullptr;
  struct Respond {
    static Task<void> as(Exchange* x, const Row* row) {
      ResponseHead head = status(row->code);
      head.headers.add("Connection", "close");
      head.headers.add("Transfer-Encoding", "chunked");
      head.headers.add("Keep-Alive", "timeout=5");
      head.headers.add("X-Kept", "yes");
      EXPECT_TRUE(co_await x->respond(std::move(head), row->body));
    }
  };
  auto server = serve(loop, [&](Exchange& x) { return Respond::as(&x, now); });
  auto c = connect(*server);
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    now = &row;
    Fields fields = get_fields();
    fields[0].second = row.method;
    const Answer got = ask(*c, fields);
    EXPECT_EQ(got.status, row.code);
    EXPECT_EQ(got.body, row.sent);
    EXPECT_TRUE(got.ended);
    EXPECT_EQ(got.headers.get("content-length").value_or("-"), row.length);
    EXPECT_EQ(got.headers.get("x-kept"), "yes");
    for (const char* name : {"connection", "transfer-encoding", "keep-alive"})
      EXPECT_FALSE(got.headers.has(name)) << name;
  }
}

Task<void> stream_with_trailers(Exchange* x, std::optional<std::uint64_t> length, bool announce) {
  ResponseHead head = status(200);
  if (announce) head.headers.add("Content-Type", "application/grpc");
  EXPECT_TRUE(co_await x->start(std::move(head), length));
  EXPECT_TRUE(co_await x->write(as_bytes("one ")));
  co_await x->loop().yield();
  EXPECT_TRUE(co_await x->write(as_bytes("two")));
  Headers trailers;
  trailers.add("grpc-status", "0");
  trailers.add("Content-Length", "99");  // may not stand there
  EXPECT_TRUE(co_await x->finish(trailers));
  EXPECT_EQ(x->sent(), 7U);
}

TEST_F(H2ServerTest, TrailersFollowABodyOfAnyLength) {
  for (const bool known : {false, true}) {
    auto server = serve(loop, [known](Exchange& x) {
      return stream_with_trailers(&x, known ? std::optional<std::uint64_t>(7) : std::nullopt,
                                  known);
    });
    auto c = connect(*server);
    const Answer got = ask(*c, get_fields());
    EXPECT_EQ(got.body, "one two");
    EXPECT_EQ(got.trailers.get("grpc-status"), "0");
    EXPECT_EQ(got.trailers.size(), 1U);
    EXPECT_TRUE(got.ended);
    EXPECT_EQ(got.headers.has("content-length"), known);
  }
}

TEST_F(H2ServerTest, RequestTrailersReachTheHandler) {
  auto server = serve(loop, echo_handler());
  auto c = connect(*server);
  const Answer got =
      ask(*c, post_fields(),
          Upload{"body", {{"x-sum", "1"}, {"authorization", "smuggled"}, {"x-more", "2"}}});
  EXPECT_EQ(got.body, "POST /up a.test http h2\n\nbody\nx-sum=1\nx-more=2");
}

Task<void> interim_then_read(Exchange* x) {
  ResponseHead hints = status(103);
  hints.headers.add("Link", "</a.css>");
  EXPECT_TRUE(co_await x->interim(std::move(hints)));
  EXPECT_FALSE(co_await x->interim(status(101)));
  const auto body = co_await read_all(x->body(), 100);
  EXPECT_TRUE(co_await x->respond(status(200), body.value_or("!")));
  EXPECT_FALSE(co_await x->interim(status(103)));
}

TEST_F(H2ServerTest, InterimAnswersAndExpectation) {
  auto server = serve(loop, [](Exchange& x) { return interim_then_read(&x); });
  auto c = connect(*server);
  const std::int32_t id =
      c->request(post_fields({{"expect", "100-continue"}}), Upload{"", {}, /*hold=*/true});
  until(*c, [&] { return c->answers[id].interim.size() == 2; });
  EXPECT_EQ(c->answers[id].interim, (std::vector{103, 100}));
  c->go_on(id, "now", true);
  EXPECT_EQ(run(c->answer(id)).body, "now");
  // Who sends at once is not told to go on.
  EXPECT_EQ(ask(*c, post_fields({{"expect", "100-continue"}}), Upload{"now", {}}).interim.front(),
            103);
}

// ---- flow control

TEST_F(H2ServerTest, ALargeBodyPassesThroughSmallWindows) {
  auto server = serve(loop, echo_handler());
  auto c = connect(*server, /*window=*/1000);
  std::string body;
  for (int i = 0; body.size() < 3 << 20; ++i) body += std::to_string(i) + ",";
  const Answer got = ask(*c, post_fields(), Upload{body, {}});
  EXPECT_EQ(got.body.substr(got.body.size() - body.size()), body);
  EXPECT_TRUE(got.ended);
}

struct Progress {
  std::uint64_t written = 0;
  bool done = false;
  std::string error;
};
Task<void> pour(Exchange* x, std::size_t bytes, Progress* progress) {
  const std::string piece(16 * 1024, 'x');
  auto result = co_await x->start(status(200), bytes);
  while (result && progress->written < bytes) {
    result = co_await x->write(as_bytes(piece));
    if (result) progress->written += piece.size();
  }
  if (result) result = co_await x->finish({});
  if (!result) progress->error = result.error().code();
  progress->done = true;
}

TEST_F(H2ServerTest, AWriterWaitsForTheWindow) {
  Progress progress;
  auto server = serve(loop, [&](Exchange& x) { return pour(&x, 1 << 20, &progress); });
  auto c = connect(*server, 100'000, /*reads=*/false);
  const std::int32_t id = c->request(get_fields());
  until(*c, [&] { return c->answers[id].body.size() == 65'535; });  // the connection's first window
  run(loop.sleep(Millis(50)));
  EXPECT_LE(progress.written, 65'536U + 16'384U);
  EXPECT_FALSE(progress.done);
  c->open_window(0, 1 << 20);
  c->open_window(id, 1 << 20);
  EXPECT_EQ(run(c->answer(id)).body.size(), 1U << 20);
  EXPECT_TRUE(progress.done);
  EXPECT_EQ(progress.error, "");
}

TEST_F(H2ServerTest, AWriterWaitsForAPeerThatDoesNotRead) {
  Progress progress;
  constexpr std::size_t kMuch = 64 << 20;
  auto server = serve(loop, [&](Exchange& x) { return pour(&x, kMuch, &progress); });
  auto c = connect(*server, (1U << 31) - 1);
  c->open_window(0, 1 << 30);
  const std::int32_t id = c->request(get_fields());
  std::ignore = run(c->flush());
  std::uint64_t before = 1;
  while (before != progress.written) {  // until the kernel takes no more
    before = progress.written;
    run(loop.sleep(Millis(100)));
  }
  EXPECT_LT(progress.written, kMuch / 2);
  EXPECT_EQ(run(c->answer(id)).body.size(), kMuch);
}

struct Hold {
  Event go;
  std::string got;
};
Task<void> read_later(Exchange* x, Hold* hold) {
  co_await hold->go.wait();
  auto body = co_await read_all(x->body(), 64 << 20);
  hold->got = body ? *body : std::string(body.error().code());
  std::ignore = co_await x->respond(status(200), "done");
}

TEST_F(H2ServerTest, WhatNobodyReadsIsBoundedByTheWindow) {
  Hold hold;
  auto server = serve(loop, [&](Exchange& x) { return read_later(&x, &hold); });
  auto c = connect(*server);
  until(*c, [&] { return c->settled; });
  const std::string body(2 << 20, 'b');
  const std::int32_t id = c->request(post_fields(), Upload{body, {}});
  EXPECT_FALSE(until(*c, [&] { return c->answers[id].closed; }, Millis(200)));
  EXPECT_EQ(c->windows[id], 0U);  // not one byte more than the first window
  EXPECT_EQ(nghttp2_session_get_stream_remote_window_size(c->session(), id), 0);
  hold.go.set();
  EXPECT_EQ(run(c->answer(id)).body, "done");
  EXPECT_EQ(hold.got, body);
}

TEST_F(H2ServerTest, AnUnreadBodyGivesItsWindowBackWhenTheStreamEnds) {
  // Each time 100 KiB are left unread; without their return the connection's window would be gone
  // after ten.
  struct Ignore {
    static Task<void> body(Exchange* x) { EXPECT_TRUE(co_await x->respond(status(402), "pay")); }
  };
  auto server = serve(loop, [](Exchange& x) { return Ignore::body(&x); });
  auto c = connect(*server);
  for (int i = 0; i < 30; ++i) {
    const Answer got = ask(*c, post_fields(), Upload{std::string(100 * 1024, 'u'), {}});
    ASSERT_EQ(got.status, 402) << i;
    ASSERT_EQ(got.body, "pay");
  }
}

// ---- ends

Task<void> refuse_early(Exchange* x) { EXPECT_TRUE(co_await x->respond(status(402), "pay")); }

TEST_F(H2ServerTest, AnEarlyAnswerEndsTheRequestWithoutAnError) {
  auto server = serve(loop, [](Exchange& x) { return refuse_early(&x); });
  auto c = connect(*server);
  struct Row {
    const char* name;
    Fields more;
    bool at_once;
  };
  for (const Row& row : {Row{"of unknown length", {}, false},
                         Row{"of more than a window", {{"content-length", "99999999"}}, true},
                         Row{"that may come whole", {{"content-length", "4"}}, false}}) {
    SCOPED_TRACE(row.name);
    const std::int32_t id = c->request(post_fields(row.more), Upload{"", {}, /*hold=*/true});
    EXPECT_TRUE(until(*c, [&] { return c->answers[id].ended; }));
    EXPECT_EQ(until(*c, [&] { return c->answers[id].closed; }, Millis(300)), row.at_once);
    if (!row.at_once) c->go_on(id, "rest", true);
    const Answer got = run(c->answer(id));
    EXPECT_EQ(got.body, "pay");
    EXPECT_EQ(got.reset, NGHTTP2_NO_ERROR);
  }
  EXPECT_EQ(ask(*c, get_fields()).status, 402);
}

struct Gone {
  bool called = false;
  bool ended = false;
  std::string error;
  Event go;
};
Task<void> wait_gone(Exchange* x, Gone* gone) {
  x->on_gone(
      [](void* g) {
        static_cast<Gone*>(g)->called = true;
        static_cast<Gone*>(g)->go.set();
      },
      gone);
  co_await gone->go.wait();
  const auto result = co_await x->respond(status(200), "late");
  gone->error = result ? "" : std::string(result.error().code());
  gone->ended = true;
}

TEST_F(H2ServerTest, AResetOrAClosedConnectionIsNoticed) {
  for (const bool whole : {false, true}) {
    Gone gone;
    auto server = serve(loop, [&](Exchange& x) { return wait_gone(&x, &gone); });
    auto c = connect(*server);
    const std::int32_t id = c->request(get_fields());
    std::ignore = run(c->flush());
    run(loop.sleep(Millis(30)));
    EXPECT_FALSE(gone.called);
    if (whole) {
      c->close();
    } else {
      c->reset(id);
      std::ignore = run(c->flush());
    }
    for (int i = 0; i < 100 && !gone.ended; ++i) run(loop.sleep(Millis(10)));
    EXPECT_TRUE(gone.called);
    EXPECT_EQ(gone.error, "http.closed");
    if (!whole) EXPECT_TRUE(until(*c, [&] { return c->answers[id].closed; }));
  }
}

TEST_F(H2ServerTest, ABodyThatIsGivenUpIsNotTakenForWhole) {
  Hold hold;
  hold.go.set();
  auto server = serve(loop, [&](Exchange& x) { return read_later(&x, &hold); });
  auto c = connect(*server);
  const std::int32_t id = c->request(post_fields(), Upload{"half", {}, /*hold=*/true});
  std::ignore = run(c->flush());
  run(loop.sleep(Millis(30)));
  c->reset(id);
  until(*c, [&] { return c->answers[id].closed; });
  for (int i = 0; i < 100 && hold.got.empty(); ++i) run(loop.sleep(Millis(10)));
  EXPECT_EQ(hold.got, "http.closed");
}

Task<void> misbehave(Exchange* x) {
  if (x->request().target == "/silent") co_return;
  if (x->request().target == "/throw") throw std::runtime_error("test");
  if (x->request().target == "/torn") {
    std::ignore = co_await x->start(status(200), std::nullopt);
    std::ignore = co_await x->write(as_bytes("part"));
    co_return;
  }
  if (x->request().target == "/short") {
    std::ignore = co_await x->start(status(200), 10);
    std::ignore = co_await x->write(as_bytes("part"));
    EXPECT_FALSE(co_await x->finish({}));
    co_return;
  }
  if (x->request().target == "/long") {
    std::ignore = co_await x->start(status(200), 2);
    EXPECT_FALSE(co_await x->write(as_bytes("part")));
    co_return;
  }
  EXPECT_FALSE(co_await x->upgrade(status(101)));
  EXPECT_FALSE(co_await x->write(as_bytes("early")));
  EXPECT_TRUE(co_await x->respond(status(200), "fine"));
  EXPECT_FALSE(co_await x->respond(status(200), "twice"));
}

TEST_F(H2ServerTest, HandlersThatMisbehaveHurtTheirStreamOnly) {
  auto server = serve(loop, [](Exchange& x) { return misbehave(&x); });
  auto c = connect(*server);
  struct Row {
    const char* path;
    int status;
    std::uint32_t reset;
  };
  for (const Row& row :
       {Row{"/silent", 500, NGHTTP2_NO_ERROR}, Row{"/throw", 500, NGHTTP2_NO_ERROR},
        Row{"/torn", 200, NGHTTP2_INTERNAL_ERROR}, Row{"/short", 200, NGHTTP2_INTERNAL_ERROR},
        Row{"/long", 0, NGHTTP2_INTERNAL_ERROR}, Row{"/fine", 200, NGHTTP2_NO_ERROR}}) {
    SCOPED_TRACE(row.path);
    const Answer got = ask(*c, get_fields(row.path));
    if (row.status != 0) EXPECT_EQ(got.status, row.status);
    EXPECT_EQ(got.reset, row.reset);
    EXPECT_EQ(got.ended, row.reset == NGHTTP2_NO_ERROR);
  }
}

TEST_F(H2ServerTest, ACancelledWriteTearsTheAnswer) {
  struct Cancel {
    static Task<Result<>> much(Exchange* x) {
      const std::string body(1 << 20, 'c');
      co_return co_await x->respond(status(200), body);
    }
    static Task<void> soon(Exchange* x) {
      const auto done = co_await net::within(x->loop(), Millis(50), much(x));
      EXPECT_FALSE(done);
    }
  };
  auto server = serve(loop, [](Exchange& x) { return Cancel::soon(&x); });
  auto c = connect(*server, 1000, /*reads=*/false);
  const Answer got = ask(*c, get_fields());
  EXPECT_EQ(got.reset, NGHTTP2_INTERNAL_ERROR);
  EXPECT_FALSE(got.ended);
}

// ---- draining

Task<void> answer_later(Exchange* x, Event* go) {
  co_await go->wait();
  std::ignore = co_await x->respond(status(200), "late");
}
Task<void> drain_into(Server* server, Millis grace, bool* drained) {
  co_await server->drain(grace);
  *drained = true;
}

TEST_F(H2ServerTest, DrainingTellsTwiceAndLetsRequestsEnd) {
  Event go;
  bool drained = false;
  auto server = serve(loop, [&](Exchange& x) { return answer_later(&x, &go); });
  auto c = connect(*server);
  const std::int32_t id = c->request(get_fields());
  std::ignore = run(c->flush());
  run(loop.sleep(Millis(30)));
  TaskGroup group;
  group.start(drain_into(server.get(), kTestPatience, &drained));
  EXPECT_TRUE(until(*c, [&] { return c->goaways.size() == 2; }));
  EXPECT_EQ(c->goaways[0], (std::pair<std::int32_t, std::uint32_t>(0x7fffffff, NGHTTP2_NO_ERROR)));
  EXPECT_EQ(c->goaways[1], (std::pair<std::int32_t, std::uint32_t>(id, NGHTTP2_NO_ERROR)));
  EXPECT_FALSE(drained);
  go.set();
  EXPECT_EQ(run(c->answer(id)).body, "late");
  until(*c, [&] { return c->over; });
  for (int i = 0; i < 100 && !drained; ++i) run(loop.sleep(Millis(10)));
  EXPECT_TRUE(drained);
}

TEST_F(H2ServerTest, DrainingEndsAnIdleConnectionAndCutsALateOne) {
  Event never;
  auto server = serve(loop, [&](Exchange& x) { return answer_later(&x, &never); });
  Wire idle = run(Wire::to(&loop, server->local()));
  EXPECT_TRUE(run(idle.send(hello())));
  auto busy = connect(*server);
  busy->request(get_fields());
  std::ignore = run(busy->flush());
  run(loop.sleep(Millis(30)));
  bool drained = false;
  TaskGroup group;
  group.start(drain_into(server.get(), Millis(500), &drained));
  const std::string notice = run(idle.until("seen it?"));
  EXPECT_EQ(refusals(notice), "GOAWAY NO_ERROR");
  EXPECT_TRUE(run(idle.send(frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "seen it?"))));
  EXPECT_EQ(refusals(run(idle.rest())), "GOAWAY NO_ERROR");  // and the end
  EXPECT_FALSE(drained);
  for (int i = 0; i < 200 && !drained; ++i) run(loop.sleep(Millis(10)));
  EXPECT_TRUE(drained);
}

}  // namespace
}  // namespace octroi::http::h2
