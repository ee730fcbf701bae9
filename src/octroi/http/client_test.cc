#include "octroi/http/client.h"

#include <gtest/gtest.h>

#include "octroi/http/wire_test.h"
#include "octroi/task/group.h"

namespace octroi::http {
namespace {

/// An upstream that follows a script: each connection runs `script(wire, number)`.
class Scripted {
 public:
  using Script = std::function<Task<void>(Wire*, int)>;
  Scripted(net::Loop& loop, Script script) : script_(std::move(script)) {
    auto listener = net::listen_tcp(loop, any_port(), false);
    EXPECT_TRUE(listener);
    listener_ = std::move(*listener);
    tasks_.start(accept_all(this));
  }
  [[nodiscard]] Url url(std::string target = "/") const {
    return *Url::parse("http://" + listener_->local().str() + target);
  }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  static Task<void> accept_all(Scripted* self) {
    for (;;) {
      auto stream = co_await self->listener_->accept();
      if (!stream) co_return;
      self->tasks_.start(serve_one(self, Wire(std::move(*stream)), ++self->connections_));
    }
  }
  static Task<void> serve_one(Scripted* self, Wire wire, int number) {
    co_await self->script_(&wire, number);
  }
  Script script_;
  std::unique_ptr<net::Listener> listener_;
  int connections_ = 0;
  TaskGroup tasks_;
};

Task<void> answer_each(Wire* wire, std::string answer, int times) {
  for (int i = 0; i < times; ++i) {
    if (!(co_await wire->head()).ends_with("\r\n\r\n")) co_return;
    std::ignore = co_await wire->send(answer);
  }
}

class ClientTest : public testing::Test {
 protected:
  Result<Response> get(Client& client, const Url& url, std::string method = "GET",
                       std::string body = "", std::uint64_t max_body = 1 << 20) {
    Request request;
    request.method = std::move(method);
    request.url = url;
    request.body = std::move(body);
    return net::run_until(loop, client.fetch(std::move(request), max_body, kTestPatience));
  }
  std::string story(const Result<Response>& r) {
    return r ? std::to_string(r->status) + " " + r->body : std::string(r.error().code());
  }
  net::Loop loop;
};

TEST_F(ClientTest, WritesTheRequestAsExpected) {
  std::string seen;
  Scripted upstream(loop, [&](Wire* w, int) {
    struct Go {
      static Task<void> run(Wire* wire, std::string* out) {
        *out = co_await wire->head();
        *out += co_await wire->bytes(3);
        std::ignore = co_await wire->send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      }
    };
    return Go::run(w, &seen);
  });
  auto client = make_client(loop, {});
  Request request;
  request.method = "POST";
  request.url = upstream.url("/p?q");
  request.headers.add("X-A", "1");
  request.headers.add("Content-Length", "999");  // set by the client, not by callers
  request.headers.add("Transfer-Encoding", "chunked");
  request.headers.add("Host", "evil");
  request.body = "abc";
  const auto response = net::run_until(loop, client->fetch(std::move(request), 100, kTestPatience));
  EXPECT_EQ(story(response), "200 ok");
  EXPECT_EQ(seen, "POST /p?q HTTP/1.1\r\nHost: " + upstream.url().authority() +
                      "\r\nX-A: 1\r\nContent-Length: 3\r\n\r\nabc");
}

TEST_F(ClientTest, ReadsEveryFraming) {
  struct Row {
    std::string_view name, method, bytes, expected;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 ok"},
           {"chunked", "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "200 ok"},
           {"until close", "GET", "HTTP/1.1 200 OK\r\n\r\nok", "200 ok"},
           {"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\n\r\nok", "200 ok"},
           {"interim answers first", "GET",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 200 "
            "OK\r\nContent-Length: 2\r\n\r\nok",
            "200 ok"},
           {"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "200 "},
           {"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", "204 "},
           {"304 with a length", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
            "304 "},
           {"error status", "GET", "HTTP/1.1 500 X\r\nContent-Length: 1\r\n\r\n!", "500 !"},
           {"cut in the head", "GET", "HTTP/1.1 200 OK\r\nConte", "http.closed"},
           {"nothing", "GET", "", "http.closed"},
           {"cut in a counted body", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok",
            "http.closed"},
           {"cut in a chunked body", "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", "http.closed"},
           {"no last chunk", "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "http.closed"},
           {"length and coding", "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: "
            "chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "http.upstream_invalid"},
           {"two lengths", "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
            "http.upstream_invalid"},
           {"not HTTP", "GET", "SSH-2.0-OpenSSH\r\n", "http.upstream_invalid"},
           {"bad chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "http.upstream_invalid"},
           {"too large", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n",
            "http.body_too_large"},
       }) {
    Scripted upstream(loop,
                      [&](Wire* w, int) { return answer_each(w, std::string(row.bytes), 1); });
    auto client = make_client(loop, {});
    EXPECT_EQ(story(get(*client, upstream.url(), std::string(row.method))), row.expected)
        << row.name;
  }
}

TEST_F(ClientTest, EndlessInterimAnswersEnd) {
  std::string many;
  for (int i = 0; i < 100; ++i) many += "HTTP/1.1 103 Early Hints\r\n\r\n";
  Scripted upstream(loop, [&](Wire* w, int) { return answer_each(w, many, 1); });
  auto client = make_client(loop, {});
  EXPECT_EQ(story(get(*client, upstream.url())), "http.upstream_invalid");
}

constexpr std::string_view kTwo = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

TEST_F(ClientTest, ConnectionsAreUsedAgainUnlessTheAnswerForbids) {
  struct Row {
    std::string_view name, bytes;
    int connections;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"plain", kTwo, 1},
           {"chunked",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n", 1},
           {"close", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", 3},
           {"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 3},
           {"HTTP/1.0 keep-alive",
            "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", 1},
           {"bytes after the answer",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n", 3},
       }) {
    Scripted upstream(loop,
                      [&](Wire* w, int) { return answer_each(w, std::string(row.bytes), 3); });
    auto client = make_client(loop, {});
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ(story(get(*client, upstream.url())), "200 ok") << row.name;
    EXPECT_EQ(upstream.connections(), row.connections) << row.name;
  }
}

/// Answers once on the first connection and closes it as soon as another request arrives there.
Task<void> answer_once_then_cut(Wire* wire, int number) {
  co_await answer_each(wire, std::string(kTwo), number == 1 ? 1 : 100);
  std::ignore = co_await wire->head();
  wire->close();
}

TEST_F(ClientTest, ADeadPooledConnectionIsRetriedForRepeatableMethodsOnly) {
  for (const auto& [method, expected] :
       std::initializer_list<std::pair<std::string, std::string>>{{"GET", "200 ok"},
                                                                  {"PUT", "200 ok"},
                                                                  {"POST", "http.closed"},
                                                                  {"PATCH", "http.closed"}}) {
    Scripted upstream(loop, answer_once_then_cut);
    auto client = make_client(loop, {});
    ASSERT_EQ(story(get(*client, upstream.url())), "200 ok");
    EXPECT_EQ(story(get(*client, upstream.url(), method)), expected) << method;
  }
}

Task<void> answer_and_close(Wire* wire, int) { co_await answer_each(wire, std::string(kTwo), 1); }
Task<void> pause(net::Loop* loop, Millis t) { co_await loop->sleep(t); }

TEST_F(ClientTest, AConnectionThatThePeerClosedWhileIdleIsNotUsed) {
  Scripted upstream(loop, answer_and_close);
  auto client = make_client(loop, {});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(story(get(*client, upstream.url(), "POST")), "200 ok");
    net::run_until(loop, pause(&loop, Millis(30)));
  }
  EXPECT_EQ(upstream.connections(), 3);
}

TEST_F(ClientTest, IdleConnectionsExpire) {
  Scripted upstream(loop, [](Wire* w, int) { return answer_each(w, std::string(kTwo), 5); });
  ClientConfig config;
  config.keep_alive = Millis(50);
  auto client = make_client(loop, config);
  EXPECT_EQ(story(get(*client, upstream.url())), "200 ok");
  net::run_until(loop, pause(&loop, Millis(150)));
  EXPECT_EQ(story(get(*client, upstream.url())), "200 ok");
  EXPECT_EQ(upstream.connections(), 2);
}

Task<void> never(Wire* wire, int) { std::ignore = co_await wire->rest(); }
Task<void> head_only(Wire* wire, int) {
  std::ignore = co_await wire->head();
  std::ignore = co_await wire->send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  std::ignore = co_await wire->rest();
}

TEST_F(ClientTest, Deadlines) {
  ClientConfig config;
  config.timeouts.first_byte = Millis(60);
  config.timeouts.idle = Millis(60);
  auto client = make_client(loop, config);
  Scripted silent(loop, never);
  EXPECT_EQ(story(get(*client, silent.url())), "http.timeout");
  Scripted stalls(loop, head_only);
  EXPECT_EQ(story(get(*client, stalls.url())), "http.timeout");
  auto patient = make_client(loop, {});
  Request request;
  request.url = silent.url();
  const auto r = net::run_until(loop, patient->fetch(std::move(request), 10, Millis(60)));
  EXPECT_EQ(story(r), "http.timeout");
}

TEST_F(ClientTest, ConnectFailuresAreTheirOwnKind) {
  Url nowhere;
  {
    Scripted upstream(loop, never);
    nowhere = upstream.url();
  }
  auto client = make_client(loop, {});
  EXPECT_EQ(story(get(*client, nowhere)), "http.connect_failed");
  EXPECT_EQ(story(get(*client, *Url::parse("http://name.invalid/"))), "http.connect_failed");
}

TEST_F(ClientTest, GuardAndFixedAnswers) {
  Scripted upstream(loop, [](Wire* w, int) { return answer_each(w, std::string(kTwo), 1); });
  ClientConfig config;
  std::vector<std::string> asked;
  std::vector<net::IpAddress> fixed{*net::IpAddress::parse("127.0.0.1")};
  config.resolve = [&](const std::string& host,
                       std::uint16_t) -> std::optional<std::vector<net::IpAddress>> {
    asked.push_back(host);
    return fixed;
  };
  config.guard = [](const std::string&, const net::IpAddress& a) -> Result<> {
    if (a.str() == "10.0.0.1") return fail(net::Errc::blocked, "private address");
    return {};
  };
  auto client = make_client(loop, config);
  Url url = upstream.url();
  url.host = "api.test";
  EXPECT_EQ(story(get(*client, url)), "200 ok");
  EXPECT_EQ(asked, std::vector<std::string>{"api.test"});
  // One forbidden address among good ones refuses them all.
  fixed.push_back(*net::IpAddress::parse("10.0.0.1"));
  url.host = "other.test";
  EXPECT_EQ(story(get(*client, url)), "net.blocked");
}

Task<bool> collect(std::vector<std::string>* lines, std::size_t limit, std::string line) {
  lines->push_back(std::move(line));
  co_return lines->size() < limit;
}

Task<void> stream_slowly(Wire* wire, net::Loop* loop) {
  std::ignore = co_await wire->head();
  std::ignore = co_await wire->send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (const std::string piece :
       {"5\r\n{a}\n{\r\n", "4\r\nb}\r\n\r\n", "1\r\n\n\r\n", "3\r\nend\r\n", "0\r\n\r\n"}) {
    std::ignore = co_await wire->send(piece);
    co_await loop->sleep(Millis(10));
  }
}

TEST_F(ClientTest, StreamLines) {
  Scripted upstream(loop, [&](Wire* w, int) { return stream_slowly(w, &loop); });
  auto client = make_client(loop, {});
  std::vector<std::string> lines;
  auto run = [&](std::size_t limit) {
    lines.clear();
    Request request;
    request.url = upstream.url();
    return net::run_until(
        loop, client->stream_lines(
                  std::move(request),
                  [&lines, limit](std::string l) { return collect(&lines, limit, std::move(l)); },
                  Millis(5000)));
  };
  EXPECT_EQ(*run(100), 200);
  EXPECT_EQ(lines, (std::vector<std::string>{"{a}", "{b}", "", "end"}));
  EXPECT_EQ(*run(1), 200);
  EXPECT_EQ(lines, std::vector<std::string>{"{a}"});
}

Task<std::string> exchange_by_hand(Client* client, Origin origin) {
  auto x = co_await client->open(origin);
  if (!x) co_return std::string(x.error().code());
  RequestHead head;
  head.method = "POST";
  head.target = "/";
  std::string story = (*x)->sent() ? "sent;" : "unsent;";
  std::ignore = co_await (*x)->send_head(head, std::nullopt);
  std::ignore = co_await (*x)->write(as_bytes("hello"));
  Headers trailers;
  trailers.add("X-T", "1");
  trailers.add("Host", "never");
  std::ignore = co_await (*x)->finish(trailers);
  story += (*x)->sent() ? "sent;" : "unsent;";
  auto answer = co_await (*x)->head();
  story += std::to_string(answer->status) + ";";
  auto body = co_await read_all((*x)->body(), 1000);
  story += *body;
  for (const Field f : (*x)->body().trailers()) story += ";" + std::string(f.name);
  co_return story;
}

TEST_F(ClientTest, ChunkedRequestsAndTrailers) {
  std::string seen;
  Scripted upstream(loop, [&](Wire* w, int) {
    struct Go {
      static Task<void> run(Wire* wire, std::string* out) {
        *out = co_await wire->until("0\r\nX-T: 1\r\n\r\n");
        std::ignore = co_await wire->send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-R: 1\r\n\r\n");
      }
    };
    return Go::run(w, &seen);
  });
  auto client = make_client(loop, {});
  const Origin origin = origin_of(upstream.url());
  EXPECT_EQ(net::run_until(loop, exchange_by_hand(client.get(), origin)), "unsent;sent;200;ok;X-R");
  EXPECT_TRUE(seen.ends_with("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"))
      << seen;
}

}  // namespace
}  // namespace octroi::http
