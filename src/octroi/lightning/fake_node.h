// octroi/lightning/fake_node.h: a node for the tests of everything above one: makes real signed
// regtest invoices at once, counts what it was asked, and can be down, slow or settle an invoice
// when told.
//
// Thread: its loop's, like any node; the knobs may be turned from any thread.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "octroi/bolt11/bolt11.h"
#include "octroi/crypto/hash.h"
#include "octroi/lightning/node.h"
#include "octroi/net/loop.h"

namespace octroi::lightning {

class FakeNode final : public Node {
 public:
  FakeNode(Clock& clock, std::uint64_t seed) : clock_(clock), random_(seed) {}

  std::atomic<bool> down{false};                  // every call: unavailable
  std::atomic<std::int64_t> delay_ms{0};          // before every answer
  std::atomic<bool> wrong_amount{false};          // invoices ask for one satoshi more than told
  std::atomic<int> made{0};                       // invoices
  std::atomic<int> calls{0};                      // of add_invoices
  std::atomic<int> subscriptions{0};              // begun
  std::atomic<std::uint64_t> subscribed_from{0};  // settle index of the last subscription

  /// As if the invoice had been paid just now.
  void settle(const PaymentHash& hash) {
    const std::lock_guard lock(mutex_);
    settled_.push_back({.hash = hash,
                        .state = InvoiceState::settled,
                        .paid = {},
                        .settled = clock_.now(),
                        .settle_index = settled_.size() + 1});
  }

  Task<Result<NodeInfo>> info() override {
    OCTROI_CO_CHECK(co_await pause());
    co_return NodeInfo{
        .backend = "fake", .version = "1", .alias = "fake", .public_key = key_.public_key().hex()};
  }
  Task<Result<Invoice>> add_invoice(InvoiceRequest request) override {
    OCTROI_CO_TRY(auto invoices, co_await add_invoices(std::move(request), 1));
    co_return std::move(invoices.front());
  }
  Task<Result<std::vector<Invoice>>> add_invoices(InvoiceRequest request, int count) override {
    ++calls;
    OCTROI_CO_CHECK(co_await pause());
    std::vector<Invoice> out;
    for (int i = 0; i < count; ++i) {
      OCTROI_CO_TRY(Invoice invoice, make(request));
      out.push_back(std::move(invoice));
    }
    co_return out;
  }
  Task<Result<InvoiceStatus>> lookup_invoice(PaymentHash hash) override {
    OCTROI_CO_CHECK(co_await pause());
    const std::lock_guard lock(mutex_);
    for (const InvoiceStatus& status : settled_) {
      if (status.hash == hash) co_return status;
    }
    if (!known_.contains(hash)) co_return fail(Errc::not_found);
    co_return InvoiceStatus{.hash = hash, .state = InvoiceState::open, .paid = {}, .settled = {}};
  }
  Task<Result<>> subscribe(std::uint64_t settle_index,
                           std::function<Task<void>(InvoiceStatus)> on_settled) override {
    ++subscriptions;
    subscribed_from = settle_index;
    while (true) {
      OCTROI_CO_CHECK(co_await pause());
      std::optional<InvoiceStatus> next = settled_after(settle_index);
      if (!next) {
        co_await net::Loop::current()->sleep(Millis(10));
        continue;
      }
      settle_index = next->settle_index;
      co_await on_settled(*next);
    }
  }
  Task<Result<Payment>> pay(PayRequest) override { co_return fail(Errc::payment_failed); }
  Task<Result<Payment>> track(PaymentHash) override { co_return fail(Errc::not_found); }
  Task<Result<Msat>> balance() override { co_return Msat{}; }

 private:
  Task<Result<>> pause() {
    if (delay_ms > 0) co_await net::Loop::current()->sleep(Millis(delay_ms.load()));
    if (down) co_return fail(Errc::unavailable, "fake node: down");
    co_return Result<>{};
  }
  std::optional<InvoiceStatus> settled_after(std::uint64_t index) {
    const std::lock_guard lock(mutex_);
    if (index >= settled_.size()) return std::nullopt;
    return settled_[index];
  }
  Result<Invoice> make(const InvoiceRequest& request) {
    bolt11::Invoice invoice;
    invoice.network = bolt11::Network::regtest;
    invoice.created = from_unix_seconds(clock_.now().seconds());
    invoice.payment_hash = PaymentHash(crypto::sha256(random_.bytes<32>()));
    invoice.payment_secret = bolt11::PaymentSecret(random_.bytes<32>());
    invoice.description = request.memo;
    invoice.expiry = request.expiry;
    Msat amount = request.amount;
    if (wrong_amount) {
      OCTROI_TRY(amount, amount.plus(Msat::from_raw_unchecked(1000)));
    }
    if (!amount.is_zero()) invoice.amount = amount;
    OCTROI_TRY(std::string text, bolt11::encode(invoice, key_));
    const std::lock_guard lock(mutex_);
    known_[invoice.payment_hash] = true;
    return Invoice{.hash = invoice.payment_hash,
                   .bolt11 = std::move(text),
                   .amount = request.amount,
                   .created = invoice.created,
                   .expires = invoice.expires(),
                   .index = static_cast<std::uint64_t>(++made)};
  }

  Clock& clock_;
  SeededRandom random_;
  crypto::PrivateKey key_ = crypto::PrivateKey::generate(random_);
  std::mutex mutex_;
  std::map<PaymentHash, bool> known_;
  std::vector<InvoiceStatus> settled_;
};

}  // namespace octroi::lightning
