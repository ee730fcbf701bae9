#include "octroi/http/server.h"

#include <gtest/gtest.h>

#include "octroi/http/testdata_test.h"
#include "octroi/http/wire_test.h"
#include "octroi/task/sync.h"

namespace octroi::http {
namespace {

ResponseHead status(int code) {
  ResponseHead head;
  head.status = code;
  return head;
}

/// Answers with what it got: "METHOD target authority body-size[ body-error]\n" and fields on
/// demand.
Task<void> echo(Exchange* x) {
  const std::string body_or_error = [](const Result<std::string>& body) {
    return body ? *body : "!" + std::string(body.error().code());
  }(co_await read_all(x->body(), 1 << 20));
  std::string text = x->request().method + " " + x->request().target + " " +
                     x->request().authority + " " + body_or_error;
  for (const Field f : x->body().trailers()) {
    text += " " + std::string(f.name) + "=" + std::string(f.value);
  }
  std::ignore = co_await x->respond(status(200), text);
}
Handler echo_handler() {
  return [](Exchange& x) { return echo(&x); };
}

Task<std::string> send_and_read(net::Loop* loop, net::Endpoint to, std::string text,
                                std::size_t step) {
  Wire wire = co_await Wire::to(loop, to);
  for (std::size_t at = 0; at < text.size(); at += step) {
    if (!co_await wire.send(text.substr(at, step))) break;
    if (step < text.size()) co_await loop->yield();
  }
  co_return undated(co_await wire.rest());
}

class ServerTest : public testing::Test {
 protected:
  /// Sends all, reads to the end of the connection.
  std::string ask(Server& server, const std::string& text, std::size_t step = 1 << 20) {
    return net::run_until(loop, send_and_read(&loop, server.local(), text, step));
  }
  net::Loop loop;
};

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\n";

std::string answer(std::string_view body, std::string_view more = "") {
  return std::string(kOk) + "Content-Length: " + std::to_string(body.size()) + "\r\n" +
         std::string(more) + "\r\n" + std::string(body);
}

TEST_F(ServerTest, AnswersAndKeepsTheConnection) {
  auto server = serve(loop, echo_handler());
  EXPECT_EQ(ask(*server,
                "GET /a?b HTTP/1.1\r\nHost: Example\r\n\r\n"
                "POST /c HTTP/1.1\r\nHost: x:1\r\nContent-Length: 5\r\n\r\nhello"
                "GET /d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
            answer("GET /a?b example ") + answer("POST /c x:1 hello") +
                answer("GET /d x ", "Connection: close\r\n"));
}

TEST_F(ServerTest, AnySplitOfTheBytesGivesTheSame) {
  auto server = serve(loop, echo_handler());
  const std::string text =
      "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;e=1\r\nhello\r\n1\r\n!\r\n0\r\nX-T: 1\r\n\r\n"
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
  const std::string expected =
      answer("POST /c x hello! X-T=1") + answer("POST / x hi", "Connection: close\r\n");
  for (std::size_t step = 1; step <= text.size(); ++step) {
    ASSERT_EQ(ask(*server, text, step), expected) << "in steps of " << step;
  }
}

TEST_F(ServerTest, FormsOfTheTarget) {
  auto server = serve(loop, echo_handler());
  struct Row {
    std::string_view line, expected;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"GET http://x/p?q HTTP/1.1", "GET /p?q x "},
           {"GET http://x HTTP/1.1", "GET / x "},
           {"GET http://x?q HTTP/1.1", "GET /?q x "},
           {"OPTIONS * HTTP/1.1", "OPTIONS * x "},
           {"OPTIONS http://x HTTP/1.1", "OPTIONS * x "},
       }) {
    EXPECT_EQ(ask(*server, std::string(row.line) + "\r\nHost: x\r\nConnection: close\r\n\r\n"),
              answer(row.expected, "Connection: close\r\n"));
  }
}

TEST_F(ServerTest, EveryRefusedHeadOfTheTableIsRefusedAndClosed) {
  int handled = 0;
  auto server = serve(loop, [&](Exchange& x) {
    ++handled;
    return echo(&x);
  });
  const json::Document table = load_table("request_heads.json");
  const auto cases = *table.root().array("cases");
  for (const json::Value row : cases.elements()) {
    const std::string_view verdict = *row.string("verdict");
    if (verdict == "accept" || verdict == "more") continue;
    if (row.string("bytes")->starts_with("PRI * HTTP/2.0\r\n")) continue;  // HTTP/2 begins so
    SCOPED_TRACE(*row.string("name"));
    const int before = handled;
    // The second request must never be taken for one.
    const std::string got =
        ask(*server, to_bytes(*row.string("bytes")) + "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(handled, before);
    const std::string_view code = verdict == "unsupported_version"       ? "505"
                                  : verdict == "unknown_transfer_coding" ? "501"
                                  : verdict == "method_not_served"       ? "501"
                                                                         : "400";
    EXPECT_EQ(got.substr(0, 13), "HTTP/1.1 " + std::string(code) + " ");
    EXPECT_NE(got.find("Connection: close\r\n"), std::string::npos);
    EXPECT_EQ(got.find("\nHTTP/1.1 "), std::string::npos) << got;
    EXPECT_EQ(got.find("<net."), std::string::npos) << got;
  }
}

TEST_F(ServerTest, LimitsOfTheHead) {
  ServerLimits limits;
  limits.max_head = 4096;
  limits.max_fields = 10;
  limits.max_target = 1000;
  auto server = serve(loop, echo_handler(), limits);
  auto code = [&](const std::string& text) { return ask(*server, text).substr(9, 3); };
  std::string many;
  for (int i = 0; i < 10; ++i) many += "N" + std::to_string(i) + ": v\r\n";
  EXPECT_EQ(code("GET /" + std::string(1000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n"), "414");
  EXPECT_EQ(code("GET /" + std::string(100'000, 'a')), "414");
  EXPECT_EQ(code("GET / HTTP/1.1\r\nHost: x\r\n" + many + "\r\n"), "431");
  EXPECT_EQ(code("GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(5000, 'a') + "\r\n\r\n"), "431");
  EXPECT_EQ(code("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nA: " + std::string(3900, 'a') +
                 "\r\n\r\n"),
            "200");
}

TEST_F(ServerTest, BigHeadsFitTheDefaultLimit) {
  auto server = serve(loop, echo_handler());
  const std::string got =
      ask(*server, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: " +
                       std::string(90'000, 'a') + "\r\n\r\n");
  EXPECT_EQ(got, answer("GET / x ", "Connection: close\r\n"));
}

TEST_F(ServerTest, MalformedBodiesFailTheHandlerAndCloseTheConnection) {
  auto server = serve(loop, echo_handler());
  for (const std::string_view body :
       {"x\r\n", "5\r\nhelloX\r\n0\r\n\r\n", "1\na\r\n0\r\n\r\n", "0\r\nA : b\r\n\r\n"}) {
    const std::string got =
        ask(*server, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
                         std::string(body) + "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(got, answer("POST / x !http.bad_message", "Connection: close\r\n")) << body;
  }
}

TEST_F(ServerTest, Http10) {
  auto server = serve(loop, [](Exchange& x) { return echo(&x); });
  EXPECT_EQ(ask(*server, "GET / HTTP/1.0\r\n\r\n"), answer("GET /  ", "Connection: close\r\n"));
  EXPECT_EQ(ask(*server,
                "GET /1 HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\nGET /2 "
                "HTTP/1.0\r\nHost: x\r\n\r\n"),
            answer("GET /1 x ", "Connection: keep-alive\r\n") +
                answer("GET /2 x ", "Connection: close\r\n"));
}

Task<void> stream_three(Exchange* x, std::optional<std::uint64_t> length) {
  Headers trailers;
  trailers.add("X-Sum", "3");
  trailers.add("Content-Length", "99");  // may not stand in a trailer section
  std::ignore = co_await x->start(status(200), length);
  for (const std::string_view piece : {"a", "", "bb"})
    std::ignore = co_await x->write(as_bytes(piece));
  std::ignore = co_await x->finish(trailers);
}

TEST_F(ServerTest, StreamedAnswers) {
  auto server = serve(loop, [](Exchange& x) {
    return stream_three(
        &x, x.request().target == "/known" ? std::optional<std::uint64_t>(3) : std::nullopt);
  });
  const std::string end = " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  EXPECT_EQ(ask(*server, "GET /known" + end), answer("abb", "Connection: close\r\n"));
  EXPECT_EQ(ask(*server, "GET /" + end),
            std::string(kOk) +
                "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                "1\r\na\r\n2\r\nbb\r\n0\r\nX-Sum: 3\r\n\r\n");
  EXPECT_EQ(ask(*server, "HEAD /known" + end),
            std::string(kOk) + "Content-Length: 3\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(ask(*server, "HEAD /" + end), std::string(kOk) + "Connection: close\r\n\r\n");
  // HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
  EXPECT_EQ(ask(*server, "GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"),
            std::string(kOk) + "Connection: close\r\n\r\nabb");
}

Task<void> answer_status(Exchange* x, int code) {
  std::ignore = co_await x->respond(status(code), code == 200 ? "body" : "");
}

TEST_F(ServerTest, StatusesWithoutABody) {
  auto server = serve(loop, [](Exchange& x) {
    return answer_status(&x, x.request().target == "/204" ? 204 : 304);
  });
  EXPECT_EQ(ask(*server, "GET /204 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
            "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(ask(*server, "GET /304 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
            "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n");
}

Task<void> misbehave(Exchange* x) {
  const std::string target = x->request().target;
  if (target == "/throw") throw std::runtime_error("boom");
  if (target == "/silent") co_return;
  if (target == "/short") {
    std::ignore = co_await x->start(status(200), 10);
    std::ignore = co_await x->write(as_bytes("abc"));
    EXPECT_FALSE(co_await x->finish({}));
  } else if (target == "/long") {
    std::ignore = co_await x->start(status(200), 2);
    EXPECT_FALSE(co_await x->write(as_bytes("abc")));
  } else if (target == "/torn") {
    std::ignore = co_await x->start(status(200), std::nullopt);
    std::ignore = co_await x->write(as_bytes("abc"));
  } else if (target == "/torn-throw") {
    std::ignore = co_await x->start(status(200), std::nullopt);
    std::ignore = co_await x->write(as_bytes("abc"));
    throw std::runtime_error("boom");
  } else if (target == "/twice") {
    std::ignore = co_await x->respond(status(200), "once");
    EXPECT_FALSE(co_await x->respond(status(200), "twice"));
    EXPECT_FALSE(co_await x->start(status(200), 0));
    EXPECT_FALSE(co_await x->write(as_bytes("x")));
  }
}

TEST_F(ServerTest, HandlersThatMisbehave) {
  auto server = serve(loop, [](Exchange& x) { return misbehave(&x); });
  auto get = [&](const std::string& target) {
    return ask(*server, "GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  };
  EXPECT_TRUE(get("/throw").starts_with("HTTP/1.1 500 "));
  EXPECT_TRUE(get("/silent").starts_with("HTTP/1.1 500 "));
  EXPECT_EQ(get("/twice"), answer("once", "Connection: close\r\n"));
  // A torn answer never looks whole: too few bytes, or no last chunk.
  EXPECT_TRUE(get("/short").ends_with("\r\n\r\nabc"));
  EXPECT_EQ(get("/long").find("abc"), std::string::npos);
  for (const std::string target : {"/torn", "/torn-throw"}) {
    EXPECT_TRUE(get(target).ends_with("3\r\nabc\r\n")) << target;
  }
}

Task<std::string> continue_dialogue(net::Loop* loop, net::Endpoint to) {
  Wire wire = co_await Wire::to(loop, to);
  std::ignore = co_await wire.send(
      "POST /r HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: "
      "close\r\n\r\n");
  std::string story = co_await wire.head();
  std::ignore = co_await wire.send("hello");
  co_return story + undated(co_await wire.rest());
}

TEST_F(ServerTest, ContinueIsSentWhenTheBodyIsWanted) {
  auto server = serve(loop, echo_handler());
  EXPECT_EQ(net::run_until(loop, continue_dialogue(&loop, server->local())),
            "HTTP/1.1 100 Continue\r\n\r\n" + answer("POST /r x hello", "Connection: close\r\n"));
}

TEST_F(ServerTest, NoContinueForARefusedBodyAndTheConnectionEnds) {
  auto server = serve(loop, [](Exchange& x) { return answer_status(&x, 200); });
  EXPECT_EQ(ask(*server,
                "POST /r HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"),
            answer("body", "Connection: close\r\n"));
  EXPECT_TRUE(ask(*server, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 200-maybe\r\n\r\n")
                  .starts_with("HTTP/1.1 417 "));
  // The body came along: then nobody waits for a 100, but the connection still ends.
  EXPECT_EQ(
      ask(*server,
          "POST /r HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello"),
      answer("body", "Connection: close\r\n"));
}

TEST_F(ServerTest, UnreadBodiesAreDrainedOrTheConnectionCloses) {
  auto server = serve(loop, [](Exchange& x) { return answer_status(&x, 200); });
  const std::string small(10'000, 'a');
  const std::string next = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  EXPECT_EQ(
      ask(*server, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n" + small + next),
      answer("body") + answer("body", "Connection: close\r\n"));
  EXPECT_EQ(
      ask(*server, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2710\r\n" +
                       small + "\r\n0\r\n\r\n" + next),
      answer("body") + answer("body", "Connection: close\r\n"));
  const std::string large(400'000, 'a');
  EXPECT_EQ(
      ask(*server, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n" + large + next),
      answer("body", "Connection: close\r\n"));
}

Task<void> hint(Exchange* x) {
  ResponseHead early;
  early.status = 103;
  early.headers.add("Link", "</a>");
  std::ignore = co_await x->interim(std::move(early));
  ResponseHead bad;
  bad.status = 200;
  EXPECT_FALSE(co_await x->interim(std::move(bad)));
  std::ignore = co_await x->respond(status(200), "x");
}

TEST_F(ServerTest, InterimAnswers) {
  auto server = serve(loop, [](Exchange& x) { return hint(&x); });
  EXPECT_EQ(
      ask(*server, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer("x", "Connection: close\r\n"));
  EXPECT_EQ(ask(*server, "GET / HTTP/1.0\r\n\r\n"), answer("x", "Connection: close\r\n"));
}

Task<void> shout(Exchange* x) {
  ResponseHead head;
  head.headers.add("Upgrade", "shout");
  auto raw = co_await x->upgrade(std::move(head));
  EXPECT_TRUE(raw) << raw.error().message();
  if (!raw) co_return;
  Wire wire(std::move(*raw));
  const std::string said = co_await wire.rest();
  std::ignore = co_await wire.send(said + "!");
}

TEST_F(ServerTest, UpgradeHandsOverWhatCameAlong) {
  auto server = serve(loop, [](Exchange& x) { return shout(&x); });
  struct Talk {
    static Task<std::string> go(net::Loop* loop, net::Endpoint to) {
      Wire wire = co_await Wire::to(loop, to);
      std::ignore = co_await wire.send(
          "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: shout\r\n\r\nhel");
      std::string story = co_await wire.head();
      std::ignore = co_await wire.send("lo");
      wire.end();
      co_return story + co_await wire.rest();
    }
  };
  EXPECT_EQ(
      net::run_until(loop, Talk::go(&loop, server->local())),
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: shout\r\nConnection: upgrade\r\n\r\nhello!");
}

// ---- tunnels

Task<void> tell_target(Exchange* x) {
  const RequestHead& head = x->request();
  std::ignore = co_await x->respond(status(200), head.method + " " + head.authority + " " +
                                                     head.target + (head.absolute ? " abs" : ""));
}

Task<void> inside_or_not(Exchange* x, Server** server) {
  if (x->request().method != "CONNECT") {
    co_await tell_target(x);
    co_return;
  }
  EXPECT_EQ(x->request().target, "a.example:443");
  EXPECT_EQ(x->request().authority, "a.example:443");
  auto raw = co_await x->tunnel({});
  EXPECT_TRUE(raw);
  if (raw)
    co_await (*server)->serve_inside(std::move(*raw), nullptr,
                                     [](Exchange& y) { return tell_target(&y); });
}

struct TunnelTest : ServerTest {
  Server* inside = nullptr;
  std::unique_ptr<Server> start(bool tunnels = true) {
    ServerLimits limits;
    limits.tunnels = tunnels;
    auto server = serve(loop, [this](Exchange& x) { return inside_or_not(&x, &inside); }, limits);
    inside = server.get();
    return server;
  }
};

TEST_F(TunnelTest, WhatIsInsideIsServedRequestByRequest) {
  auto server = start();
  struct Talk {
    static Task<std::string> go(net::Loop* loop, net::Endpoint to) {
      Wire wire = co_await Wire::to(loop, to);
      std::ignore = co_await wire.send(
          "CONNECT a.example:443 HTTP/1.0\r\n\r\n"
          "GET /1 HTTP/1.1\r\nHost: a.example\r\n\r\n");
      std::string story = co_await wire.head();
      std::ignore =
          co_await wire.send("GET /2 HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n");
      co_return story + co_await wire.rest();
    }
  };
  EXPECT_EQ(undated(net::run_until(loop, Talk::go(&loop, server->local()))),
            "HTTP/1.1 200 OK\r\n\r\n" + answer("GET a.example /1") +
                answer("GET b.example /2", "Connection: close\r\n"));
}

TEST_F(TunnelTest, NoTunnelsInTunnelsNorWhereNobodyOpensThem) {
  auto server = start();
  EXPECT_NE(ask(*server,
                "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n"
                "CONNECT b.example:443 HTTP/1.1\r\nHost: b.example\r\n\r\n")
                .find("HTTP/1.1 501"),
            std::string::npos);
  server = start(false);
  EXPECT_EQ(ask(*server, "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n")
                .find("HTTP/1.1 501"),
            0U);
}

TEST_F(TunnelTest, AbsoluteFormIsTold) {
  auto server = start();
  EXPECT_EQ(ask(*server,
                "GET http://b.example/x HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n"),
            answer("GET b.example /x abs", "Connection: close\r\n"));
}

TEST_F(TunnelTest, DrainingEndsWhatIsIdleInside) {
  auto server = start();
  struct Talk {
    static Task<std::string> go(net::Loop* loop, Server* server) {
      Wire wire = co_await Wire::to(loop, server->local());
      std::ignore = co_await wire.send("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n");
      std::string story = co_await wire.head();
      std::ignore = co_await wire.send("GET /1 HTTP/1.1\r\nHost: a.example\r\n\r\n");
      story += co_await wire.head();
      co_await server->drain(Millis(30'000));  // returns when nothing is open any more
      co_return story + co_await wire.rest();
    }
  };
  const std::string story = net::run_until(loop, Talk::go(&loop, server.get()));
  EXPECT_NE(story.find("GET a.example /1"), std::string::npos) << story;
  EXPECT_EQ(server->connections(), 0U);
}

Task<void> list_fields(Exchange* x) {
  std::string text;
  for (const Field f : x->request().headers)
    text += std::string(f.name) + "=" + std::string(f.value) + ";";
  std::ignore = co_await x->respond(status(200), text);
}

TEST_F(ServerTest, WhatConnectionNamesEndsHere) {
  auto server = serve(loop, [](Exchange& x) { return list_fields(&x); });
  EXPECT_EQ(ask(*server,
                "GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nConnection: x-a, close, "
                "X-Identity\r\nX-identity: 2\r\nB: 3\r\n\r\n"),
            answer("B=3;Connection=close;", "Connection: close\r\n"));
}

// ---- time
// ------------------------------------------------------------------------------------------

ServerLimits quick() {
  ServerLimits limits;
  limits.head_timeout = Millis(120);
  limits.idle_timeout = Millis(120);
  limits.body_timeout = Millis(120);
  return limits;
}

TEST_F(ServerTest, SilentConnectionsEnd) {
  auto server = serve(loop, echo_handler(), quick());
  EXPECT_EQ(ask(*server, ""), "");
  EXPECT_EQ(ask(*server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), answer("GET / x "));
  const std::string half = ask(*server, "GET / HTTP/1.1\r\nHost: ");
  EXPECT_TRUE(half.starts_with("HTTP/1.1 408 ")) << half;
  EXPECT_EQ(ask(*server, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel"),
            answer("POST / x !http.timeout", "Connection: close\r\n"));
}

Task<std::string> drip(net::Loop* loop, net::Endpoint to, std::string text) {
  Wire wire = co_await Wire::to(loop, to);
  for (const char c : text) {
    if (wire.stream().peer_gone() || !co_await wire.send(std::string(1, c))) break;
    co_await loop->sleep(Millis(20));
  }
  co_return co_await wire.rest();
}

TEST_F(ServerTest, ADrippedHeadHasOneDeadline) {
  auto server = serve(loop, echo_handler(), quick());
  const auto before = std::chrono::steady_clock::now();
  const std::string got = net::run_until(
      loop,
      drip(&loop, server->local(), "GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(500, 'a')));
  EXPECT_TRUE(got.starts_with("HTTP/1.1 408 ") || got.starts_with("<")) << got;
  EXPECT_LT(std::chrono::steady_clock::now() - before, Seconds(8));
}

/// Never answers before it is let go.
struct Gate {
  Event open;
  int waiting = 0;
  Task<void> handle(Exchange* x) {
    ++waiting;
    co_await open.wait();
    std::ignore = co_await x->respond(status(200), "late");
  }
};

Task<std::string> drain_with_one_in_flight(net::Loop* loop, Server* server, Gate* gate,
                                           Millis grace, bool let_go) {
  Wire idle = co_await Wire::to(loop, server->local());
  Wire busy = co_await Wire::to(loop, server->local());
  std::ignore = co_await busy.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  while (gate->waiting == 0) co_await loop->sleep(Millis(10));
  struct Drain {
    static Task<void> go(Server* s, Millis g, std::string* story) {
      co_await s->drain(g);
      *story += "drained " + std::to_string(s->connections()) + ";";
    }
  };
  std::string story;
  TaskGroup group;
  group.start(Drain::go(server, grace, &story));
  story += "idle " + co_await idle.rest() + ";";
  auto refused = co_await net::connect(*loop, server->local(), Millis(1000));
  story += refused ? "accepted;" : "closed;";
  if (let_go) gate->open.set();
  story += undated(co_await busy.rest()) + ";";
  co_await group.join();
  co_return story;
}

TEST_F(ServerTest, DrainLetsRequestsInFlightEnd) {
  Gate gate;
  auto server = serve(loop, [&](Exchange& x) { return gate.handle(&x); });
  EXPECT_EQ(net::run_until(
                loop, drain_with_one_in_flight(&loop, server.get(), &gate, Millis(10'000), true)),
            "idle ;closed;drained 0;" + answer("late", "Connection: close\r\n") + ";");
}

TEST_F(ServerTest, DrainCutsWhatIsLeftAfterGrace) {
  Gate gate;
  auto server = serve(loop, [&](Exchange& x) { return gate.handle(&x); });
  const std::string story = net::run_until(
      loop, drain_with_one_in_flight(&loop, server.get(), &gate, Millis(100), false));
  EXPECT_EQ(story, "idle ;closed;;drained 0;");
}

/// Streams until nobody takes it, and has something to settle then, which takes a moment.
Task<void> stream_and_settle(Exchange* x, bool* settled) {
  if (!co_await x->start(status(200), std::nullopt)) co_return;
  const std::string piece = "piece";
  while (co_await x->write(as_bytes(piece))) co_await x->loop().sleep(Millis(5));
  co_await x->loop().sleep(Millis(50));
  *settled = true;
}

TEST_F(ServerTest, WhatIsCutAfterGraceStillSettles) {
  bool settled = false;
  auto server = serve(loop, [&](Exchange& x) { return stream_and_settle(&x, &settled); });
  struct Story {
    static Task<void> go(net::Loop* loop, Server* server) {
      Wire wire = co_await Wire::to(loop, server->local());
      std::ignore = co_await wire.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      co_await loop->sleep(Millis(30));
      co_await server->drain(Millis(20));
    }
  };
  net::run_until(loop, Story::go(&loop, server.get()));
  EXPECT_TRUE(settled);
  EXPECT_EQ(server->connections(), 0U);
}

Task<std::string> crowd(net::Loop* loop, Server* server, Gate* gate) {
  std::vector<Wire> wires;
  for (int i = 0; i < 6; ++i) {
    wires.push_back(co_await Wire::to(loop, server->local()));
    std::ignore =
        co_await wires.back().send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  }
  co_await loop->sleep(Millis(60));
  std::string story =
      std::to_string(server->connections()) + " " + std::to_string(gate->waiting) + ";";
  gate->open.set();
  for (Wire& w : wires) story += (co_await w.rest()).ends_with("late") ? "y" : "n";
  co_return story;
}

TEST_F(ServerTest, AtTheLimitConnectionsWaitInTheBacklog) {
  Gate gate;
  ServerLimits limits;
  limits.max_connections = 3;
  auto server = serve(loop, [&](Exchange& x) { return gate.handle(&x); }, limits);
  EXPECT_EQ(net::run_until(loop, crowd(&loop, server.get(), &gate)), "3 3;yyyyyy");
}

Task<void> write_without_end(Exchange* x, std::uint64_t* written, std::string* error) {
  std::ignore = co_await x->start(status(200), std::nullopt);
  const std::string block(64 * 1024, 'x');
  for (;;) {
    auto done = co_await x->write(as_bytes(block));
    if (!done) {
      *error = done.error().code();
      co_return;
    }
    *written += block.size();
  }
}

TEST_F(ServerTest, AClientThatDoesNotReadHoldsTheWriterBackAndTimesOut) {
  std::uint64_t written = 0;
  std::string error;
  auto server =
      serve(loop, [&](Exchange& x) { return write_without_end(&x, &written, &error); }, quick());
  struct Lurk {
    static Task<void> go(net::Loop* loop, net::Endpoint to, std::string* error) {
      Wire wire = co_await Wire::to(loop, to);
      std::ignore = co_await wire.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      while (error->empty()) co_await loop->sleep(Millis(10));
    }
  };
  net::run_until(loop, Lurk::go(&loop, server->local(), &error));
  EXPECT_EQ(error, "http.timeout");
  EXPECT_LT(written, 32U << 20);
}

Task<void> wait_for_gone(Exchange* x, Event* gone) {
  x->on_gone([](void* e) { static_cast<Event*>(e)->set(); }, gone);
  co_await gone->wait();
}

TEST_F(ServerTest, OnGoneTellsThatTheClientLeft) {
  Event gone;
  auto server = serve(loop, [&](Exchange& x) { return wait_for_gone(&x, &gone); });
  struct Leave {
    static Task<void> go(net::Loop* loop, net::Endpoint to, Event* gone) {
      Wire wire = co_await Wire::to(loop, to);
      std::ignore = co_await wire.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      co_await loop->sleep(Millis(30));
      EXPECT_FALSE(gone->is_set());
      wire.close();
      co_await gone->wait();
    }
  };
  net::run_until(loop, Leave::go(&loop, server->local(), &gone));
  EXPECT_TRUE(gone.is_set());
}

TEST_F(ServerTest, SlowBodiesAreMeasured) {
  ServerLimits limits;
  limits.min_bytes_per_second = 1000;
  auto server = serve(loop, echo_handler(), limits);
  // Fast enough in its first window: nothing is refused early.
  EXPECT_EQ(
      ask(*server,
          "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc", 7),
      answer("POST / x abc", "Connection: close\r\n"));
}

TEST_F(ServerTest, DestructionEndsEverything) {
  Gate gate;
  auto server = serve(loop, [&](Exchange& x) { return gate.handle(&x); });
  struct Cut {
    static Task<std::string> go(net::Loop* loop, std::unique_ptr<Server>* server, Gate* gate) {
      Wire wire = co_await Wire::to(loop, (*server)->local());
      std::ignore = co_await wire.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      while (gate->waiting == 0) co_await loop->sleep(Millis(10));
      server->reset();
      co_return co_await wire.rest();
    }
  };
  const std::string got = net::run_until(loop, Cut::go(&loop, &server, &gate));
  EXPECT_TRUE(got.empty() || got == "<net.reset>") << got;
}

}  // namespace
}  // namespace octroi::http
