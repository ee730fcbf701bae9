#include "octroi/adapters/lnd/answer.h"

#include <algorithm>
#include <charconv>

#include "octroi/bolt11/bolt11.h"
#include "octroi/crypto/hash.h"
#include "octroi/json/value.h"
#include "octroi/lightning/invoice_check.h"

namespace octroi::lnd {
namespace {

using lightning::Errc;

constexpr json::ParseLimits kLimits{.max_depth = 32, .max_bytes = 8U << 20, .sensitive = true};
// The numbers of gRPC status codes that lnd uses.
constexpr std::int64_t kNotFound = 5;
constexpr std::int64_t kPermissionDenied = 7;
constexpr std::int64_t kUnavailable = 14;
constexpr std::int64_t kUnauthenticated = 16;

Result<json::Document> parse(std::string_view body) {
  auto document = json::parse(body, kLimits);
  if (!document) return fail(Errc::bad_answer, "lnd: its answer is not JSON");
  return document;
}

tl::unexpected<Error> bad(std::string_view field) {
  return fail(Errc::bad_answer,
              "lnd: the field " + std::string(field) + " of its answer is missing or malformed");
}

/// 64-bit numbers are strings in lnd's JSON; absent means zero.
template <class Int>
Result<Int> number(json::Value in, std::string_view field) {
  const auto member = in.find(field);
  if (!member || member->is_null()) return Int{0};
  if (!member->is_string()) {
    const auto value = member->as_int64();
    if (!value || *value < 0) return bad(field);
    return static_cast<Int>(*value);
  }
  const std::string_view text = *member->as_string();
  Int value{};
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{} || end != text.data() + text.size() || value < 0) return bad(field);
  return value;
}

Result<Msat> amount(json::Value in, std::string_view field) {
  OCTROI_TRY(const auto raw, number<std::int64_t>(in, field));
  const auto value = Msat::from_raw(raw);
  if (!value) return bad(field);
  return *value;
}

Result<PaymentHash> base64_hash(json::Value in, std::string_view field) {
  const auto text = in.string(field);
  if (!text) return bad(field);
  const auto bytes = from_base64_any(*text);
  if (!bytes) return bad(field);
  const auto hash = PaymentHash::from_bytes(*bytes);
  if (!hash) return bad(field);
  return *hash;
}

std::string text_or_empty(json::Value in, std::string_view field) {
  const auto member = in.find(field);
  if (!member || !member->is_string()) return {};
  return std::string(*member->as_string());
}

/// lnd's words, short and printable.
std::string shown(std::string_view text) {
  std::string out(text.substr(0, 200));
  std::ranges::replace_if(out, [](char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return out;
}

struct RpcError {
  std::int64_t code = 0;
  std::string message;
};
/// {"code","message"}, bare or inside {"error": …}.
RpcError read_error(std::string_view body) {
  const auto document = json::parse(body, kLimits);
  if (!document) return {};
  json::Value root = document->root();
  if (const auto inner = root.find("error"); inner && inner->is_object()) root = *inner;
  RpcError out;
  if (const auto code = root.find("code")) out.code = code->as_int64().value_or(0);
  out.message = text_or_empty(root, "message");
  return out;
}

bool mentions(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(
      words, [&](std::string_view word) { return text.find(word) != std::string_view::npos; });
}

std::optional<Error> denied(int status, const RpcError& error) {
  if (status == 401 || status == 403 || error.code == kPermissionDenied ||
      error.code == kUnauthenticated ||
      mentions(error.message, {"macaroon", "permission denied", "verification failed"})) {
    return Error(Errc::denied, "lnd: it refuses the macaroon; check its file and its permissions");
  }
  return std::nullopt;
}

/// lnd's own words for having done nothing yet.
bool is_starting(const RpcError& error) {
  return mentions(error.message, {"wallet locked", "wallet not created", "starting",
                                  "not yet ready", "RPC services"});
}

lightning::InvoiceState state_of(std::string_view state) {
  if (state == "SETTLED") return lightning::InvoiceState::settled;
  if (state == "CANCELED") return lightning::InvoiceState::cancelled;
  return lightning::InvoiceState::open;  // OPEN and ACCEPTED: not paid to us yet
}

Result<lightning::InvoiceStatus> status_of(json::Value in) {
  lightning::InvoiceStatus status;
  OCTROI_TRY(status.hash, base64_hash(in, "r_hash"));
  const auto state = in.string("state");
  if (!state) return bad("state");
  status.state = state_of(*state);
  OCTROI_TRY(status.paid, amount(in, "amt_paid_msat"));
  OCTROI_TRY(const auto settled, number<std::int64_t>(in, "settle_date"));
  constexpr std::int64_t kEndOfTime = 253'402'300'800;
  if (settled > kEndOfTime) return bad("settle_date");
  if (settled > 0) status.settled = from_unix_seconds(settled);
  OCTROI_TRY(status.settle_index, number<std::uint64_t>(in, "settle_index"));
  return status;
}

std::string describe_failure(std::string_view reason) {
  if (reason == "FAILURE_REASON_TIMEOUT") return "no route worked in time";
  if (reason == "FAILURE_REASON_NO_ROUTE") return "no route within the fee limit";
  if (reason == "FAILURE_REASON_INSUFFICIENT_BALANCE") return "not enough balance in the channels";
  if (reason == "FAILURE_REASON_INCORRECT_PAYMENT_DETAILS")
    return "the payee does not know this invoice or amount";
  return "the node gave up: " + shown(reason);
}

}  // namespace

void wipe(std::string& text) {
  secure_wipe(text.data(), text.size());
  text.clear();
}

Error to_error(int status, std::string_view body) {
  const RpcError error = read_error(body);
  if (auto refused = denied(status, error)) return *std::move(refused);
  if (status == 502 || status == 503 || status == 504 || error.code == kUnavailable ||
      is_starting(error)) {
    return Error(Errc::unavailable, "lnd: not ready: " + shown(error.message));
  }
  if (error.code == kNotFound ||
      mentions(error.message, {"unable to locate invoice", "there are no existing invoices"})) {
    return Error(Errc::not_found, "lnd: it does not know what was asked for");
  }
  return Error(Errc::bad_answer,
               "lnd: status " + std::to_string(status) + ": " + shown(error.message));
}

Error to_payment_error(int status, std::string_view body) {
  const RpcError error = read_error(body);
  if (auto refused = denied(status, error)) return *std::move(refused);
  // A 502 or 503 from a proxy in between tells nothing: only lnd's own words count.
  if (is_starting(error))
    return Error(Errc::unavailable, "lnd: not ready: " + shown(error.message));
  if (mentions(error.message, {"already paid"}))
    return Error(Errc::already_paid, "lnd: the invoice was paid before");
  if (mentions(error.message, {"in transition", "in flight"})) {
    return Error(Errc::payment_unknown,
                 "lnd: a payment of this invoice is on its way; track it by its hash");
  }
  if (mentions(error.message,
               {"expired", "self-payments not allowed", "not for current active network",
                "invalid bech32", "amount must"})) {
    return Error(Errc::bad_invoice, "lnd: " + shown(error.message));
  }
  if (error.code == kNotFound || mentions(error.message, {"isn't initiated"})) {
    return Error(Errc::not_found, "lnd: it never sent this payment");
  }
  return Error(Errc::payment_unknown, "lnd: its answer leaves the outcome open (status " +
                                          std::to_string(status) +
                                          "); track the payment by its hash");
}

bool is_stream_error(std::string_view line) {
  const auto document = json::parse(line, kLimits);
  return !document || !document->root().find("result");
}

Result<lightning::NodeInfo> read_info(std::string_view body) {
  OCTROI_TRY(const json::Document document, parse(body));
  const json::Value root = document.root();
  lightning::NodeInfo info;
  info.backend = "lnd";
  info.version = text_or_empty(root, "version");
  info.version.resize(std::min(info.version.find(' '), info.version.size()));  // "… commit=…"
  info.alias = text_or_empty(root, "alias");
  info.public_key = text_or_empty(root, "identity_pubkey");
  if (info.public_key.size() != 66) return bad("identity_pubkey");
  info.synced = root.optional_boolean("synced_to_chain").value_or(false).value_or(false);
  OCTROI_TRY(const auto channels, number<std::int64_t>(root, "num_active_channels"));
  info.active_channels = static_cast<int>(std::min<std::int64_t>(channels, 1'000'000));
  const auto chains = root.array("chains");
  if (!chains || chains->size() == 0) return bad("chains");
  const auto network =
      lightning::parse_network(text_or_empty(*chains->elements().begin(), "network"));
  if (!network) return bad("chains[0].network");
  info.network = *network;
  return info;
}

Result<lightning::Invoice> read_added(std::string_view body, Msat wanted) {
  OCTROI_TRY(const json::Document document, parse(body));
  const json::Value root = document.root();
  lightning::Invoice invoice;
  OCTROI_TRY(invoice.hash, base64_hash(root, "r_hash"));
  OCTROI_TRY(invoice.index, number<std::uint64_t>(root, "add_index"));
  invoice.bolt11 = text_or_empty(root, "payment_request");
  const auto decoded = bolt11::decode(invoice.bolt11);
  if (!decoded) return bad("payment_request");
  invoice.amount = wanted;
  invoice.created = decoded->created;
  invoice.expires = decoded->expires();
  return invoice;
}

Result<lightning::InvoiceStatus> read_invoice(std::string_view body) {
  OCTROI_TRY(const json::Document document, parse(body));
  return status_of(document.root());
}

Result<std::optional<lightning::InvoiceStatus>> read_settled_line(std::string_view line) {
  OCTROI_TRY(const json::Document document, parse(line));
  const auto result = document.root().object("result");
  if (!result) return bad("result");
  OCTROI_TRY(lightning::InvoiceStatus status, status_of(*result));
  if (status.state != lightning::InvoiceState::settled) return std::nullopt;
  return status;
}

Result<InvoicePage> read_page(std::string_view body) {
  OCTROI_TRY(const json::Document document, parse(body));
  const json::Value root = document.root();
  InvoicePage page;
  OCTROI_TRY(page.last_offset, number<std::uint64_t>(root, "last_index_offset"));
  const auto list = root.find("invoices");
  if (!list) return page;
  for (const json::Value item : list->elements()) {
    OCTROI_TRY(lightning::InvoiceStatus status, status_of(item));
    page.invoices.push_back(status);
    page.requests.push_back(text_or_empty(item, "payment_request"));
  }
  return page;
}

Result<lightning::Payment> read_payment_line(std::string_view line, const PaymentHash& hash) {
  OCTROI_TRY(const json::Document document, parse(line));
  const auto result = document.root().object("result");
  if (!result) return bad("result");
  lightning::Payment payment;
  payment.hash = hash;
  const std::string status = text_or_empty(*result, "status");
  OCTROI_TRY(payment.amount, amount(*result, "value_msat"));
  OCTROI_TRY(payment.fee, amount(*result, "fee_msat"));
  if (status == "FAILED") {
    payment.state = lightning::PaymentState::failed;
    payment.reason = describe_failure(text_or_empty(*result, "failure_reason"));
    return payment;
  }
  if (status == "IN_FLIGHT" || status == "INITIATED" || status == "UNKNOWN") {
    payment.state = lightning::PaymentState::in_flight;
    return payment;
  }
  if (status != "SUCCEEDED") return bad("status");
  payment.state = lightning::PaymentState::succeeded;
  const auto hex = result->string("payment_preimage");
  if (!hex) return bad("payment_preimage");
  auto bytes = from_hex(*hex);
  if (!bytes || bytes->size() != 32 || PaymentHash(crypto::sha256(*bytes)) != hash)
    return bad("payment_preimage");
  payment.preimage = Secret::take(*std::move(bytes));
  return payment;
}

Result<Msat> read_balance(std::string_view body) {
  OCTROI_TRY(const json::Document document, parse(body));
  const auto local = document.root().object("local_balance");
  if (!local) return bad("local_balance");
  return amount(*local, "msat");
}

}  // namespace octroi::lnd
