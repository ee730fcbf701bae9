#include <optional>
#include <utility>

#include <gmock/gmock.h>

#include "octroi/audit/memory_journal.h"
#include "octroi/ledger/memory_spends.h"
#include "octroi/net/run_until.h"
#include "octroi/vault/broker.h"

namespace octroi::vault {
namespace {

/// Reaches no vendor, and remembers how patient one was to be with it.
class Unreachable final : public http::Client {
 public:
  explicit Unreachable(net::Loop& loop) : loop_(loop) {}
  std::optional<http::ClientTimeouts> asked;

  net::Loop& loop() override { return loop_; }
  Task<Result<std::unique_ptr<http::ClientExchange>>> open(http::Origin) override {
    co_return fail(Errc::upstream_failed);
  }
  Task<Result<std::unique_ptr<http::ClientExchange>>> open_with(http::Origin,
                                                                http::ClientTimeouts timeouts,
                                                                bool) override {
    asked = timeouts;
    co_return fail(Errc::upstream_failed);
  }
  Task<Result<http::Response>> fetch(http::Request, std::uint64_t, Millis) override {
    co_return fail(Errc::upstream_failed);
  }
  Task<Result<int>> stream_lines(http::Request, std::function<Task<bool>(std::string)>,
                                 Millis) override {
    co_return fail(Errc::upstream_failed);
  }

 private:
  net::Loop& loop_;
};

class PatienceTest : public ::testing::Test, public VendorClients {
 public:
  http::Client& client_for(const Vendor&) override { return vendor_; }

  void start(Millis timeout) {
    VaultSettings settings;
    VendorSettings vendor;
    vendor.name = "shop";
    vendor.pack = "mcp";
    vendor.endpoint = "/mcp";
    vendor.live = false;
    vendor.scheme = "http";
    vendor.host = "127.0.0.1";
    vendor.port = 1;
    vendor.timeout = timeout;
    vendor.credential = std::make_shared<const Secret>("shop_real_key_0123456789");
    settings.vendors.push_back(std::move(vendor));
    settings.policies.push_back({"bot", "shop", R"({"vendor":"shop","endpoints":["mcp.*"]})"});
    auto snapshot = Snapshot::build(std::move(settings), {});
    ASSERT_TRUE(snapshot) << snapshot.error().message();
    issued_ = issue_key(false, random_);
    issued_.record.vendor = "shop";
    issued_.record.policy = "bot";
    ledger::VaultKeyList list;
    list.keys.push_back(issued_.record);
    server_.reset();
    broker_ = std::make_unique<Broker>(shared_, *this, *snapshot,
                                       std::make_shared<const KeyBook>(std::move(list)));
    http::ServerConfig config;
    config.listen = *net::Endpoint::parse("127.0.0.1:0");
    server_ = std::move(
        *http::listen(loop_, config, [this](http::Exchange& x) { return broker_->handle(x); }));
  }

  http::ClientTimeouts patience(std::string method, std::string body) {
    http::Request request;
    request.method = std::move(method);
    request.url = *http::Url::parse("http://" + server_->local().str() + "/shop/mcp");
    const Secret key = issued_.text(KeyShape::vault);
    request.headers.add("Authorization", "Bearer " + std::string(key.reveal_text()));
    request.headers.add("Accept", "application/json, text/event-stream");
    if (!body.empty()) request.headers.add("Content-Type", "application/json");
    request.body = std::move(body);
    vendor_.asked.reset();
    const auto client = http::make_client(loop_, {});
    std::ignore =
        net::run_until(loop_, client->fetch(std::move(request), 1U << 20, Millis(20'000)));
    EXPECT_TRUE(vendor_.asked) << "the vendor was not asked";
    return vendor_.asked.value_or(http::ClientTimeouts{Millis(-1), Millis(-1), Millis(-1)});
  }

  net::Loop loop_;
  ManualClock clock_{UnixMillis{1'790'000'000'000}};
  SeededRandom random_{5};
  MetricRegistry metrics_;
  ledger::MemorySpends spends_;
  audit::MemoryJournal journal_{clock_};
  Shared shared_{spends_, journal_, metrics_, clock_, random_};
  IssuedKey issued_;
  Unreachable vendor_{loop_};
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<http::Server> server_;
};

constexpr const char* kPing = R"({"jsonrpc":"2.0","id":1,"method":"ping"})";

TEST_F(PatienceTest, AnAnswerMayPauseForAsLongAsItMayTakeToBegin) {
  start(Millis(600'000));
  EXPECT_EQ(patience("POST", kPing).first_byte, Millis(600'000));
  EXPECT_EQ(patience("POST", kPing).idle, Millis(600'000));
}

TEST_F(PatienceTest, AShortTimeoutIsForTheBeginningOnly) {
  start(Millis(1'000));
  EXPECT_EQ(patience("POST", kPing).first_byte, Millis(1'000));
  EXPECT_EQ(patience("POST", kPing).idle, http::ClientTimeouts().idle);
}

TEST_F(PatienceTest, WhatAServerSaysUnaskedIsListenedForWithoutEnd) {
  start(Millis(1'000));
  EXPECT_EQ(patience("GET", "").first_byte, Millis(1'000));
  EXPECT_EQ(patience("GET", "").idle, Millis(0));
}

}  // namespace
}  // namespace octroi::vault
