// The server and the client over TLS: who is believed, and certificates that change while serving.
#include <gtest/gtest.h>

#include "octroi/http/client.h"
#include "octroi/http/wire_test.h"
#include "octroi/net/tls_identity.h"

namespace octroi::http {
namespace {

Task<void> say_scheme(Exchange* x) {
  std::ignore = co_await x->respond({}, x->request().scheme + (x->peer().tls ? " tls" : " clear"));
}

class HttpTls : public testing::Test {
 protected:
  std::shared_ptr<const net::TlsServerContext> context(const net::Identity& id) {
    return *net::make_tls_server(id.certificate, id.key, {"http/1.1"});
  }
  net::Identity issue(const char* name, int days = 30) {
    return std::move(*net::make_identity({"x", name, days, false, &ca}));
  }
  std::unique_ptr<Client> client() {
    net::TlsClientOptions options;
    options.ca_pem = ca.certificate;
    ClientConfig config;
    config.tls = *net::make_tls_client(std::move(options));
    config.max_idle_per_origin = 0;  // a handshake each time
    config.resolve = [](const std::string&, std::uint16_t) {
      return std::optional(std::vector{*net::IpAddress::parse("127.0.0.1")});
    };
    return make_client(loop, std::move(config));
  }
  std::string get(Client& c, const Server& server, const std::string& name) {
    Request request;
    request.url = *Url::parse("https://" + name + ":" + std::to_string(server.local().port) + "/");
    const auto r = net::run_until(loop, c.fetch(std::move(request), 1000, kTestPatience));
    return r ? r->body : std::string(r.error().code());
  }
  net::Loop loop;
  net::Identity ca = std::move(*net::make_identity({"ca", "", 30, true, nullptr}));
};

TEST_F(HttpTls, OnlyAValidCertificateOfTheRightNameIsBelieved) {
  auto c = client();
  struct Row {
    std::string_view name;
    net::Identity identity;
    std::string host, expected;
  };
  std::vector<Row> rows;
  rows.push_back({"good", issue("DNS:api.test"), "api.test", "https tls"});
  rows.push_back({"another name", issue("DNS:api.test"), "other.test", "http.tls_failed"});
  rows.push_back({"expired", issue("DNS:api.test", -1), "api.test", "http.tls_failed"});
  rows.push_back({"unknown issuer",
                  std::move(*net::make_identity({"x", "DNS:api.test", 30, false, nullptr})),
                  "api.test", "http.tls_failed"});
  for (const Row& row : rows) {
    auto server =
        serve(loop, [](Exchange& x) { return say_scheme(&x); }, {}, context(row.identity));
    EXPECT_EQ(get(*c, *server, row.host), row.expected) << row.name;
  }
}

TEST_F(HttpTls, ANewCertificateServesNewConnections) {
  auto server =
      serve(loop, [](Exchange& x) { return say_scheme(&x); }, {}, context(issue("DNS:old.test")));
  auto c = client();
  EXPECT_EQ(get(*c, *server, "old.test"), "https tls");
  server->set_tls(context(issue("DNS:new.test")));
  EXPECT_EQ(get(*c, *server, "new.test"), "https tls");
  EXPECT_EQ(get(*c, *server, "old.test"), "http.tls_failed");
}

TEST_F(HttpTls, ClearTextOnATlsPortIsNotServed) {
  auto server =
      serve(loop, [](Exchange& x) { return say_scheme(&x); }, {}, context(issue("DNS:a.test")));
  struct Ask {
    static Task<std::string> go(net::Loop* loop, net::Endpoint to) {
      Wire wire = co_await Wire::to(loop, to);
      std::ignore = co_await wire.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
      co_return co_await wire.rest();
    }
  };
  EXPECT_EQ(net::run_until(loop, Ask::go(&loop, server->local())).find("200"), std::string::npos);
}

Task<void> echo_back(Exchange* x) {
  std::ignore = co_await x->start({}, x->body().length());
  for (;;) {
    auto piece = co_await x->body().next();
    if (!piece || piece->empty()) break;
    if (!co_await x->write(*piece)) co_return;
  }
  std::ignore = co_await x->finish({});
}

TEST_F(HttpTls, LargeBodiesPass) {
  auto server =
      serve(loop, [](Exchange& x) { return echo_back(&x); }, {}, context(issue("DNS:a.test")));
  auto c = client();
  Request request;
  request.method = "POST";
  request.url = *Url::parse("https://a.test:" + std::to_string(server->local().port) + "/");
  while (request.body.size() < 100'000) request.body += "0123456789";
  const std::string sent = request.body;
  const auto r = net::run_until(loop, c->fetch(std::move(request), 200'000, kTestPatience));
  ASSERT_TRUE(r) << r.error().message();
  EXPECT_EQ(r->body, sent);
}

}  // namespace
}  // namespace octroi::http
