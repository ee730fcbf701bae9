// octroi/paywall/gate_fixture.h: for tests of the gate: the whole door over real sockets, with an
// upstream that remembers what it was sent, a source of invoices that knows their preimages, a
// store in memory and a clock that the test turns.
//
// Secrets  the preimages are random test values of a made-up network.
// Thread   the test's own loop, which runs the gate, its upstream and its clients.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "octroi/bolt11/bolt11.h"
#include "octroi/crypto/hash.h"
#include "octroi/json/value.h"
#include "octroi/l402/header.h"
#include "octroi/ledger/memory_store.h"
#include "octroi/mpp/challenge.h"
#include "octroi/mpp/credential.h"
#include "octroi/mpp/digest.h"
#include "octroi/mpp/lightning/charge.h"
#include "octroi/net/run_until.h"
#include "octroi/net/stream.h"
#include "octroi/paywall/gate.h"

namespace octroi::paywall::fixture {

/// Signs real regtest invoices, records them as the pool does, and knows what pays them.
class PayableInvoices final : public InvoiceSource {
 public:
  PayableInvoices(ledger::Store& store, Clock& clock) : store_(store), clock_(clock) {}

  std::function<bool(int)> fails = [](int) { return false; };  // by call, counted from 1
  bool recorded = true;  // false: the store never hears of the hash
  int calls = 0;
  int once = 0;  // calls for one challenge only
  int returned = 0;
  Millis expiry{3'600'000};
  std::vector<PaymentHash> given;

  Task<Result<lightning::Invoice>> take(Msat amount, std::string memo) override {
    if (fails(++calls)) co_return fail(lightning::Errc::unavailable, "the node is away");
    const auto preimage = random_.bytes<32>();
    bolt11::Invoice invoice;
    invoice.network = bolt11::Network::regtest;
    invoice.created = from_unix_seconds(clock_.now().seconds());
    invoice.amount = amount;
    invoice.payment_hash = PaymentHash(crypto::sha256(preimage));
    invoice.payment_secret = bolt11::PaymentSecret(random_.bytes<32>());
    invoice.description = memo;
    invoice.expiry = std::chrono::duration_cast<Seconds>(expiry);
    OCTROI_CO_TRY(std::string text, bolt11::encode(invoice, key_));
    lightning::Invoice out{invoice.payment_hash, std::move(text),   amount,
                           invoice.created,      invoice.expires(), 0};
    if (recorded) {
      std::vector<ledger::InvoiceRecord> rows{{out.hash, amount, out.created, out.expires, 0}};
      OCTROI_CO_CHECK(co_await store_.record_invoices(std::move(rows)));
    }
    preimages_[out.hash] = preimage;
    given.push_back(out.hash);
    co_return out;
  }
  Task<Result<lightning::Invoice>> take_once(Msat amount, std::string memo) override {
    ++once;
    return take(amount, std::move(memo));
  }
  [[nodiscard]] std::optional<lightning::Network> network() const override {
    return lightning::Network::regtest;
  }
  void give_back(lightning::Invoice) override { ++returned; }
  [[nodiscard]] std::optional<std::string> node_key() const override {
    return key_.public_key().hex();
  }

  [[nodiscard]] const crypto::PrivateKey& key() const { return key_; }
  /// What a payer of this invoice learns.
  [[nodiscard]] ByteView preimage(const PaymentHash& hash) const { return preimages_.at(hash); }

 private:
  ledger::Store& store_;
  Clock& clock_;
  SeededRandom random_{7};
  crypto::PrivateKey key_ = crypto::PrivateKey::generate(random_);
  std::map<PaymentHash, std::array<std::uint8_t, 32>> preimages_;
};

class Settlements final : public SettlementCheck {
 public:
  std::set<PaymentHash> settled;
  bool down = false;
  Millis delay{0};
  Task<Result<bool>> is_settled(PaymentHash hash) override {
    if (delay > Millis(0)) co_await net::Loop::current()->sleep(delay);
    if (down) co_return fail(lightning::Errc::unavailable, "the node is away");
    co_return settled.contains(hash);
  }
};

class Rows final : public TransactionSink {
 public:
  std::vector<ledger::TransactionRecord> records;
  void handed_out(ledger::TransactionRecord record) override {
    records.push_back(std::move(record));
  }
};

class Lines final : public AccessLog {
 public:
  std::vector<AccessRecord> records;
  void write(const AccessRecord& record) override { records.push_back(record); }
};

/// A request as the upstream received it.
struct Seen {
  std::string method;
  std::string target;
  std::string authority;
  http::Headers headers;
  std::string body;
  http::Headers trailers = {};
};

using Fields = std::vector<std::pair<std::string, std::string>>;

/// What a test asks the door for.
struct Ask {
  std::string method = "GET";
  std::string target = "/v1/data";
  Fields fields = {};
  std::string body = {};
  std::string host = {};  // the Host field; empty: the door's address
};

inline constexpr UnixMillis kStart{1'800'000'000'000};

class GateTest : public testing::Test, public UpstreamClients {
 protected:
  using Fields = fixture::Fields;
  using Ask = fixture::Ask;

  /// One service over everything at 10 sat, with both schemes.
  static ServiceSettings service(std::string name = "api") {
    ServiceSettings s;
    s.name = ServiceName(std::move(name));
    s.price.msat = to_msat(10_sat);
    s.schemes = {OfferScheme::l402, OfferScheme::payment};
    return s;
  }
  static PaywallSettings with(std::vector<ServiceSettings> services) {
    PaywallSettings p;
    p.realm = "api.example";
    p.secret = {std::make_shared<Secret>(std::string_view("0123456789abcdef0123456789abcdef"))};
    p.l402_keys = {std::make_shared<Secret>(std::string_view("fedcba9876543210fedcba9876543210"))};
    p.services = std::move(services);
    return p;
  }

  void start(PaywallSettings settings) {
    upstream_ =
        listen([this](http::Exchange& x) { return serve_upstream(this, &x); }, upstream_limits);
    point_at_upstream(settings);
    unpaid.emplace(settings.max_unpaid);
    shared_.emplace(Shared{store, invoices, &settlements, *unpaid, rates, rows, &access, metrics,
                           clock, random, refunds});
    auto snapshot = Snapshot::build(std::move(settings), metrics);
    ASSERT_TRUE(snapshot) << snapshot.error().message();
    gate = std::make_unique<Gate>(*shared_, *this, std::move(*snapshot),
                                  std::make_shared<l402::RevocationSet>(), sources);
    door_ = listen([this](http::Exchange& x) { return gate->handle(x); });
  }
  void start(ServiceSettings only) { start(with({std::move(only)})); }

  void publish(PaywallSettings settings) {
    point_at_upstream(settings);
    auto snapshot = Snapshot::build(std::move(settings), metrics);
    ASSERT_TRUE(snapshot) << snapshot.error().message();
    gate->publish(std::move(*snapshot));
  }

  // --- asking ---------------------------------------------------------------------------------

  [[nodiscard]] http::Request request(const Ask& ask) const {
    http::Request r;
    r.method = ask.method;
    r.url.scheme = "http";
    r.url.host = "127.0.0.1";
    r.url.port = door_->local().port;
    r.url.target = ask.target;
    for (const auto& [name, value] : ask.fields) {
      EXPECT_TRUE(r.headers.add(name, value)) << name;
    }
    r.body = ask.body;
    return r;
  }
  http::Response ask(const Ask& what) {
    if (!what.host.empty()) return ask_raw(what);
    auto got = net::run_until(loop, client->fetch(request(what), 16ULL << 20, Millis(30'000)));
    EXPECT_TRUE(got) << got.error().message();
    return got ? std::move(*got) : http::Response{};
  }
  http::Response get(std::string target = "/v1/data", Fields fields = {}) {
    return ask({.target = std::move(target), .fields = std::move(fields)});
  }
  http::Response post(std::string body, Fields fields = {}) {
    return ask({.method = "POST", .fields = std::move(fields), .body = std::move(body)});
  }
  /// Byte for byte, on a connection of its own; what comes back until it closes.
  std::string raw(std::string text) {
    return net::run_until(loop, exchange_raw(this, std::move(text)));
  }

  // --- paying ---------------------------------------------------------------------------------

  static std::vector<std::string> challenge_lines(const http::Response& r) {
    std::vector<std::string> out;
    for (auto line : r.headers.all("WWW-Authenticate")) out.emplace_back(line);
    return out;
  }
  static std::string line_of(const http::Response& r, std::string_view scheme) {
    for (auto line : r.headers.all("WWW-Authenticate")) {
      if (line.starts_with(std::string(scheme) + " ")) return std::string(line);
    }
    return {};
  }
  static std::optional<mpp::Challenge> payment_of(const http::Response& r) {
    const auto lines = r.headers.all("WWW-Authenticate");
    auto parsed = mpp::parse_challenges(lines);
    EXPECT_TRUE(parsed) << "no Payment challenge in a " << r.status;
    if (!parsed) return std::nullopt;
    return parsed->front();
  }
  static PaymentHash hash_of(const mpp::Challenge& challenge) {
    auto request = mpp::lightning::parse_charge_request(challenge.request);
    EXPECT_TRUE(request);
    return request ? request->payment_hash.value_or(PaymentHash{}) : PaymentHash{};
  }
  static std::string proof_with(const mpp::Challenge& challenge, ByteView preimage) {
    auto value =
        mpp::format_credential(challenge, mpp::lightning::charge_payload_json(Secret(preimage)));
    EXPECT_TRUE(value);
    return value.value_or("");
  }
  /// The credential of somebody who paid.
  [[nodiscard]] std::string proof(const mpp::Challenge& challenge) const {
    return proof_with(challenge, invoices.preimage(hash_of(challenge)));
  }
  [[nodiscard]] std::string proof(const http::Response& r) const {
    const auto challenge = payment_of(r);
    return challenge ? proof(*challenge) : std::string{};
  }
  [[nodiscard]] std::string token(const http::Response& r,
                                  l402::SchemeName scheme = l402::SchemeName::l402) const {
    for (auto line : r.headers.all("WWW-Authenticate")) {
      for (const auto& c : l402::parse_challenges(line)) {
        return std::string(l402::format_credential(scheme, c.macaroon, invoices.preimage(c.id.hash))
                               .reveal_text());
      }
    }
    ADD_FAILURE() << "no L402 challenge in a " << r.status;
    return {};
  }
  /// Asks, pays by Payment, and gives the credential.
  std::string buy(const Ask& what = {}) {
    const auto r = ask(what);
    EXPECT_EQ(r.status, 402) << r.body;
    return r.status == 402 ? proof(r) : std::string{};
  }
  std::string buy_token(const Ask& what = {}) {
    const auto r = ask(what);
    EXPECT_EQ(r.status, 402) << r.body;
    return r.status == 402 ? token(r) : std::string{};
  }

  // --- looking --------------------------------------------------------------------------------

  /// The last part of the problem type, "lightning/unknown-challenge"; empty for other bodies.
  static std::string problem(const http::Response& r) {
    auto document = json::parse(r.body);
    if (!document) return {};
    auto type = document->root().string("type");
    if (!type) return {};
    std::string_view text = *type;
    if (text.starts_with(mpp::kProblemBase)) text.remove_prefix(mpp::kProblemBase.size());
    return std::string(text);
  }
  static std::string field(const http::Response& r, std::string_view name) {
    return std::string(r.headers.get(name).value_or(""));
  }
  [[nodiscard]] Shared& shared() { return *shared_; }
  /// Waits in real time, the clock of the gate stands.
  void pause(Millis time) { net::run_until(loop, loop.sleep(time)); }
  /// Runs the loop until `done` or two seconds have passed.
  bool wait_for(const std::function<bool()>& done) {
    for (int i = 0; i < 200 && !done(); ++i) pause(Millis(10));
    return done();
  }

  net::Loop loop;
  ManualClock clock{kStart};
  SeededRandom random{1};
  MetricRegistry metrics;
  ledger::MemoryStore store;
  PayableInvoices invoices{store, clock};
  Settlements settlements;
  Rows rows;
  Lines access;
  RateLimiter rates;
  std::optional<UnpaidBound> unpaid;
  PriceSources* sources = nullptr;
  RefundDesk* refunds = nullptr;
  std::vector<Seen> seen;
  http::ServerLimits upstream_limits;
  /// How the upstream answers.
  std::function<Task<void>(http::Exchange&)> upstream_answer = [](http::Exchange& x) {
    return plain_answer(&x);
  };
  std::unique_ptr<http::Client> client = http::make_client(loop, {});
  std::unique_ptr<http::Client> upstream_client = http::make_client(loop, {});
  std::unique_ptr<Gate> gate;
  std::unique_ptr<http::Server> upstream_;
  std::unique_ptr<http::Server> door_;

  static Task<void> plain_answer(http::Exchange* x) {
    http::ResponseHead head;
    head.headers.set("Content-Type", "text/plain");
    head.headers.set("Cache-Control", "max-age=60");
    std::ignore = co_await x->respond(std::move(head), "hello");
  }
  static Task<void> answer_with(http::Exchange* x, http::ResponseHead head, std::string body) {
    std::ignore = co_await x->respond(std::move(head), std::move(body));
  }
  static Task<void> slow_answer(GateTest* self, http::Exchange* x, Millis time) {
    co_await self->loop.sleep(time);
    std::ignore = co_await x->respond({}, "slow");
  }
  /// Goes away instead of answering.
  static Task<void> cut(http::Exchange* x) {
    x->abort();
    co_return;
  }
  /// Begins an answer and goes away.
  static Task<void> torn(http::Exchange* x) {
    std::ignore = co_await x->start({}, std::nullopt);
    std::ignore = co_await x->write(as_bytes("half"));
    co_await net::Loop::current()->sleep(Millis(30));
    x->abort();
  }
  /// Agrees to an upgrade, speaks and leaves.
  static Task<void> tunnel(http::Exchange* x) {
    http::ResponseHead head;
    head.status = 101;
    head.headers.add("Upgrade", "websocket");
    auto stream = co_await x->upgrade(std::move(head));
    if (!stream) co_return;
    std::ignore = co_await net::write_all(**stream, as_bytes("through the tunnel"), Millis(5'000));
  }
  /// Sends until nobody listens.
  static Task<void> endless(http::Exchange* x) {
    std::ignore = co_await x->start({}, std::nullopt);
    while (co_await x->write(as_bytes("more and more and more"))) {
      co_await net::Loop::current()->sleep(Millis(10));
    }
  }
  static Task<void> fetch_into(GateTest* self, http::Request request,
                               std::map<int, int>* statuses) {
    auto got = co_await self->client->fetch(std::move(request), 16ULL << 20, Millis(30'000));
    ++(*statuses)[got ? got->status : -1];
  }
  static Task<void> join(TaskGroup* group) { co_await group->join(); }
  /// Sends the request, reads the beginning of the answer, and closes after `stay`.
  static Task<void> leave_early(GateTest* self, std::string text, Millis stay = Millis(50)) {
    auto stream = co_await net::connect(self->loop, self->door_->local(), Millis(5'000));
    if (!stream) co_return;
    std::ignore = co_await net::write_all(**stream, as_bytes(text), Millis(5'000));
    std::vector<std::uint8_t> buffer(64);
    std::ignore = co_await net::read_some(**stream, buffer, Millis(5'000));
    co_await self->loop.sleep(stay);
  }
  /// Sends the request and closes without waiting for anything.
  static Task<void> leave_at_once(GateTest* self, std::string text) {
    auto stream = co_await net::connect(self->loop, self->door_->local(), Millis(5'000));
    if (!stream) co_return;
    std::ignore = co_await net::write_all(**stream, as_bytes(text), Millis(5'000));
    co_await self->loop.sleep(Millis(50));
  }
  /// The upstream answers this from now on.
  void upstream_says(int status, Fields fields, std::string body) {
    upstream_answer = [status, fields = std::move(fields),
                       body = std::move(body)](http::Exchange& x) {
      http::ResponseHead head;
      head.status = status;
      for (const auto& [name, value] : fields) head.headers.add(name, value);
      return answer_with(&x, std::move(head), body);
    };
  }

 private:
  [[nodiscard]] http::Client& client_for(const ServiceSettings&) override {
    return *upstream_client;
  }
  std::unique_ptr<http::Server> listen(http::Handler handler, http::ServerLimits limits = {}) {
    http::ServerConfig config;
    config.limits = limits;
    config.listen = *net::Endpoint::parse("127.0.0.1:0");
    auto server = http::listen(loop, config, std::move(handler));
    EXPECT_TRUE(server) << server.error().message();
    return std::move(*server);
  }
  void point_at_upstream(PaywallSettings& settings) const {
    for (auto& s : settings.services) {
      if (!s.upstream.addresses.empty()) continue;  // the test has its own idea
      s.upstream.addresses = {{"127.0.0.1", upstream_->local().port}};
    }
  }
  static Task<void> serve_upstream(GateTest* self, http::Exchange* x) {
    const http::RequestHead& head = x->request();
    Seen seen{head.method, head.target, head.authority, head.headers, {}};
    auto body = co_await http::read_all(x->body(), 64ULL << 20);
    if (body) seen.body = std::move(*body);
    seen.trailers = x->body().trailers();
    self->seen.push_back(std::move(seen));
    co_await self->upstream_answer(*x);
  }
  static Task<std::string> exchange_raw(GateTest* self, std::string text) {
    auto stream = co_await net::connect(self->loop, self->door_->local(), Millis(5'000));
    if (!stream) co_return "no connection";
    std::ignore = co_await net::write_all(**stream, as_bytes(text), Millis(5'000));
    std::string out;
    std::vector<std::uint8_t> buffer(64 * 1024);
    for (;;) {
      auto got = co_await net::read_some(**stream, buffer, Millis(20'000));
      if (!got || *got == 0) co_return out;
      out.append(as_text(ByteView(buffer).first(*got)));
    }
  }
  /// With a Host of its own, which the client would not send.
  http::Response ask_raw(const Ask& what) {
    std::string text = what.method + " " + what.target + " HTTP/1.1\r\nHost: " + what.host +
                       "\r\nConnection: close\r\n";
    for (const auto& [name, value] : what.fields) text += name + ": " + value + "\r\n";
    if (!what.body.empty()) text += fmt::format("Content-Length: {}\r\n", what.body.size());
    return parse_answer(raw(text + "\r\n" + what.body));
  }
  static http::Response parse_answer(const std::string& text) {
    http::Response r;
    const auto end = text.find("\r\n\r\n");
    if (end == std::string::npos) return r;
    r.status = std::atoi(text.substr(9, 3).c_str());
    for (auto at = text.find("\r\n") + 2; at < end + 2;) {
      const auto stop = text.find("\r\n", at);
      const auto colon = text.find(": ", at);
      r.headers.add(text.substr(at, colon - at), text.substr(colon + 2, stop - colon - 2));
      at = stop + 2;
    }
    r.body = text.substr(end + 4);
    return r;
  }

  std::optional<Shared> shared_;
};

}  // namespace octroi::paywall::fixture
