// The client over HTTP/2 against nghttp2's own server session.
#include "octroi/http/h2_client.h"

#include <gtest/gtest.h>

#include "octroi/http/h2_peer_test.h"
#include "octroi/net/memory_stream.h"
#include "octroi/net/tls_identity.h"
#include "octroi/task/group.h"

namespace octroi::http::h2 {
namespace {

using Opened = std::unique_ptr<ClientExchange>;

RequestHead get_head(std::string method = "GET", std::string target = "/") {
  RequestHead head;
  head.method = std::move(method);
  head.target = std::move(target);
  head.authority = "api.test";
  return head;
}

Task<std::string> read_body(ClientExchange* x) {
  auto body = co_await read_all(x->body(), 64 << 20);
  co_return body ? *body : "<" + std::string(body.error().code()) + ">";
}

/// "200 body", or "error sent answered reused".
Task<std::string> story(ClientExchange* x) {
  auto head = co_await x->head();
  if (!head) {
    co_return std::string(head.error().code()) + (x->sent() ? " sent" : "") +
        (x->answered() ? " answered" : "") + (x->reused() ? " reused" : "");
  }
  co_return std::to_string(head->status) + " " + co_await read_body(x);
}

class H2Client : public testing::Test {
 public:
  void start(Peer::Plan plan, ClientConfig config = {}) {
    peers = std::make_unique<Peers>(loop, std::move(plan));
    client = make_client(loop, std::move(config));
  }
  static Task<Opened> open_task(H2Client* self, ClientTimeouts timeouts, bool fresh) {
    auto x = co_await self->client->open_with(self->peers->origin(), timeouts, fresh);
    EXPECT_TRUE(x) << x.error().message();
    co_return std::move(*x);
  }
  Opened open(ClientTimeouts timeouts = {}, bool fresh = false) {
    return net::run_until(loop, open_task(this, timeouts, fresh));
  }
  /// Opened, and a GET on its way.
  Opened ask(ClientTimeouts timeouts = {}, RequestHead head = get_head()) {
    Opened x = open(timeouts);
    EXPECT_TRUE(net::run_until(loop, x->send_head(head, 0)));
    return x;
  }
  void settle(Millis time = Millis(60)) { net::run_until(loop, loop.sleep(time)); }
  template <class Condition>
  static Task<void> until_task(H2Client* self, Condition condition) {
    for (int i = 0; i < 1000 && !condition(); ++i) co_await self->loop.sleep(Millis(10));
  }
  template <class Condition>
  bool until(Condition condition) {
    net::run_until(loop, until_task(this, condition));
    return condition();
  }
  std::string fetch(std::string method = "GET", std::string body = "") {
    Request request;
    request.method = std::move(method);
    request.url = peers->url();
    request.body = std::move(body);
    request.protocol = Protocol::h2;
    auto r = net::run_until(loop, client->fetch(std::move(request), 64 << 20, kTestPatience));
    return r ? std::to_string(r->status) + " " + r->body : std::string(r.error().code());
  }

  net::Loop loop;
  std::unique_ptr<Peers> peers;
  std::unique_ptr<Client> client;
};

Peer::Script say(std::string body) {
  return [body](Peer& p, Peer::Request& r) { p.answer(r, "200", {}, body); };
}

TEST_F(H2Client, WritesTheRequestAsExpected) {
  std::string seen, body;
  start({.on_end = [&](Peer& p, Peer::Request& r) {
    seen = r.all();
    body = r.body;
    p.answer(r, "200", {{"x-a", "1"}}, "ok");
  }});
  Opened x = open();
  RequestHead head = get_head("POST", "/p?q");
  head.headers.add("X-Mixed", "Case");
  head.headers.add("TE", "trailers");
  head.headers.add("Connection", "close");
  head.headers.add("Keep-Alive", "5");
  head.headers.add("Transfer-Encoding", "chunked");
  head.headers.add("Content-Length", "999");
  EXPECT_TRUE(net::run_until(loop, x->send_head(head, 3)));
  EXPECT_TRUE(net::run_until(loop, x->write(as_bytes("abc"))));
  EXPECT_TRUE(net::run_until(loop, x->finish({})));
  auto answer = net::run_until(loop, x->head());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->headers.get("x-a"), "1");
  EXPECT_EQ(net::run_until(loop, read_body(x.get())), "ok");
  EXPECT_EQ(seen,
            ":method=POST\n:scheme=http\n:authority=api.test\n:path=/p?q\nx-mixed=Case\n"
            "te=trailers\ncontent-length=3\n");
  EXPECT_EQ(body, "abc");
}

TEST_F(H2Client, TheAuthorityIsTheOriginsWhenTheHeadSaysNone) {
  std::string seen;
  start({.on_end = [&](Peer& p, Peer::Request& r) {
    seen = r.field(":authority");
    p.answer_head_only(r, "204");
  }});
  RequestHead head = get_head();
  head.authority.clear();
  Opened x = ask({}, head);
  EXPECT_EQ(net::run_until(loop, story(x.get())), "204 ");
  EXPECT_EQ(seen, peers->url().authority());
}

TEST_F(H2Client, TrailersGoBothWays) {
  std::string seen;
  start({.on_end = [&](Peer& p, Peer::Request& r) {
    for (const auto& [n, v] : r.trailers) seen += n + "=" + v + "\n";
    p.answer(r, "200", {}, r.body,
             {{"grpc-status", "0"}, {"grpc-message", "fine "}, {"authorization", "x"}});
  }});
  Opened x = open();
  EXPECT_TRUE(net::run_until(loop, x->send_head(get_head("POST"), std::nullopt)));
  EXPECT_TRUE(net::run_until(loop, x->write(as_bytes("abc"))));
  Headers trailers;
  trailers.add("X-Sum", "9");
  trailers.add("Content-Length", "9");  // no trailer
  EXPECT_TRUE(net::run_until(loop, x->finish(trailers)));
  EXPECT_EQ(net::run_until(loop, story(x.get())), "200 abc");
  EXPECT_EQ(seen, "x-sum=9\n");
  EXPECT_EQ(x->body().trailers().get("grpc-status"), "0");
  EXPECT_EQ(x->body().trailers().get("grpc-message"), "fine");
  EXPECT_FALSE(x->body().trailers().has("authorization"));
}

TEST_F(H2Client, ManyExchangesShareAConnection) {
  start({});
  std::vector<Opened> all;
  for (int i = 0; i < 20; ++i) all.push_back(ask({}, get_head("GET", "/" + std::to_string(i))));
  ASSERT_TRUE(until([&] { return peers->count() == 1 && peers->at(0).requests.size() == 20; }));
  // Answered in the opposite order.
  auto& requests = peers->at(0).requests;
  for (auto it = requests.rbegin(); it != requests.rend(); ++it) {
    peers->at(0).answer(it->second, "200", {}, it->second.field(":path"));
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(net::run_until(loop, story(all[i].get())), "200 /" + std::to_string(i));
  }
  EXPECT_EQ(peers->count(), 1U);
  all.clear();
  EXPECT_EQ(peers->count(), 1U);
  Opened again = ask();
  EXPECT_TRUE(again->reused());
}

TEST_F(H2Client, ManyWhoAskAtOnceShareOneHandshake) {
  start({.on_end = say("ok")});
  struct Go {
    static Task<void> one(H2Client* self, std::string* out) {
      auto x = co_await self->client->open(self->peers->origin());
      EXPECT_TRUE(x);
      EXPECT_TRUE(co_await (*x)->send_head(get_head(), 0));
      *out = co_await story(x->get());
    }
    static Task<void> all(H2Client* self, std::vector<std::string>* out) {
      TaskGroup group;
      for (std::string& s : *out) group.start(one(self, &s));
      co_await group.join();
    }
  };
  std::vector<std::string> stories(50);
  net::run_until(loop, Go::all(this, &stories));
  for (const std::string& s : stories) EXPECT_EQ(s, "200 ok");
  EXPECT_EQ(peers->count(), 1U);
}

TEST_F(H2Client, TheServersLimitOfStreamsIsKept) {
  std::size_t most = 0;
  start({.on_head =
             [&](Peer& p, Peer::Request&) {
               std::size_t open_streams = 0;
               for (const auto& [id, r] : p.requests)
                 open_streams += r.out_ended || r.reset ? 0 : 1;
               most = std::max(most, open_streams);
             },
         .on_end = {},
         .settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2}}});
  Opened first = ask();
  ASSERT_TRUE(until([&] { return peers->count() == 1 && peers->at(0).requests.size() == 1; }));
  settle();  // the limit is known now
  Opened second = ask();
  Opened third = ask();  // another connection
  EXPECT_FALSE(third->reused());
  ASSERT_TRUE(until([&] { return peers->count() == 2 && peers->at(1).requests.size() == 1; }));
  EXPECT_EQ(peers->at(0).requests.size(), 2U);
  first.reset();
  Opened fourth = ask();  // the place of the first
  EXPECT_TRUE(fourth->reused());
  ASSERT_TRUE(until([&] { return peers->at(0).requests.size() == 3; }));
  EXPECT_EQ(peers->count(), 2U);
  EXPECT_LE(most, 2U);
}

TEST_F(H2Client, InterimHeadsComeFirst) {
  start({.on_end = [](Peer& p, Peer::Request& r) {
    p.interim(r, "103", {{"link", "</a>"}});
    p.interim(r, "102", {});
    p.answer(r, "200", {{"x-final", "1"}}, "ok");
  }});
  Opened x = ask();
  auto one = net::run_until(loop, x->head());
  ASSERT_TRUE(one);
  EXPECT_EQ(one->status, 103);
  EXPECT_EQ(one->headers.get("link"), "</a>");
  EXPECT_EQ(net::run_until(loop, x->head())->status, 102);
  EXPECT_EQ(net::run_until(loop, story(x.get())), "200 ok");
}

TEST_F(H2Client, KnowsWhenThereIsNoBody) {
  struct Row {
    std::string_view name, method, status;
    FieldPairs fields;
    bool head_only;
    std::optional<std::uint64_t> length;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"HEAD", "HEAD", "200", {{"content-length", "5"}}, true, 0},
           {"204", "GET", "204", {}, true, 0},
           {"304 with a length", "GET", "304", {{"content-length", "5"}}, true, 0},
           {"trailers only", "POST", "200", {{"grpc-status", "12"}}, true, 0},
           {"no length", "GET", "200", {}, false, std::nullopt},
           {"a length", "GET", "200", {{"content-length", "2"}}, false, 2}}) {
    start({.on_end = [&](Peer& p, Peer::Request& r) {
      if (row.head_only) {
        p.answer_head_only(r, std::string(row.status), row.fields);
      } else {
        p.answer(r, std::string(row.status), row.fields, "ok");
      }
    }});
    Opened x = ask({}, get_head(std::string(row.method)));
    auto head = net::run_until(loop, x->head());
    ASSERT_TRUE(head) << row.name << head.error().message();
    EXPECT_EQ(x->body().length(), row.length) << row.name;
    EXPECT_EQ(net::run_until(loop, read_body(x.get())), row.head_only ? "" : "ok") << row.name;
    if (!row.fields.empty()) {
      EXPECT_EQ(head->headers.get(row.fields[0].first), row.fields[0].second) << row.name;
    }
    x.reset();
    client.reset();
  }
}

TEST_F(H2Client, WhatBreaksTheRulesIsNoAnswer) {
  struct Row {
    std::string_view name;
    Peer::Script script;
  };
  const auto head = [](std::string status, FieldPairs fields) {
    return [status, fields](Peer& p, Peer::Request& r) { p.begin(r, status, fields); };
  };
  for (const Row& row : std::initializer_list<Row>{
           {"no status", head("", {{"x-a", "1"}})},
           {"two digits", head("20", {})},
           {"101", head("101", {})},
           {"a connection field", head("200", {{"connection", "close"}})},
           {"transfer-encoding", head("200", {{"transfer-encoding", "chunked"}})},
           {"a line feed in a value", head("200", {{"x-a", "1\n2"}})},
           {"two lengths", head("200", {{"content-length", "1"}, {"content-length", "2"}})},
           {"more fields than allowed",
            [](Peer& p, Peer::Request& r) {
              FieldPairs many;
              for (int i = 0; i < 300; ++i) many.emplace_back("x" + std::to_string(i), "1");
              p.begin(r, "200", many);
            }},
           {"a head too large",
            [](Peer& p, Peer::Request& r) {
              FieldPairs many;
              for (int i = 0; i < 9; ++i)
                many.emplace_back("x" + std::to_string(i), std::string(9000, 'x'));
              p.begin(r, "200", many);
            }},
           {"interim answers without end",
            [](Peer& p, Peer::Request& r) {
              for (int i = 0; i < 40; ++i) p.interim(r, "103", {});
            }},
           {"an interim answer that ends",
            [](Peer& p, Peer::Request& r) { p.answer_head_only(r, "103"); }},
           {"more than announced",
            [](Peer& p, Peer::Request& r) { p.answer(r, "200", {{"content-length", "1"}}, "ok"); }},
           {"less than announced", [](Peer& p, Peer::Request& r) {
              p.answer(r, "200", {{"content-length", "9"}}, "ok");
            }}}) {
    start({.on_end = row.script});
    struct Go {
      static Task<std::string> run(ClientExchange* x) {
        for (;;) {
          auto answer = co_await x->head();
          if (!answer) co_return std::string(answer.error().code());
          if (answer->status >= 200) co_return co_await read_body(x);
        }
      }
    };
    Opened x = ask();
    const std::string told = net::run_until(loop, Go::run(x.get()));
    EXPECT_TRUE(told == "http.upstream_invalid" || told == "<http.upstream_invalid>")
        << row.name << ": " << told;
    EXPECT_TRUE(x->sent()) << row.name;
    x.reset();
    EXPECT_TRUE(until([&] {
      return peers->at(0).requests[1].reset == NGHTTP2_PROTOCOL_ERROR ||
             peers->at(0).requests[1].reset == NGHTTP2_INTERNAL_ERROR;
    })) << row.name;
    client.reset();
  }
}

TEST_F(H2Client, AServerOfAnotherProtocolIsNamed) {
  struct Go {
    static Task<void> serve(net::Listener* l) {
      auto stream = co_await l->accept();
      Wire wire(std::move(*stream));
      std::ignore = co_await wire.until("SM\r\n\r\n");
      std::ignore = co_await wire.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
      std::ignore = co_await wire.rest();
    }
  };
  auto listener = std::move(*net::listen_tcp(loop, any_port(), false));
  TaskGroup tasks;
  tasks.start(Go::serve(listener.get()));
  client = make_client(loop, {});
  Request request;
  request.url = *Url::parse("http://" + listener->local().str() + "/");
  request.protocol = Protocol::h2;
  auto r = net::run_until(loop, client->fetch(std::move(request), 100, kTestPatience));
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code(), "http.upstream_invalid");
  EXPECT_EQ(r.error().message(), "the server speaks HTTP/1.1, not HTTP/2");
}

TEST_F(H2Client, AResetTellsWhatMayBeSentAgain) {
  struct Row {
    std::uint32_t code;
    std::string_view expected;
  };
  for (const Row& row :
       std::initializer_list<Row>{{NGHTTP2_REFUSED_STREAM, "http.closed reused"},
                                  {NGHTTP2_CANCEL, "http.closed sent answered"},
                                  {NGHTTP2_INTERNAL_ERROR, "http.closed sent answered"},
                                  {NGHTTP2_ENHANCE_YOUR_CALM, "http.closed sent answered"}}) {
    start({.on_end = [&](Peer& p, Peer::Request& r) { p.reset(r, row.code); }});
    Opened x = ask();
    EXPECT_EQ(net::run_until(loop, story(x.get())), row.expected) << error_name(row.code);
    EXPECT_EQ(x->reset_code(), row.code);
    x.reset();
    client.reset();
  }
}

TEST_F(H2Client, ARefusedRequestIsSentAgainOnce) {
  int times = 0;
  start({.on_end = [&](Peer& p, Peer::Request& r) {
    if (++times % 3 != 0) {
      p.reset(r, NGHTTP2_REFUSED_STREAM);
    } else {
      p.answer(r, "200", {}, "ok");
    }
  }});
  EXPECT_EQ(fetch("POST", "money"), "http.closed");
  EXPECT_EQ(times, 2);
  EXPECT_EQ(fetch("POST", "money"), "200 ok");
  EXPECT_EQ(times, 3);
}

TEST_F(H2Client, StreamsAboveTheLastOfAGoodbyeWereNotProcessed) {
  start({});
  Opened first = ask();
  Opened second = ask();
  ASSERT_TRUE(until([&] { return peers->count() == 1 && peers->at(0).requests.size() == 2; }));
  peers->at(0).goodbye(1);
  EXPECT_EQ(net::run_until(loop, story(second.get())), "http.closed reused");
  peers->at(0).answer(peers->at(0).requests[1], "200", {}, "still here");
  EXPECT_EQ(net::run_until(loop, story(first.get())), "200 still here");
  Opened third = ask();
  EXPECT_FALSE(third->reused());
  ASSERT_TRUE(until([&] { return peers->count() == 2; }));
  first.reset();
  second.reset();
  ASSERT_TRUE(until([&] { return peers->at(0).closed; }));  // nobody needs it any more
}

TEST_F(H2Client, ALostConnectionFailsWhatItCarriesAndNothingElse) {
  start({.on_end = [](Peer& p, Peer::Request& r) {
    if (r.field(":path") == "/done") p.answer(r, "200", {}, "whole");
    if (r.field(":path") == "/begun") {
      p.begin(r, "200");
      p.more(r, "part");
    }
  }});
  Opened done = ask({}, get_head("GET", "/done"));
  Opened begun = ask({}, get_head("GET", "/begun"));
  Opened waiting = ask({}, get_head("GET", "/waiting"));
  Opened unsent = open();
  ASSERT_TRUE(until([&] { return peers->count() == 1 && peers->at(0).requests.size() == 3; }));
  settle();
  peers->at(0).close();
  EXPECT_EQ(net::run_until(loop, story(waiting.get())), "http.closed sent reused");
  EXPECT_EQ(net::run_until(loop, story(begun.get())), "200 <http.closed>");
  EXPECT_EQ(net::run_until(loop, story(done.get())), "200 whole");
  EXPECT_TRUE(begun->answered());
  EXPECT_FALSE(unsent->sent());
  auto late = net::run_until(loop, unsent->send_head(get_head(), 0));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), "http.closed");
  Opened next = ask({}, get_head("GET", "/done"));
  EXPECT_EQ(net::run_until(loop, story(next.get())), "200 whole");
}

TEST_F(H2Client, AnExchangeThatIsDroppedResetsItsStreamOnly) {
  start({.on_end = [](Peer& p, Peer::Request& r) { p.begin(r, "200"); }});
  Opened dropped = ask();
  Opened kept = ask();
  ASSERT_TRUE(net::run_until(loop, dropped->head()));
  dropped.reset();
  ASSERT_TRUE(until([&] { return peers->at(0).requests[1].reset.has_value(); }));
  EXPECT_EQ(peers->at(0).requests[1].reset, NGHTTP2_CANCEL);
  peers->at(0).more(peers->at(0).requests[3], "ok");
  peers->at(0).end(peers->at(0).requests[3]);
  EXPECT_EQ(net::run_until(loop, story(kept.get())), "200 ok");
  EXPECT_FALSE(peers->at(0).requests[3].reset);
}

TEST_F(H2Client, AnExchangeThatIsDroppedBeforeItWasSentLeavesNoTrace) {
  start({.on_end = say("ok")});
  Opened x = open();
  struct Go {
    static Task<void> run(Opened dropped) {
      EXPECT_TRUE(co_await dropped->send_head(get_head("POST"), std::nullopt));
      EXPECT_FALSE(dropped->sent());
    }
  };
  net::run_until(loop, Go::run(std::move(x)));
  EXPECT_EQ(fetch(), "200 ok");
  EXPECT_EQ(peers->at(0).requests.size(), 1U);
}

TEST_F(H2Client, AbortWakesWhoWaits) {
  start({});
  Opened x = ask();
  struct Go {
    static Task<void> later(net::Loop* loop, ClientExchange* exchange) {
      co_await loop->sleep(Millis(30));
      exchange->abort();
    }
  };
  TaskGroup tasks;
  tasks.start(Go::later(&loop, x.get()));
  EXPECT_EQ(net::run_until(loop, story(x.get())), "http.closed sent");
  ASSERT_TRUE(until([&] { return peers->at(0).requests[1].reset.has_value(); }));
  EXPECT_EQ(peers->at(0).requests[1].reset, NGHTTP2_CANCEL);
}

// ---- windows

TEST_F(H2Client, WhatIsNotReadIsNotSent) {
  const std::string body(3 << 20, 'x');
  start({.on_end = say(body)});
  Opened slow = ask();
  ASSERT_TRUE(net::run_until(loop, slow->head()));
  settle(Millis(200));
  const std::size_t left = peers->at(0).requests[1].out.size();
  EXPECT_EQ(body.size() - left, kStreamWindow);
  // Nobody else has to wait for it, whatever the connection's own window.
  EXPECT_EQ(fetch(), "200 " + body);
  EXPECT_EQ(peers->at(0).requests[1].out.size(), left);
  EXPECT_EQ(net::run_until(loop, read_body(slow.get())), body);
}

TEST_F(H2Client, WritingWaitsWhileTheWindowIsShut) {
  start({.on_end = say("ok"), .reads_windows = false});
  Opened x = open();
  struct Go {
    static Task<void> run(ClientExchange* exchange, std::string body, bool* done) {
      EXPECT_TRUE(co_await exchange->send_head(get_head("POST"), std::nullopt));
      EXPECT_TRUE(co_await exchange->write(as_bytes(body)));
      EXPECT_TRUE(co_await exchange->finish({}));
      *done = true;
    }
  };
  bool done = false;
  TaskGroup tasks;
  tasks.start(Go::run(x.get(), std::string(1 << 20, 'x'), &done));
  settle(Millis(200));
  EXPECT_FALSE(done);
  EXPECT_EQ(peers->at(0).requests[1].body.size(), 65'535U);
  nghttp2_session_set_local_window_size(peers->at(0).session.get(), 0, 0, 1 << 21);
  nghttp2_session_set_local_window_size(peers->at(0).session.get(), 0, 1, 1 << 21);
  EXPECT_EQ(net::run_until(loop, story(x.get())), "200 ok");
  EXPECT_TRUE(done);
  EXPECT_EQ(peers->at(0).requests[1].body.size(), 1U << 20);
}

TEST_F(H2Client, WhoIsCancelledWhileWritingTakesTheBytesAlong) {
  start({.on_end = {}, .settings = {}, .reads_windows = false});
  Opened x = open();
  struct Go {
    static Task<void> run(ClientExchange* exchange, std::string body) {
      EXPECT_TRUE(co_await exchange->send_head(get_head("POST"), std::nullopt));
      std::ignore = co_await exchange->write(as_bytes(body));
      ADD_FAILURE() << "written";
    }
  };
  {
    TaskGroup tasks;
    tasks.start(Go::run(x.get(), std::string(1 << 20, 'x')));
    ASSERT_TRUE(
        until([&] { return peers->count() == 1 && !peers->at(0).requests[1].body.empty(); }));
  }
  nghttp2_session_set_local_window_size(peers->at(0).session.get(), 0, 0, 1 << 21);
  nghttp2_session_set_local_window_size(peers->at(0).session.get(), 0, 1, 1 << 21);
  ASSERT_TRUE(until([&] { return peers->at(0).requests[1].reset.has_value(); }));
  EXPECT_EQ(peers->at(0).requests[1].reset, NGHTTP2_CANCEL);
  EXPECT_EQ(net::run_until(loop, story(x.get())), "http.closed sent");
}

TEST_F(H2Client, AServerThatDoesNotReadIsGivenUp) {
  start({.reads_windows = false});
  ClientTimeouts timeouts;
  timeouts.idle = Millis(150);
  Opened x = open(timeouts);
  ASSERT_TRUE(net::run_until(loop, x->send_head(get_head("POST"), std::nullopt)));
  auto written = net::run_until(loop, x->write(as_bytes(std::string(1 << 20, 'x'))));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code(), "http.timeout");
  ASSERT_TRUE(until([&] { return peers->at(0).requests[1].reset.has_value(); }));
}

TEST_F(H2Client, BodiesGoBothWaysAtOnce) {
  // Each piece is echoed as it comes, with the head before the first.
  start({.on_head = [](Peer& p, Peer::Request& r) { p.begin(r, "200"); },
         .on_end = [](Peer& p, Peer::Request& r) { p.end(r, {{"x-end", "1"}}); }});
  Opened x = open();
  ASSERT_TRUE(net::run_until(loop, x->send_head(get_head("POST"), std::nullopt)));
  EXPECT_EQ(net::run_until(loop, x->head())->status, 200);
  for (const std::string word : {"one", "two", "three"}) {
    ASSERT_TRUE(net::run_until(loop, x->write(as_bytes(word))));
    Peer::Request& r = peers->at(0).requests[1];
    ASSERT_TRUE(until([&] { return r.body == word; }));
    r.body.clear();
    peers->at(0).more(r, word + "!");
    auto piece = net::run_until(loop, x->body().next());
    ASSERT_TRUE(piece);
    EXPECT_EQ(as_text(*piece), word + "!");
  }
  ASSERT_TRUE(net::run_until(loop, x->finish({})));
  EXPECT_EQ(net::run_until(loop, read_body(x.get())), "");
  EXPECT_EQ(x->body().trailers().get("x-end"), "1");
}

TEST_F(H2Client, AnEarlyAnswerEndsTheUpload) {
  start({.on_head = [](Peer& p, Peer::Request& r) { p.answer(r, "413", {}, "too much"); }});
  Opened x = open();
  ASSERT_TRUE(net::run_until(loop, x->send_head(get_head("POST"), std::nullopt)));
  settle();
  peers->at(0).reset(peers->at(0).requests[1], NGHTTP2_NO_ERROR);
  settle();
  auto written = net::run_until(loop, x->write(as_bytes(std::string(1 << 20, 'x'))));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code(), "http.closed");
  EXPECT_EQ(net::run_until(loop, story(x.get())), "413 too much");
}

TEST_F(H2Client, ABodyMustBeAsLongAsAnnounced) {
  start({});
  Opened more = open();
  ASSERT_TRUE(net::run_until(loop, more->send_head(get_head("POST"), 2)));
  EXPECT_EQ(net::run_until(loop, more->write(as_bytes("abc"))).error().code(), "http.bad_message");
  Opened less = open();
  ASSERT_TRUE(net::run_until(loop, less->send_head(get_head("POST"), 2)));
  ASSERT_TRUE(net::run_until(loop, less->write(as_bytes("a"))));
  EXPECT_EQ(net::run_until(loop, less->finish({})).error().code(), "http.bad_message");
  ASSERT_TRUE(until([&] {
    auto& r = peers->at(0).requests;
    return r[1].reset.has_value() && r[3].reset.has_value();
  }));
}

// ---- time

TEST_F(H2Client, TheFirstByteIsDueWhenTheRequestIsComplete) {
  start({});
  ClientTimeouts timeouts;
  timeouts.first_byte = Millis(200);
  Opened x = open(timeouts);
  ASSERT_TRUE(net::run_until(loop, x->send_head(get_head("POST"), std::nullopt)));
  std::string told;
  struct Go {
    static Task<void> run(ClientExchange* exchange, std::string* out) {
      *out = co_await story(exchange);
    }
  };
  TaskGroup tasks;
  tasks.start(Go::run(x.get(), &told));
  settle(Millis(400));
  EXPECT_EQ(told, "");  // a client may take its time
  ASSERT_TRUE(net::run_until(loop, x->finish({})));
  settle(Millis(400));
  EXPECT_EQ(told, "http.timeout sent");
}

TEST_F(H2Client, ABodyThatStopsIsGivenUp) {
  start({.on_end = [](Peer& p, Peer::Request& r) {
    p.begin(r, "200");
    p.more(r, "part");
  }});
  ClientTimeouts timeouts;
  timeouts.idle = Millis(100);
  Opened x = ask(timeouts);
  EXPECT_EQ(net::run_until(loop, story(x.get())), "200 <http.timeout>");
}

TEST_F(H2Client, AnUnusedConnectionSaysGoodbye) {
  ClientConfig config;
  config.keep_alive = Millis(50);
  start({.on_end = say("ok")}, std::move(config));
  EXPECT_EQ(fetch(), "200 ok");
  ASSERT_TRUE(until([&] { return peers->at(0).closed; }));
  EXPECT_EQ(peers->at(0).goaway, NGHTTP2_NO_ERROR);
  EXPECT_EQ(fetch(), "200 ok");
  EXPECT_EQ(peers->count(), 2U);
}

TEST_F(H2Client, PlacesThatWentAreLeft) {
  start({.on_end = say("ok")});
  EXPECT_EQ(fetch(), "200 ok");
  client->keep_only({});
  ASSERT_TRUE(until([&] { return peers->at(0).closed; }));
  EXPECT_EQ(fetch(), "200 ok");
}

TEST_F(H2Client, FreshIsNeverAnOldConnection) {
  start({.on_end = say("ok")});
  EXPECT_EQ(fetch(), "200 ok");
  Opened x = open({}, /*fresh=*/true);
  EXPECT_FALSE(x->reused());
  ASSERT_TRUE(until([&] { return peers->count() == 2; }));
}

TEST_F(H2Client, WhoCannotConnectIsTold) {
  start({});
  const Origin nowhere = peers->origin();
  peers.reset();
  auto x = net::run_until(loop, client->open(nowhere));
  ASSERT_FALSE(x);
  EXPECT_EQ(x.error().code(), "http.connect_failed");
}

/// A connection under the test's own settings.
class H2Silence : public H2Client, public ClientOwner {
 public:
  void has_room(ClientConnection&) override { ++rooms; }
  void ended(ClientConnection&) override { connection.reset(); }
  static Task<void> connect(H2Silence* self, ClientSettings settings) {
    auto stream = co_await net::connect(
        self->loop, {*net::IpAddress::parse("127.0.0.1"), self->peers->port()}, kTestPatience);
    settings.scheme = "http";
    settings.authority = "api.test";
    self->connection =
        std::make_unique<ClientConnection>(std::move(*stream), std::move(settings), *self);
  }
  void begin(Peer::Plan plan, ClientSettings settings) {
    start(std::move(plan));
    net::run_until(loop, connect(this, std::move(settings)));
  }
  Opened send(ClientTimeouts timeouts = {}) {
    Opened x = connection->open(timeouts);
    EXPECT_TRUE(net::run_until(loop, x->send_head(get_head(), 0)));
    return x;
  }
  ~H2Silence() override { connection.reset(); }
  int rooms = 0;
  std::unique_ptr<ClientConnection> connection;
};

TEST_F(H2Silence, WhoWaitedInVainMakesTheConnectionSuspectUntilItAnswers) {
  ClientSettings settings;
  settings.ping_patience = Millis(5000);
  begin({}, settings);
  ClientTimeouts timeouts;
  timeouts.first_byte = Millis(100);
  Opened x = send(timeouts);
  EXPECT_TRUE(connection->usable());
  EXPECT_EQ(net::run_until(loop, story(x.get())), "http.timeout sent");
  EXPECT_FALSE(connection->usable());
  ASSERT_TRUE(until([&] { return connection->usable(); }));
  EXPECT_EQ(peers->at(0).pings, 1);
  EXPECT_GE(rooms, 1);
}

TEST_F(H2Silence, AServerThatDoesNotAnswerAPingIsGivenUp) {
  ClientSettings settings;
  settings.ping_patience = Millis(150);
  begin({.reads_windows = true, .answers_pings = false}, settings);
  ClientTimeouts timeouts;
  timeouts.first_byte = Millis(60);
  Opened late = send(timeouts);
  Opened other = send();
  EXPECT_EQ(net::run_until(loop, story(late.get())), "http.timeout sent");
  EXPECT_EQ(net::run_until(loop, story(other.get())), "http.closed sent reused");
  EXPECT_EQ(connection, nullptr);
}

TEST_F(H2Silence, LongSilenceUnderWayIsProbed) {
  ClientSettings settings;
  settings.ping_interval = Millis(100);
  settings.ping_patience = Millis(5000);
  begin({}, settings);
  Opened x = send();
  ASSERT_TRUE(until([&] { return peers->count() == 1 && peers->at(0).pings >= 2; }));
  EXPECT_TRUE(connection->usable());
  Peer::Request& r = peers->at(0).requests[1];
  peers->at(0).answer(r, "200", {}, "after a while");
  EXPECT_EQ(net::run_until(loop, story(x.get())), "200 after a while");
}

// ---- TLS

class H2Tls : public H2Client {
 public:
  void serve_tls(std::vector<std::string> alpn) {
    net::Identity id = std::move(*net::make_identity({"x", "DNS:api.test", 30, false, &ca}));
    peers = std::make_unique<Peers>(loop, Peer::Plan{.on_end = say("h2")},
                                    *net::make_tls_server(id.certificate, id.key, std::move(alpn)));
    net::TlsClientOptions options;
    options.ca_pem = ca.certificate;
    ClientConfig config;
    config.tls = *net::make_tls_client(std::move(options));
    config.resolve = [](const std::string&, std::uint16_t) {
      return std::optional(std::vector{*net::IpAddress::parse("127.0.0.1")});
    };
    client = make_client(loop, std::move(config));
  }
  std::string get(std::uint16_t port, Protocol protocol) {
    Request request;
    request.url = *Url::parse("https://api.test:" + std::to_string(port) + "/");
    request.protocol = protocol;
    const auto r = net::run_until(loop, client->fetch(std::move(request), 1000, kTestPatience));
    return r ? r->body : std::string(r.error().code());
  }
  net::Identity ca = std::move(*net::make_identity({"ca", "", 30, true, nullptr}));
};

TEST_F(H2Tls, TheProtocolIsWhatBothWant) {
  serve_tls({"h2"});
  EXPECT_EQ(get(peers->port(), Protocol::h2), "h2");
  EXPECT_EQ(get(peers->port(), Protocol::automatic), "h2");
  EXPECT_EQ(get(peers->port(), Protocol::automatic), "h2");
  EXPECT_EQ(peers->count(), 2U);  // a pool for each way of asking, a connection in each
}

TEST_F(H2Tls, AServerWithoutHttp2IsSpokenToInHttp1OrRefused) {
  serve_tls({"h2"});  // for the client alone
  net::Identity id = std::move(*net::make_identity({"x", "DNS:api.test", 30, false, &ca}));
  struct Go {
    static Task<void> say(Exchange* x) { std::ignore = co_await x->respond({}, "h1"); }
  };
  auto server = serve(
      loop, [](Exchange& x) { return Go::say(&x); }, {},
      *net::make_tls_server(id.certificate, id.key, {"http/1.1"}));
  EXPECT_EQ(get(server->local().port, Protocol::automatic), "h1");
  EXPECT_EQ(get(server->local().port, Protocol::http1), "h1");
  EXPECT_EQ(get(server->local().port, Protocol::h2), "http.tls_failed");
}

TEST_F(H2Tls, AServerThatChangesItsMindIsFollowed) {
  serve_tls({"h2"});
  net::Identity id = std::move(*net::make_identity({"x", "DNS:api.test", 30, false, &ca}));
  const std::uint16_t port = peers->port();
  EXPECT_EQ(get(port, Protocol::automatic), "h2");
  peers->at(0).close();
  peers->stop_listening();
  settle();
  struct Go {
    static Task<void> say(Exchange* x) { std::ignore = co_await x->respond({}, "h1"); }
  };
  ServerConfig config;
  config.listen = {*net::IpAddress::parse("127.0.0.1"), port};
  config.tls = *net::make_tls_server(id.certificate, id.key, {"http/1.1"});
  auto server = listen(loop, config, [](Exchange& x) { return Go::say(&x); });
  ASSERT_TRUE(server) << server.error().message();
  EXPECT_EQ(get(port, Protocol::automatic), "h1");
}

}  // namespace
}  // namespace octroi::http::h2
