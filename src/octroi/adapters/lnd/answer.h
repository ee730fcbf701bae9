// octroi/adapters/lnd/answer.h: what lnd's JSON answers mean. Internal to the adapter; pure.
//
// Errors   Errc::bad_answer for what cannot be understood. Messages hold at most lnd's own words.
// Secrets  answers about invoices and payments hold preimages: they are parsed as sensitive.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/lightning/node.h"

namespace octroi::lnd {

/// An answer other than 200, or an error inside a stream.
[[nodiscard]] Error to_error(int status, std::string_view body);
/// The same for something that was to be paid: definite only when lnd's words say so.
[[nodiscard]] Error to_payment_error(int status, std::string_view body);
/// Whether a stream's line is {"error": …} instead of {"result": …}.
[[nodiscard]] bool is_stream_error(std::string_view line);

[[nodiscard]] Result<lightning::NodeInfo> read_info(std::string_view body);
/// The answer to adding; the times are taken from the invoice itself.
[[nodiscard]] Result<lightning::Invoice> read_added(std::string_view body, Msat amount);
[[nodiscard]] Result<lightning::InvoiceStatus> read_invoice(std::string_view body);
/// One line of a subscription; empty when it is not about a settlement.
[[nodiscard]] Result<std::optional<lightning::InvoiceStatus>> read_settled_line(
    std::string_view line);

struct InvoicePage {
  std::vector<lightning::InvoiceStatus> invoices;
  std::vector<std::string> requests;  // their bolt11 texts
  std::uint64_t last_offset = 0;
};
[[nodiscard]] Result<InvoicePage> read_page(std::string_view body);

/// One line of a payment's stream. A success whose preimage does not open the hash is an error.
[[nodiscard]] Result<lightning::Payment> read_payment_line(std::string_view line,
                                                           const PaymentHash& hash);
[[nodiscard]] Result<Msat> read_balance(std::string_view body);

/// Overwrites a text that held a preimage.
void wipe(std::string& text);

}  // namespace octroi::lnd
