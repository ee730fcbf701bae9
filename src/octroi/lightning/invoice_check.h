// octroi/lightning/invoice_check.h: does an invoice say what somebody claims it says? The server
// asks before it shows an invoice its node made, the wallet before it pays one it was shown.
//
// Errors  Errc::bad_invoice, naming the field that differs.   Thread: pure.
// Source  Lightning charge draft, client duties before paying; L402, the macaroon's payment hash.
#pragma once

#include <optional>
#include <string_view>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/bolt11/bolt11.h"
#include "octroi/lightning/node.h"
#include "octroi/money/money.h"

namespace octroi::lightning {

[[nodiscard]] Network to_network(bolt11::Network n);

/// What is absent is not checked.
struct InvoiceExpectation {
  std::optional<Msat> amount;  // exactly; zero: the invoice must name none
  std::optional<PaymentHash> hash;
  std::optional<Network> network;
  UnixMillis payable_at;  // it must not have expired then
};

/// Decodes (which checks the signature) and compares.
[[nodiscard]] Result<bolt11::Invoice> check_invoice(std::string_view bolt11,
                                                    const InvoiceExpectation& expected);

}  // namespace octroi::lightning
