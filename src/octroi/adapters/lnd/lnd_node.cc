#include "octroi/adapters/lnd/lnd_node.h"

#include <algorithm>
#include <tuple>

#include "octroi/adapters/lnd/answer.h"
#include "octroi/bolt11/bolt11.h"
#include "octroi/http/client.h"
#include "octroi/json/writer.h"
#include "octroi/lightning/invoice_check.h"
#include "octroi/net/tls.h"
#include "octroi/task/group.h"
#include "octroi/task/sync.h"

namespace octroi::lnd {
namespace {

using lightning::Errc;

constexpr std::uint64_t kMaxAnswer = 8U << 20;
constexpr std::size_t kParallelCalls = 8;
constexpr int kPageSize = 1000;
constexpr int kMaxPages = 50;
constexpr Millis kPayGrace{
    15'000};  // beyond the payment's own timeout, for lnd to say how it ended

/// Nothing was sent, so nothing can have happened.
bool never_sent(const Error& error) {
  return error.is(http::Errc::connect_failed) || error.is(http::Errc::tls_failed);
}

Error transport_error(const Error& error) {
  if (error.is(http::Errc::tls_failed)) {
    return Error(Errc::unavailable,
                 "lnd: its certificate is not the one in lnd.tls_cert, or TLS failed");
  }
  if (never_sent(error))
    return Error(Errc::unavailable, "lnd: no connection; is it running at lnd.url?");
  if (error.is(http::Errc::timeout)) return Error(Errc::timeout, "lnd: no answer in time");
  if (error.is(http::Errc::closed))
    return Error(Errc::timeout, "lnd: the connection broke before the answer");
  return Error(Errc::bad_answer, "lnd: " + std::string(error.message()));
}

Error payment_transport_error(const Error& error) {
  if (never_sent(error)) return transport_error(error);
  return Error(Errc::payment_unknown,
               "lnd: the connection broke after the payment was sent; track it by its hash");
}

/// lnd takes hashes in a path as padded base64url.
std::string path_hash(const PaymentHash& hash) { return to_base64url(hash.bytes()) + "="; }

std::string wire(Msat amount) { return std::to_string(amount.count()); /* raw: lnd's JSON */ }

class LndNode final : public lightning::Node {
 public:
  LndNode(std::unique_ptr<http::Client> client, http::Url base, LndOptions options)
      : client_(std::move(client)), base_(std::move(base)), options_(std::move(options)) {
    if (!options_.pay_macaroon) options_.pay_macaroon = options_.macaroon;
  }

  Task<Result<lightning::NodeInfo>> info() override {
    auto body = co_await call(request("GET", "/v1/getinfo", *options_.pay_macaroon));
    if (body) co_return read_info(*body);
    if (!body.error().is(Errc::denied)) co_return fail(std::move(body).error());
    co_return co_await info_from_an_invoice();
  }

  Task<Result<lightning::Invoice>> add_invoice(lightning::InvoiceRequest wanted) override {
    json::Writer body;
    body.begin_object().field("value_msat", wire(wanted.amount)).field("memo", wanted.memo);
    body.field("expiry", std::to_string(wanted.expiry.count() /* raw: seconds, not money */))
        .end_object();
    OCTROI_CO_TRY(
        const std::string answer,
        co_await call(request("POST", "/v1/invoices", *options_.macaroon, std::move(body).take())));
    co_return read_added(answer, wanted.amount);
  }

  Task<Result<std::vector<lightning::Invoice>>> add_invoices(lightning::InvoiceRequest wanted,
                                                             int count) override {
    Batch batch;
    TaskGroup group;
    for (int i = 0; i < count; ++i) group.start(add_to(&batch, wanted));
    co_await group.join();
    if (batch.error) co_return fail(*std::move(batch.error));
    co_return std::move(batch.made);
  }

  Task<Result<lightning::InvoiceStatus>> lookup_invoice(PaymentHash hash) override {
    OCTROI_CO_TRY(std::string body,
                  co_await call(request("GET", "/v1/invoice/" + hash.hex(), *options_.macaroon)));
    auto status = read_invoice(body);
    wipe(body);  // lnd shows its preimages here
    co_return status;
  }

  Task<Result<>> subscribe(
      std::uint64_t settle_index,
      std::function<Task<void>(lightning::InvoiceStatus)> on_settled) override {
    Follower follower{.index = settle_index, .on_settled = std::move(on_settled), .failed = {}};
    if (settle_index == 0) OCTROI_CO_CHECK(co_await follow_from_the_first(&follower));
    while (true) {
      auto ended = co_await follow(&follower);
      // Silence is normal; a new connection proves that the other end is still there.
      if (!ended && ended.error().is(http::Errc::timeout)) continue;
      if (!ended) co_return fail(transport_error(ended.error()));
      if (follower.failed) co_return fail(*std::move(follower.failed));
      co_return fail(Errc::unavailable, "lnd: it ended the subscription");
    }
  }

  Task<Result<lightning::Payment>> pay(lightning::PayRequest wanted) override {
    const auto invoice = bolt11::decode(wanted.bolt11);
    if (!invoice)
      co_return fail(Errc::bad_invoice, "invoice: " + std::string(invoice.error().message()));
    if (invoice->amount.has_value() == wanted.amount.has_value()) {
      co_return fail(Errc::bad_invoice, invoice->amount
                                            ? "amount: the invoice names its own; give none"
                                            : "amount: required, as the invoice names none");
    }
    json::Writer body;
    body.begin_object().field("payment_request", wanted.bolt11).field("no_inflight_updates", true);
    body.field("timeout_seconds",
               static_cast<std::int64_t>(wanted.timeout.count() /* raw: seconds */));
    body.field("fee_limit_msat", wire(wanted.fee_limit));
    if (wanted.amount) body.field("amt_msat", wire(*wanted.amount));
    http::Request to_send = request("POST", "/v2/router/send", *options_.pay_macaroon,
                                    std::move(body.end_object()).take());
    auto payment = co_await follow_payment(std::move(to_send), invoice->payment_hash,
                                           wanted.timeout + kPayGrace);
    if (!payment) co_return fail(definite_for_pay(std::move(payment).error()));
    if (payment->state == lightning::PaymentState::succeeded) co_return payment;
    if (payment->state == lightning::PaymentState::in_flight) {
      co_return fail(Errc::payment_unknown,
                     "lnd: the payment is still on its way; track it by its hash");
    }
    const bool poor =
        payment->reason.starts_with("not enough") || payment->reason.starts_with("no route within");
    co_return fail(poor ? Errc::insufficient : Errc::payment_failed, "lnd: " + payment->reason);
  }

  Task<Result<lightning::Payment>> track(PaymentHash hash) override {
    http::Request to_send =
        request("GET", "/v2/router/track/" + path_hash(hash), *options_.pay_macaroon);
    auto payment = co_await follow_payment(std::move(to_send), hash, options_.call_timeout);
    // Only asking failed, not the payment.
    if (!payment && payment.error().is(Errc::payment_unknown)) {
      co_return fail(Errc::timeout, std::string(payment.error().message()));
    }
    co_return payment;
  }

  Task<Result<Msat>> balance() override {
    OCTROI_CO_TRY(const std::string body,
                  co_await call(request("GET", "/v1/balance/channels", *options_.pay_macaroon)));
    co_return read_balance(body);
  }

 private:
  struct Batch {
    Semaphore slots{kParallelCalls};
    std::vector<lightning::Invoice> made;
    std::optional<Error> error;
  };
  struct Follower {
    std::uint64_t index = 0;
    std::function<Task<void>(lightning::InvoiceStatus)> on_settled;
    std::optional<Error> failed;
  };
  struct PaymentStream {
    PaymentHash hash;
    std::optional<lightning::Payment> payment;
    std::string error_line;
    bool garbled = false;
  };

  [[nodiscard]] http::Request request(std::string method, std::string target,
                                      const Secret& macaroon, std::string body = {}) const {
    http::Request out;
    out.method = std::move(method);
    out.url = base_;
    out.url.target = std::move(target);
    out.headers.add("Grpc-Metadata-Macaroon", macaroon.reveal_text());
    if (!body.empty()) out.headers.add("Content-Type", "application/json");
    out.body = std::move(body);
    return out;
  }

  Task<Result<std::string>> call(http::Request to_send) {
    auto answer = co_await client_->fetch(std::move(to_send), kMaxAnswer, options_.call_timeout);
    if (!answer) co_return fail(transport_error(answer.error()));
    if (answer->status != 200) co_return fail(to_error(answer->status, answer->body));
    co_return std::move(answer->body);
  }

  Task<void> add_to(Batch* batch, lightning::InvoiceRequest wanted) {
    co_await batch->slots.acquire();
    // After a failure the rest would only repeat it.
    if (!batch->error) {
      auto made = co_await add_invoice(std::move(wanted));
      if (made) {
        batch->made.push_back(*std::move(made));
      } else if (!batch->error) {
        batch->error = std::move(made).error();
      }
    }
    batch->slots.release();
  }

  /// lnd's invoice macaroon may not ask getinfo. An invoice says the network and the node's key
  /// too: the latest one, or, on a node that has none yet, one that is made for it and expires at
  /// once.
  Task<Result<lightning::NodeInfo>> info_from_an_invoice() {
    OCTROI_CO_TRY(InvoicePage page, co_await list("?reversed=true&num_max_invoices=1"));
    std::string text = page.requests.empty() ? std::string() : page.requests.front();
    if (!bolt11::decode(text)) {
      OCTROI_CO_TRY(const lightning::Invoice made,
                    co_await add_invoice({.amount = Msat::from_raw_unchecked(1000),
                                          .memo = "octroi asks which network this is",
                                          .expiry = Seconds(1)}));
      text = made.bolt11;
    }
    const auto invoice = bolt11::decode(text);
    if (!invoice) co_return fail(Errc::bad_answer, "lnd: the invoice it made cannot be decoded");
    lightning::NodeInfo info;
    info.backend = "lnd";
    info.public_key = invoice->payee.hex();
    info.network = lightning::to_network(invoice->network);
    co_return info;
  }

  Task<Result<InvoicePage>> list(std::string query) {
    OCTROI_CO_TRY(std::string body,
                  co_await call(request("GET", "/v1/invoices" + query, *options_.macaroon)));
    auto page = read_page(body);
    wipe(body);
    co_return page;
  }

  /// lnd takes a settle index of 0 for "nothing missed", so the first settlement ever is looked up;
  /// from then on an index can be named. Only a node we have never followed before comes here.
  Task<Result<>> follow_from_the_first(Follower* follower) {
    std::uint64_t offset = 0;
    for (int i = 0; i < kMaxPages; ++i) {
      OCTROI_CO_TRY(const InvoicePage page,
                    co_await list("?index_offset=" + std::to_string(offset) +
                                  "&num_max_invoices=" + std::to_string(kPageSize)));
      bool any_settled = false;
      for (const lightning::InvoiceStatus& status : page.invoices) {
        if (status.state != lightning::InvoiceState::settled) continue;
        any_settled = true;
        if (status.settle_index == 1) co_await follower->on_settled(status);
      }
      if (any_settled) {
        follower->index = 1;
        co_return Result<>{};
      }
      if (page.invoices.size() < static_cast<std::size_t>(kPageSize)) co_return Result<>{};
      offset = page.last_offset;
    }
    co_return Result<>{};
  }

  Task<Result<>> follow(Follower* follower) {
    http::Request to_send =
        request("GET", "/v1/invoices/subscribe?settle_index=" + std::to_string(follower->index),
                *options_.macaroon);
    auto status = co_await client_->stream_lines(
        std::move(to_send),
        [follower](std::string line) { return take_settled(follower, std::move(line)); },
        options_.subscription_silence);
    if (!status) co_return fail(std::move(status).error());
    co_return Result<>{};
  }

  static Task<bool> take_settled(Follower* follower, std::string line) {
    if (is_stream_error(line)) {
      follower->failed = to_error(200, line);
      co_return false;
    }
    auto settled = read_settled_line(line);
    wipe(line);
    if (!settled) {
      follower->failed = std::move(settled).error();
      co_return false;
    }
    if (!*settled) co_return true;  // an invoice was added
    follower->index = std::max(follower->index, (*settled)->settle_index);
    co_await follower->on_settled(**settled);
    co_return true;
  }

  /// Reads a payment's stream until it says more than "on its way", or, when tracking, what it says
  /// first.
  Task<Result<lightning::Payment>> follow_payment(http::Request to_send, PaymentHash hash,
                                                  Millis patience) {
    PaymentStream stream{.hash = hash, .payment = {}, .error_line = {}};
    auto status = co_await client_->stream_lines(
        std::move(to_send),
        [&stream](std::string line) { return take_payment(&stream, std::move(line)); }, patience);
    if (stream.payment) co_return *std::move(stream.payment);
    if (!status) co_return fail(payment_transport_error(status.error()));
    if (stream.garbled)
      co_return fail(Errc::payment_unknown, "lnd: its answer about the payment cannot be read");
    co_return fail(to_payment_error(*status, stream.error_line));
  }

  static Task<bool> take_payment(PaymentStream* stream, std::string line) {
    if (line.empty()) co_return true;
    if (is_stream_error(line)) {
      stream->error_line += line;  // the body of an answer other than 200 may have several lines
      co_return true;
    }
    auto payment = read_payment_line(line, stream->hash);
    wipe(line);
    if (payment) {
      stream->payment = *std::move(payment);
    } else {
      stream->garbled = true;
    }
    co_return false;
  }

  /// not_found is an answer to track(); after sending it leaves the outcome open.
  static Error definite_for_pay(Error error) {
    if (!error.is(Errc::not_found)) return error;
    return Error(Errc::payment_unknown,
                 "lnd: its answer leaves the outcome open; track the payment by its hash");
  }

  std::unique_ptr<http::Client> client_;
  http::Url base_;
  LndOptions options_;
};

bool is_hex_secret(const std::shared_ptr<const Secret>& secret) {
  const std::string_view text = secret->reveal_text();
  return !text.empty() && text.size() % 2 == 0 && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  });
}

bool is_loopback(const std::string& host) {
  if (host == "localhost") return true;
  const auto address = net::IpAddress::parse(host);
  return address && address->is_loopback();
}

}  // namespace

Result<std::unique_ptr<lightning::Node>> make_lnd_node(net::Loop& loop, LndOptions options) {
  auto url = http::Url::parse(options.url);
  if (!url)
    return fail(Errc::unavailable, "lnd.url: must be an https URL such as https://127.0.0.1:8080");
  if (!url->tls() && !is_loopback(url->host)) {
    return fail(Errc::unavailable,
                "lnd.url: http would show the macaroon to the network; use https");
  }
  if (!options.macaroon || !is_hex_secret(options.macaroon)) {
    return fail(Errc::denied,
                "lnd.macaroon: must be the macaroon in hex, or the file that lnd wrote");
  }
  if (options.pay_macaroon && !is_hex_secret(options.pay_macaroon)) {
    return fail(Errc::denied,
                "lnd.pay_macaroon: must be the macaroon in hex, or the file that lnd wrote");
  }
  http::ClientConfig config;
  config.max_idle_per_origin = kParallelCalls + 1;
  if (url->tls()) {
    net::TlsClientOptions tls;
    tls.pinned_certificate_pem = options.tls_cert_pem;
    OCTROI_TRY(config.tls, net::make_tls_client(std::move(tls)));
  }
  return std::make_unique<LndNode>(http::make_client(loop, std::move(config)), *std::move(url),
                                   std::move(options));
}

}  // namespace octroi::lnd
