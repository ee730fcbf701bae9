#include "octroi/vault/front.h"

#include <gmock/gmock.h>

#include "octroi/audit/memory_journal.h"
#include "octroi/ledger/memory_spends.h"
#include "octroi/net/run_until.h"

namespace octroi::vault {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kReal = "rk_test_51TheRealKeyOfTheAccount0123456789";

/// A front whose other hosts are a listener of the test, which echoes.
class FrontTest : public ::testing::Test, public VendorClients {
 public:
  FrontTest() {
    issued_ = issue_key(false, random_);
    issued_.record.vendor = "stripe";
    issued_.record.policy = "bot";
    echo_ = std::move(*net::listen_tcp(loop_, *net::Endpoint::parse("127.0.0.1:0"), false));
    tasks_.start(accept_all(this));
    start(true);
  }
  ~FrontTest() override { tasks_.cancel(); }

  void start(bool tunnels_others) {
    VaultSettings settings;
    VendorSettings vendor;
    vendor.name = vendor.pack = "stripe";
    vendor.scheme = "http";
    vendor.host = "127.0.0.1";
    vendor.port = 1;
    vendor.credential = std::make_shared<const Secret>(kReal);
    settings.vendors.push_back(std::move(vendor));
    settings.policies.push_back({"bot", "stripe", R"({"vendor":"stripe","endpoints":["*"]})"});
    settings.proxy.tunnels_others = tunnels_others;
    auto snapshot = Snapshot::build(std::move(settings), {});
    ASSERT_TRUE(snapshot) << snapshot.error().message();
    server_.reset();
    broker_ = std::make_unique<Broker>(shared_, *this, *snapshot, book());
    front_ = std::make_unique<Front>(loop_, shared_, *broker_, *snapshot, book(), nullptr,
                                     [this](net::Loop* loop, std::string host, std::uint16_t port) {
                                       dialled_ = host + ":" + std::to_string(port);
                                       return net::connect(*loop, echo_->local(), Millis(5'000));
                                     });
    http::ServerConfig config;
    config.listen = *net::Endpoint::parse("127.0.0.1:0");
    config.limits.tunnels = true;
    server_ = std::move(*http::listen(
        loop_, config, [this](http::Exchange& x) { return front_->handle(x, *server_); }));
  }

  static Task<void> accept_all(FrontTest* self) {
    for (;;) {
      auto stream = co_await self->echo_->accept();
      if (!stream) co_return;
      self->tasks_.start(echo(std::move(*stream)));
    }
  }
  static Task<void> echo(std::unique_ptr<net::Stream> stream) {
    std::array<std::uint8_t, 512> buffer;
    for (;;) {
      auto got = co_await net::read_some(*stream, buffer, Millis(20'000));
      if (!got || *got == 0) co_return;
      if (!co_await net::write_all(*stream, ByteView(buffer).first(*got), Millis(20'000)))
        co_return;
    }
  }

  http::Client& client_for(const Vendor&) override { return *vendors_; }
  std::shared_ptr<const KeyBook> book() {
    ledger::VaultKeyList list;
    list.keys.push_back(issued_.record);
    return std::make_shared<const KeyBook>(std::move(list));
  }
  void revoke() {
    issued_.record.state = ledger::VaultKeyState::revoked;
    front_->publish(book());
  }
  std::string shown() {
    const Secret key = issued_.text(KeyShape::vault);
    return "Proxy-Authorization: Basic " +
           to_base64(as_bytes("run-1:" + std::string(key.reveal_text()))) + "\r\n";
  }

  static Task<std::string> read_until(net::Stream* stream, std::string mark) {
    std::string text;
    std::array<std::uint8_t, 1> byte;
    while (!text.ends_with(mark)) {
      auto got = co_await net::read_some(*stream, byte, Millis(20'000));
      if (!got || *got == 0) co_return text + "<end>";
      text += static_cast<char>(byte[0]);
    }
    co_return text;
  }
  static Task<Result<std::unique_ptr<net::Stream>>> open(FrontTest* self, std::string head,
                                                         std::string* answer) {
    auto stream = co_await net::connect(self->loop_, self->server_->local(), Millis(5'000));
    if (!stream) co_return stream;
    std::ignore = co_await net::write_all(**stream, as_bytes(head), Millis(5'000));
    *answer = co_await read_until(stream->get(), "\r\n\r\n");
    co_return stream;
  }
  std::vector<std::string> rows() {
    auto page = net::run_until(loop_, journal_.query({}));
    std::vector<std::string> out;
    if (!page) return out;
    for (const auto& row : page->rows) {
      if (row.event.kind == "writer.start") continue;
      out.push_back(row.event.kind + " " + row.event.path + " " + row.event.run + " " +
                    std::string(audit::to_string(*row.event.verdict)));
    }
    return out;
  }

  net::Loop loop_;
  ManualClock clock_{UnixMillis{1'790'000'000'000}};
  SeededRandom random_{5};
  MetricRegistry metrics_;
  ledger::MemorySpends spends_;
  audit::MemoryJournal journal_{clock_};
  Shared shared_{spends_, journal_, metrics_, clock_, random_};
  IssuedKey issued_;
  std::string dialled_;
  std::unique_ptr<net::Listener> echo_;
  std::unique_ptr<http::Client> vendors_ = http::make_client(loop_, {});
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<Front> front_;
  std::unique_ptr<http::Server> server_;
  TaskGroup tasks_;
};

struct BlindTalk {
  std::string answer, echoed, after;
};

Task<BlindTalk> talk(FrontTest* self, bool revoked) {
  BlindTalk told;
  auto stream = co_await FrontTest::open(
      self, "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n" + self->shown() + "\r\n",
      &told.answer);
  if (!stream) co_return told;
  std::ignore = co_await net::write_all(**stream, as_bytes("hello."), Millis(5'000));
  told.echoed = co_await FrontTest::read_until(stream->get(), ".");
  if (revoked) {
    self->revoke();
  } else {
    (*stream)->shutdown_write();
  }
  told.after = co_await FrontTest::read_until(stream->get(), ".");
  co_return told;
}

TEST_F(FrontTest, OthersAreTunnelledForWhoShowsAKeyAndWrittenDown) {
  const BlindTalk told = net::run_until(loop_, talk(this, false));
  EXPECT_THAT(told.answer, StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(told.echoed, "hello.");
  EXPECT_EQ(told.after, "<end>");
  EXPECT_EQ(dialled_, "a.example:443");
  EXPECT_THAT(rows(), ElementsAre("tunnel.open a.example:443 run-1 allowed"));
}

TEST_F(FrontTest, ATunnelEndsWhenItsKeyIsRevoked) {
  const BlindTalk told = net::run_until(loop_, talk(this, true));
  EXPECT_EQ(told.echoed, "hello.");
  EXPECT_EQ(told.after, "<end>");
}

TEST_F(FrontTest, WhatIsNotAllowedDialsNobody) {
  struct Ask {
    static Task<std::string> once(FrontTest* self, std::string head) {
      std::string answer;
      std::ignore = co_await open(self, std::move(head), &answer);
      co_return answer;
    }
  };
  const auto ask = [&](const std::string& target, const std::string& fields) {
    return net::run_until(
        loop_, Ask::once(this, "CONNECT " + target + " HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n"));
  };
  EXPECT_THAT(ask("a.example:443", ""), StartsWith("HTTP/1.1 407"));
  EXPECT_THAT(ask("a.example:443", ""), HasSubstr("Proxy-Authenticate: Basic"));
  EXPECT_THAT(ask("a.example:22", shown()), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(ask("a.example:99999", shown()), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(ask("localhost:443", shown()), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(ask("10.0.0.1:443", shown()), StartsWith("HTTP/1.1 403"));
  // Without an authority nobody can answer as a vendor.
  EXPECT_THAT(ask("api.stripe.com:443", shown()), StartsWith("HTTP/1.1 501"));
  revoke();
  EXPECT_THAT(ask("a.example:443", shown()), StartsWith("HTTP/1.1 407"));
  start(false);
  EXPECT_THAT(ask("a.example:443", shown()), StartsWith("HTTP/1.1 403"));
  EXPECT_EQ(dialled_, "");
}

}  // namespace
}  // namespace octroi::vault
