// octroi/adapters/sim/invoice.h: the keys, preimages and signed invoices of the simulated network.
// Internal to the adapter.
//
// Secrets  a preimage is HMAC(node key, "octroi/sim/preimage/1" | seed): whoever holds the file can
//          tell it, and nobody has to store it.
// Thread   pure.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "octroi/base/bytes.h"
#include "octroi/base/ids.h"
#include "octroi/base/random.h"
#include "octroi/base/result.h"
#include "octroi/base/secret.h"
#include "octroi/lightning/node.h"

namespace octroi::sim {

inline constexpr std::size_t kSeedSize = 16;

[[nodiscard]] Secret new_node_key(Random& random);
[[nodiscard]] Result<std::string> node_public_key(const Secret& node_key);
[[nodiscard]] Secret preimage_of(const Secret& node_key, ByteView seed);

struct SignedInvoice {
  PaymentHash hash;
  std::string bolt11;
  UnixMillis created;  // whole seconds, as the invoice says it
  UnixMillis expires;
};
[[nodiscard]] Result<SignedInvoice> sign_invoice(const lightning::InvoiceRequest& request,
                                                 const Secret& node_key, ByteView seed,
                                                 UnixMillis now);

/// What a payer reads from an invoice.
struct InvoiceToPay {
  PaymentHash hash;
  Msat amount;            // zero: the payer chooses
  std::string canonical;  // lower case
};
/// Errc::bad_invoice when it does not decode or is for another network.
[[nodiscard]] Result<InvoiceToPay> read_invoice(std::string_view bolt11);

}  // namespace octroi::sim
