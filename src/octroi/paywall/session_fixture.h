// octroi/paywall/session_fixture.h: for tests of prepaid sessions: the whole door of gate_fixture.h
// with a desk for refunds, a node that pays them when told, and a client that knows the messages of
// the session draft.
//
// Thread   the test's own loop, which runs the gate, the refunds and the clients.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "octroi/mpp/lightning/session.h"
#include "octroi/mpp/receipt.h"
#include "octroi/paywall/gate_fixture.h"
#include "octroi/paywall/refunds.h"

namespace octroi::paywall::fixture {

/// Pays whatever it is asked to, remembers it by hash as a node does, and can be away, slow, lose
/// its answer, or refuse.
class PayingNode final : public lightning::Node {
 public:
  enum class Mood { pays, refuses, loses_answer, in_flight };

  Mood mood = Mood::pays;
  bool away = false;
  Millis delay{0};
  std::vector<lightning::PayRequest> asked;            // every pay()
  std::map<PaymentHash, lightning::Payment> payments;  // what track() knows

  Task<Result<lightning::NodeInfo>> info() override {
    if (away) co_return fail(lightning::Errc::unavailable, "the node is away");
    lightning::NodeInfo info;
    info.public_key = "02";
    co_return info;
  }
  Task<Result<lightning::Payment>> pay(lightning::PayRequest request) override {
    asked.push_back(request);
    if (away) co_return fail(lightning::Errc::unavailable, "the node is away");
    const auto invoice = bolt11::decode(request.bolt11);
    lightning::Payment& payment = payments[invoice->payment_hash];
    payment.hash = invoice->payment_hash;
    payment.amount = request.amount.value_or(Msat{});
    payment.state = mood == Mood::refuses     ? lightning::PaymentState::failed
                    : mood == Mood::in_flight ? lightning::PaymentState::in_flight
                                              : lightning::PaymentState::succeeded;
    if (mood == Mood::refuses) payment.reason = "no route";
    if (delay > Millis(0)) co_await net::Loop::current()->sleep(delay);
    switch (mood) {
      case Mood::pays:
        co_return copy(invoice->payment_hash);
      case Mood::refuses:
        co_return fail(lightning::Errc::payment_failed, "no route");
      case Mood::loses_answer:
      case Mood::in_flight:
        break;
    }
    co_return fail(lightning::Errc::payment_unknown, "the answer was lost");
  }
  Task<Result<lightning::Payment>> track(PaymentHash hash) override {
    ++tracked;
    if (away || mood == Mood::loses_answer)
      co_return fail(lightning::Errc::unavailable, "the node is away");
    if (!payments.contains(hash)) co_return fail(lightning::Errc::not_found);
    co_return copy(hash);
  }
  int tracked = 0;

  Task<Result<lightning::Invoice>> add_invoice(lightning::InvoiceRequest) override {
    co_return fail(lightning::Errc::unavailable);
  }
  Task<Result<std::vector<lightning::Invoice>>> add_invoices(lightning::InvoiceRequest,
                                                             int) override {
    co_return fail(lightning::Errc::unavailable);
  }
  Task<Result<lightning::InvoiceStatus>> lookup_invoice(PaymentHash) override {
    co_return fail(lightning::Errc::not_found);
  }
  Task<Result<>> subscribe(std::uint64_t,
                           std::function<Task<void>(lightning::InvoiceStatus)>) override {
    co_return fail(lightning::Errc::unavailable);
  }
  Task<Result<Msat>> balance() override { co_return Msat{}; }

 private:
  lightning::Payment copy(const PaymentHash& hash) {
    const lightning::Payment& p = payments.at(hash);
    lightning::Payment out;
    out.hash = p.hash;
    out.state = p.state;
    out.amount = p.amount;
    out.fee = p.fee;
    out.reason = p.reason;
    return out;
  }
};

/// Makes the return invoices of a payer.
class ReturnInvoices {
 public:
  explicit ReturnInvoices(Clock& clock) : clock_(clock) {}
  struct Wish {
    bolt11::Network network = bolt11::Network::regtest;
    std::optional<Msat> amount = std::nullopt;
    Seconds expiry{30 * 24 * 3600};
    UnixMillis created{0};  // 0: now
  };
  std::string make() { return make(Wish{}); }
  std::string make(const Wish& wish) { return make(wish, key_); }
  std::string make(const Wish& wish, const crypto::PrivateKey& key) {
    bolt11::Invoice invoice;
    invoice.network = wish.network;
    invoice.amount = wish.amount;
    invoice.created = from_unix_seconds(wish.created.value != 0 ? wish.created.seconds()
                                                                : clock_.now().seconds());
    invoice.payment_hash = PaymentHash(random_.bytes<32>());
    invoice.payment_secret = bolt11::PaymentSecret(random_.bytes<32>());
    invoice.description = "return";
    invoice.expiry = wish.expiry;
    auto text = bolt11::encode(invoice, key);
    EXPECT_TRUE(text);
    return text.value_or("");
  }

 private:
  Clock& clock_;
  SeededRandom random_{11};
  crypto::PrivateKey key_ = crypto::PrivateKey::generate(random_);
};

class SessionTest : public GateTest {
 protected:
  /// 2 sat a request, a deposit of 40, sessions only.
  static ServiceSettings prepaid(std::string name = "api") {
    ServiceSettings s = service(std::move(name));
    s.schemes = {OfferScheme::payment};
    s.intents = {PaymentIntent::session};
    s.price.msat = to_msat(2_sat);
    s.session.refund.wait = Millis(2'000);
    return s;
  }
  void begin(PaywallSettings settings) {
    // Quick, so that tests need not wait; the gate's clock stands.
    desk.emplace(loop, node, *store.sessions(), clock, metrics,
                 RefundOptions{.reap_every = Millis(20), .ask_every = Millis(20)});
    desk->publish(settings);
    refunds = &*desk;
    start(std::move(settings));
  }
  void begin(ServiceSettings only) { begin(with({std::move(only)})); }
  void begin() { begin(prepaid()); }
  ~SessionTest() override { desk.reset(); }

  // --- the client -----------------------------------------------------------------------------

  static mpp::lightning::SessionRequest request_of(const mpp::Challenge& challenge) {
    auto request = mpp::lightning::parse_session_request(challenge.request);
    EXPECT_TRUE(request);
    return request.value_or(mpp::lightning::SessionRequest{});
  }
  static std::string shown(const mpp::Challenge& challenge,
                           const mpp::lightning::SessionAction& action) {
    auto value = mpp::format_credential(challenge, mpp::lightning::session_payload_json(action));
    EXPECT_TRUE(value);
    return value.value_or("");
  }
  mpp::Challenge fresh(const Ask& what = {}) {
    const auto r = ask(what);
    EXPECT_EQ(r.status, 402) << r.body;
    auto challenge = payment_of(r);
    return challenge.value_or(mpp::Challenge{});
  }
  [[nodiscard]] Secret preimage_of(const PaymentHash& hash) const {
    return Secret(invoices.preimage(hash));
  }
  [[nodiscard]] std::string open_with(const mpp::Challenge& challenge, std::string return_invoice) {
    const PaymentHash hash = request_of(challenge).payment_hash;
    return shown(challenge,
                 mpp::lightning::OpenAction{preimage_of(hash), std::move(return_invoice)});
  }
  [[nodiscard]] std::string bearer_with(const mpp::Challenge& challenge,
                                        PaymentHash session) const {
    return shown(challenge, mpp::lightning::BearerAction{session, preimage_of(session)});
  }
  [[nodiscard]] std::string top_up_with(const mpp::Challenge& challenge,
                                        PaymentHash session) const {
    return shown(challenge, mpp::lightning::TopUpAction{
                                session, preimage_of(request_of(challenge).payment_hash)});
  }
  [[nodiscard]] std::string close_with(const mpp::Challenge& challenge, PaymentHash session) const {
    return shown(challenge, mpp::lightning::CloseAction{session, preimage_of(session)});
  }
  http::Response show(const std::string& credential, std::string target = "/v1/data") {
    return get(std::move(target), {{"Authorization", credential}});
  }

  /// A session that its first request opened.
  struct Opened {
    mpp::Challenge challenge;
    PaymentHash id;
    std::string credential;
    std::string return_invoice;
  };
  Opened open(const Ask& what = {}) {
    Opened out;
    out.challenge = fresh(what);
    out.id = request_of(out.challenge).payment_hash;
    out.return_invoice = returns.make();
    out.credential = open_with(out.challenge, out.return_invoice);
    const auto r = show(out.credential, what.target);
    EXPECT_EQ(r.status, 200) << r.body;
    return out;
  }

  // --- the ledger -----------------------------------------------------------------------------

  ledger::Session session(const PaymentHash& id) {
    auto found = net::run_until(loop, store.sessions()->find_session(id));
    EXPECT_TRUE(found && *found);
    return found && *found ? **found : ledger::Session{};
  }
  static std::optional<mpp::Receipt> receipt_of(const http::Response& r) {
    const auto value = r.headers.get("Payment-Receipt");
    if (!value) return std::nullopt;
    auto receipt = mpp::parse_receipt(*value);
    EXPECT_TRUE(receipt);
    return receipt ? std::optional(*receipt) : std::nullopt;
  }
  static std::string extra(const mpp::Receipt& receipt, std::string_view name) {
    for (const auto& [key, value] : receipt.extra) {
      if (key == name) return value;
    }
    return {};
  }
  /// A member of a problem document, as JSON text.
  static std::string member(const http::Response& r, std::string_view name) {
    auto document = json::parse(r.body);
    if (!document) return {};
    if (auto number = document->root().int64(name)) return std::to_string(*number);
    if (auto text = document->root().string(name)) return std::string(*text);
    return {};
  }

  PayingNode node;
  ReturnInvoices returns{clock};
  std::optional<Refunds> desk;
};

}  // namespace octroi::paywall::fixture
