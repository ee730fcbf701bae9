// octroi/lightning/node.h: the port to a Lightning node: makes, watches, decodes and pays invoices.
//
// Thread   one Node object per loop that uses it; calls resume on that loop.
// Errors   `unavailable` when the node cannot be reached (nothing happened), `timeout` when the
//          outcome is unknown: for a payment that means: look it up by hash before anything else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/base/secret.h"
#include "octroi/money/money.h"
#include "octroi/task/task.h"

namespace octroi::lightning {

enum class Errc : std::uint8_t {
  unavailable,      // no connection, or the node says it is not ready
  denied,           // the node refuses our credential (wrong or too narrow macaroon)
  timeout,          // no answer in time: outcome unknown
  bad_answer,       // the node's answer cannot be understood
  not_found,        // the node does not know this invoice or payment
  payment_failed,   // definite: nothing was paid
  payment_unknown,  // submitted, outcome not known: ask track() by hash, never pay again
  insufficient,     // definite: not enough balance or no route within the fee limit
  bad_invoice,      // the node cannot pay this invoice (expired, own, wrong network)
  already_paid,     // definite: this invoice was paid before
};
ErrorInfo error_info(Errc e);

enum class Network : std::uint8_t { mainnet, testnet, signet, regtest, simnet };
/// "mainnet", "testnet", "signet", "regtest", "simnet".
[[nodiscard]] std::string_view to_string(Network n);
[[nodiscard]] std::optional<Network> parse_network(std::string_view text);

struct InvoiceRequest {
  Msat amount;  // zero: the payer chooses
  std::string memo;
  Seconds expiry{900};
};
struct Invoice {
  PaymentHash hash;
  std::string bolt11;
  Msat amount;
  UnixMillis created;
  UnixMillis expires;
  std::uint64_t index = 0;  // grows with every invoice of the node; where a subscription resumes
};
enum class InvoiceState : std::uint8_t { open, settled, cancelled };
struct InvoiceStatus {
  PaymentHash hash;
  InvoiceState state = InvoiceState::open;
  Msat paid;
  std::optional<UnixMillis> settled;
  std::uint64_t settle_index = 0;
};

struct PayRequest {
  std::string bolt11;
  std::optional<Msat> amount;  // required for an amountless invoice, refused otherwise
  Msat fee_limit;
  Seconds timeout{60};
};
enum class PaymentState : std::uint8_t { succeeded, failed, in_flight };
struct Payment {
  PaymentHash hash;
  PaymentState state = PaymentState::failed;
  Secret preimage;  // when succeeded; checked against the hash by the adapter
  Msat amount;
  Msat fee;
  std::string reason;  // when failed, in the node's words, safe to show
};

struct NodeInfo {
  std::string backend;  // "sim", "lnd"
  std::string version;
  std::string alias;
  std::string public_key;  // hex
  Network network = Network::regtest;
  bool synced = true;
  int active_channels = 0;
};

class Node {
 public:
  virtual ~Node() = default;
  virtual Task<Result<NodeInfo>> info() = 0;
  virtual Task<Result<Invoice>> add_invoice(InvoiceRequest request) = 0;
  /// Several at once, as the pool asks; all or the error of the first that failed.
  virtual Task<Result<std::vector<Invoice>>> add_invoices(InvoiceRequest request, int count) = 0;
  virtual Task<Result<InvoiceStatus>> lookup_invoice(PaymentHash hash) = 0;
  /// Calls `on_settled` for every invoice settled after `settle_index`, first the missed ones, then
  /// as they happen, until the connection breaks (an error) or the task is destroyed.
  virtual Task<Result<>> subscribe(std::uint64_t settle_index,
                                   std::function<Task<void>(InvoiceStatus)> on_settled) = 0;
  /// Pays and waits for the end. payment_unknown when it cannot be told.
  virtual Task<Result<Payment>> pay(PayRequest request) = 0;
  /// What became of a payment; not_found when the node never saw it.
  virtual Task<Result<Payment>> track(PaymentHash hash) = 0;
  virtual Task<Result<Msat>> balance() = 0;
};

}  // namespace octroi::lightning
