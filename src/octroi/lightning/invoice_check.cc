#include "octroi/lightning/invoice_check.h"

namespace octroi::lightning {

Network to_network(bolt11::Network n) {
  switch (n) {
    case bolt11::Network::mainnet:
      return Network::mainnet;
    case bolt11::Network::testnet:
      return Network::testnet;
    case bolt11::Network::signet:
      return Network::signet;
    case bolt11::Network::regtest:
      return Network::regtest;
    case bolt11::Network::simnet:
      return Network::simnet;
  }
  return Network::mainnet;
}

Result<bolt11::Invoice> check_invoice(std::string_view text, const InvoiceExpectation& expected) {
  Result<bolt11::Invoice> invoice = bolt11::decode(text);
  if (!invoice)
    return fail(Errc::bad_invoice, "invoice: " + std::string(invoice.error().message()));
  if (expected.network && to_network(invoice->network) != *expected.network) {
    return fail(Errc::bad_invoice, "network: the invoice is for " +
                                       std::string(to_string(to_network(invoice->network))) +
                                       ", expected " + std::string(to_string(*expected.network)));
  }
  if (expected.hash && invoice->payment_hash != *expected.hash) {
    return fail(Errc::bad_invoice,
                "payment hash: the invoice's differs from the one it was announced with");
  }
  if (expected.amount && invoice->amount.value_or(Msat{}) != *expected.amount) {
    const std::string named = invoice->amount ? format(*invoice->amount) : std::string("no amount");
    return fail(Errc::bad_invoice,
                "amount: the invoice asks for " + named + ", expected " + format(*expected.amount));
  }
  if (invoice->expired(expected.payable_at)) {
    return fail(Errc::bad_invoice,
                "expiry: the invoice expires at " + to_rfc3339(invoice->expires()) + ", too early");
  }
  return invoice;
}

}  // namespace octroi::lightning
