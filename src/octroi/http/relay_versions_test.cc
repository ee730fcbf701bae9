// The relay between every pair of protocol versions: what is true of one is true of all.
#include <gtest/gtest.h>

#include "octroi/http/h2_peer_test.h"
#include "octroi/http/relay.h"
#include "octroi/http/wire_test.h"
#include "octroi/task/group.h"
#include "octroi/task/sync.h"

namespace octroi::http {
namespace {

struct Pair {
  Protocol client;
  Protocol upstream;
};

std::string_view name_of(Protocol p) { return p == Protocol::h2 ? "h2" : "h1"; }

Origin origin_at(const Server& server, Protocol protocol) {
  return {"http", server.local().address.str(), server.local().port, protocol};
}

/// client → front (a relay) → upstream, all of them ours.
class RelayVersions : public testing::TestWithParam<Pair> {
 public:
  void start(Handler upstream, std::function<void(RelayOptions&)> edit = {},
             ServerLimits limits = {}) {
    edit_ = std::move(edit);
    upstream_ = serve(loop, std::move(upstream));
    front_ = serve(loop, [this](Exchange& x) { return forward(this, &x); }, limits);
  }
  static Task<void> forward(RelayVersions* self, Exchange* x) {
    RelayOptions options;
    options.upstream = self->upstream_origin
                           ? *self->upstream_origin
                           : origin_at(*self->upstream_, self->GetParam().upstream);
    options.timeouts.first_byte = Millis(5000);
    options.timeouts.idle = Millis(5000);
    if (self->edit_) self->edit_(options);
    self->result = co_await relay(*x, *self->between_, std::move(options));
    self->done.set();
    if (self->result->state != RelayState::refused && self->result->state != RelayState::failed) {
      co_return;
    }
    ResponseHead head;
    head.status = 502;
    std::ignore = co_await x->respond(std::move(head), std::string(self->result->error->code()));
  }
  static Task<std::unique_ptr<ClientExchange>> open_task(RelayVersions* self) {
    auto x = co_await self->client->open(origin_at(*self->front_, self->GetParam().client));
    EXPECT_TRUE(x);
    co_return std::move(*x);
  }
  std::unique_ptr<ClientExchange> open() { return net::run_until(loop, open_task(this)); }
  std::unique_ptr<ClientExchange> send(RequestHead head, std::optional<std::uint64_t> length) {
    auto x = open();
    EXPECT_TRUE(net::run_until(loop, x->send_head(head, length)));
    return x;
  }
  ResponseHead answer(ClientExchange& x) {
    auto head = net::run_until(loop, x.head());
    EXPECT_TRUE(head) << head.error().message();
    return head ? *head : ResponseHead{};
  }
  std::string rest(ClientExchange& x) {
    auto body = net::run_until(loop, read_all(x.body(), 64 << 20));
    return body ? *body : "<" + std::string(body.error().code()) + ">";
  }
  template <class Condition>
  static Task<void> until_task(RelayVersions* self, Condition condition) {
    for (int i = 0; i < 1000 && !condition(); ++i) co_await self->loop.sleep(Millis(10));
  }
  template <class Condition>
  bool until(Condition condition) {
    net::run_until(loop, until_task(this, condition));
    return condition();
  }

  net::Loop loop;
  std::optional<RelayResult> result;
  Event done;
  std::optional<Origin> upstream_origin;
  std::function<void(RelayOptions&)> edit_;
  std::unique_ptr<Client> between_ = make_client(loop, {});
  std::unique_ptr<Client> client = make_client(loop, {});
  std::unique_ptr<Server> upstream_;
  std::unique_ptr<Server> front_;
};

INSTANTIATE_TEST_SUITE_P(All, RelayVersions,
                         testing::Values(Pair{Protocol::http1, Protocol::http1},
                                         Pair{Protocol::http1, Protocol::h2},
                                         Pair{Protocol::h2, Protocol::http1},
                                         Pair{Protocol::h2, Protocol::h2}),
                         [](const auto& info) {
                           return std::string(name_of(info.param.client)) + "_to_" +
                                  std::string(name_of(info.param.upstream));
                         });

RequestHead request(std::string method = "GET", std::string target = "/") {
  RequestHead head;
  head.method = std::move(method);
  head.target = std::move(target);
  head.authority = "public.test";
  return head;
}

TEST_P(RelayVersions, HeadsPassWithoutWhatBelongsToAConnection) {
  struct Go {
    static Task<void> run(Exchange* x, std::string* seen) {
      const RequestHead& head = x->request();
      *seen = head.method + " " + head.target + " " + head.authority + "\n";
      for (const Field f : head.headers) {
        std::string name(f.name);
        for (char& c : name) c = static_cast<char>(std::tolower(c));
        *seen += name + "=" + std::string(f.value) + "\n";
      }
      ResponseHead answer;
      answer.headers.add("X-Up", "1");
      answer.headers.add("Set-Cookie", "a=1");
      answer.headers.add("Set-Cookie", "b=2");
      std::ignore = co_await x->respond(std::move(answer), "hello");
    }
  };
  std::string seen;
  start([&](Exchange& x) { return Go::run(&x, &seen); },
        [](RelayOptions& o) { o.forwarded_for = "192.0.2.1"; });
  RequestHead head = request("GET", "/a?b=c");
  head.headers.add("Accept", "*/*");
  head.headers.add("TE", "trailers");
  head.headers.add("Cookie", "a=1; b=2");
  head.headers.add("Proxy-Authorization", "secret");
  auto x = send(head, 0);
  const ResponseHead got = answer(*x);
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.headers.get("x-up"), "1");
  EXPECT_EQ(got.headers.all("set-cookie"), (std::vector<std::string_view>{"a=1", "b=2"}));
  EXPECT_EQ(x->body().length(), 5U);
  EXPECT_EQ(rest(*x), "hello");
  EXPECT_EQ(seen.substr(0, seen.find('\n')), "GET /a?b=c " + upstream_->local().str());
  for (const char* line :
       {"accept=*/*\n", "te=trailers\n", "cookie=a=1; b=2\n", "x-forwarded-for=192.0.2.1\n"}) {
    EXPECT_NE(seen.find(line), std::string::npos) << line << seen;
  }
  EXPECT_EQ(seen.find("proxy-authorization"), std::string::npos);
  EXPECT_EQ(seen.find("connection="), std::string::npos);
  EXPECT_EQ(seen.find("content-length="), std::string::npos);
}

TEST_P(RelayVersions, AnswersWithoutABodyStayWithout) {
  struct Row {
    int status;
    const char* method;
    const char* body;
    std::optional<std::string_view> length;
  };
  for (const Row& row : std::initializer_list<Row>{{200, "HEAD", "12345", "5"},
                                                   {204, "GET", "", std::nullopt},
                                                   {304, "GET", "", std::nullopt},
                                                   {200, "POST", "", "0"}}) {
    struct Go {
      static Task<void> run(Exchange* x, const Row* r) {
        ResponseHead head;
        head.status = r->status;
        std::ignore = co_await x->respond(std::move(head), r->body);
      }
    };
    start([&](Exchange& x) { return Go::run(&x, &row); });
    auto x = send(request(row.method), 0);
    const ResponseHead head = answer(*x);
    EXPECT_EQ(head.status, row.status);
    EXPECT_EQ(head.headers.get("content-length"), row.length) << row.method << row.status;
    EXPECT_EQ(rest(*x), "");
    EXPECT_EQ(result->state, RelayState::complete);
  }
}

/// Echoes the body, then its trailers.
Task<void> echo(Exchange* x) {
  EXPECT_TRUE(co_await x->start({}, std::nullopt));
  for (;;) {
    auto piece = co_await x->body().next();
    if (!piece) {
      x->abort();
      co_return;
    }
    if (piece->empty()) break;
    if (!co_await x->write(*piece)) co_return;
  }
  std::ignore = co_await x->finish(x->body().trailers());
}

TEST_P(RelayVersions, BodiesGoBothWaysAtOnceAndTrailersFollow) {
  start([](Exchange& x) { return echo(&x); });
  auto x = send(request("POST"), std::nullopt);
  ASSERT_TRUE(net::run_until(loop, x->write(as_bytes("first"))));
  EXPECT_EQ(answer(*x).status, 200);
  for (const std::string word : {"first", "second", "third"}) {
    if (word != "first") {
      ASSERT_TRUE(net::run_until(loop, x->write(as_bytes(word))));
    }
    std::string got;
    while (got.size() < word.size()) {
      auto piece = net::run_until(loop, x->body().next());
      ASSERT_TRUE(piece);
      got += as_text(*piece);
    }
    EXPECT_EQ(got, word);
  }
  Headers trailers;
  trailers.add("X-Sum", "42");
  ASSERT_TRUE(net::run_until(loop, x->finish(trailers)));
  EXPECT_EQ(rest(*x), "");
  EXPECT_EQ(x->body().trailers().get("x-sum"), "42");
  EXPECT_EQ(result->state, RelayState::complete);
  EXPECT_EQ(result->request_bytes, 16U);
}

TEST_P(RelayVersions, LargeBodiesPassWhole) {
  start([](Exchange& x) { return echo(&x); });
  struct Go {
    static Task<void> upload(ClientExchange* x, const std::string* body) {
      for (std::size_t at = 0; at < body->size(); at += 50'000) {
        EXPECT_TRUE(co_await x->write(
            as_bytes(*body).subspan(at, std::min<std::size_t>(50'000, body->size() - at))));
      }
      EXPECT_TRUE(co_await x->finish({}));
    }
  };
  std::string body(5 << 20, ' ');
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + i % 23);
  auto x = send(request("POST"), body.size());
  TaskGroup tasks;
  tasks.start(Go::upload(x.get(), &body));
  EXPECT_EQ(answer(*x).status, 200);
  EXPECT_TRUE(rest(*x) == body);
}

TEST_P(RelayVersions, AReaderWhoWaitsHoldsTheUpstreamBack) {
  struct Go {
    static Task<void> run(Exchange* x, std::size_t* written, bool* ended) {
      EXPECT_TRUE(co_await x->start({}, std::nullopt));
      const std::string piece(64 * 1024, 'x');
      for (int i = 0; i < 512; ++i) {
        if (!co_await x->write(as_bytes(piece))) co_return;
        *written += piece.size();
      }
      *ended = (co_await x->finish({})).has_value();
    }
  };
  std::size_t written = 0;
  bool ended = false;
  start([&](Exchange& x) { return Go::run(&x, &written, &ended); });
  auto x = send(request(), 0);
  EXPECT_EQ(answer(*x).status, 200);
  net::run_until(loop, loop.sleep(Millis(300)));
  const std::size_t held = written;
  EXPECT_LT(held, 24U << 20);  // what sockets and windows hold of 32 MiB
  net::run_until(loop, loop.sleep(Millis(100)));
  EXPECT_EQ(written, held);
  EXPECT_EQ(rest(*x).size(), 32U << 20);
  EXPECT_TRUE(until([&] { return ended; }));
}

TEST_P(RelayVersions, EventsAreSeenBeforeTheNextIsSent) {
  struct Go {
    static Task<void> run(Exchange* x, Channel<int>* seen) {
      ResponseHead head;
      head.headers.add("Content-Type", "text/event-stream");
      EXPECT_TRUE(co_await x->start(std::move(head), std::nullopt));
      for (int i = 0; i < 5; ++i) {
        const std::string event = "data: " + std::to_string(i) + "\n\n";
        EXPECT_TRUE(co_await x->write(as_bytes(event)));
        // The next one is sent only when this one was seen at the other end.
        EXPECT_EQ(co_await seen->receive(), i);
      }
      std::ignore = co_await x->finish({});
    }
  };
  Channel<int> seen(1);
  start([&](Exchange& x) { return Go::run(&x, &seen); });
  auto x = send(request(), 0);
  EXPECT_EQ(answer(*x).status, 200);
  for (int i = 0; i < 5; ++i) {
    auto piece = net::run_until(loop, x->body().next());
    ASSERT_TRUE(piece);
    EXPECT_EQ(as_text(*piece), "data: " + std::to_string(i) + "\n\n");
    ASSERT_TRUE(seen.try_send(i));
  }
  EXPECT_EQ(rest(*x), "");
}

TEST_P(RelayVersions, InterimAnswersPass) {
  struct Go {
    static Task<void> run(Exchange* x) {
      ResponseHead early;
      early.status = 103;
      early.headers.add("Link", "</a.css>; rel=preload");
      EXPECT_TRUE(co_await x->interim(std::move(early)));
      std::ignore = co_await x->respond({}, "ok");
    }
  };
  start([](Exchange& x) { return Go::run(&x); });
  auto x = send(request(), 0);
  const ResponseHead early = answer(*x);
  EXPECT_EQ(early.status, 103);
  EXPECT_EQ(early.headers.get("link"), "</a.css>; rel=preload");
  EXPECT_EQ(answer(*x).status, 200);
  EXPECT_EQ(rest(*x), "ok");
}

TEST_P(RelayVersions, AnAnswerMayComeBeforeTheRequestIsRead) {
  struct Go {
    static Task<void> run(Exchange* x) {
      ResponseHead head;
      head.status = 413;
      std::ignore = co_await x->respond(std::move(head), "too much");
    }
  };
  start([](Exchange& x) { return Go::run(&x); });
  auto x = send(request("POST"), std::nullopt);
  ASSERT_TRUE(net::run_until(loop, x->write(as_bytes("some"))));
  EXPECT_EQ(answer(*x).status, 413);
  EXPECT_EQ(rest(*x), "too much");
}

TEST_P(RelayVersions, AClientThatLeavesIsToldUpstream) {
  struct Go {
    static Task<void> run(Exchange* x, Event* reached, bool* left) {
      x->on_gone([](void* flag) { *static_cast<bool*>(flag) = true; }, left);
      reached->set();
      while (!*left) co_await x->loop().sleep(Millis(10));
    }
    static Task<void> wait(Event* e) { co_await e->wait(); }
  };
  Event reached;
  bool left = false;
  start([&](Exchange& x) { return Go::run(&x, &reached, &left); });
  auto x = send(request(), 0);
  net::run_until(loop, Go::wait(&reached));
  x.reset();
  EXPECT_TRUE(until([&] { return left && result.has_value(); }));
  EXPECT_EQ(result->state, RelayState::failed);
  EXPECT_FALSE(result->upstream_fault);
}

TEST_P(RelayVersions, AClientThatLeavesAStreamIsToldUpstream) {
  struct Go {
    static Task<void> run(Exchange* x, bool* left) {
      EXPECT_TRUE(co_await x->start({}, std::nullopt));
      EXPECT_TRUE(co_await x->write(as_bytes("begun")));
      auto piece = co_await x->body().next();
      while (piece && !piece->empty()) piece = co_await x->body().next();
      *left = !piece;
    }
  };
  bool left = false;
  start([&](Exchange& x) { return Go::run(&x, &left); });
  auto x = send(request("POST"), std::nullopt);
  ASSERT_TRUE(net::run_until(loop, x->write(as_bytes("some"))));
  EXPECT_EQ(answer(*x).status, 200);
  x.reset();
  EXPECT_TRUE(until([&] { return left && result.has_value(); }));
  EXPECT_EQ(result->state, RelayState::client_gone);
  EXPECT_FALSE(result->upstream_fault);
}

TEST_P(RelayVersions, AnUpstreamThatBreaksOffIsNoWholeAnswer) {
  struct Go {
    static Task<void> run(Exchange* x) {
      if (x->request().target == "/begun") {
        EXPECT_TRUE(co_await x->start({}, std::nullopt));
        EXPECT_TRUE(co_await x->write(as_bytes("part")));
        co_await x->loop().sleep(Millis(50));
      }
      x->abort();
    }
  };
  start([](Exchange& x) { return Go::run(&x); });
  auto x = send(request("POST", "/nothing"), 0);
  EXPECT_EQ(answer(*x).status, 502);
  EXPECT_EQ(rest(*x), "http.closed");
  EXPECT_EQ(result->state, RelayState::failed);
  EXPECT_TRUE(result->upstream_fault);
  x = send(request("POST", "/begun"), 0);
  EXPECT_EQ(answer(*x).status, 200);
  EXPECT_EQ(rest(*x), "<http.closed>");
  EXPECT_EQ(result->state, RelayState::torn);
}

TEST_P(RelayVersions, ADeadlineEndsACallBeforeItsAnswer) {
  struct Go {
    static Task<void> run(Exchange* x, bool* left) {
      x->on_gone([](void* flag) { *static_cast<bool*>(flag) = true; }, left);
      while (!*left) co_await x->loop().sleep(Millis(10));
    }
  };
  bool left = false;
  start([&](Exchange& x) { return Go::run(&x, &left); },
        [](RelayOptions& o) { o.deadline = Millis(100); });
  auto x = send(request(), 0);
  EXPECT_EQ(answer(*x).status, 502);
  EXPECT_EQ(rest(*x), "http.timeout");
  EXPECT_TRUE(until([&] { return left; }));
  EXPECT_FALSE(result->upstream_fault);
}

TEST_P(RelayVersions, ADeadlineEndsAGrpcStreamWithItsStatus) {
  struct Go {
    static Task<void> run(Exchange* x) {
      ResponseHead head;
      head.headers.add("Content-Type", "application/grpc");
      EXPECT_TRUE(co_await x->start(std::move(head), std::nullopt));
      EXPECT_TRUE(co_await x->write(as_bytes(std::string_view("\0\0\0\0\1x", 6))));
      auto piece = co_await x->body().next();
      while (piece && !piece->empty()) piece = co_await x->body().next();
    }
  };
  start([](Exchange& x) { return Go::run(&x); },
        [](RelayOptions& o) {
          o.deadline = Millis(150);
          o.grpc = true;
        });
  auto x = send(request("POST"), std::nullopt);
  ASSERT_TRUE(net::run_until(loop, x->write(as_bytes(std::string_view("\0\0\0\0\1y", 6)))));
  EXPECT_EQ(answer(*x).status, 200);
  EXPECT_EQ(rest(*x), std::string("\0\0\0\0\1x", 6));
  EXPECT_EQ(x->body().trailers().get("grpc-status"), "4");
}

TEST_P(RelayVersions, MaxBodyBoundsEachMessageOfACall) {
  start([](Exchange& x) { return echo(&x); },
        [](RelayOptions& o) {
          o.max_body = 1000;
          o.grpc = true;
        });
  const auto message = [](std::size_t size) {
    std::string m("\0\0\0", 3);
    m += static_cast<char>(size >> 8);
    m += static_cast<char>(size & 0xff);
    return m + std::string(size, 'm');
  };
  auto x = send(request("POST"), std::nullopt);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(net::run_until(loop, x->write(as_bytes(message(1000)))));
  }
  ASSERT_TRUE(net::run_until(loop, x->finish({})));
  EXPECT_EQ(answer(*x).status, 200);
  EXPECT_EQ(rest(*x).size(), 5U * 1005);
  x = send(request("POST"), std::nullopt);
  std::ignore = net::run_until(loop, x->write(as_bytes(message(1001))));
  EXPECT_TRUE(until([&] { return result && result->error; }));
  EXPECT_EQ(result->error->code(), "http.body_too_large");
}

// ---- what only HTTP/2 has

class RelayH2 : public RelayVersions {};
INSTANTIATE_TEST_SUITE_P(H2, RelayH2, testing::Values(Pair{Protocol::h2, Protocol::h2}));

TEST_P(RelayH2, ResetsAreCancelsUpstream) {
  h2::Peers peers(loop, {.on_head = [](h2::Peer& p, h2::Peer::Request& r) { p.begin(r, "200"); }});
  upstream_origin = peers.origin();
  start([](Exchange& x) { return echo(&x); });
  auto x = send(request("POST"), std::nullopt);
  ASSERT_TRUE(net::run_until(loop, x->write(as_bytes("some"))));
  EXPECT_EQ(answer(*x).status, 200);
  x.reset();
  EXPECT_TRUE(until([&] { return peers.at(0).requests[1].reset.has_value(); }));
  EXPECT_EQ(peers.at(0).requests[1].reset, NGHTTP2_CANCEL);
}

TEST_P(RelayH2, TheReasonOfATornAnswerIsPassedOnWhereItIsMeantForTheClient) {
  const std::pair<std::uint32_t, std::uint32_t> rows[] = {
      {NGHTTP2_CANCEL, NGHTTP2_CANCEL},
      {NGHTTP2_INTERNAL_ERROR, NGHTTP2_INTERNAL_ERROR},
      {NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_ENHANCE_YOUR_CALM},
      {NGHTTP2_INADEQUATE_SECURITY, NGHTTP2_INADEQUATE_SECURITY},
      {NGHTTP2_NO_ERROR, NGHTTP2_INTERNAL_ERROR},
      {NGHTTP2_PROTOCOL_ERROR, NGHTTP2_INTERNAL_ERROR},
      {NGHTTP2_FLOW_CONTROL_ERROR, NGHTTP2_INTERNAL_ERROR},
      {NGHTTP2_REFUSED_STREAM, NGHTTP2_INTERNAL_ERROR},
      {NGHTTP2_HTTP_1_1_REQUIRED, NGHTTP2_INTERNAL_ERROR},
      {0xabcdef, NGHTTP2_INTERNAL_ERROR},
  };
  std::uint32_t code = 0;
  h2::Peers peers(loop, {.on_head = [](h2::Peer& p, h2::Peer::Request& r) { p.begin(r, "200"); },
                         .on_end = [&](h2::Peer& p, h2::Peer::Request& r) { p.reset(r, code); }});
  upstream_origin = peers.origin();
  start([](Exchange& x) { return echo(&x); });
  for (const auto& [sent, expected] : rows) {
    code = sent;
    auto x = send(request("POST"), std::nullopt);
    EXPECT_EQ(answer(*x).status, 200);
    ASSERT_TRUE(net::run_until(loop, x->finish({})));
    EXPECT_EQ(rest(*x), "<http.closed>") << sent;
    EXPECT_EQ(x->reset_code(), expected) << sent;
    EXPECT_EQ(result->reset_code, sent);
    EXPECT_EQ(result->state, RelayState::torn);
  }
}

TEST_P(RelayH2, AResetInsteadOfAnAnswerIsReported) {
  h2::Peers peers(loop, {.on_end = [](h2::Peer& p, h2::Peer::Request& r) {
                    p.reset(r, NGHTTP2_ENHANCE_YOUR_CALM);
                  }});
  upstream_origin = peers.origin();
  start([](Exchange& x) { return echo(&x); });
  auto x = send(request("POST"), 0);
  EXPECT_EQ(answer(*x).status, 502);
  EXPECT_EQ(result->state, RelayState::failed);
  EXPECT_EQ(result->reset_code, NGHTTP2_ENHANCE_YOUR_CALM);
}

TEST_P(RelayH2, AnUpstreamThatRefusesIsAskedOnceMore) {
  int times = 0;
  h2::Peers peers(loop, {.on_end = [&](h2::Peer& p, h2::Peer::Request& r) {
                    if (++times == 1) {
                      p.reset(r, NGHTTP2_REFUSED_STREAM);
                    } else {
                      p.answer(r, "200", {}, "ok");
                    }
                  }});
  upstream_origin = peers.origin();
  start([](Exchange& x) { return echo(&x); }, [](RelayOptions& o) { o.repeat_idempotent = false; });
  auto x = send(request("POST"), 0);
  EXPECT_EQ(answer(*x).status, 200);
  EXPECT_EQ(rest(*x), "ok");
  EXPECT_EQ(times, 2);
}

TEST_P(RelayH2, AListeningClientIsNotSlow) {
  // The client says nothing for several times as long as a body may pause.
  h2::Peers peers(loop, {.on_head = [](h2::Peer& p, h2::Peer::Request& r) { p.begin(r, "200"); },
                         .on_end = [](h2::Peer& p, h2::Peer::Request& r) { p.end(r); }});
  upstream_origin = peers.origin();
  ServerLimits limits;
  limits.body_timeout = Millis(60);
  start([](Exchange& x) { return echo(&x); }, {}, limits);
  auto x = send(request("POST"), std::nullopt);
  ASSERT_TRUE(net::run_until(loop, x->write(as_bytes("subscribe"))));
  EXPECT_EQ(answer(*x).status, 200);
  for (int i = 0; i < 3; ++i) {
    net::run_until(loop, loop.sleep(Millis(100)));
    peers.at(0).more(peers.at(0).requests[1], "news");
    auto piece = net::run_until(loop, x->body().next());
    ASSERT_TRUE(piece) << piece.error().message();
    EXPECT_EQ(as_text(*piece), "news");
  }
  ASSERT_TRUE(net::run_until(loop, x->finish({})));
  EXPECT_EQ(rest(*x), "");
}

}  // namespace
}  // namespace octroi::http
