// The wallet's door against a service of its own over real sockets, with a node and a journal that
// write down in which order they were asked.
#include "octroi/wallet/payer.h"

#include <map>

#include <gtest/gtest.h>

#include "octroi/crypto/hash.h"
#include "octroi/http/server.h"
#include "octroi/l402/header.h"
#include "octroi/l402/mint.h"
#include "octroi/mpp/credential.h"
#include "octroi/mpp/expiry.h"
#include "octroi/mpp/lightning/charge.h"
#include "octroi/mpp/lightning/zero.h"
#include "octroi/net/run_until.h"
#include "octroi/net/ssrf.h"

namespace octroi::wallet {
namespace {

constexpr UnixMillis kNow{1'800'000'000'000};
using Steps = std::vector<std::string>;

class RecordingNode final : public lightning::Node {
 public:
  explicit RecordingNode(Steps& steps) : steps_(steps) {}
  /// What pay() gives; the preimage of a success is looked up.
  std::function<Result<lightning::Payment>(const lightning::PayRequest&)> on_pay;
  std::map<PaymentHash, lightning::Payment> tracked;
  bool track_down = false;
  lightning::Network network = lightning::Network::regtest;
  std::vector<lightning::PayRequest> paid;

  Task<Result<lightning::NodeInfo>> info() override {
    lightning::NodeInfo i;
    i.network = network;
    co_return i;
  }
  Task<Result<lightning::Payment>> pay(lightning::PayRequest request) override {
    steps_.push_back("pay");
    paid.push_back(request);
    co_return on_pay(request);
  }
  Task<Result<lightning::Payment>> track(PaymentHash hash) override {
    steps_.push_back("track");
    if (track_down) co_return fail(lightning::Errc::unavailable, "away");
    auto found = tracked.find(hash);
    if (found == tracked.end()) co_return fail(lightning::Errc::not_found, "never seen");
    lightning::Payment copy;
    copy.hash = hash;
    copy.state = found->second.state;
    copy.fee = found->second.fee;
    co_return copy;
  }
  Task<Result<lightning::Invoice>> add_invoice(lightning::InvoiceRequest) override {
    co_return fail(lightning::Errc::denied);
  }
  Task<Result<std::vector<lightning::Invoice>>> add_invoices(lightning::InvoiceRequest,
                                                             int) override {
    co_return fail(lightning::Errc::denied);
  }
  Task<Result<lightning::InvoiceStatus>> lookup_invoice(PaymentHash) override {
    co_return fail(lightning::Errc::not_found);
  }
  Task<Result<>> subscribe(std::uint64_t,
                           std::function<Task<void>(lightning::InvoiceStatus)>) override {
    co_return fail(lightning::Errc::denied);
  }
  Task<Result<Msat>> balance() override { co_return Msat{}; }

 private:
  Steps& steps_;
};

/// Keeps one stage a hash, as the real one does, without its limits over time.
class RecordingJournal final : public ledger::SpendJournal {
 public:
  explicit RecordingJournal(Steps& steps) : steps_(steps) {}
  std::map<PaymentHash, ledger::SpendEntry> entries;
  std::optional<ledger::SpendStage> fails_at;
  bool refuses = false;

  Result<> reserve(const ledger::Spend& spend, const ledger::SpendLimits&) override {
    steps_.push_back("reserve");
    if (refuses) return fail(ledger::SpendErrc::over_limit, "per_day: 0 sat left");
    auto found = entries.find(spend.hash);
    if (found != entries.end() && found->second.stage != ledger::SpendStage::failed)
      return fail(ledger::SpendErrc::already_seen, "this invoice was paid before");
    entries[spend.hash] = {spend, ledger::SpendStage::reserved, {}};
    return {};
  }
  Result<> advance(const PaymentHash& hash, ledger::SpendStage stage, Msat fee) override {
    steps_.emplace_back(to_string(stage));
    if (fails_at == stage) return fail(ledger::SpendErrc::unavailable, "the disk is full");
    auto found = entries.find(hash);
    if (found == entries.end()) return fail(ledger::SpendErrc::no_entry);
    found->second.stage = stage;
    found->second.fee = fee;
    return {};
  }
  Result<> note_refund(const PaymentHash& hash, Msat amount, UnixMillis) override {
    steps_.emplace_back("refund");
    auto found = entries.find(hash);
    if (found == entries.end()) return fail(ledger::SpendErrc::no_entry);
    found->second.refunded = amount;
    return {};
  }
  Result<std::optional<ledger::SpendEntry>> find(const PaymentHash& hash) override {
    auto found = entries.find(hash);
    if (found == entries.end()) return std::nullopt;
    return found->second;
  }
  Result<std::vector<ledger::SpendEntry>> open_entries() override {
    std::vector<ledger::SpendEntry> out;
    for (const auto& [hash, entry] : entries) {
      if (entry.stage != ledger::SpendStage::settled && entry.stage != ledger::SpendStage::failed)
        out.push_back(entry);
    }
    return out;
  }

 private:
  Steps& steps_;
};

struct Seen {
  std::string method;
  std::string target;
  http::Headers headers;
  std::string body;
};

using Fields = std::vector<std::pair<std::string, std::string>>;
struct Answer {
  int status = 200;
  Fields fields = {};
  std::string body = "the goods";
};

class PayerTest : public testing::Test {
 protected:
  using Behaviour = std::function<Answer(const Seen&)>;

  PayerTest() {
    node.on_pay = [this](const lightning::PayRequest& request) { return succeed(request); };
    shop = serve([this](const Seen& s) { return sell(s); }, &seen);
  }

  Result<lightning::Payment> succeed(const lightning::PayRequest& request) {
    const auto invoice = bolt11::decode(request.bolt11);
    lightning::Payment p;
    p.hash = invoice->payment_hash;
    p.state = lightning::PaymentState::succeeded;
    p.preimage = Secret(ByteView(preimages.at(p.hash)));
    p.amount = *invoice->amount;
    p.fee = 3_msat;
    return p;
  }
  static Result<lightning::Payment> failing(lightning::Errc e) { return fail(e, "no route"); }

  /// 402 until somebody shows a credential.
  Answer sell(const Seen& s) {
    if (s.headers.has("Authorization") && sells) return {200, {{"Payment-Receipt", "receipt"}}};
    return ask_for(price);
  }
  Answer ask_for(Sat amount) {
    const auto hash = make_hash();
    mpp::lightning::ChargeRequest request;
    request.amount = amount;
    request.invoice = invoice(hash, to_msat(amount));
    request.network = "regtest";
    request.payment_hash = hash;
    mpp::Challenge c;
    c.id = "challenge";
    c.realm = "shop";
    c.method = "lightning";
    c.intent = "charge";
    c.request = *mpp::lightning::format_charge_request(request);
    c.expires = mpp::format_expires(kNow + Millis(600'000));
    return {402, {{"WWW-Authenticate", *mpp::format_challenge(c)}}, "pay first"};
  }
  Answer ask_in(Sat amount, std::string field) {
    auto asked = ask_for(amount);
    const std::vector<std::string_view> lines = {asked.fields[0].second};
    auto c = mpp::parse_challenges(lines)->front();
    c.header = std::move(field);
    asked.fields[0].second = *mpp::format_challenge(c);
    return asked;
  }
  Answer ask_for_nothing(std::optional<std::string> expires) {
    mpp::Challenge c;
    c.id = "challenge";
    c.realm = "shop";
    c.method = "lightning";
    c.intent = "charge";
    c.request = mpp::lightning::format_zero_request(random);
    c.expires = std::move(expires);
    return {402, {{"WWW-Authenticate", *mpp::format_challenge(c)}}, "prove it"};
  }
  PaymentHash make_hash() {
    const auto preimage = random.bytes<32>();
    const PaymentHash hash(crypto::sha256(preimage));
    preimages[hash] = preimage;
    return hash;
  }
  std::string invoice(const PaymentHash& hash, std::optional<Msat> amount) {
    bolt11::Invoice i;
    i.network = bolt11::Network::regtest;
    i.created = kNow;
    i.amount = amount;
    i.payment_hash = hash;
    i.payment_secret = bolt11::PaymentSecret(random.bytes<32>());
    i.description = "goods";
    i.expiry = Seconds(900);
    return *bolt11::encode(i, key);
  }

  FetchRequest request(std::string target = "/goods") const {
    FetchRequest r;
    r.http.url.scheme = "http";
    r.http.url.host = "127.0.0.1";
    r.http.url.port = shop->local().port;
    r.http.url.target = std::move(target);
    r.private_targets = true;
    return r;
  }
  Result<FetchResult> fetch(FetchRequest r) {
    Payer payer(*client, means(), limits, clock);
    return net::run_until(loop, payer.fetch(std::move(r)));
  }
  Payer::Means means() {
    return {[this] { return open_node(this); },
            [this]() -> Result<ledger::SpendJournal*> {
              ++journals_opened;
              return &journal;
            }};
  }
  static Task<Result<lightning::Node*>> open_node(PayerTest* self) {
    ++self->nodes_opened;
    co_return &self->node;
  }
  std::unique_ptr<http::Server> serve(Behaviour behaviour, std::vector<Seen>* log) {
    http::ServerConfig config;
    config.listen = *net::Endpoint::parse("127.0.0.1:0");
    auto server =
        http::listen(loop, config, [behaviour = std::move(behaviour), log](http::Exchange& x) {
          return answer(&behaviour, log, &x);
        });
    EXPECT_TRUE(server);
    return std::move(*server);
  }
  static Task<void> answer(const Behaviour* behaviour, std::vector<Seen>* log, http::Exchange* x) {
    Seen s{x->request().method, x->request().target, x->request().headers, {}};
    auto body = co_await http::read_all(x->body(), 1 << 20);
    if (body) s.body = *body;
    log->push_back(s);
    const Answer a = (*behaviour)(s);
    http::ResponseHead head;
    head.status = a.status;
    for (const auto& [name, value] : a.fields) head.headers.add(name, value);
    if (a.status == 0) {
      x->abort();
      co_return;
    }
    std::ignore = co_await x->respond(std::move(head), a.body);
  }
  [[nodiscard]] ledger::SpendStage stage() const { return journal.entries.begin()->second.stage; }

  net::Loop loop;
  ManualClock clock{kNow};
  SeededRandom random{5};
  crypto::PrivateKey key = crypto::PrivateKey::generate(random);
  std::map<PaymentHash, std::array<std::uint8_t, 32>> preimages;
  Steps steps;
  RecordingNode node{steps};
  RecordingJournal journal{steps};
  Limits limits;
  int nodes_opened = 0;
  int journals_opened = 0;
  Sat price = 10_sat;
  bool sells = true;
  std::vector<Seen> seen;
  std::unique_ptr<http::Client> client = http::make_client(loop, {});
  std::unique_ptr<http::Server> shop;
};

TEST_F(PayerTest, WhatIsFreeTouchesNeitherNodeNorJournal) {
  auto free = serve([](const Seen&) { return Answer{}; }, &seen);
  auto r = request();
  r.http.url.port = free->local().port;
  const auto got = fetch(std::move(r));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->response.body, "the goods");
  EXPECT_FALSE(got->scheme);
  EXPECT_EQ(nodes_opened + journals_opened, 0);
}

TEST_F(PayerTest, PaysOnceAndRetriesOnce) {
  auto r = request();
  r.http.method = "POST";
  r.http.body = "order";
  r.http.headers.add("X-Mine", "1");
  const auto got = fetch(std::move(r));
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->response.status, 200);
  EXPECT_EQ(got->response.body, "the goods");
  EXPECT_EQ(got->paid, to_msat(10_sat));
  EXPECT_EQ(got->fee, 3_msat);
  EXPECT_EQ(got->receipt, "receipt");
  EXPECT_EQ(*got->scheme, Scheme::payment);
  EXPECT_EQ(node.paid.size(), 1U);
  ASSERT_EQ(seen.size(), 2U);
  for (const auto& s : seen) {
    EXPECT_EQ(s.method, "POST");
    EXPECT_EQ(s.body, "order");
    EXPECT_EQ(*s.headers.get("X-Mine"), "1");
  }
  EXPECT_TRUE(mpp::parse_credential(*seen[1].headers.get("Authorization")));
}

TEST_F(PayerTest, WritesDownBeforeItPays) {
  ASSERT_TRUE(fetch(request()));
  EXPECT_EQ(steps, (Steps{"reserve", "submitted", "pay", "settled"}));
  const auto& entry = journal.entries.begin()->second;
  EXPECT_EQ(entry.spend.host, "127.0.0.1");
  EXPECT_EQ(entry.spend.scheme, "payment");
  EXPECT_EQ(entry.spend.amount, to_msat(10_sat));
  EXPECT_EQ(entry.spend.fee_limit, limits.max_fee);
  EXPECT_EQ(entry.fee, 3_msat);
}

TEST_F(PayerTest, AJournalThatCannotBeWrittenPaysNothing) {
  journal.fails_at = ledger::SpendStage::submitted;
  auto got = fetch(request());
  ASSERT_FALSE(got);
  EXPECT_TRUE(node.paid.empty());
  journal.refuses = true;
  got = fetch(request());
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), "spend.over-limit");
  EXPECT_TRUE(node.paid.empty());
}

TEST_F(PayerTest, APaymentThatCouldNotBeRecordedIsStillUsed) {
  journal.fails_at = ledger::SpendStage::settled;
  const auto got = fetch(request());
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->response.status, 200);
  EXPECT_EQ(stage(), ledger::SpendStage::submitted);  // still held: reconcile finds it
}

TEST_F(PayerTest, RefusedAfterPayingNeverPaysAgain) {
  sells = false;
  const auto got = fetch(request());
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), "wallet.refused-after-pay");
  EXPECT_EQ(node.paid.size(), 1U);
  EXPECT_EQ(seen.size(), 2U);
  EXPECT_EQ(stage(), ledger::SpendStage::settled);
}

TEST_F(PayerTest, AnUnknownOutcomeHoldsTheMoney) {
  for (const auto e :
       {lightning::Errc::timeout, lightning::Errc::payment_unknown, lightning::Errc::bad_answer}) {
    journal.entries.clear();
    node.on_pay = [e](const auto&) { return failing(e); };
    const auto got = fetch(request());
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code(), "wallet.payment-unknown");
    EXPECT_EQ(stage(), ledger::SpendStage::unknown);
  }
  journal.entries.clear();
  node.on_pay = [](const auto&) -> Result<lightning::Payment> {
    lightning::Payment p;
    p.state = lightning::PaymentState::in_flight;
    return p;
  };
  const auto got = fetch(request());
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), "wallet.payment-unknown");
  EXPECT_EQ(stage(), ledger::SpendStage::unknown);
  // Nothing was fetched again, and no credential was made.
  for (const auto& s : seen) EXPECT_FALSE(s.headers.has("Authorization"));
}

TEST_F(PayerTest, ADefiniteFailureReleasesTheMoney) {
  for (const auto e :
       {lightning::Errc::payment_failed, lightning::Errc::insufficient,
        lightning::Errc::bad_invoice, lightning::Errc::denied, lightning::Errc::unavailable}) {
    journal.entries.clear();
    node.on_pay = [e](const auto&) { return failing(e); };
    const auto got = fetch(request());
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code(), "wallet.payment-failed");
    EXPECT_EQ(stage(), ledger::SpendStage::failed);
  }
  journal.entries.clear();
  node.on_pay = [](const auto&) -> Result<lightning::Payment> { return lightning::Payment{}; };
  ASSERT_FALSE(fetch(request()));
  EXPECT_EQ(stage(), ledger::SpendStage::failed);
}

TEST_F(PayerTest, AnAlreadyPaidInvoiceIsNotPaidAgain) {
  const auto hash = make_hash();
  const auto text = invoice(hash, 5000_msat);
  Payer payer(*client, means(), limits, clock);
  ASSERT_TRUE(net::run_until(loop, payer.pay_invoice(text, {}, Seconds(5))));
  const auto again = net::run_until(loop, payer.pay_invoice(text, {}, Seconds(5)));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), "spend.already-seen");
  EXPECT_EQ(node.paid.size(), 1U);
}

TEST_F(PayerTest, TheNodeSayingAlreadyPaidIsNotAFailure) {
  // The money may be gone: calling it failed would free the reservation.
  node.on_pay = [](const auto&) { return failing(lightning::Errc::already_paid); };
  const auto got = fetch(request());
  ASSERT_FALSE(got);
  EXPECT_EQ(stage(), ledger::SpendStage::unknown);
}

TEST_F(PayerTest, LookingDoesNotPay) {
  auto r = request();
  r.pay = false;
  auto got = fetch(std::move(r));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->response.status, 402);
  EXPECT_EQ(got->response.body, "pay first");

  r = request();
  r.dry_run = true;
  got = fetch(std::move(r));
  ASSERT_TRUE(got);
  EXPECT_TRUE(got->would_pay);
  ASSERT_TRUE(got->offer);
  EXPECT_EQ(got->offer->amount, to_msat(10_sat));

  r = request();
  r.dry_run = true;
  r.max_cost = to_msat(5_sat);
  got = fetch(std::move(r));
  ASSERT_TRUE(got);
  EXPECT_FALSE(got->would_pay);
  EXPECT_FALSE(got->notes.empty());
  EXPECT_EQ(nodes_opened + journals_opened, 0);
  EXPECT_EQ(seen.size(), 3U);
}

TEST_F(PayerTest, LimitsAreTightenedAndNeverWidened) {
  struct Row {
    const char* name;
    Sat price;
    std::optional<Msat> max_cost;
    bool pays;
  };
  for (const Row& row :
       {Row{"at the configured limit", 1000_sat, {}, true}, Row{"over it", 1001_sat, {}, false},
        Row{"at the own limit", 10_sat, to_msat(10_sat), true},
        Row{"over the own limit", 10_sat, 9999_msat, false},
        Row{"an own limit above the configured one", 1001_sat, to_msat(100'000_sat), false},
        Row{"nothing at all", 1_sat, 0_msat, false}}) {
    price = row.price;
    node.paid.clear();
    auto r = request();
    r.max_cost = row.max_cost;
    const auto got = fetch(std::move(r));
    EXPECT_EQ(got.has_value(), row.pays) << row.name;
    EXPECT_EQ(node.paid.size(), row.pays ? 1U : 0U) << row.name;
    if (!got) {
      EXPECT_EQ(got.error().code(), "wallet.over-limit") << row.name;
    }
  }
  price = 10_sat;
  auto r = request();
  r.max_fee = 1'000'000'000_msat;
  ASSERT_TRUE(fetch(std::move(r)));
  EXPECT_EQ(node.paid.back().fee_limit, limits.max_fee);
  r = request();
  r.max_fee = 7_msat;
  ASSERT_TRUE(fetch(std::move(r)));
  EXPECT_EQ(node.paid.back().fee_limit, 7_msat);
}

TEST_F(PayerTest, AnotherNetworkIsNeverPaid) {
  node.network = lightning::Network::mainnet;
  const auto got = fetch(request());
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), "wallet.wrong-network");
  EXPECT_TRUE(steps.empty());
}

TEST_F(PayerTest, NothingPayableIsAnErrorAndPaysNothing) {
  auto other = serve(
      [](const Seen&) {
        return Answer{402,
                      {{"WWW-Authenticate",
                        "Payment id=\"x\", realm=\"r\", method=\"tempo\", "
                        "intent=\"charge\", request=\"e30\""}}};
      },
      &seen);
  auto r = request();
  r.http.url.port = other->local().port;
  const auto got = fetch(std::move(r));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), "wallet.no-challenge");
  EXPECT_EQ(nodes_opened + journals_opened, 0);
}

TEST_F(PayerTest, TooManyRequestsIsSaid) {
  auto busy = serve([](const Seen&) { return Answer{429, {{"Retry-After", "5"}}}; }, &seen);
  auto r = request();
  r.http.url.port = busy->local().port;
  const auto got = fetch(std::move(r));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), "wallet.rate-limited");
}

TEST_F(PayerTest, RedirectsToAnotherOriginAreFollowedWithoutSecretsAndNeverPaid) {
  std::vector<Seen> first;
  const auto target = fmt::format("http://127.0.0.1:{}/goods", shop->local().port);
  auto door = serve(
      [target](const Seen& s) {
        return s.target == "/stay" ? Answer{302, {{"Location", "/again"}}}
                                   : Answer{302, {{"Location", target}}};
      },
      &first);
  auto r = request("/stay");
  r.http.url.port = door->local().port;
  r.follow_redirects = true;
  for (const char* name :
       {"Authorization", "Cookie", "Payment-Authorization", "Macaroon", "Proxy-Authorization"}) {
    r.http.headers.add(name, "secret");
  }
  r.http.headers.add("X-Kept", "1");
  sells = false;
  const auto got = fetch(std::move(r));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), "wallet.insecure");
  EXPECT_TRUE(node.paid.empty());
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(*first[1].headers.get("Authorization"), "secret");
  ASSERT_EQ(seen.size(), 1U);
  for (const auto f : seen[0].headers) EXPECT_NE(f.value, "secret") << f.name;
  EXPECT_EQ(*seen[0].headers.get("X-Kept"), "1");
}

TEST_F(PayerTest, AFieldOfTheCallersOwnIsNeverOverwritten) {
  sells = false;
  auto r = request();
  r.http.headers.add("Authorization", "Bearer mine");
  const auto got = fetch(std::move(r));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), "wallet.field-taken");
  EXPECT_EQ(got.error().message().find("mine"), std::string_view::npos);
  EXPECT_TRUE(node.paid.empty());
  EXPECT_EQ(seen.size(), 1U);
  auto look = request();
  look.http.headers.add("Authorization", "Bearer mine");
  look.dry_run = true;
  const auto dry = fetch(std::move(look));
  ASSERT_TRUE(dry);
  EXPECT_FALSE(dry->would_pay);
  ASSERT_FALSE(dry->notes.empty());
}

TEST_F(PayerTest, AnOfferInTheOtherFieldIsTakenInstead) {
  shop = serve(
      [this](const Seen& s) {
        if (s.headers.has("Payment-Authorization")) return Answer{200, {}, "goods"};
        auto asked = ask_for(10_sat);
        asked.fields.push_back(ask_in(20_sat, "Payment-Authorization").fields[0]);
        return asked;
      },
      &seen);
  auto r = request();
  r.http.headers.add("Authorization", "Bearer mine");
  const auto got = fetch(std::move(r));
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->response.status, 200);
  EXPECT_EQ(got->paid, to_msat(20_sat));
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(*seen[1].headers.get("Authorization"), "Bearer mine");
  EXPECT_TRUE(seen[1].headers.has("Payment-Authorization"));
}

TEST_F(PayerTest, NothingIsProvenWithoutNodeOrJournal) {
  shop = serve(
      [this](const Seen& s) {
        if (s.headers.has("Authorization")) return Answer{200, {{"Payment-Receipt", "r"}}, "goods"};
        return ask_for_nothing(mpp::format_expires(kNow + Millis(600'000)));
      },
      &seen);
  const auto got = fetch(request());
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->response.status, 200);
  EXPECT_EQ(got->scheme, Scheme::payment);
  EXPECT_TRUE(got->paid.is_zero());
  EXPECT_EQ(got->receipt, "r");
  EXPECT_EQ(nodes_opened, 0);
  EXPECT_EQ(journals_opened, 0);
  const auto shown = mpp::parse_credential(*seen[1].headers.get("Authorization"));
  ASSERT_TRUE(shown);
  EXPECT_EQ(*shown->payload().string("type"), "proof");
  auto unpaid = request();
  unpaid.pay = false;
  EXPECT_EQ(fetch(std::move(unpaid))->response.status, 402);
}

TEST_F(PayerTest, NothingWithoutAnEndIsRefused) {
  shop = serve([this](const Seen&) { return ask_for_nothing(std::nullopt); }, &seen);
  const auto got = fetch(request());
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), "wallet.no-challenge");
}

TEST_F(PayerTest, TheProofDoesNotFollowARedirect) {
  std::vector<Seen> thief_saw;
  auto thief = serve([](const Seen&) { return Answer{}; }, &thief_saw);
  const auto to = fmt::format("http://127.0.0.1:{}/", thief->local().port);
  auto door = serve(
      [this, to](const Seen& s) {
        return s.headers.has("Authorization") ? Answer{302, {{"Location", to}}} : ask_for(10_sat);
      },
      &seen);
  auto r = request();
  r.http.url.port = door->local().port;
  r.follow_redirects = true;
  const auto got = fetch(std::move(r));
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->response.status, 302);
  EXPECT_TRUE(thief_saw.empty());
  EXPECT_EQ(node.paid.size(), 1U);
}

TEST_F(PayerTest, RedirectsEndAndOthersAreNotFollowed) {
  auto door = serve([](const Seen&) { return Answer{302, {{"Location", "/again"}}}; }, &seen);
  auto r = request();
  r.http.url.port = door->local().port;
  auto got = fetch(std::move(r));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->response.status, 302);
  EXPECT_EQ(seen.size(), 1U);
  r = request();
  r.http.url.port = door->local().port;
  r.follow_redirects = true;
  r.max_redirects = 3;
  got = fetch(std::move(r));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), "wallet.too-many-redirects");
  EXPECT_EQ(seen.size(), 5U);
}

TEST_F(PayerTest, APostBecomesAGetWhereTheRedirectSaysSo) {
  struct Row {
    int status;
    const char* method;
    const char* body;
  };
  for (const Row& row : {Row{301, "GET", ""}, Row{302, "GET", ""}, Row{303, "GET", ""},
                         Row{307, "POST", "order"}, Row{308, "POST", "order"}}) {
    seen.clear();
    auto door = serve(
        [&row](const Seen& s) {
          return s.target == "/next" ? Answer{} : Answer{row.status, {{"Location", "/next"}}};
        },
        &seen);
    auto r = request();
    r.http.url.port = door->local().port;
    r.http.method = "POST";
    r.http.body = "order";
    r.follow_redirects = true;
    ASSERT_TRUE(fetch(std::move(r)));
    ASSERT_EQ(seen.size(), 2U);
    EXPECT_EQ(seen[1].method, row.method) << row.status;
    EXPECT_EQ(seen[1].body, row.body) << row.status;
  }
}

TEST_F(PayerTest, PrivateTargetsAreBlockedByDefault) {
  for (const char* host : {"127.0.0.1", "localhost", "10.0.0.1", "::1", "169.254.169.254",
                           "192.168.1.1", "metadata.google.internal", "0.0.0.0"}) {
    auto r = request();
    r.http.url.host = host;
    r.private_targets = false;
    const auto got = fetch(std::move(r));
    ASSERT_FALSE(got) << host;
    EXPECT_EQ(got.error().code(), "wallet.blocked") << host;
  }
  EXPECT_TRUE(seen.empty());
}

TEST_F(PayerTest, APublicNameWithAPrivateAddressIsBlocked) {
  http::ClientConfig config;
  config.resolve = [](const std::string&, std::uint16_t) {
    return std::optional(std::vector{*net::IpAddress::parse("127.0.0.1")});
  };
  config.guard = [](const std::string&, const net::IpAddress& address) -> Result<> {
    if (const auto why = net::blocked_class(address); !why.empty())
      return fail(net::SsrfErrc::blocked_address, std::string(why));
    return {};
  };
  client = http::make_client(loop, std::move(config));
  auto r = request();
  r.http.url.host = "rebound.example.com";
  r.private_targets = false;
  const auto got = fetch(std::move(r));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), "wallet.blocked");
  EXPECT_TRUE(seen.empty());
}

TEST_F(PayerTest, PlainHttpFromAnotherMachineIsNeverPaid) {
  http::ClientConfig config;
  config.resolve = [](const std::string&, std::uint16_t) {
    return std::optional(std::vector{*net::IpAddress::parse("127.0.0.1")});
  };
  client = http::make_client(loop, std::move(config));
  auto r = request();
  r.http.url.host = "shop.example";
  const auto got = fetch(std::move(r));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), "wallet.insecure");
  EXPECT_EQ(nodes_opened + journals_opened, 0);
}

TEST_F(PayerTest, ALostAnswerAfterPayingSaysThatItWasPaid) {
  auto door = serve(
      [this](const Seen& s) {
        return s.headers.has("Authorization") ? Answer{0} : ask_for(10_sat);
      },
      &seen);
  auto r = request();
  r.http.url.port = door->local().port;
  const auto got = fetch(std::move(r));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), "wallet.network");
  EXPECT_NE(got.error().message().find("paid 10 sat"), std::string_view::npos);
  EXPECT_EQ(node.paid.size(), 1U);
  EXPECT_EQ(stage(), ledger::SpendStage::settled);
}

TEST_F(PayerTest, AnAnswerOverTheLimitIsCut) {
  auto big = serve([](const Seen&) { return Answer{200, {}, std::string(5'000, 'x')}; }, &seen);
  auto r = request();
  r.http.url.port = big->local().port;
  r.max_body = 4'999;
  const auto got = fetch(std::move(r));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), "wallet.too-large");
}

TEST_F(PayerTest, BareInvoicesUnderTheSameRules) {
  Payer payer(*client, means(), limits, clock);
  const auto pay = [&](const std::string& text) {
    auto got = net::run_until(loop, payer.pay_invoice(text, {}, Seconds(5)));
    return got ? std::string("paid") : std::string(got.error().code());
  };
  EXPECT_EQ(pay("lnbcrt1nonsense"), "wallet.bad-invoice");
  EXPECT_EQ(pay(invoice(make_hash(), std::nullopt)), "wallet.bad-invoice");
  EXPECT_EQ(pay(invoice(make_hash(), to_msat(1001_sat))), "wallet.over-limit");
  const auto text = invoice(make_hash(), to_msat(1000_sat));
  clock.advance(Millis(900'000));
  EXPECT_EQ(pay(text), "wallet.bad-invoice");
  clock.set(kNow);
  EXPECT_TRUE(node.paid.empty());
  EXPECT_EQ(pay(text), "paid");
}

TEST_F(PayerTest, ReconcilingAsksAndNeverPays) {
  const auto settled = make_hash();
  const auto failed = make_hash();
  const auto flying = make_hash();
  const auto never = make_hash();
  const auto put = [&](const PaymentHash& hash, ledger::SpendStage at) {
    ledger::Spend spend;
    spend.hash = hash;
    spend.amount = 1000_msat;
    journal.entries[hash] = {spend, at, {}};
  };
  put(settled, ledger::SpendStage::submitted);
  put(failed, ledger::SpendStage::unknown);
  put(flying, ledger::SpendStage::unknown);
  put(never, ledger::SpendStage::reserved);
  node.tracked[settled].state = lightning::PaymentState::succeeded;
  node.tracked[settled].fee = 9_msat;
  node.tracked[failed].state = lightning::PaymentState::failed;
  node.tracked[flying].state = lightning::PaymentState::in_flight;
  Payer payer(*client, means(), limits, clock);
  const auto got = net::run_until(loop, payer.reconcile());
  ASSERT_TRUE(got);
  EXPECT_EQ(got->size(), 4U);
  EXPECT_EQ(journal.entries[settled].stage, ledger::SpendStage::settled);
  EXPECT_EQ(journal.entries[settled].fee, 9_msat);
  EXPECT_EQ(journal.entries[failed].stage, ledger::SpendStage::failed);
  EXPECT_EQ(journal.entries[flying].stage, ledger::SpendStage::unknown);
  EXPECT_EQ(journal.entries[never].stage, ledger::SpendStage::failed);
  EXPECT_TRUE(node.paid.empty());
  // A node that does not answer settles nothing.
  put(never, ledger::SpendStage::submitted);
  node.track_down = true;
  ASSERT_TRUE(net::run_until(loop, payer.reconcile()));
  EXPECT_EQ(journal.entries[never].stage, ledger::SpendStage::submitted);
}

}  // namespace
}  // namespace octroi::wallet
