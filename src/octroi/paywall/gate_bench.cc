// What the gate's own work costs a request, without sockets: a known token, a charge credential,
// a new challenge, and finding the service.
#include <benchmark/benchmark.h>

#include "octroi/bolt11/bolt11.h"
#include "octroi/crypto/hash.h"
#include "octroi/l402/header.h"
#include "octroi/ledger/memory_store.h"
#include "octroi/mpp/challenge.h"
#include "octroi/mpp/credential.h"
#include "octroi/mpp/lightning/charge.h"
#include "octroi/paywall/l402_auth.h"
#include "octroi/paywall/payment_auth.h"
#include "octroi/task/group.h"

namespace octroi::paywall {
namespace {

constexpr UnixMillis kNow{1'800'000'000'000};

template <class T>
Task<void> keep(Task<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
}
/// Nothing here suspends: the store is in memory.
template <class T>
T run(Task<T> task) {
  std::optional<T> out;
  TaskGroup group;
  group.start(keep(std::move(task), &out));
  return *std::move(out);
}

/// One invoice for everybody: signing is the node's work.
class OneInvoice final : public InvoiceSource {
 public:
  OneInvoice() {
    SeededRandom random(1);
    const auto key = crypto::PrivateKey::generate(random);
    preimage = random.bytes<32>();
    bolt11::Invoice i;
    i.network = bolt11::Network::regtest;
    i.created = kNow;
    i.amount = Msat::from_raw_unchecked(10'000);
    i.payment_hash = PaymentHash(crypto::sha256(preimage));
    i.payment_secret = bolt11::PaymentSecret(random.bytes<32>());
    i.description = "bench";
    invoice_ = {i.payment_hash, *bolt11::encode(i, key), *i.amount, kNow, i.expires(), 0};
  }
  Task<Result<lightning::Invoice>> take(Msat, std::string) override { co_return invoice_; }
  [[nodiscard]] std::optional<lightning::Network> network() const override {
    return lightning::Network::regtest;
  }
  void give_back(lightning::Invoice) override {}
  std::array<std::uint8_t, 32> preimage{};
  [[nodiscard]] ledger::InvoiceRecord record() const {
    return {invoice_.hash, invoice_.amount, invoice_.created, invoice_.expires, 0};
  }

 private:
  lightning::Invoice invoice_;
};

class NoRows final : public TransactionSink {
 public:
  void handed_out(ledger::TransactionRecord) override {}
};

struct Bench {
  ManualClock clock{kNow};
  SeededRandom random{2};
  MetricRegistry metrics;
  ledger::MemoryStore store;
  OneInvoice invoices;
  NoRows rows;
  UnpaidBound unpaid{0};
  RateLimiter rates;
  Shared shared{store, invoices, nullptr, unpaid, rates, rows, nullptr, metrics, clock, random};
  RouteTable routes;
  http::Headers headers;
  L402Authenticator l402;
  PaymentAuthenticator payment;

  Bench()
      : routes(table()),
        l402(shared, root_keys(), std::make_shared<l402::RevocationSet>(), "bench ",
             Millis(900'000)),
        payment(shared, ring(), {.realm = "api.example", .rate = std::nullopt}) {
    std::ignore = run(store.record_invoices({invoices.record()}));
  }
  static RouteTable table() {
    ServiceSettings s;
    s.name = ServiceName("api");
    s.price.msat = Msat::from_raw_unchecked(10'000);
    s.schemes = {OfferScheme::l402, OfferScheme::payment};
    return std::move(*RouteTable::build({s}));
  }
  static std::shared_ptr<const l402::RootKeys> root_keys() {
    return std::make_shared<l402::RootKeys>(
        *l402::RootKeys::make(Secret(std::string_view("0123456789abcdef0123456789abcdef"))));
  }
  static std::shared_ptr<const mpp::KeyRing> ring() {
    const Secret secret(std::string_view("0123456789abcdef0123456789abcdef"));
    return std::make_shared<mpp::KeyRing>(*mpp::KeyRing::from_secrets({&secret}));
  }
  std::unique_ptr<ServiceMetrics> service_metrics = std::make_unique<ServiceMetrics>(
      metrics, "api", std::make_shared<const KeyLabels>(KeyLabels{{"aaaaaaaa"}, {"bbbbbbbb"}}));
  [[nodiscard]] RequestContext context() const {
    const Service& service = routes.services().front();
    return {.service = service,
            .rule = service.rule_for("GET", "/v1/data"),
            .metrics = *service_metrics,
            .method = "GET",
            .path = "/v1/data",
            .query = "",
            .digest = "",
            .idempotency_key = "",
            .headers = headers,
            .client = {},
            .now = kNow,
            .request_id = "request",
            .quote = {service.settings.price.msat, {}, std::nullopt}};
  }
};

void BM_L402Verify(benchmark::State& state) {
  Bench b;
  const auto context = b.context();
  const auto offer = run(b.l402.offer(context, Intent::token));
  const auto challenge = l402::parse_challenges(offer->lines.front()).front();
  Credentials shown;
  shown.l402 = {std::string(
      l402::format_credential(l402::SchemeName::l402, challenge.macaroon, b.invoices.preimage)
          .reveal_text())};
  for (auto _ : state) {
    auto verdict = run(b.l402.verify(shown, context));
    if (!std::holds_alternative<Grant>(verdict)) state.SkipWithError("not accepted");
  }
}
BENCHMARK(BM_L402Verify);

void BM_ChargeVerify(benchmark::State& state) {
  Bench b;
  const auto context = b.context();
  const auto offer = run(b.payment.offer(context, Intent::charge));
  const std::array<std::string_view, 1> lines = {offer->lines.front()};
  const auto challenge = mpp::parse_challenges(lines)->front();
  Credentials shown;
  shown.payment = {*mpp::format_credential(
      challenge, mpp::lightning::charge_payload_json(Secret(ByteView(b.invoices.preimage))))};
  for (auto _ : state) {
    auto verdict = run(b.payment.verify(shown, context));
    if (!std::holds_alternative<Grant>(verdict)) state.SkipWithError("not accepted");
  }
}
BENCHMARK(BM_ChargeVerify);

void BM_L402Challenge(benchmark::State& state) {
  Bench b;
  const auto context = b.context();
  for (auto _ : state) benchmark::DoNotOptimize(run(b.l402.offer(context, Intent::token)));
}
BENCHMARK(BM_L402Challenge);

void BM_ChargeChallenge(benchmark::State& state) {
  Bench b;
  const auto context = b.context();
  for (auto _ : state) benchmark::DoNotOptimize(run(b.payment.offer(context, Intent::charge)));
}
BENCHMARK(BM_ChargeChallenge);

void BM_RouteAmong(benchmark::State& state) {
  std::vector<ServiceSettings> services;
  for (int i = 0; i < state.range(0); ++i) {
    ServiceSettings s;
    s.name = ServiceName(fmt::format("s{}", i));
    s.path = fmt::format("^/service/{}/", i);
    services.push_back(std::move(s));
  }
  const auto table = *RouteTable::build(services);
  const std::string path = fmt::format("/service/{}/data", state.range(0) - 1);
  for (auto _ : state) benchmark::DoNotOptimize(table.find("api.example", path));
}
BENCHMARK(BM_RouteAmong)->Arg(10)->Arg(10'000);

void BM_UnpaidReserve(benchmark::State& state) {
  UnpaidBound bound(64);
  const auto who = *net::IpAddress::parse("192.0.2.1");
  for (auto _ : state) {
    const auto place = bound.reserve(who, OfferScheme::l402, kNow, kNow + Millis(900'000));
    bound.release(place, who, OfferScheme::l402);
  }
}
BENCHMARK(BM_UnpaidReserve)->Threads(1)->Threads(2);

}  // namespace
}  // namespace octroi::paywall
