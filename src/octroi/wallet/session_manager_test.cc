// The wallet's prepaid sessions against a seller of the test's own over real sockets, which can be
// made to lose, refuse and forget; with a node and a journal that count.
#include "octroi/wallet/session_manager.h"

#include <filesystem>
#include <map>

#include <gtest/gtest.h>

#include "octroi/bolt11/bolt11.h"
#include "octroi/crypto/hash.h"
#include "octroi/http/server.h"
#include "octroi/mpp/credential.h"
#include "octroi/mpp/expiry.h"
#include "octroi/net/run_until.h"
#include "octroi/wallet/errors.h"

namespace octroi::wallet {
namespace {

constexpr UnixMillis kNow{1'800'000'000'000};
constexpr Sat kUnit = 2_sat;
constexpr Sat kDeposit = 10_sat;

bolt11::Invoice invoice_over(PaymentHash hash, std::optional<Msat> amount, UnixMillis created,
                             Random& random) {
  bolt11::Invoice i;
  i.network = bolt11::Network::regtest;
  i.created = created;
  i.amount = amount;
  i.payment_hash = hash;
  i.payment_secret = bolt11::PaymentSecret(random.bytes<32>());
  i.description = "session";
  i.expiry = Seconds(30 * 24 * 3600);
  return i;
}

/// Pays what it is told to, and knows the preimages because the seller told it.
class PayerNode final : public lightning::Node {
 public:
  explicit PayerNode(Random& random) : random_(random) {}
  enum class Mood : std::uint8_t { pays, refuses, loses_answer };
  Mood mood = Mood::pays;
  std::map<PaymentHash, std::array<std::uint8_t, 32>> preimages;
  std::map<PaymentHash, Msat> paid;      // really
  std::map<PaymentHash, Msat> received;  // on our own invoices
  std::function<void()> before_pay = [] {};
  int tracked = 0;
  std::optional<std::string> return_invoice;

  Task<Result<lightning::NodeInfo>> info() override {
    lightning::NodeInfo i;
    i.network = lightning::Network::regtest;
    co_return i;
  }
  Task<Result<lightning::Payment>> pay(lightning::PayRequest request) override {
    before_pay();
    const auto invoice = bolt11::decode(request.bolt11);
    if (mood == Mood::refuses) co_return fail(lightning::Errc::payment_failed, "no route");
    paid[invoice->payment_hash] = *invoice->amount;
    if (mood == Mood::loses_answer)
      co_return fail(lightning::Errc::payment_unknown, "the answer was lost");
    co_return success(invoice->payment_hash);
  }
  Task<Result<lightning::Payment>> track(PaymentHash hash) override {
    ++tracked;
    if (!paid.contains(hash)) co_return fail(lightning::Errc::not_found, "never seen");
    co_return success(hash);
  }
  Task<Result<lightning::Invoice>> add_invoice(lightning::InvoiceRequest) override {
    const PaymentHash hash(random_.bytes<32>());
    OCTROI_CO_TRY(auto text, bolt11::encode(invoice_over(hash, std::nullopt, kNow, random_), key_));
    return_invoice = text;
    co_return lightning::Invoice{hash, text, Msat{}, kNow, kNow + Millis(1'000'000'000), 0};
  }
  Task<Result<std::vector<lightning::Invoice>>> add_invoices(lightning::InvoiceRequest,
                                                             int) override {
    co_return fail(lightning::Errc::denied);
  }
  Task<Result<lightning::InvoiceStatus>> lookup_invoice(PaymentHash hash) override {
    const auto it = received.find(hash);
    if (it == received.end()) co_return fail(lightning::Errc::not_found);
    lightning::InvoiceStatus status;
    status.hash = hash;
    status.state = lightning::InvoiceState::settled;
    status.paid = it->second;
    co_return status;
  }
  Task<Result<>> subscribe(std::uint64_t,
                           std::function<Task<void>(lightning::InvoiceStatus)>) override {
    co_return fail(lightning::Errc::denied);
  }
  Task<Result<Msat>> balance() override { co_return Msat{}; }

 private:
  lightning::Payment success(const PaymentHash& hash) {
    lightning::Payment p;
    p.hash = hash;
    p.state = lightning::PaymentState::succeeded;
    p.preimage = Secret(ByteView(preimages.at(hash)));
    p.amount = paid.at(hash);
    return p;
  }
  Random& random_;
  crypto::PrivateKey key_ = crypto::PrivateKey::generate(random_);
};

class Journal final : public ledger::SpendJournal {
 public:
  std::map<PaymentHash, ledger::SpendEntry> entries;
  Result<> reserve(const ledger::Spend& spend, const ledger::SpendLimits&) override {
    const auto found = entries.find(spend.hash);
    if (found != entries.end() && found->second.stage != ledger::SpendStage::failed)
      return fail(ledger::SpendErrc::already_seen, "this invoice was paid before");
    entries[spend.hash] = {spend, ledger::SpendStage::reserved, {}};
    return {};
  }
  Result<> advance(const PaymentHash& hash, ledger::SpendStage stage, Msat fee) override {
    const auto found = entries.find(hash);
    if (found == entries.end()) return fail(ledger::SpendErrc::no_entry);
    found->second.stage = stage;
    found->second.fee = fee;
    return {};
  }
  Result<> note_refund(const PaymentHash& hash, Msat amount, UnixMillis) override {
    const auto found = entries.find(hash);
    if (found == entries.end()) return fail(ledger::SpendErrc::no_entry);
    found->second.refunded = amount;
    return {};
  }
  Result<std::optional<ledger::SpendEntry>> find(const PaymentHash& hash) override {
    const auto found = entries.find(hash);
    if (found == entries.end()) return std::nullopt;
    return found->second;
  }
  Result<std::vector<ledger::SpendEntry>> open_entries() override {
    return std::vector<ledger::SpendEntry>{};
  }
};

/// What the seller keeps of a session.
struct Sold {
  std::int64_t deposit = 0;  // sat
  std::int64_t spent = 0;
  bool open = true;
  std::string return_invoice;
};

struct Said {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> fields = {};
  std::string body = "the goods";
};

class SessionManagerTest : public testing::Test {
 protected:
  SessionManagerTest() {
    folder_ = std::filesystem::temp_directory_path() /
              ("octroi-manager-" + to_hex(system_random().bytes<8>()));
    shop_ = listen();
  }
  ~SessionManagerTest() override {
    shop_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  // --- the seller -----------------------------------------------------------------------------

  Said sell(const http::RequestHead& request) {
    const auto field = request.headers.get("Authorization");
    if (!field) {
      ++asked;
      return refuse("payment-required");
    }
    const auto credential = mpp::parse_credential(*field);
    if (!credential) return refuse("malformed-credential");
    const auto asks = mpp::lightning::parse_session_request(credential->challenge().request);
    const auto action = mpp::lightning::parse_session_action(credential->payload());
    if (!asks || !action) return refuse("lightning/malformed-credential");
    challenges_shown.push_back(credential->challenge().id);
    if (const auto* open = std::get_if<mpp::lightning::OpenAction>(&*action)) {
      ++opens;
      if (refuses_opens) return refuse("lightning/invalid-return-invoice");
      Sold& s = sold[asks->payment_hash];
      if (s.deposit == 0) {
        s.deposit = asks->deposit_amount->count(); /* raw: the seller's own books */
        s.return_invoice = open->return_invoice;
        s.spent = kUnit.count(); /* raw: likewise */
      }
      if (loses_answers > 0 && loses_answers-- > 0) return {0};
      return served(asks->payment_hash);
    }
    if (const auto* bearer = std::get_if<mpp::lightning::BearerAction>(&*action)) {
      ++bearers;
      const auto it = sold.find(bearer->session_id);
      if (it == sold.end()) return refuse("lightning/session-not-found");
      if (!it->second.open) return refuse("lightning/session-closed");
      if (it->second.spent + kUnit.count() /* raw: likewise */ > it->second.deposit)
        return refuse("lightning/insufficient-balance");
      it->second.spent += kUnit.count(); /* raw: likewise */
      return served(bearer->session_id);
    }
    if (const auto* more = std::get_if<mpp::lightning::TopUpAction>(&*action)) {
      ++top_ups;
      if (refuses_top_ups) return refuse("lightning/session-closed");
      sold.at(more->session_id).deposit += asks->deposit_amount->count(); /* raw: likewise */
      return {200, {{"Content-Type", "application/json"}}, mpp::lightning::top_up_body()};
    }
    const auto& close = std::get<mpp::lightning::CloseAction>(*action);
    ++closes;
    Sold& s = sold.at(close.session_id);
    s.open = false;
    const auto left = Sat::from_raw_unchecked(s.deposit - s.spent);
    const auto invoice = bolt11::decode(s.return_invoice);
    const Sat really = keeps_refunds ? 0_sat : left;
    if (!really.is_zero()) node.received[invoice->payment_hash] = to_msat(really);
    const mpp::lightning::CloseBody body{left, mpp::lightning::RefundStatus::succeeded};
    const auto receipt =
        mpp::format_receipt(mpp::lightning::close_receipt(close.session_id, "c", kNow, body));
    return {200,
            {{"Content-Type", "application/json"}, {"Payment-Receipt", *receipt}},
            mpp::lightning::close_body(body)};
  }
  Said served(const PaymentHash& id) {
    ++goods;
    return {200,
            {{"Payment-Receipt",
              *mpp::format_receipt(mpp::lightning::session_receipt(id, "c", clock.now()))}}};
  }
  Said refuse(const std::string& problem) {
    Said out = challenge();
    out.fields.emplace_back("Content-Type", "application/problem+json");
    out.body = R"({"type":"https://paymentauth.org/problems/)" + problem +
               R"(","title":"no","status":402,"detail":"because"})";
    return out;
  }
  Said challenge() {
    const auto preimage = random.bytes<32>();
    const PaymentHash hash(crypto::sha256(preimage));
    node.preimages[hash] = preimage;
    mpp::lightning::SessionRequest r;
    r.amount = kUnit;
    r.unit_type = "request";
    r.deposit_amount = kDeposit;
    r.deposit_invoice =
        *bolt11::encode(invoice_over(hash, to_msat(kDeposit), clock.now(), random), key);
    r.payment_hash = hash;
    r.idle_timeout = Seconds(300);
    mpp::Challenge c;
    c.id = "challenge-" + std::to_string(++made);
    c.realm = realm;
    c.method = "lightning";
    c.intent = "session";
    c.request = *mpp::lightning::format_session_request(r);
    c.expires = mpp::format_expires(clock.now() + Millis(600'000));
    return {402, {{"WWW-Authenticate", *mpp::format_challenge(c)}}, "pay first"};
  }

  // --- the wallet -----------------------------------------------------------------------------

  FetchRequest request(std::string target = "/goods") const {
    FetchRequest r;
    r.http.url.scheme = "http";
    r.http.url.host = "127.0.0.1";
    r.http.url.port = shop_->local().port;
    r.http.url.target = std::move(target);
    r.private_targets = true;
    r.session = true;
    return r;
  }
  /// Each with a manager of its own, as each process has.
  template <class Ask>
  auto with_manager(Ask ask) {
    Payer payer(*client, {[this] { return open_node(this); }, [this] { return open_journal(); }},
                limits, clock);
    SessionManager manager(payer, *client,
                           {[this] { return open_node(this); }, [this] { return open_journal(); },
                            [this]() -> Result<SessionBook*> { return &book(); }},
                           clock);
    return net::run_until(loop, ask(manager));
  }
  Result<FetchResult> fetch(FetchRequest r) {
    return with_manager([&](SessionManager& m) { return m.fetch(std::move(r)); });
  }
  Result<FetchResult> fetch() { return fetch(request()); }
  Result<SessionManager::Closed> close(PaymentHash id) {
    return with_manager([&](SessionManager& m) { return m.close(id, request()); });
  }
  static Task<Result<lightning::Node*>> open_node(SessionManagerTest* self) {
    ++self->nodes_opened;
    co_return &self->node;
  }
  Result<ledger::SpendJournal*> open_journal() { return &journal; }
  SessionBook& book() {
    if (!book_) book_ = std::move(*SessionBook::open(folder_.string(), random));
    return *book_;
  }
  std::vector<SessionRecord> kept() { return *book().all(); }
  SessionRecord only() {
    auto all = kept();
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? SessionRecord{} : std::move(all.front());
  }

  net::Loop loop;
  ManualClock clock{kNow};
  SeededRandom random{9};
  crypto::PrivateKey key = crypto::PrivateKey::generate(random);
  PayerNode node{random};
  Journal journal;
  Limits limits;
  std::unique_ptr<http::Client> client = http::make_client(loop, {});
  std::map<PaymentHash, Sold> sold;
  std::vector<std::string> challenges_shown;
  std::string realm = "shop";
  int asked = 0, made = 0, opens = 0, bearers = 0, top_ups = 0, closes = 0, goods = 0;
  int nodes_opened = 0;
  int loses_answers = 0;
  bool refuses_opens = false, refuses_top_ups = false, keeps_refunds = false;

 private:
  static Task<void> answer(SessionManagerTest* self, http::Exchange* x) {
    std::ignore = co_await http::read_all(x->body(), 1 << 20);
    const Said said = self->sell(x->request());
    if (said.status == 0) {
      x->abort();
      co_return;
    }
    http::ResponseHead head;
    head.status = said.status;
    for (const auto& [name, value] : said.fields) head.headers.add(name, value);
    std::ignore = co_await x->respond(std::move(head), said.body);
  }
  std::unique_ptr<http::Server> listen() {
    http::ServerConfig config;
    config.listen = *net::Endpoint::parse("127.0.0.1:0");
    auto server =
        http::listen(loop, config, [this](http::Exchange& x) { return answer(this, &x); });
    EXPECT_TRUE(server);
    return std::move(*server);
  }

  std::filesystem::path folder_;
  std::unique_ptr<SessionBook> book_;
  std::unique_ptr<http::Server> shop_;
};

TEST_F(SessionManagerTest, OneDepositPaysForManyRequests) {
  const auto first = fetch();
  ASSERT_TRUE(first) << first.error().message();
  EXPECT_EQ(first->response.body, "the goods");
  EXPECT_EQ(first->paid, to_msat(kDeposit));
  ASSERT_TRUE(first->session);
  EXPECT_TRUE(first->session->opened);
  EXPECT_EQ(first->session->spent, to_msat(kUnit));
  for (int n = 2; n <= 5; ++n) {
    const auto next = fetch();
    ASSERT_TRUE(next) << next.error().message();
    EXPECT_EQ(next->paid, 0_msat);
    EXPECT_EQ(next->session->id, first->session->id);
    EXPECT_EQ(next->session->spent, to_msat(*kUnit.times(n)));
    EXPECT_FALSE(next->session->opened);
  }
  EXPECT_EQ(asked, 1) << "the challenge that we have is used again: no invoice is asked for";
  EXPECT_EQ(made, 1);
  EXPECT_EQ(node.paid.size(), 1U);
  EXPECT_EQ(opens, 1);
  EXPECT_EQ(bearers, 4);
}

TEST_F(SessionManagerTest, WhatMayHappenIsWrittenDownBefore) {
  std::vector<SessionStage> at_payment;
  node.before_pay = [&] {
    for (const auto& r : kept()) at_payment.push_back(r.stage);
  };
  ASSERT_TRUE(fetch());
  EXPECT_EQ(at_payment, std::vector<SessionStage>{SessionStage::paying});
  EXPECT_EQ(only().stage, SessionStage::open);
  EXPECT_EQ(journal.entries.begin()->second.spend.scheme, "session");
  EXPECT_EQ(journal.entries.begin()->second.stage, ledger::SpendStage::settled);
}

TEST_F(SessionManagerTest, ADepositOverTheCapIsNotPaid) {
  auto r = request();
  r.max_cost = to_msat(9_sat);
  const auto got = fetch(std::move(r));
  ASSERT_FALSE(got);
  EXPECT_TRUE(got.error().is(Errc::over_limit)) << got.error().message();
  EXPECT_TRUE(node.paid.empty());
  EXPECT_TRUE(kept().empty());
}

TEST_F(SessionManagerTest, LookingCostsNothing) {
  for (const bool dry : {true, false}) {
    auto r = request();
    r.dry_run = dry;
    r.pay = dry;
    std::ignore = fetch(std::move(r));
  }
  EXPECT_TRUE(node.paid.empty());
  EXPECT_TRUE(kept().empty());
  EXPECT_EQ(opens + bearers, 0);
}

TEST_F(SessionManagerTest, ADrySessionIsToppedUpOnceAndTheRequestServed) {
  for (int n = 0; n < 5; ++n) ASSERT_TRUE(fetch());
  const auto sixth = fetch();
  ASSERT_TRUE(sixth) << sixth.error().message();
  EXPECT_EQ(sixth->response.body, "the goods");
  EXPECT_EQ(sixth->paid, to_msat(kDeposit));
  EXPECT_EQ(sixth->session->topped_up, to_msat(kDeposit));
  EXPECT_EQ(top_ups, 1);
  EXPECT_EQ(opens, 1);
  EXPECT_EQ(only().deposit, to_msat(*kDeposit.times(2)));
  EXPECT_FALSE(only().top_up);
}

TEST_F(SessionManagerTest, ATopUpOverTheCapIsNotPaid) {
  for (int n = 0; n < 5; ++n) ASSERT_TRUE(fetch());
  auto r = request();
  r.max_cost = to_msat(9_sat);
  const auto got = fetch(std::move(r));
  ASSERT_FALSE(got);
  EXPECT_TRUE(got.error().is(Errc::over_limit));
  EXPECT_EQ(node.paid.size(), 1U);
  EXPECT_EQ(only().stage, SessionStage::open) << "it is still there, for who pays more";
}

TEST_F(SessionManagerTest, ARefusedTopUpIsNotPaidTwice) {
  for (int n = 0; n < 5; ++n) ASSERT_TRUE(fetch());
  refuses_top_ups = true;
  const auto got = fetch();
  ASSERT_FALSE(got);
  EXPECT_TRUE(got.error().is(Errc::refused_after_pay)) << got.error().message();
  EXPECT_EQ(node.paid.size(), 2U);
  EXPECT_EQ(top_ups, 1);
  EXPECT_EQ(only().stage, SessionStage::closed) << "the service said that it has ended";
}

TEST_F(SessionManagerTest, WhereASessionHasEndedAnotherIsOpened) {
  const auto first = fetch();
  ASSERT_TRUE(first);
  sold.at(first->session->id).open = false;
  const auto second = fetch();
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_NE(second->session->id, first->session->id);
  EXPECT_TRUE(second->session->opened);
  EXPECT_EQ(node.paid.size(), 2U);
}

TEST_F(SessionManagerTest, AServiceThatRefusesAPaidDepositGetsNoSecondOne) {
  refuses_opens = true;
  for (int n = 0; n < 3; ++n) {
    const auto got = fetch();
    ASSERT_FALSE(got);
    EXPECT_TRUE(got.error().is(Errc::refused_after_pay)) << got.error().message();
  }
  EXPECT_EQ(node.paid.size(), 1U);
  EXPECT_EQ(opens, 1);
  EXPECT_EQ(only().stage, SessionStage::refused);
}

TEST_F(SessionManagerTest, APaymentThatFailedLeavesNothingBehind) {
  node.mood = PayerNode::Mood::refuses;
  const auto got = fetch();
  ASSERT_FALSE(got);
  EXPECT_TRUE(got.error().is(Errc::payment_failed)) << got.error().message();
  EXPECT_TRUE(kept().empty());
  node.mood = PayerNode::Mood::pays;
  EXPECT_TRUE(fetch());
}

TEST_F(SessionManagerTest, ADepositWhoseAnswerWasLostIsFoundAndShown) {
  node.mood = PayerNode::Mood::loses_answer;
  const auto lost = fetch();
  ASSERT_FALSE(lost);
  EXPECT_TRUE(lost.error().is(Errc::payment_unknown)) << lost.error().message();
  EXPECT_EQ(only().stage, SessionStage::paying);
  const auto again = fetch();
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->response.body, "the goods");
  EXPECT_EQ(again->paid, 0_msat) << "it was paid by the fetch before";
  EXPECT_EQ(node.paid.size(), 1U);
  EXPECT_GE(node.tracked, 1);
}

TEST_F(SessionManagerTest, AnOpenWhoseAnswerWasLostIsNotPaidAgain) {
  loses_answers = 1;
  const auto lost = fetch();
  ASSERT_FALSE(lost);
  EXPECT_EQ(only().stage, SessionStage::opening);
  const auto again = fetch();
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->response.body, "the goods");
  EXPECT_EQ(node.paid.size(), 1U);
  EXPECT_EQ(only().stage, SessionStage::open);
}

TEST_F(SessionManagerTest, AChallengeThatHasEndedIsAskedForAnewAndNothingIsPaid) {
  ASSERT_TRUE(fetch());
  clock.advance(Millis(601'000));
  const auto next = fetch();
  ASSERT_TRUE(next) << next.error().message();
  EXPECT_EQ(next->paid, 0_msat);
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(node.paid.size(), 1U);
  ASSERT_EQ(challenges_shown.size(), 2U);
  EXPECT_NE(challenges_shown[0], challenges_shown[1]);
}

TEST_F(SessionManagerTest, AFieldOfTheCallersOwnIsNotOverwritten) {
  auto r = request();
  r.http.headers.set("Authorization", "Bearer mine");
  ASSERT_FALSE(fetch(std::move(r)));
  EXPECT_TRUE(node.paid.empty());
}

TEST_F(SessionManagerTest, ACloseBringsTheRestBackAndComparesIt) {
  const auto first = fetch();
  ASSERT_TRUE(first);
  const auto closed = close(first->session->id);
  ASSERT_TRUE(closed) << closed.error().message();
  EXPECT_EQ(closed->record.stage, SessionStage::closed);
  EXPECT_EQ(*closed->record.refund, 8_sat);
  EXPECT_EQ(closed->record.refund_seen, to_msat(8_sat));
  EXPECT_FALSE(closed->mismatch);
  EXPECT_EQ(journal.entries.begin()->second.refunded, to_msat(8_sat));
  EXPECT_EQ(closes, 1);
}

TEST_F(SessionManagerTest, AFetchMayEndItsSession) {
  auto r = request();
  r.close_after = true;
  const auto got = fetch(std::move(r));
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_TRUE(got->session->closed);
  EXPECT_EQ(*got->session->refund, 8_sat);
  EXPECT_EQ(*got->session->refund_seen, to_msat(8_sat));
}

TEST_F(SessionManagerTest, WhatNobodyHasIsNotClosed) {
  const auto none = close(PaymentHash(crypto::sha256(as_bytes("nobody's"))));
  ASSERT_FALSE(none);
  EXPECT_TRUE(none.error().is(Errc::session_unknown));
}

TEST_F(SessionManagerTest, AListEndsWhatItsServiceShouldHaveEnded) {
  ASSERT_TRUE(fetch());
  const auto listed = [&] {
    return with_manager([&](SessionManager& m) { return m.list(request()); });
  };
  auto all = listed();
  ASSERT_TRUE(all);
  EXPECT_EQ(all->front().stage, SessionStage::open);
  clock.advance(Millis(301'000));
  all = listed();
  ASSERT_TRUE(all);
  EXPECT_EQ(all->front().stage, SessionStage::closed);
  EXPECT_EQ(all->front().refund_seen, to_msat(8_sat));
}

}  // namespace
}  // namespace octroi::wallet
