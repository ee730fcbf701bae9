#include <atomic>
#include <deque>
#include <map>

#include <gtest/gtest.h>

#include "octroi/adapters/lnd/answer.h"
#include "octroi/adapters/lnd/lnd_node.h"
#include "octroi/bolt11/bolt11.h"
#include "octroi/crypto/hash.h"
#include "octroi/http/server.h"
#include "octroi/lightning/fake_node.h"
#include "octroi/lightning/run_task.h"

namespace octroi::lnd {
namespace {

using namespace octroi::literals;
using lightning::Errc;
using lightning::run_task;

/// What the fake lnd says to one request.
struct Scripted {
  int status = 200;
  std::string body{};
  Millis delay{0};
  bool cut = false;     // announces more than it sends, then breaks the connection
  bool stream = false;  // goes on silently after the body until the client leaves
};

/// An lnd of canned answers on a real socket. Each path prefix has a queue; its last answer
/// repeats.
class FakeLnd {
 public:
  explicit FakeLnd(net::Loop& loop) : loop_(loop) {
    auto server = http::listen(loop,
                               {.listen = *net::Endpoint::parse("127.0.0.1:0"),
                                .reuse_port = false,
                                .tls = {},
                                .limits = {}},
                               [this](http::Exchange& exchange) { return answer(&exchange); });
    EXPECT_TRUE(server);
    server_ = *std::move(server);
  }
  std::string url() const { return "http://" + server_->local().str(); }
  void on(std::string method_and_prefix, std::vector<Scripted> answers) {
    script_[std::move(method_and_prefix)] = {answers.begin(), answers.end()};
  }

  struct Seen {
    std::string line;
    std::string macaroon;
    std::string body;
  };
  std::vector<Seen> seen;

 private:
  Task<void> answer(http::Exchange* exchange) {
    const std::string line = exchange->request().method + " " + exchange->request().target;
    auto body = co_await http::read_all(exchange->body(), 1 << 20);
    seen.push_back(
        {line, std::string(exchange->request().headers.get("grpc-metadata-macaroon").value_or("")),
         body ? *body : std::string()});
    const Scripted now = next(line);
    if (now.delay > Millis(0)) co_await loop_.sleep(now.delay);
    http::ResponseHead head;
    head.status = now.status;
    head.headers.add("Content-Type", "application/json");
    if (!now.cut && !now.stream) {
      static_cast<void>(co_await exchange->respond(std::move(head), now.body));
      co_return;
    }
    static_cast<void>(co_await exchange->start(std::move(head), std::nullopt));
    if (!now.body.empty()) static_cast<void>(co_await exchange->write(as_bytes(now.body)));
    if (now.stream) co_await loop_.sleep(Millis(400));
    exchange->abort();
  }
  Scripted next(const std::string& line) {
    for (auto& [prefix, queue] : script_) {
      if (!line.starts_with(prefix)) continue;
      Scripted out = queue.front();
      if (queue.size() > 1) queue.pop_front();
      return out;
    }
    return {.status = 404, .body = R"({"code":5,"message":"Not Found"})"};
  }

  net::Loop& loop_;
  std::map<std::string, std::deque<Scripted>, std::greater<>> script_;  // longer prefixes first
  std::unique_ptr<http::Server> server_;
};

constexpr const char* kInvoiceMacaroon = "0201aa";
constexpr const char* kPayMacaroon = "0201bb";
const std::string kPreimage = std::string(31, '\0') + "\x01";

struct LndTest : testing::Test {
  net::Loop loop;
  ManualClock clock{UnixMillis{1'800'000'000'000}};
  SeededRandom random{9};
  crypto::PrivateKey key = crypto::PrivateKey::generate(random);
  std::unique_ptr<FakeLnd> lnd = std::make_unique<FakeLnd>(loop);
  std::unique_ptr<lightning::Node> node = make();
  PaymentHash hash{crypto::sha256(as_bytes(kPreimage))};

  std::unique_ptr<lightning::Node> make() {
    LndOptions options;
    options.url = lnd->url();
    options.macaroon = std::make_shared<const Secret>(std::string_view(kInvoiceMacaroon));
    options.pay_macaroon = std::make_shared<const Secret>(std::string_view(kPayMacaroon));
    options.call_timeout = Millis(300);
    options.subscription_silence = Millis(150);
    auto made = make_lnd_node(loop, std::move(options));
    EXPECT_TRUE(made) << made.error().message();
    return *std::move(made);
  }
  std::string invoice_text(std::optional<Msat> amount = 1500_msat) {
    bolt11::Invoice invoice;
    invoice.network = bolt11::Network::regtest;
    invoice.amount = amount;
    invoice.created = clock.now();
    invoice.payment_hash = hash;
    invoice.payment_secret = bolt11::PaymentSecret(random.bytes<32>());
    invoice.description = "tea";
    invoice.expiry = Seconds(600);
    return *bolt11::encode(invoice, key);
  }
  std::string hash64() const { return to_base64(hash.bytes()); }
  Result<lightning::Payment> pay() {
    return run_task(
        loop,
        node->pay(
            {.bolt11 = invoice_text(), .amount = {}, .fee_limit = 7_msat, .timeout = Seconds(5)}));
  }
  std::string payment_line(const std::string& fields) { return R"({"result":{)" + fields + "}}\n"; }
  std::string success() {
    return payment_line(
        R"("status":"SUCCEEDED","value_msat":"1500","fee_msat":"3","payment_preimage":")" +
        to_hex(as_bytes(kPreimage)) + "\"");
  }
};

TEST_F(LndTest, AddsAnInvoiceWithTheInvoiceMacaroon) {
  const std::string text = invoice_text();
  lnd->on("POST /v1/invoices", {{.body = R"({"r_hash":")" + hash64() + R"(","payment_request":")" +
                                         text + R"(","add_index":"17","payment_addr":"AA=="})"}});
  auto made = run_task(
      loop, node->add_invoice({.amount = 1500_msat, .memo = "tea \"x\"", .expiry = Seconds(600)}));
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(made->hash, hash);
  EXPECT_EQ(made->bolt11, text);
  EXPECT_EQ(made->index, 17U);
  EXPECT_EQ(made->created, clock.now());
  EXPECT_EQ(made->expires, clock.now() + Seconds(600));
  ASSERT_EQ(lnd->seen.size(), 1U);
  EXPECT_EQ(lnd->seen[0].macaroon, kInvoiceMacaroon);
  EXPECT_EQ(lnd->seen[0].body, R"({"value_msat":"1500","memo":"tea \"x\"","expiry":"600"})");
}

TEST_F(LndTest, ABatchIsAllOrAnError) {
  const std::string good = R"({"r_hash":")" + hash64() + R"(","payment_request":")" +
                           invoice_text() + R"(","add_index":"1"})";
  lnd->on("POST /v1/invoices", {{.body = good}});
  auto made = run_task(loop, node->add_invoices({.amount = 1500_msat, .memo = "x"}, 20));
  ASSERT_TRUE(made);
  EXPECT_EQ(made->size(), 20U);
  lnd->on("POST /v1/invoices",
          {{.body = good}, {.status = 500, .body = R"({"code":2,"message":"wallet locked"})"}});
  EXPECT_TRUE(run_task(loop, node->add_invoices({.amount = 1500_msat, .memo = "x"}, 20))
                  .error()
                  .is(Errc::unavailable));
}

TEST_F(LndTest, TellsItsState) {
  lnd->on(
      "GET /v1/getinfo",
      {{.body =
            R"({"version":"0.20.0-beta commit=v0","alias":"m","identity_pubkey":")" +
            key.public_key().hex() +
            R"(","synced_to_chain":true,"num_active_channels":3,"chains":[{"chain":"bitcoin","network":"regtest"}]})"}});
  auto info = run_task(loop, node->info());
  ASSERT_TRUE(info) << info.error().message();
  EXPECT_EQ(info->network, lightning::Network::regtest);
  EXPECT_EQ(info->active_channels, 3);
  EXPECT_EQ(info->version, "0.20.0-beta");
  EXPECT_EQ(info->public_key, key.public_key().hex());
  lnd->on("GET /v1/balance/channels",
          {{.body = R"({"balance":"12","local_balance":{"sat":"12","msat":"12345"}})"}});
  EXPECT_EQ(*run_task(loop, node->balance()), 12'345_msat);
}

TEST_F(LndTest, AMacaroonWithoutGetinfoLearnsTheNetworkFromAnInvoice) {
  lnd->on("GET /v1/getinfo",
          {{.status = 500, .body = R"({"code":2,"message":"permission denied"})"}});
  lnd->on("GET /v1/invoices", {{.body = R"({"invoices":[],"last_index_offset":"0"})"}});
  lnd->on("POST /v1/invoices", {{.body = R"({"r_hash":")" + hash64() + R"(","payment_request":")" +
                                         invoice_text() + R"(","add_index":"1"})"}});
  auto info = run_task(loop, node->info());
  ASSERT_TRUE(info) << info.error().message();
  EXPECT_EQ(info->network, lightning::Network::regtest);
  EXPECT_EQ(info->public_key, key.public_key().hex());
}

TEST_F(LndTest, LooksUpAnInvoice) {
  lnd->on(
      "GET /v1/invoice/",
      {{.body = R"({"r_hash":")" + hash64() + R"(","state":"OPEN","settle_index":"0"})"},
       {.body =
            R"({"r_hash":")" + hash64() +
            R"(","state":"SETTLED","amt_paid_msat":"1500","settle_date":"1800000001","settle_index":"4"})"},
       {.status = 404, .body = R"({"code":5,"message":"unable to locate invoice"})"}});
  EXPECT_EQ(run_task(loop, node->lookup_invoice(hash))->state, lightning::InvoiceState::open);
  auto settled = run_task(loop, node->lookup_invoice(hash));
  ASSERT_TRUE(settled);
  EXPECT_EQ(settled->state, lightning::InvoiceState::settled);
  EXPECT_EQ(settled->paid, 1500_msat);
  EXPECT_EQ(settled->settled, UnixMillis{1'800'000'001'000});
  EXPECT_EQ(settled->settle_index, 4U);
  EXPECT_TRUE(run_task(loop, node->lookup_invoice(hash)).error().is(Errc::not_found));
  EXPECT_EQ(lnd->seen[0].line, "GET /v1/invoice/" + hash.hex());
}

struct ErrorRow {
  const char* name;
  Scripted answer;
  Errc expected;
};

TEST_F(LndTest, EveryCallSaysWhatWentWrong) {
  const ErrorRow rows[] = {
      {"no_macaroon",
       {.status = 500, .body = R"({"code":2,"message":"expected 1 macaroon, got 0"})"},
       Errc::denied},
      {"wrong_macaroon",
       {.status = 500,
        .body =
            R"({"code":2,"message":"verification failed: signature mismatch after caveat verification"})"},
       Errc::denied},
      {"too_narrow",
       {.status = 500, .body = R"({"code":2,"message":"permission denied"})"},
       Errc::denied},
      {"unauthorized", {.status = 401, .body = ""}, Errc::denied},
      {"locked",
       {.status = 500,
        .body = R"({"code":2,"message":"wallet locked, unlock it to enable full RPC access"})"},
       Errc::unavailable},
      {"starting",
       {.status = 500,
        .body =
            R"({"code":2,"message":"the RPC server is in the process of starting up, but not yet ready to accept calls"})"},
       Errc::unavailable},
      {"proxy", {.status = 502, .body = "<html>"}, Errc::unavailable},
      {"other",
       {.status = 500, .body = R"({"code":2,"message":"memo too large"})"},
       Errc::bad_answer},
      {"not_json", {.body = "hello"}, Errc::bad_answer},
      {"empty", {.body = ""}, Errc::bad_answer},
      {"wrong_shape", {.body = "[]"}, Errc::bad_answer},
      {"no_state", {.body = R"({"r_hash":")" + hash64() + "\"}"}, Errc::bad_answer},
      {"short_hash", {.body = R"({"r_hash":"AAAA","state":"OPEN"})"}, Errc::bad_answer},
      {"negative",
       {.body = R"({"r_hash":")" + hash64() + R"(","state":"OPEN","amt_paid_msat":"-1"})"},
       Errc::bad_answer},
      {"slow", {.body = "{}", .delay = Millis(800)}, Errc::timeout},
      {"cut", {.body = R"({"r_hash")", .cut = true}, Errc::timeout},
  };
  for (const ErrorRow& row : rows) {
    lnd->on("GET /v1/invoice/", {row.answer});
    auto answer = run_task(loop, node->lookup_invoice(hash));
    ASSERT_FALSE(answer) << row.name;
    EXPECT_TRUE(answer.error().is(row.expected))
        << row.name << ": " << answer.error().code() << " " << answer.error().message();
    EXPECT_EQ(answer.error().message().find(kInvoiceMacaroon), std::string_view::npos) << row.name;
  }
}

TEST_F(LndTest, ADeadNodeIsUnavailable) {
  lnd.reset();
  EXPECT_TRUE(run_task(loop, node->info()).error().is(Errc::unavailable));
  EXPECT_TRUE(pay().error().is(Errc::unavailable));  // nothing was sent: definite
}

TEST_F(LndTest, PaysWithTheFeeLimitAndChecksThePreimage) {
  lnd->on("POST /v2/router/send", {{.body = success()}});
  auto paid = pay();
  ASSERT_TRUE(paid) << paid.error().message();
  EXPECT_EQ(paid->state, lightning::PaymentState::succeeded);
  EXPECT_EQ(paid->preimage.reveal_text(), kPreimage);
  EXPECT_EQ(paid->amount, 1500_msat);
  EXPECT_EQ(paid->fee, 3_msat);
  EXPECT_EQ(lnd->seen[0].macaroon, kPayMacaroon);
  EXPECT_NE(lnd->seen[0].body.find(R"("fee_limit_msat":"7")"), std::string::npos);
  EXPECT_NE(lnd->seen[0].body.find(R"("timeout_seconds":5)"), std::string::npos);
  EXPECT_EQ(lnd->seen[0].body.find("amt_msat"), std::string::npos);
}

TEST_F(LndTest, AnAmountIsGivenExactlyWhereTheInvoiceHasNone) {
  lnd->on("POST /v2/router/send", {{.body = success()}});
  lightning::PayRequest request{
      .bolt11 = invoice_text(std::nullopt), .amount = 1500_msat, .fee_limit = {}};
  EXPECT_TRUE(run_task(loop, node->pay(request)));
  EXPECT_NE(lnd->seen[0].body.find(R"("amt_msat":"1500")"), std::string::npos);
  request.amount.reset();
  EXPECT_TRUE(run_task(loop, node->pay(request)).error().is(Errc::bad_invoice));
  request = {.bolt11 = invoice_text(), .amount = 1500_msat, .fee_limit = {}};
  EXPECT_TRUE(run_task(loop, node->pay(request)).error().is(Errc::bad_invoice));
  EXPECT_TRUE(run_task(loop, node->pay({.bolt11 = "lnbc1x", .amount = {}, .fee_limit = {}}))
                  .error()
                  .is(Errc::bad_invoice));
  EXPECT_EQ(lnd->seen.size(), 1U);
}

TEST_F(LndTest, APaymentsEndIsDefiniteOnlyWhenLndSaysSo) {
  const auto failed = [&](const char* reason) {
    return payment_line(R"("status":"FAILED","failure_reason":")" + std::string(reason) + "\"");
  };
  const std::string wrong_preimage =
      payment_line(R"("status":"SUCCEEDED","payment_preimage":")" + std::string(64, '0') + "\"");
  const ErrorRow rows[] = {
      {"no_route", {.body = failed("FAILURE_REASON_NO_ROUTE")}, Errc::insufficient},
      {"no_balance", {.body = failed("FAILURE_REASON_INSUFFICIENT_BALANCE")}, Errc::insufficient},
      {"timeout_said_by_lnd", {.body = failed("FAILURE_REASON_TIMEOUT")}, Errc::payment_failed},
      {"refused_by_the_payee",
       {.body = failed("FAILURE_REASON_INCORRECT_PAYMENT_DETAILS")},
       Errc::payment_failed},
      {"already_paid",
       {.status = 500, .body = R"({"error":{"code":6,"message":"invoice is already paid"}})"},
       Errc::already_paid},
      {"on_its_way",
       {.status = 500, .body = R"({"error":{"code":6,"message":"payment is in transition"}})"},
       Errc::payment_unknown},
      {"expired",
       {.status = 500,
        .body = R"({"error":{"code":2,"message":"invoice expired. Valid until …"}})"},
       Errc::bad_invoice},
      {"own",
       {.status = 500, .body = R"({"error":{"code":2,"message":"self-payments not allowed"}})"},
       Errc::bad_invoice},
      {"denied",
       {.status = 500, .body = R"({"code":2,"message":"permission denied"})"},
       Errc::denied},
      {"locked",
       {.status = 500, .body = R"({"code":2,"message":"wallet locked"})"},
       Errc::unavailable},
      {"error_inside_the_stream",
       {.body = R"({"error":{"code":2,"message":"invoice expired"}})"},
       Errc::bad_invoice},
      {"unknown_words",
       {.status = 500, .body = R"({"error":{"code":2,"message":"something new"}})"},
       Errc::payment_unknown},
      {"a_proxy", {.status = 503, .body = "<html>"}, Errc::payment_unknown},
      {"not_found",
       {.status = 404, .body = R"({"code":5,"message":"Not Found"})"},
       Errc::payment_unknown},
      {"still_on_its_way",
       {.body = payment_line(R"("status":"IN_FLIGHT")")},
       Errc::payment_unknown},
      {"wrong_preimage", {.body = wrong_preimage}, Errc::payment_unknown},
      {"no_json", {.body = "hello\n"}, Errc::payment_unknown},
      {"empty", {.body = ""}, Errc::payment_unknown},
      {"cut_before_a_line", {.body = "", .cut = true}, Errc::payment_unknown},
      {"cut_inside_a_line",
       {.body = R"({"result":{"status":"SUCC)", .cut = true},
       Errc::payment_unknown},
  };
  for (const ErrorRow& row : rows) {
    lnd->on("POST /v2/router/send", {row.answer});
    auto answer = pay();
    ASSERT_FALSE(answer) << row.name;
    EXPECT_TRUE(answer.error().is(row.expected))
        << row.name << ": " << answer.error().code() << " " << answer.error().message();
  }
}

TEST_F(LndTest, TracksAPayment) {
  lnd->on("GET /v2/router/track/",
          {{.body = payment_line(R"("status":"IN_FLIGHT")"), .stream = true},
           {.body = success()},
           {.body = payment_line(R"("status":"FAILED","failure_reason":"FAILURE_REASON_TIMEOUT")")},
           {.status = 404, .body = R"({"error":{"code":5,"message":"payment isn't initiated"}})"},
           {.body = "", .cut = true}});
  EXPECT_EQ(run_task(loop, node->track(hash))->state, lightning::PaymentState::in_flight);
  auto done = run_task(loop, node->track(hash));
  ASSERT_TRUE(done);
  EXPECT_EQ(done->preimage.reveal_text(), kPreimage);
  auto failed = run_task(loop, node->track(hash));
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->state, lightning::PaymentState::failed);
  EXPECT_EQ(failed->reason, "no route worked in time");
  EXPECT_TRUE(run_task(loop, node->track(hash)).error().is(Errc::not_found));
  EXPECT_TRUE(run_task(loop, node->track(hash)).error().is(Errc::timeout));
  EXPECT_EQ(lnd->seen[0].line, "GET /v2/router/track/" + to_base64url(hash.bytes()) + "=");
}

Task<void> keep(std::vector<std::uint64_t>* out, lightning::InvoiceStatus status) {
  out->push_back(status.settle_index);
  co_return;
}

std::string line(const std::string& hash64, const char* state, int index) {
  return R"({"result":{"r_hash":")" + hash64 + R"(","state":")" + state + R"(","settle_index":")" +
         std::to_string(index) + "\"}}\n";
}

TEST_F(LndTest, FollowsSettlementsRenewsWhenSilentAndResumesWhereItWas) {
  lnd->on("GET /v1/invoices/subscribe",
          {{.body = line(hash64(), "OPEN", 0) + line(hash64(), "SETTLED", 8), .stream = true},
           {.body = line(hash64(), "SETTLED", 9), .stream = true},
           {.status = 500, .body = R"({"code":2,"message":"wallet locked"})"}});
  std::vector<std::uint64_t> told;
  auto ended = run_task(
      loop, node->subscribe(7, [&](lightning::InvoiceStatus s) { return keep(&told, s); }));
  ASSERT_FALSE(ended);
  EXPECT_TRUE(ended.error().is(Errc::unavailable)) << ended.error().message();
  EXPECT_EQ(told, (std::vector<std::uint64_t>{8, 9}));
  ASSERT_EQ(lnd->seen.size(), 3U);
  EXPECT_EQ(lnd->seen[0].line, "GET /v1/invoices/subscribe?settle_index=7");
  EXPECT_EQ(lnd->seen[1].line, "GET /v1/invoices/subscribe?settle_index=8");
  EXPECT_EQ(lnd->seen[2].line, "GET /v1/invoices/subscribe?settle_index=9");
}

TEST_F(LndTest, TheFirstSettlementEverIsLookedUp) {
  const std::string item =
      R"({"r_hash":")" + hash64() + R"(","state":"SETTLED","settle_index":"1"})";
  lnd->on("GET /v1/invoices?",
          {{.body = R"({"invoices":[)" + item + R"(],"last_index_offset":"1"})"}});
  lnd->on("GET /v1/invoices/subscribe", {{.status = 503, .body = ""}});
  std::vector<std::uint64_t> told;
  EXPECT_FALSE(run_task(
      loop, node->subscribe(0, [&](lightning::InvoiceStatus s) { return keep(&told, s); })));
  EXPECT_EQ(told, std::vector<std::uint64_t>{1});
  EXPECT_EQ(lnd->seen.back().line, "GET /v1/invoices/subscribe?settle_index=1");
}

TEST_F(LndTest, ABrokenOrGarbledSubscriptionIsAnError) {
  std::vector<std::uint64_t> told;
  const auto follow = [&] {
    return run_task(loop,
                    node->subscribe(7, [&](lightning::InvoiceStatus s) { return keep(&told, s); }))
        .error();
  };
  lnd->on("GET /v1/invoices/subscribe", {{.body = "", .cut = true}});
  EXPECT_TRUE(follow().is(Errc::timeout));
  lnd->on("GET /v1/invoices/subscribe", {{.body = "hello\n", .stream = true}});
  EXPECT_TRUE(follow().is(Errc::bad_answer));
  lnd->on("GET /v1/invoices/subscribe", {{.body = ""}});
  EXPECT_TRUE(follow().is(Errc::unavailable));
  EXPECT_TRUE(told.empty());
}

TEST(LndOptionsTest, AreChecked) {
  net::Loop loop;
  const auto check = [&](std::string url, const char* macaroon) {
    LndOptions options;
    options.url = std::move(url);
    if (macaroon != nullptr)
      options.macaroon = std::make_shared<const Secret>(std::string_view(macaroon));
    return make_lnd_node(loop, std::move(options));
  };
  EXPECT_TRUE(check("https://127.0.0.1:8080", "00ff"));
  EXPECT_TRUE(check("http://127.0.0.1:8080", "00ff"));
  EXPECT_FALSE(check("http://node.example.com:8080", "00ff"));
  EXPECT_FALSE(check("node.example.com", "00ff"));
  EXPECT_FALSE(check("https://127.0.0.1:8080", nullptr));
  EXPECT_FALSE(check("https://127.0.0.1:8080", "not hex"));
}

}  // namespace
}  // namespace octroi::lnd
