#include "octroi/net/tls.h"

#include <gtest/gtest.h>

#include "octroi/net/memory_stream.h"
#include "octroi/net/run_until.h"
#include "octroi/net/tls_identity.h"

namespace octroi::net {
namespace {

Identity make(const char* name, const char* alt_names, int days, const Identity* issuer,
              bool authority) {
  auto made = make_identity({name, alt_names, days, authority, issuer});
  EXPECT_TRUE(made);
  return std::move(*made);
}

struct Outcome {
  std::string client = "none";  // error code, or "ok"
  std::string server = "none";
  std::string client_alpn;
  std::string echoed;
};

Task<void> serve_echo(std::unique_ptr<Stream> raw, std::shared_ptr<const TlsServerContext> context,
                      Outcome* outcome) {
  auto tls = co_await tls_accept(std::move(raw), std::move(context), Millis(5000));
  outcome->server = tls ? "ok" : std::string(tls.error().code());
  if (!tls) co_return;
  std::array<std::uint8_t, 9000> buffer;
  for (;;) {
    auto got = co_await read_some(**tls, buffer, Millis(5000));
    if (!got || *got == 0) break;
    if (!co_await write_all(**tls, ByteView(buffer).first(*got), Millis(5000))) break;
  }
  (*tls)->shutdown_write();
}

Task<void> write_and_end(Stream* stream, const std::string* text) {
  std::ignore = co_await write_all(*stream, as_bytes(*text), Millis(5000));
  stream->shutdown_write();
}

Task<void> talk(std::unique_ptr<Stream> raw, std::shared_ptr<const TlsClientContext> context,
                std::string name, const std::string* text, Outcome* outcome) {
  auto tls =
      co_await tls_connect(std::move(raw), std::move(context), std::move(name), Millis(5000));
  outcome->client = tls ? "ok" : std::string(tls.error().code());
  if (!tls) co_return;
  outcome->client_alpn = (*tls)->alpn();
  TaskGroup group;
  group.start(write_and_end(tls->get(), text));
  std::array<std::uint8_t, 5000> buffer;
  for (;;) {
    auto got = co_await read_some(**tls, buffer, Millis(5000));
    if (!got || *got == 0) break;
    outcome->echoed.append(as_text(ByteView(buffer).first(*got)));
  }
  co_await group.join();
}

Task<Outcome> converse(Loop* loop, std::shared_ptr<const TlsServerContext> server,
                       std::shared_ptr<const TlsClientContext> client, std::string name,
                       std::string text) {
  Outcome outcome;
  auto [a, b] = make_memory_pair(*loop, 10'000);
  TaskGroup group;
  group.start(serve_echo(std::move(b), std::move(server), &outcome));
  group.start(talk(std::move(a), std::move(client), std::move(name), &text, &outcome));
  co_await group.join();
  co_return outcome;
}

class TlsTest : public testing::Test {
 protected:
  std::shared_ptr<const TlsServerContext> serve(const Identity& id) {
    auto context = make_tls_server(id.certificate, id.key, {"h2", "http/1.1"});
    EXPECT_TRUE(context) << context.error().message();
    return *context;
  }
  std::shared_ptr<const TlsClientContext> trust_ca(std::vector<std::string> alpn = {"http/1.1"}) {
    TlsClientOptions options;
    options.ca_pem = ca.certificate;
    options.alpn = std::move(alpn);
    return *make_tls_client(std::move(options));
  }
  Outcome run(const Identity& server, std::shared_ptr<const TlsClientContext> client,
              std::string name, std::string text = "hello") {
    return run_until(
        loop, converse(&loop, serve(server), std::move(client), std::move(name), std::move(text)));
  }

  Loop loop;
  Identity ca = make("test ca", "", 30, nullptr, true);
  Identity good =
      make("api", "DNS:api.example.com,DNS:*.wild.example,IP:127.0.0.1,IP:::1", 30, &ca, false);
};

TEST_F(TlsTest, EchoesMuchDataBothWays) {
  std::string text;
  while (text.size() < 400'000) text += "The quick brown fox. ";
  const Outcome outcome = run(good, trust_ca(), "api.example.com", text);
  EXPECT_EQ(outcome.client, "ok");
  EXPECT_EQ(outcome.server, "ok");
  EXPECT_EQ(outcome.client_alpn, "http/1.1");
  EXPECT_EQ(outcome.echoed, text);
}

TEST_F(TlsTest, AlpnFollowsTheServersPreference) {
  EXPECT_EQ(run(good, trust_ca({"http/1.1", "h2"}), "api.example.com").client_alpn, "h2");
  EXPECT_EQ(run(good, trust_ca({}), "api.example.com").client_alpn, "");
  EXPECT_EQ(run(good, trust_ca({"spdy/3"}), "api.example.com").client, "net.tls_handshake");
}

TEST_F(TlsTest, NamesMustMatch) {
  struct Row {
    std::string name;
    std::string expected;
  };
  for (const Row& row : std::initializer_list<Row>{{"api.example.com", "ok"},
                                                   {"API.example.com", "ok"},
                                                   {"a.wild.example", "ok"},
                                                   {"a.b.wild.example", "net.tls_certificate"},
                                                   {"127.0.0.1", "ok"},
                                                   {"::1", "ok"},
                                                   {"127.0.0.2", "net.tls_certificate"},
                                                   {"example.com", "net.tls_certificate"},
                                                   {"api", "net.tls_certificate"}}) {
    EXPECT_EQ(run(good, trust_ca(), row.name).client, row.expected) << row.name;
  }
}

TEST_F(TlsTest, BadCertificatesAreRefused) {
  const Identity expired = make("api", "DNS:api.example.com", -1, &ca, false);
  const Identity self_signed = make("api", "DNS:api.example.com", 30, nullptr, false);
  const Identity other_ca = make("other ca", "", 30, nullptr, true);
  const Identity stranger = make("api", "DNS:api.example.com", 30, &other_ca, false);
  EXPECT_EQ(run(expired, trust_ca(), "api.example.com").client, "net.tls_certificate");
  EXPECT_EQ(run(self_signed, trust_ca(), "api.example.com").client, "net.tls_certificate");
  EXPECT_EQ(run(stranger, trust_ca(), "api.example.com").client, "net.tls_certificate");
  const auto system = *make_tls_client({});
  const Outcome outcome = run(good, system, "api.example.com");
  EXPECT_EQ(outcome.client, "net.tls_certificate");
  EXPECT_EQ(outcome.server, "net.tls_handshake");  // the client's alert
}

TEST_F(TlsTest, APinAcceptsExactlyThatCertificate) {
  const Identity self_signed = make("lnd", "DNS:localhost", 30, nullptr, false);
  const Identity twin = make("lnd", "DNS:localhost", 30, nullptr, false);
  TlsClientOptions options;
  options.pinned_certificate_pem = self_signed.certificate;
  const auto client = *make_tls_client(std::move(options));
  EXPECT_EQ(run(self_signed, client, "some.other.name").client, "ok");
  EXPECT_EQ(run(twin, client, "localhost").client, "net.tls_certificate");
  EXPECT_EQ(run(good, client, "api.example.com").client, "net.tls_certificate");
}

TEST_F(TlsTest, ContextsRefuseWhatCannotWork) {
  const Identity other = make("x", "", 30, nullptr, false);
  EXPECT_TRUE(make_tls_server("", good.key, {}).error().is(Errc::tls_certificate));
  EXPECT_TRUE(
      make_tls_server(good.certificate, Secret("junk"), {}).error().is(Errc::tls_certificate));
  EXPECT_TRUE(make_tls_server(good.certificate, other.key, {}).error().is(Errc::tls_certificate));
  TlsClientOptions bad_ca;
  bad_ca.ca_pem = "not a certificate";
  EXPECT_FALSE(make_tls_client(std::move(bad_ca)));
  TlsClientOptions bad_pin;
  bad_pin.pinned_certificate_pem = "not a certificate";
  EXPECT_FALSE(make_tls_client(std::move(bad_pin)));
}

Task<std::string> handshake_with_text(Loop* loop, std::shared_ptr<const TlsServerContext> context,
                                      std::string text, Millis timeout) {
  auto [a, b] = make_memory_pair(*loop);
  std::ignore = co_await write_all(*a, as_bytes(text), Millis(100));
  auto tls = co_await tls_accept(std::move(b), std::move(context), timeout);
  co_return tls ? "ok" : std::string(tls.error().code());
}

TEST_F(TlsTest, HandshakesWithNonsenseOrSilenceEnd) {
  EXPECT_EQ(run_until(loop, handshake_with_text(&loop, serve(good), "GET / HTTP/1.1\r\n\r\n",
                                                Millis(1000))),
            "net.tls_handshake");
  EXPECT_EQ(run_until(loop, handshake_with_text(&loop, serve(good), "", Millis(30))),
            "net.timeout");
}

Task<std::string> read_after_cut(Loop* loop, std::shared_ptr<const TlsServerContext> server,
                                 std::shared_ptr<const TlsClientContext> client) {
  auto [a, b] = make_memory_pair(*loop);
  struct Cut {
    static Task<void> go(std::unique_ptr<Stream> raw,
                         std::shared_ptr<const TlsServerContext> context, Stream* under) {
      auto tls = co_await tls_accept(std::move(raw), std::move(context), Millis(5000));
      std::ignore = co_await write_all(**tls, as_bytes("half"), Millis(1000));
      under->shutdown_write();  // an end that TLS did not say
      co_await (*tls)->loop().sleep(Millis(50));
    }
  };
  Stream* const under = b.get();
  TaskGroup group;
  group.start(Cut::go(std::move(b), std::move(server), under));
  auto tls = co_await tls_connect(std::move(a), std::move(client), "api.example.com", Millis(5000));
  std::array<std::uint8_t, 100> buffer;
  std::string story;
  for (int i = 0; i < 2; ++i) {
    auto got = co_await read_some(**tls, buffer, Millis(2000));
    story += got ? std::to_string(*got) : std::string(got.error().code());
    story += ";";
  }
  co_return story;
}

TEST_F(TlsTest, AnEndWithoutCloseNotifyIsNotAnEnd) {
  EXPECT_EQ(run_until(loop, read_after_cut(&loop, serve(good), trust_ca())), "4;net.reset;");
}

}  // namespace
}  // namespace octroi::net
