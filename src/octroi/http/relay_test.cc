#include "octroi/http/relay.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octroi/http/wire_test.h"
#include "octroi/task/sync.h"

namespace octroi::http {
namespace {

std::string_view name_of(RelayState state) {
  switch (state) {
    case RelayState::refused:
      return "refused";
    case RelayState::failed:
      return "failed";
    case RelayState::torn:
      return "torn";
    case RelayState::complete:
      return "complete";
    case RelayState::client_gone:
      return "client_gone";
  }
  return "?";
}

/// A relay in front of a listener whose connections run a script.
class RelayTest : public testing::Test {
 protected:
  using Script = std::function<Task<void>(Wire*, int)>;

  void start(Script script, std::function<void(RelayOptions&)> edit = {},
             ServerLimits limits = {}) {
    script_ = std::move(script);
    edit_ = std::move(edit);
    listener_ = std::move(*net::listen_tcp(loop, any_port(), false));
    tasks_.start(accept_all(this));
    server_ = serve(loop, [this](Exchange& x) { return forward(this, &x); }, limits);
  }

  static Task<void> accept_all(RelayTest* self) {
    for (;;) {
      auto stream = co_await self->listener_->accept();
      if (!stream) co_return;
      self->tasks_.start(run_script(self, Wire(std::move(*stream)), ++self->connections_));
    }
  }
  static Task<void> run_script(RelayTest* self, Wire wire, int number) {
    co_await self->script_(&wire, number);
  }
  static Task<void> forward(RelayTest* self, Exchange* x) {
    RelayOptions options;
    const net::Endpoint to = self->listener_->local();
    options.upstream = {"http", to.address.str(), to.port};
    options.timeouts.first_byte = Millis(5000);
    options.timeouts.idle = Millis(5000);
    if (self->edit_) self->edit_(options);
    self->result = co_await relay(*x, *self->client_, std::move(options));
    ++self->relayed;
    self->done.set();
    if (self->result->state != RelayState::refused && self->result->state != RelayState::failed)
      co_return;
    ResponseHead head;
    head.status = 502;
    std::ignore = co_await x->respond(std::move(head), std::string(self->result->error->code()));
  }

  static Task<std::string> ask_task(RelayTest* self, std::string text, std::size_t step) {
    Wire wire = co_await Wire::to(&self->loop, self->server_->local());
    for (std::size_t at = 0; at < text.size(); at += step) {
      if (!co_await wire.send(text.substr(at, step))) break;
      if (step < text.size()) co_await self->loop.yield();
    }
    co_return undated(co_await wire.rest());
  }
  std::string ask(const std::string& text, std::size_t step = 1 << 20) {
    return net::run_until(loop, ask_task(this, text, step));
  }
  [[nodiscard]] std::string state() const {
    if (!result) return "none";
    std::string text(name_of(result->state));
    if (result->error) text += " " + std::string(result->error->code());
    return text;
  }
  [[nodiscard]] std::string upstream_authority() const { return listener_->local().str(); }

  net::Loop loop;
  std::optional<RelayResult> result;
  int relayed = 0;
  Event done;
  Script script_;
  std::function<void(RelayOptions&)> edit_;
  std::unique_ptr<Client> client_ = make_client(loop, {});
  std::unique_ptr<net::Listener> listener_;
  int connections_ = 0;
  std::string seen;
  std::unique_ptr<Server> server_;
  TaskGroup tasks_;
};

/// Records each request's head (and `body` bytes) and sends the answer.
Task<void> record(Wire* wire, std::string* seen, std::size_t body, std::string answer,
                  int times = 1) {
  for (int i = 0; i < times; ++i) {
    const std::string head = co_await wire->head();
    if (!head.ends_with("\r\n\r\n")) co_return;
    *seen += head + co_await wire->bytes(body);
    std::ignore = co_await wire->send(answer);
  }
}

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
constexpr std::string_view kOkClosed =
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

TEST_F(RelayTest, RequestHeadsAreWrittenAnewWithoutHopByHopFields) {
  start([&](Wire* w, int) { return record(w, &seen, 0, std::string(kOk)); },
        [](RelayOptions& o) {
          o.forwarded_for = "192.0.2.1";
          o.forwarded_proto = "https";
          o.forwarded_host = "public.example";
        });
  EXPECT_EQ(ask("GET /a?b HTTP/1.1\r\nHost: Public.Example\r\nAccept: */*\r\nConnection: close, "
                "X-Hop\r\nX-Hop: 1\r\n"
                "Keep-Alive: 5\r\nProxy-Authorization: secret\r\nTE: gzip, "
                "trailers\r\nX-Forwarded-For: 198.51.100.9\r\n"
                "X-forwarded-for: 203.0.113.5\r\nX-Forwarded-Proto: http\r\nUpgrade: h2c\r\n\r\n"),
            kOkClosed);
  EXPECT_EQ(
      seen,
      "GET /a?b HTTP/1.1\r\nHost: " + upstream_authority() +
          "\r\nAccept: */*\r\nX-Forwarded-For: 198.51.100.9, 203.0.113.5, 192.0.2.1\r\n"
          "X-Forwarded-Proto: https\r\nTE: trailers\r\nX-Forwarded-Host: public.example\r\n\r\n");
  EXPECT_EQ(state(), "complete");
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->response_bytes, 2U);
}

TEST_F(RelayTest, HostCanBeSet) {
  start([&](Wire* w, int) { return record(w, &seen, 0, std::string(kOk)); },
        [](RelayOptions& o) { o.host = "inner.example:81"; });
  ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(seen, "GET / HTTP/1.1\r\nHost: inner.example:81\r\n\r\n");
}

TEST_F(RelayTest, AnswersOfEveryFraming) {
  struct Row {
    std::string_view name, request, upstream, expected, state;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"length", "GET / HTTP/1.1", kOk, kOkClosed, "complete"},
           {"chunked with trailers", "GET / HTTP/1.1",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: "
            "X-S\r\n\r\n2\r\nok\r\n0\r\nX-S: 1\r\nContent-Length: 9\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTrailer: X-S\r\nTransfer-Encoding: chunked\r\nConnection: "
            "close\r\n\r\n2\r\nok\r\n0\r\nX-S: 1\r\n\r\n",
            "complete"},
           {"until close", "GET / HTTP/1.1", "HTTP/1.1 200 OK\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: "
            "close\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "complete"},
           {"to HTTP/1.0", "GET / HTTP/1.0",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok", "complete"},
           {"HEAD keeps the length", "HEAD / HTTP/1.1",
            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\n", "complete"},
           {"304", "GET / HTTP/1.1", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nConnection: close\r\n\r\n", "complete"},
           {"204", "GET / HTTP/1.1", "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", "complete"},
           {"empty", "GET / HTTP/1.1", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "complete"},
           {"hop-by-hop of the answer", "GET / HTTP/1.1",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Gone\r\nX-Gone: "
            "1\r\nKeep-Alive: 1\r\nServer: s\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
            "complete"},
           {"interim", "GET / HTTP/1.1",
            "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\nConnection: x\r\n\r\nHTTP/1.1 200 "
            "OK\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
            "2\r\nConnection: close\r\n\r\nok",
            "complete"},
           {"malformed", "GET / HTTP/1.1", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
            "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 21\r\nConnection: "
            "close\r\n\r\nhttp.upstream_invalid",
            "failed http.upstream_invalid"},
           {"no answer", "GET / HTTP/1.1", "",
            "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 11\r\nConnection: "
            "close\r\n\r\nhttp.closed",
            "failed http.closed"},
           {"cut body", "GET / HTTP/1.1", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nok",
            "torn http.closed"},
           {"cut chunks", "GET / HTTP/1.1",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nok\r\n",
            "torn http.closed"},
           {"unasked switch", "GET / HTTP/1.1",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
            "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 21\r\nConnection: "
            "close\r\n\r\nhttp.upstream_invalid",
            "failed http.upstream_invalid"},
       }) {
    SCOPED_TRACE(row.name);
    tasks_.cancel();
    start([&](Wire* w, int) { return record(w, &seen, 0, std::string(row.upstream)); });
    EXPECT_EQ(ask(std::string(row.request) + "\r\nHost: x\r\nConnection: close\r\n\r\n"),
              row.expected);
    EXPECT_EQ(state(), row.state);
  }
}

TEST_F(RelayTest, RefusedWhenNothingListens) {
  start([](Wire* w, int) { return record(w, nullptr, 0, ""); });
  listener_->close();
  EXPECT_TRUE(ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                  .ends_with("http.connect_failed"));
  EXPECT_EQ(state(), "refused http.connect_failed");
}

TEST_F(RelayTest, LeaveIsAskedWhenTheConnectionIsThereAndNothingWasWritten) {
  start([&](Wire* w, int) { return record(w, &seen, 0, std::string(kOk)); },
        [](RelayOptions& o) {
          o.may_send = [] { return Result<>(fail(Errc::cancelled, "taken back")); };
        });
  const std::string told = ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(state(), "refused http.cancelled");
  EXPECT_NE(told.find("502"), std::string::npos);
  EXPECT_EQ(seen, "");
}

TEST_F(RelayTest, RequestBodiesOfBothFramingsInAnySplit) {
  for (const std::size_t step : std::initializer_list<std::size_t>{1, 2, 5, 1000}) {
    tasks_.cancel();
    seen.clear();
    start([&](Wire* w, int) { return record(w, &seen, 5, std::string(kOk)); });
    EXPECT_EQ(
        ask("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
            step),
        kOkClosed);
    EXPECT_TRUE(seen.ends_with("\r\nContent-Length: 5\r\n\r\nhello")) << seen;
    EXPECT_EQ(result->request_bytes, 5U);
  }
  struct Chunks {
    static Task<void> go(Wire* wire, std::string* seen) {
      *seen = co_await wire->until("X-T: 1\r\n\r\n");
      std::ignore = co_await wire->send(std::string(kOk));
    }
  };
  tasks_.cancel();
  start([&](Wire* w, int) { return Chunks::go(w, &seen); });
  EXPECT_EQ(
      ask("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
          "3;ext=1\r\nhel\r\n2\r\nlo\r\n0\r\nX-T: 1\r\nHost: y\r\n\r\n"),
      kOkClosed);
  EXPECT_TRUE(seen.ends_with(
      "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nX-T: 1\r\n\r\n"))
      << seen;
}

TEST_F(RelayTest, ABufferedBodyIsSentInsteadOfTheRest) {
  start([&](Wire* w, int) { return record(w, &seen, 3, std::string(kOk)); },
        [](RelayOptions& o) { o.buffered_body = "abc"; });
  EXPECT_EQ(ask("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), kOkClosed);
  EXPECT_TRUE(seen.ends_with("Content-Length: 3\r\n\r\nabc")) << seen;
}

TEST_F(RelayTest, HooksSeeTheHeadAndEveryPiece) {
  std::string pieces;
  start([&](Wire* w, int) { return record(w, &seen, 0, std::string(kOk)); },
        [&](RelayOptions& o) {
          o.on_head = [](ResponseHead& head) { head.headers.add("X-Receipt", "r"); };
          o.on_body = [&](ByteView piece) { pieces.append(as_text(piece)); };
        });
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nX-Receipt: r\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  EXPECT_EQ(pieces, "ok");
}

TEST_F(RelayTest, TooLargeABody) {
  start([&](Wire* w, int) { return record(w, &seen, 100, std::string(kOk)); },
        [](RelayOptions& o) { o.max_body = 4; });
  EXPECT_TRUE(
      ask("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")
          .ends_with("http.body_too_large"));
  EXPECT_EQ(state(), "refused http.body_too_large");
  EXPECT_EQ(connections_, 0);
  EXPECT_TRUE(
      ask("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
          "5\r\nhello\r\n0\r\n\r\n")
          .ends_with("http.body_too_large"));
  EXPECT_EQ(result->error->code(), "http.body_too_large");
}

TEST_F(RelayTest, AMalformedRequestBodyReachesNobodyAsWhole) {
  start([&](Wire* w, int) { return record(w, &seen, 100, std::string(kOk)); });
  EXPECT_TRUE(ask("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                  "chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n")
                  .ends_with("http.bad_message"));
  EXPECT_EQ(seen.find("0\r\n\r\n"), std::string::npos);
  EXPECT_TRUE(result->client_fault);
  EXPECT_FALSE(result->upstream_fault);
}

TEST_F(RelayTest, AnEarlyAnswerPassesWhileTheBodyIsStillComing) {
  struct Early {
    static Task<void> go(Wire* wire) {
      std::ignore = co_await wire->head();
      std::ignore = co_await wire->send(
          "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    }
    static Task<std::string> ask(RelayTest* self, net::Loop* loop, net::Endpoint to) {
      std::ignore = self;
      Wire wire = co_await Wire::to(loop, to);
      std::ignore =
          co_await wire.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nsome");
      co_return undated(co_await wire.rest());
    }
  };
  start([](Wire* w, int) { return Early::go(w); });
  EXPECT_EQ(net::run_until(loop, Early::ask(this, &loop, server_->local())),
            "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
  EXPECT_EQ(state(), "complete");
}

TEST_F(RelayTest, ExpectIsPassedOnAndTheUpstreamDecides) {
  struct Expecting {
    static Task<void> go(Wire* wire, std::string* seen) {
      *seen += co_await wire->head();
      std::ignore = co_await wire->send("HTTP/1.1 100 Continue\r\n\r\n");
      *seen += co_await wire->bytes(5);
      std::ignore = co_await wire->send(std::string(kOk));
    }
    static Task<void> refuse(Wire* wire) {
      std::ignore = co_await wire->head();
      std::ignore = co_await wire->send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
      std::ignore = co_await wire->rest();
    }
    static Task<std::string> ask(net::Loop* loop, net::Endpoint to) {
      Wire wire = co_await Wire::to(loop, to);
      std::ignore = co_await wire.send(
          "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\nExpect: "
          "100-continue\r\n\r\n");
      std::string story = co_await wire.head();
      if (story.find(" 100 ") != std::string::npos) std::ignore = co_await wire.send("hello");
      co_return story + co_await wire.rest();
    }
  };
  start([&](Wire* w, int) { return Expecting::go(w, &seen); });
  EXPECT_EQ(undated(net::run_until(loop, Expecting::ask(&loop, server_->local()))),
            "HTTP/1.1 100 Continue\r\n\r\n" + std::string(kOkClosed));
  EXPECT_NE(seen.find("Expect: 100-continue\r\n"), std::string::npos);
  EXPECT_TRUE(seen.ends_with("hello"));
  tasks_.cancel();
  start([](Wire* w, int) { return Expecting::refuse(w); });
  EXPECT_EQ(undated(net::run_until(loop, Expecting::ask(&loop, server_->local()))),
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

TEST_F(RelayTest, ADeadPooledConnectionIsRepeatedWhenThatIsSafe) {
  struct Row {
    std::string method;
    bool repeat_idempotent;
    std::string_view expected;
  };
  for (const Row& row : std::initializer_list<Row>{{"GET", true, "complete"},
                                                   {"GET", false, "failed http.closed"},
                                                   {"POST", true, "failed http.closed"}}) {
    tasks_.cancel();
    client_ = nullptr;
    client_ = make_client(loop, {});
    connections_ = 0;
    struct Cut {
      static Task<void> go(Wire* wire, int number) {
        std::string ignored;
        co_await record(wire, &ignored, 0, std::string(kOk), number == 1 ? 1 : 10);
        std::ignore = co_await wire->head();
      }
    };
    start(Cut::go, [&](RelayOptions& o) { o.repeat_idempotent = row.repeat_idempotent; });
    ASSERT_TRUE(
        ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 200"));
    ask(row.method + " / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(state(), row.expected) << row.method;
  }
}

TEST_F(RelayTest, ManyRequestsOfOneClientShareOneUpstreamConnection) {
  start([&](Wire* w, int) { return record(w, &seen, 0, std::string(kOk), 100); });
  std::string many;
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    many += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n" +
            (i == 19 ? "Connection: close\r\n" : "") + "\r\n";
    expected += i == 19 ? kOkClosed : kOk;
  }
  EXPECT_EQ(ask(many), expected);
  EXPECT_EQ(connections_, 1);
  EXPECT_EQ(relayed, 20);
}

Task<void> hold(Wire* wire, Event* cut, std::string first) {
  std::ignore = co_await wire->head();
  if (!first.empty()) std::ignore = co_await wire->send(first);
  std::ignore = co_await wire->rest();
  cut->set();
}
Task<void> ask_and_leave(net::Loop* loop, net::Endpoint to, Event* cut, std::string wait_for) {
  Wire wire = co_await Wire::to(loop, to);
  std::ignore = co_await wire.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  if (wait_for.empty()) {
    co_await loop->sleep(Millis(30));
  } else {
    std::ignore = co_await wire.until(wait_for);
  }
  wire.close();
  co_await cut->wait();
}

TEST_F(RelayTest, AClientThatLeavesCancelsTheUpstream) {
  for (const bool answered : {false, true}) {
    tasks_.cancel();
    Event cut;
    start([&](Wire* w, int) {
      return hold(
          w, &cut,
          answered ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n" : "");
    });
    net::run_until(loop, ask_and_leave(&loop, server_->local(), &cut, answered ? "ok\r\n" : ""));
    EXPECT_EQ(state(), answered ? "client_gone http.closed" : "failed http.closed");
  }
}

TEST_F(RelayTest, EventsPassWithoutDelay) {
  struct Sse {
    static Task<void> go(Wire* wire, Event* next) {
      std::ignore = co_await wire->head();
      std::ignore = co_await wire->send(
          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
          "chunked\r\n\r\n");
      co_await next->wait();
      std::ignore = co_await wire->send("9\r\ndata: 1\n\n\r\n");
      std::ignore = co_await wire->head();
    }
    static Task<std::string> ask(net::Loop* loop, net::Endpoint to, Event* next) {
      Wire wire = co_await Wire::to(loop, to);
      std::ignore = co_await wire.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      const std::string head = co_await wire.head();  // before any event
      next->set();
      co_return co_await wire.until("data: 1\n\n\r\n");
    }
  };
  Event next;
  start([&](Wire* w, int) { return Sse::go(w, &next); });
  EXPECT_EQ(net::run_until(loop, Sse::ask(&loop, server_->local(), &next)), "9\r\ndata: 1\n\n\r\n");
}

/// Doubles what passes, up to a number of pieces, and says how it went.
struct Doubler final : BodyFilter {
  Filtering filtering = Filtering::changed;
  Passing after = Passing::stop;  // what comes after `most` pieces
  int most = 100;
  std::optional<Error> refusal;
  int pieces = 0;
  bool ended = false;
  bool abandoned = false;
  Event left;
  std::optional<std::uint64_t> length;
  bool waits = false;

  Task<Result<Filtering>> begin(ResponseHead& head, std::optional<std::uint64_t> size) override {
    length = size;
    head.headers.set("X-Filtered", "yes");
    if (refusal) co_return fail(*refusal);
    co_return filtering;
  }
  Task<Passing> pass(ByteView piece, Exchange& client) override {
    if (waits) {
      co_await left.wait();
      co_return Passing::gone;
    }
    if (pieces++ == most) co_return after;
    const std::string twice(as_text(piece));
    co_return (co_await client.write(as_bytes(twice + twice))) ? Passing::on : Passing::gone;
  }
  Task<Passing> end(Exchange& client) override {
    ended = true;
    co_return (co_await client.write(as_bytes(std::string_view("!")))) ? Passing::on
                                                                       : Passing::gone;
  }
  void abandon() noexcept override {
    abandoned = true;
    left.set();
  }
};

/// An answer in two pieces that are sent one after the other.
Task<void> two_pieces(Wire* wire, bool whole) {
  std::ignore = co_await wire->head();
  std::ignore =
      co_await wire->send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
  std::ignore = co_await wire->send("2\r\ncd\r\n");
  if (whole) std::ignore = co_await wire->send("0\r\n\r\n");
  std::ignore = co_await wire->head();
}

TEST_F(RelayTest, AFilterWritesWhatTheClientGets) {
  Doubler filter;
  start([&](Wire* w,
            int) { return record(w, &seen, 0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"); },
        [&](RelayOptions& o) { o.filter = &filter; });
  const std::string answer = ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, testing::HasSubstr("X-Filtered: yes\r\n"));
  EXPECT_THAT(answer, testing::HasSubstr("chunked\r\n"));
  EXPECT_THAT(answer, testing::Not(testing::HasSubstr("Content-Length")));
  EXPECT_THAT(answer, testing::EndsWith("4\r\nabab\r\n1\r\n!\r\n0\r\n\r\n"));
  EXPECT_EQ(filter.length, 2U);
  EXPECT_EQ(state(), "complete");
}

TEST_F(RelayTest, AFilterThatChangesNothingKeepsTheLength) {
  Doubler filter;
  filter.filtering = Filtering::off;
  start([&](Wire* w,
            int) { return record(w, &seen, 0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"); },
        [&](RelayOptions& o) { o.filter = &filter; });
  EXPECT_THAT(
      ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
      testing::AllOf(testing::HasSubstr("Content-Length: 2\r\n"), testing::EndsWith("\r\n\r\nab")));
  EXPECT_EQ(filter.pieces, 0);
  EXPECT_FALSE(filter.ended);
}

TEST_F(RelayTest, AFilterMayRefuseAnAnswerAndNobodyIsToBlame) {
  Doubler filter;
  filter.refusal = Error(Errc::cancelled, "not this one");
  start([&](Wire* w,
            int) { return record(w, &seen, 0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"); },
        [&](RelayOptions& o) { o.filter = &filter; });
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              testing::StartsWith("HTTP/1.1 502 "));
  EXPECT_EQ(state(), "failed http.cancelled");
  EXPECT_FALSE(result->upstream_fault);
}

TEST_F(RelayTest, AFilterMayEndAnAnswerEarlyInGoodOrderOrNot) {
  for (const Passing after : {Passing::stop, Passing::cut}) {
    Doubler filter;
    filter.most = 0;
    filter.after = after;
    start([](Wire* w, int) { return two_pieces(w, true); },
          [&](RelayOptions& o) { o.filter = &filter; });
    const std::string answer = ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    if (after == Passing::stop) {
      EXPECT_THAT(answer, testing::EndsWith("\r\n\r\n0\r\n\r\n"));
    } else {
      EXPECT_THAT(answer, testing::Not(testing::EndsWith("0\r\n\r\n")));
    }
    EXPECT_EQ(state(), after == Passing::stop ? "complete" : "torn http.cancelled");
    EXPECT_FALSE(result->upstream_fault);
    EXPECT_FALSE(filter.ended);
  }
}

TEST_F(RelayTest, AFilterIsNotAskedForTheEndOfATornAnswer) {
  Doubler filter;
  start([](Wire* w, int) { return two_pieces(w, false); },
        [&](RelayOptions& o) {
          o.filter = &filter;
          o.timeouts.idle = Millis(50);
        });
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              testing::HasSubstr("abab"));
  EXPECT_FALSE(filter.ended);
  EXPECT_TRUE(result->upstream_fault);
}

TEST_F(RelayTest, AFilterThatWaitsIsToldThatTheClientLeft) {
  Doubler filter;
  filter.waits = true;
  start([](Wire* w, int) { return two_pieces(w, true); },
        [&](RelayOptions& o) { o.filter = &filter; });
  net::run_until(loop, ask_and_leave(&loop, server_->local(), &done, "\r\n\r\n"));
  EXPECT_TRUE(filter.abandoned);
  EXPECT_EQ(state(), "client_gone http.closed");
}

TEST_F(RelayTest, UpgradesTunnelBothWaysWithTheirOwnEnds) {
  struct Ws {
    static Task<void> go(Wire* wire, std::string* seen) {
      *seen = co_await wire->head();
      std::ignore = co_await wire->send(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "
          "websocket\r\nSec-WebSocket-Accept: y\r\n\r\nearly");
      const std::string said = co_await wire->rest();  // the client's end
      std::ignore = co_await wire->send("said " + said);
    }
    static Task<std::string> ask(net::Loop* loop, net::Endpoint to) {
      Wire wire = co_await Wire::to(loop, to);
      std::ignore = co_await wire.send(
          "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: "
          "websocket\r\nSec-WebSocket-Key: k\r\n\r\nahead ");
      std::string story = co_await wire.head() + co_await wire.bytes(5);
      std::ignore = co_await wire.send(std::string(300'000, 'z'));
      wire.end();
      const std::string rest = co_await wire.rest();
      co_return story + ";" + rest.substr(0, 12) + std::to_string(rest.size());
    }
  };
  start([&](Wire* w, int) { return Ws::go(w, &seen); });
  EXPECT_EQ(net::run_until(loop, Ws::ask(&loop, server_->local())),
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: y\r\nUpgrade: "
            "websocket\r\nConnection: upgrade\r\n\r\n"
            "early;said ahead z300011");
  EXPECT_EQ(seen,
            "GET /ws HTTP/1.1\r\nHost: " + upstream_authority() +
                "\r\nSec-WebSocket-Key: k\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
  EXPECT_EQ(state(), "complete");
  EXPECT_EQ(result->status, 101);
  EXPECT_EQ(result->request_bytes, 300'006U);
}

std::size_t resident_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6));
  }
  return 0;
}

TEST_F(RelayTest, LargeBodiesPassBothWaysInLittleMemory) {
  static constexpr std::uint64_t kSize = 64ULL << 20;
  struct Large {
    static Task<void> go(Wire* wire) {
      std::ignore = co_await wire->head();
      std::vector<std::uint8_t> buffer(64 * 1024);
      std::uint64_t got = wire->ahead();
      while (got < kSize) {
        auto n = co_await net::read_some(wire->stream(), buffer, kTestPatience);
        if (!n || *n == 0) co_return;
        got += *n;
      }
      std::ignore = co_await wire->send(
          "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n");
      const std::string block(256 * 1024, 'd');
      for (std::uint64_t sent = 0; sent < kSize; sent += block.size()) {
        if (!co_await wire->send(block)) co_return;
      }
    }
    static Task<std::uint64_t> ask(net::Loop* loop, net::Endpoint to, std::size_t* peak) {
      Wire wire = co_await Wire::to(loop, to);
      std::ignore =
          co_await wire.send("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " +
                             std::to_string(kSize) + "\r\n\r\n");
      const std::string block(256 * 1024, 'u');
      for (std::uint64_t sent = 0; sent < kSize; sent += block.size()) {
        if (!co_await wire.send(block)) co_return 0;
        *peak = std::max(*peak, resident_kib());
      }
      std::ignore = co_await wire.head();
      std::vector<std::uint8_t> buffer(64 * 1024);
      std::uint64_t got = wire.ahead();
      for (;;) {
        auto n = co_await net::read_some(wire.stream(), buffer, kTestPatience);
        if (!n || *n == 0) break;
        got += *n;
        if (got % (1 << 20) < *n) *peak = std::max(*peak, resident_kib());
      }
      co_return got;
    }
  };
  start([](Wire* w, int) { return Large::go(w); });
  [[maybe_unused]] const std::size_t before = resident_kib();
  std::size_t peak = 0;
  const std::uint64_t got = net::run_until(loop, Large::ask(&loop, server_->local(), &peak));
  EXPECT_EQ(got, kSize);
  EXPECT_EQ(result->request_bytes, kSize);
  EXPECT_EQ(result->response_bytes, kSize);
#if defined(__has_feature) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
  EXPECT_LT(peak, before + 16 * 1024);  // sanitizers keep freed memory
#endif
}

}  // namespace
}  // namespace octroi::http
