#include "octroi/vault/front.h"

#include <gmock/gmock.h>

#include "octroi/audit/memory_journal.h"
#include "octroi/ledger/memory_spends.h"
#include "octroi/net/run_until.h"

namespace octroi::vault {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kReal = "rk_test_51TheRealKeyOfTheAccount0123456789";

/// Takes every origin for one.
class Redirected final : public http::Client {
 public:
  Redirected(net::Loop& loop, net::Endpoint to)
      : to_{"http", to.address.str(), to.port}, client_(http::make_client(loop, {})) {}
  net::Loop& loop() override { return client_->loop(); }
  Task<Result<std::unique_ptr<http::ClientExchange>>> open(http::Origin) override {
    return client_->open(to_);
  }
  Task<Result<std::unique_ptr<http::ClientExchange>>> open_with(http::Origin,
                                                                http::ClientTimeouts timeouts,
                                                                bool fresh) override {
    return client_->open_with(to_, timeouts, fresh);
  }
  Task<Result<http::Response>> fetch(http::Request request, std::uint64_t most,
                                     Millis deadline) override {
    return client_->fetch(std::move(request), most, deadline);
  }
  Task<Result<int>> stream_lines(http::Request request,
                                 std::function<Task<bool>(std::string)> on_line,
                                 Millis idle) override {
    return client_->stream_lines(std::move(request), std::move(on_line), idle);
  }

 private:
  http::Origin to_;
  std::unique_ptr<http::Client> client_;
};

/// A front whose other hosts are listeners of the test: one that echoes, in tunnels, and one that
/// gives each request in absolute-form what `beyond_` says, and goes on.
class FrontTest : public ::testing::Test, public VendorClients {
 public:
  FrontTest() {
    issued_ = issue_key(false, random_);
    issued_.record.vendor = "stripe";
    issued_.record.policy = "bot";
    echo_ = std::move(*net::listen_tcp(loop_, *net::Endpoint::parse("127.0.0.1:0"), false));
    tasks_.start(accept_all(this));
    other_ = std::move(*net::listen_tcp(loop_, *net::Endpoint::parse("127.0.0.1:0"), false));
    tasks_.start(answer_all(this));
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
    front_ = std::make_unique<Front>(
        loop_, shared_, *broker_, *snapshot, book(), nullptr,
        [this](net::Loop* loop, std::string host, std::uint16_t port) {
          dialled_ = host + ":" + std::to_string(port);
          return net::connect(*loop, echo_->local(), Millis(5'000));
        },
        std::make_unique<Redirected>(loop_, other_->local()));
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

  static Task<void> answer_all(FrontTest* self) {
    for (;;) {
      auto stream = co_await self->other_->accept();
      if (!stream) co_return;
      self->tasks_.start(answer(self, std::move(*stream)));
    }
  }
  static Task<void> answer(FrontTest* self, std::unique_ptr<net::Stream> stream) {
    std::ignore = co_await read_until(stream.get(), "\r\n\r\n");
    std::ignore = co_await net::write_all(*stream, as_bytes(self->beyond_), Millis(5'000));
    self->beyond_ended_ = co_await read_until(stream.get(), "never");
  }

  http::Client& client_for(const Vendor&) override { return *vendors_; }
  std::shared_ptr<const KeyBook> book() {
    ledger::VaultKeyList list;
    list.keys.push_back(issued_.record);
    if (above_) list.keys.push_back(*above_);
    return std::make_shared<const KeyBook>(std::move(list));
  }
  void revoke() {
    issued_.record.state = ledger::VaultKeyState::revoked;
    front_->publish(book());
  }
  std::string shown(const std::string& name = "run-1") {
    const Secret key = issued_.text(KeyShape::vault);
    return "Proxy-Authorization: Basic " +
           to_base64(as_bytes(name + ":" + std::string(key.reveal_text()))) + "\r\n";
  }

  static Task<std::string> read_until(net::Stream* stream, std::string mark) {
    std::string text;
    std::array<std::uint8_t, 1> byte;
    while (!text.ends_with(mark)) {
      auto got = co_await net::read_some(*stream, byte, Millis(5'000));
      if (!got && got.error().is(net::Errc::timeout)) co_return text + "<nothing>";
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
  static Task<std::string> ask_once(FrontTest* self, std::string head) {
    std::string answer;
    std::ignore = co_await open(self, std::move(head), &answer);
    co_return answer;
  }
  /// What CONNECT is answered.
  std::string ask(const std::string& target, const std::string& fields) {
    return net::run_until(
        loop_, ask_once(this, "CONNECT " + target + " HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n"));
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
  std::optional<ledger::VaultKey> above_;
  std::string dialled_, beyond_, beyond_ended_;
  std::unique_ptr<net::Listener> echo_, other_;
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

TEST_F(FrontTest, WhatIsNotConfirmedOpensNoTunnel) {
  Freshness fresh;
  shared_.fresh = &fresh;
  EXPECT_THAT(net::run_until(loop_, talk(this, false)).answer, StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(dialled_, "");
  EXPECT_THAT(rows(), ElementsAre());
  fresh.set_until(loop_.now() + Millis(60'000));
  EXPECT_THAT(net::run_until(loop_, talk(this, false)).answer, StartsWith("HTTP/1.1 200"));
}

TEST_F(FrontTest, ATunnelEndsWhenItsKeyIsRevoked) {
  const BlindTalk told = net::run_until(loop_, talk(this, true));
  EXPECT_EQ(told.echoed, "hello.");
  EXPECT_EQ(told.after, "<end>");
}

constexpr const char* kStream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nfirst.";
constexpr const char* kSocket =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nfirst.";

/// Of a request in absolute-form: its answer to the first point, and what came after `then`.
Task<BlindTalk> ask_absolute(FrontTest* self, std::function<void()> then) {
  BlindTalk told;
  auto stream = co_await FrontTest::open(self,
                                         "GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\n"
                                         "Connection: upgrade\r\nUpgrade: websocket\r\n" +
                                             self->shown() + "\r\n",
                                         &told.answer);
  if (!stream) co_return told;
  told.echoed = co_await FrontTest::read_until(stream->get(), ".");
  then();
  told.after = co_await FrontTest::read_until(stream->get(), "never");
  // The other side is closed as well.
  for (int i = 0; i < 100 && self->beyond_ended_.empty(); ++i)
    co_await self->loop_.sleep(Millis(10));
  co_return told;
}

TEST_F(FrontTest, AnAbsoluteRequestEndsWhenItsKeyIsRevoked) {
  for (const char* answer : {kStream, kSocket}) {
    SCOPED_TRACE(answer);
    beyond_ = answer;
    beyond_ended_.clear();
    issued_.record.state = ledger::VaultKeyState::active;
    front_->publish(book());
    const BlindTalk told = net::run_until(loop_, ask_absolute(this, [&] { revoke(); }));
    EXPECT_THAT(told.echoed, HasSubstr("first."));
    EXPECT_THAT(told.after, EndsWith("<end>"));
    EXPECT_EQ(beyond_ended_, "<end>");
  }
}

/// Asks for more than its side takes, and reads none of it.
Task<void> read_nothing(FrontTest* self) {
  std::string answer;
  auto stream = co_await FrontTest::open(
      self, "GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\n" + self->shown() + "\r\n",
      &answer);
  co_await self->loop_.sleep(Millis(100));
  EXPECT_EQ(self->beyond_ended_, "");
  self->revoke();
  for (int i = 0; i < 100 && self->beyond_ended_.empty(); ++i)
    co_await self->loop_.sleep(Millis(10));
}

TEST_F(FrontTest, AnAnswerThatNobodyReadsEndsAsWell) {
  beyond_ = kStream + std::string(32U << 20U, 'x');
  net::run_until(loop_, read_nothing(this));
  EXPECT_EQ(beyond_ended_, "<end>");
}

TEST_F(FrontTest, WhatGoesToOtherHostsEndsWithTheFirstKeyThatExpires) {
  above_ = issue_key(false, random_).record;
  above_->expires = clock_.now() + Millis(300);
  issued_.record.parent = above_->id;
  issued_.record.expires = clock_.now() + Millis(60'000);
  for (const char* answer : {kStream, kSocket}) {
    SCOPED_TRACE(answer);
    front_->publish(book());
    beyond_ = answer;
    beyond_ended_.clear();
    const BlindTalk told = net::run_until(loop_, ask_absolute(this, [] {}));
    EXPECT_THAT(told.echoed, HasSubstr("first."));
    EXPECT_THAT(told.after, EndsWith("<end>"));
    EXPECT_EQ(beyond_ended_, "<end>");
  }
}

TEST_F(FrontTest, WhatIsUnderWayEndsAtTheExpiryThatItsKeyWasGivenMeanwhile) {
  beyond_ = kStream;
  const BlindTalk told = net::run_until(loop_, ask_absolute(this, [&] {
                                          issued_.record.expires = clock_.now() + Millis(200);
                                          front_->publish(book());
                                        }));
  EXPECT_THAT(told.after, EndsWith("<end>"));
  EXPECT_EQ(beyond_ended_, "<end>");
}

TEST_F(FrontTest, ANameThatIsNoRunIsRefusedAndNotWrittenDown) {
  for (const bool others : {true, false}) {
    start(others);
    const char* status = others ? "HTTP/1.1 400" : "HTTP/1.1 403";
    for (const std::string& name :
         {std::string("two words"), std::string("a\nb"), std::string("\x1b[2J"),
          std::string("a\0b", 3), std::string(600, 'x')}) {
      EXPECT_THAT(ask("a.example:443", shown(name)), StartsWith(status));
    }
  }
  for (const std::string& row : rows()) EXPECT_EQ(row, "tunnel.open a.example:443  denied");
  EXPECT_EQ(rows().size(), 10U);
  EXPECT_EQ(dialled_, "");
}

TEST_F(FrontTest, AKeyThatIsBoundToARunTakesNoOtherName) {
  issued_.record.run = "run-1";
  start(true);
  EXPECT_THAT(ask("a.example:443", shown("run-2")), StartsWith("HTTP/1.1 403"));
  EXPECT_EQ(dialled_, "");
  EXPECT_THAT(ask("a.example:443", shown("octroi")), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(ask("a.example:443", shown("run-1")), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(rows(), ElementsAre("tunnel.open a.example:443 run-1 allowed",
                                  "tunnel.open a.example:443 run-1 allowed",
                                  "tunnel.open a.example:443 run-1 denied"));
}

TEST_F(FrontTest, ACanaryRaisesItsAlarmHoweverItIsShown) {
  issued_.record.canary = true;
  std::vector<std::string> alarms;
  shared_.alarm = [&](const std::string& call, const std::string& key, const std::string& from) {
    alarms.push_back(call + "/" + (key == issued_.record.id ? "canary" : key) + "/" + from);
  };
  const Counter& counted =
      metrics_.counter("octroi_vault_alarms_total", "", {{"reason", "canary_used"}});
  const Secret key = issued_.text(KeyShape::vault);
  const std::string bearer = "Authorization: Bearer " + std::string(key.reveal_text()) + "\r\n";
  for (const bool others : {true, false}) {
    start(others);
    alarms.clear();
    const auto before = counted.value();
    EXPECT_THAT(ask("a.example:443", shown()),
                StartsWith(others ? "HTTP/1.1 407" : "HTTP/1.1 403"));
    const std::string told = net::run_until(
        loop_, ask_once(this, "GET /.well-known/octroi/vault HTTP/1.1\r\nHost: " +
                                  server_->local().str() + "\r\n" + bearer + "\r\n"));
    EXPECT_THAT(told, StartsWith("HTTP/1.1 401"));
    EXPECT_THAT(alarms, ElementsAre("/canary/127.0.0.1", "/canary/127.0.0.1"));
    EXPECT_EQ(counted.value(), before + 2);
  }
}

TEST_F(FrontTest, WhatIsNotAllowedDialsNobody) {
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
