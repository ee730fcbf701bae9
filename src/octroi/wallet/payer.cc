#include "octroi/wallet/payer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "octroi/base/log.h"
#include "octroi/net/ssrf.h"

namespace octroi::wallet {

namespace {

/// Loopback only, by address or by the one name that means it.
bool is_this_machine(const std::string& host) {
  if (host == "localhost") return true;
  auto address = net::IpAddress::parse(host);
  return address && address->is_loopback();
}

/// Fields that must not follow a redirect to another origin.
bool is_sensitive(std::string_view name) {
  static constexpr std::array<std::string_view, 6> kSensitive = {
      "Authorization", "Proxy-Authorization",   "Cookie", "Payment-Authorization",
      "Macaroon",      "Grpc-Metadata-Macaroon"};
  return std::any_of(kSensitive.begin(), kSensitive.end(),
                     [name](auto s) { return http::equal_ignoring_case(s, name); });
}

std::optional<http::Url> redirect_target(const http::Url& from, std::string_view location) {
  if (location.starts_with("//"))
    return http::Url::parse(from.scheme + ":" + std::string(location))
        .map([](auto u) { return std::optional(u); })
        .value_or(std::nullopt);
  if (auto absolute = http::Url::parse(location)) return *absolute;
  if (location.starts_with('/')) {
    http::Url next = from;
    next.target = std::string(location.substr(0, location.find('#')));
    return next;
  }
  return std::nullopt;
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

Error network_error(const Error& e) {
  if (e.is(net::SsrfErrc::blocked_address) || e.is(net::SsrfErrc::blocked_name) ||
      e.is(net::SsrfErrc::bad_host) || e.is(net::Errc::blocked)) {
    return {Errc::blocked, std::string(e.message())};
  }
  if (e.is(http::Errc::body_too_large))
    return {Errc::too_large, "the answer is larger than the limit; raise --max-size"};
  return {Errc::network, std::string(e.message())};
}

Msat Payer::fee_limit(const std::optional<Msat>& asked) const {
  return asked ? std::min(*asked, limits_.max_fee) : limits_.max_fee;
}

Task<Result<FetchResult>> Payer::fetch(FetchRequest request) {
  OCTROI_CO_TRY(Asked asked, co_await ask(&request));
  co_return co_await settle(std::move(request), std::move(asked));
}

Task<Result<Payer::Asked>> Payer::ask(FetchRequest* request) {
  Asked asked;
  asked.asked_origin = asked.final_origin = request->http.url.origin();
  OCTROI_CO_TRY(asked.result.response, co_await send(request, &asked.final_origin));
  asked.result.url = request->http.url.str();
  if (asked.result.response.status == 429)
    co_return fail(Errc::rate_limited,
                   "the service says: too many requests; wait as Retry-After says");
  if (asked.result.response.status == 402)
    asked.read = read_offers(asked.result.response.headers, clock_.now());
  co_return asked;
}

Result<> Payer::may_pay(const FetchRequest& request, const Asked& asked) {
  if (asked.final_origin != asked.asked_origin) {
    return fail(
        Errc::insecure,
        fmt::format("{} asks for payment, but {} was asked for; fetch it directly to pay it",
                    asked.final_origin, asked.asked_origin));
  }
  if (!request.http.url.tls() && !is_this_machine(request.http.url.host)) {
    return fail(Errc::insecure, "a challenge over plain HTTP could be anybody's; use https");
  }
  return {};
}

Task<Result<FetchResult>> Payer::settle(FetchRequest request, Asked asked) {
  FetchResult result = std::move(asked.result);
  ReadOffers read = std::move(asked.read);
  if (result.response.status != 402) co_return result;
  result.notes = std::move(read.refused);
  if (!read.sessions.empty()) {
    result.notes.emplace_back(
        "Payment lightning/session: a deposit is paid for it with octroi fetch --session");
  }
  const Offer* chosen = choose(read.offers, request.prefer, request.http.headers);
  if (chosen == nullptr && !read.offers.empty()) {
    const std::string reason = fmt::format(
        "the proof of payment would go into {0}, which the request has already: nothing was paid; "
        "leave {0} out, or ask the service for challenges with header=\"Payment-Authorization\"",
        read.offers.front().field());
    if (request.pay && !request.dry_run) co_return fail(Errc::field_taken, reason);
    result.notes.push_back(reason);
  }
  if (!request.pay || (chosen == nullptr && request.dry_run)) co_return result;
  if (chosen == nullptr) {
    co_return fail(Errc::no_challenge,
                   result.notes.empty()
                       ? "the service asks for payment, but offers nothing that this wallet can pay"
                       : result.notes.front());
  }
  result.offer = *chosen;
  const Offer& offer = *result.offer;
  OCTROI_CO_CHECK(may_pay(request, asked));
  if (auto decided = decide(request, offer.amount); !decided) {
    if (request.dry_run) {
      result.notes.emplace_back(decided.error().message());
      co_return result;
    }
    co_return fail(std::move(decided).error());
  }
  if (request.dry_run) {
    result.would_pay = true;
    co_return result;
  }

  lightning::Payment payment;  // of nothing, where nothing is asked for
  if (!offer.is_free()) {
    OCTROI_CO_TRY(payment, co_await pay(offer.invoice_text, offer.invoice, request.http.url.host,
                                        std::string(to_string(offer.scheme)), request.max_fee,
                                        request.payment_timeout));
  }
  result.scheme = offer.scheme;
  result.paid = payment.amount;
  result.fee = payment.fee;
  OCTROI_CO_TRY(Proof proof, make_proof(offer, payment.preimage));
  request.http.headers.set(proof.field, proof.value.reveal_text());
  result.proof = std::move(proof);
  request.follow_redirects = false;  // the credential stays with the host that sold it
  auto retried = co_await send(&request, &asked.final_origin);
  if (!retried) {
    co_return fail(Error(Errc::network, fmt::format("paid {} and then: {}", format(payment.amount),
                                                    retried.error().message())));
  }
  result.response = std::move(*retried);
  if (auto receipt = result.response.headers.get("Payment-Receipt"))
    result.receipt = std::string(*receipt);
  if (result.response.status == 402 || result.response.status == 401) {
    co_return fail(Errc::refused_after_pay,
                   fmt::format("paid {}, and the service refused the proof; it was not paid again",
                               format(payment.amount)));
  }
  co_return result;
}

Task<Result<http::Response>> Payer::send(FetchRequest* request, std::string* origin) {
  for (int hop = 0;; ++hop) {
    const http::Url& url = request->http.url;
    if (!request->private_targets) {
      if (auto allowed = net::check_public_host(url.host); !allowed)
        co_return fail(network_error(allowed.error()));
    }
    auto response = co_await client_.fetch(request->http, request->max_body, request->timeout);
    if (!response) co_return fail(network_error(response.error()));
    const auto location = response->headers.get("Location");
    if (!request->follow_redirects || !is_redirect(response->status) || !location)
      co_return response;
    if (hop >= request->max_redirects)
      co_return fail(Errc::too_many_redirects,
                     fmt::format("more than {} redirects", request->max_redirects));
    auto next = redirect_target(url, *location);
    if (!next) co_return response;
    if (url.tls() && !next->tls())
      co_return fail(Errc::too_many_redirects, "a redirect from https to http is not followed");
    if (next->origin() != url.origin()) {
      std::vector<std::string> drop;
      for (const auto field : request->http.headers) {
        if (is_sensitive(field.name)) drop.emplace_back(field.name);
      }
      for (const auto& name : drop) request->http.headers.remove(name);
    }
    if (response->status <= 303 && request->http.method != "GET" &&
        request->http.method != "HEAD") {
      request->http.method = "GET";
      request->http.body.clear();
      request->http.headers.remove("Content-Type");
    }
    request->http.url = std::move(*next);
    *origin = request->http.url.origin();
  }
}

Result<> Payer::decide(const FetchRequest& request, Msat amount) const {
  const Msat cap =
      request.max_cost ? std::min(*request.max_cost, limits_.per_payment) : limits_.per_payment;
  if (amount > cap) {
    return fail(Errc::over_limit, fmt::format("the service asks {}, the limit a payment is {}",
                                              format(amount), format(cap)));
  }
  return {};
}

Task<Result<lightning::Payment>> Payer::pay_invoice(std::string text, std::optional<Msat> max_fee,
                                                    Seconds timeout) {
  auto invoice = bolt11::decode(text);
  if (!invoice)
    co_return fail(Errc::bad_invoice, "invoice: " + std::string(invoice.error().message()));
  if (!invoice->amount) co_return fail(Errc::bad_invoice, "invoice: it names no amount");
  if (invoice->expired(clock_.now())) co_return fail(Errc::bad_invoice, "invoice: it has expired");
  if (*invoice->amount > limits_.per_payment) {
    co_return fail(Errc::over_limit,
                   fmt::format("the invoice is over {}, the limit a payment is {}",
                               format(*invoice->amount), format(limits_.per_payment)));
  }
  co_return co_await pay(std::move(text), std::move(*invoice), "", "invoice", max_fee, timeout);
}

/// ledger::SpendJournal before payment: from the moment the node may have the order until it tells
/// the outcome, the money is held and the hash cannot be paid again.
Task<Result<lightning::Payment>> Payer::pay(std::string invoice_text, bolt11::Invoice invoice,
                                            std::string host, std::string scheme,
                                            std::optional<Msat> max_fee, Seconds timeout) {
  const Msat most_fee = fee_limit(max_fee);
  OCTROI_CO_TRY(lightning::Node * node, co_await means_.node());
  OCTROI_CO_TRY(ledger::SpendJournal * journal, means_.journal());
  OCTROI_CO_TRY(auto info, co_await node->info());
  if (lightning::to_string(info.network) != bolt11::to_string(invoice.network)) {
    co_return fail(Errc::wrong_network, fmt::format("the invoice is of {}, the wallet's node of {}",
                                                    bolt11::to_string(invoice.network),
                                                    lightning::to_string(info.network)));
  }
  const PaymentHash hash = invoice.payment_hash;
  OCTROI_CO_CHECK(journal->reserve(
      {hash, host, scheme, *invoice.amount, most_fee, clock_.now(), means_.by}, limits_));
  OCTROI_CO_CHECK(journal->advance(hash, ledger::SpendStage::submitted, {}));

  auto paid = co_await node->pay({invoice_text, std::nullopt, most_fee, timeout});
  if (paid && paid->state == lightning::PaymentState::succeeded) {
    // The money is gone whatever the journal says now: the proof is worth more than the record.
    if (auto kept = journal->advance(hash, ledger::SpendStage::settled, paid->fee); !kept) {
      OCTROI_LOG(error, "wallet", "paid, but not recorded; run octroi wallet reconcile",
                 {{"hash", hash.hex()}});
    }
    redactor().add(paid->preimage);
    co_return std::move(*paid);
  }
  const bool definite = paid ? paid->state == lightning::PaymentState::failed
                             : paid.error().is(lightning::Errc::payment_failed) ||
                                   paid.error().is(lightning::Errc::insufficient) ||
                                   paid.error().is(lightning::Errc::bad_invoice) ||
                                   paid.error().is(lightning::Errc::denied) ||
                                   paid.error().is(lightning::Errc::unavailable);
  const std::string reason = paid ? paid->reason : std::string(paid.error().message());
  if (auto kept = journal->advance(
          hash, definite ? ledger::SpendStage::failed : ledger::SpendStage::unknown, {});
      !kept) {
    OCTROI_LOG(error, "wallet", "outcome not recorded", {{"hash", hash.hex()}});
  }
  if (definite)
    co_return fail(Errc::payment_failed,
                   reason.empty() ? "the payment failed; nothing was paid" : reason);
  co_return fail(
      Errc::payment_unknown,
      fmt::format("it is not known whether {} was paid ({}); run octroi wallet reconcile",
                  hash.hex(), reason));
}

Task<Result<std::optional<lightning::Payment>>> Payer::recall(PaymentHash hash) {
  OCTROI_CO_TRY(lightning::Node * node, co_await means_.node());
  OCTROI_CO_TRY(ledger::SpendJournal * journal, means_.journal());
  OCTROI_CO_TRY(const auto entry, journal->find(hash));
  if (!entry || entry->stage == ledger::SpendStage::failed)
    co_return std::optional<lightning::Payment>();
  const bool open = entry->stage != ledger::SpendStage::settled;
  auto payment = co_await node->track(hash);
  if (payment && payment->state == lightning::PaymentState::succeeded) {
    if (open) OCTROI_CO_CHECK(journal->advance(hash, ledger::SpendStage::settled, payment->fee));
    redactor().add(payment->preimage);
    co_return std::optional(std::move(*payment));
  }
  const bool never = payment ? payment->state == lightning::PaymentState::failed
                             : payment.error().is(lightning::Errc::not_found);
  if (never && open) {
    OCTROI_CO_CHECK(journal->advance(hash, ledger::SpendStage::failed, {}));
    co_return std::optional<lightning::Payment>();
  }
  co_return fail(
      Errc::payment_unknown,
      fmt::format("it is not known yet whether {} was paid; run octroi wallet reconcile, or again",
                  hash.hex()));
}

Task<Result<std::vector<Payer::Reconciled>>> Payer::reconcile() {
  OCTROI_CO_TRY(lightning::Node * node, co_await means_.node());
  OCTROI_CO_TRY(ledger::SpendJournal * journal, means_.journal());
  OCTROI_CO_TRY(auto entries, journal->open_entries());
  std::vector<Reconciled> out;
  for (const auto& entry : entries) {
    Reconciled r{entry.spend.hash, ledger::SpendStage::unknown};
    auto payment = co_await node->track(entry.spend.hash);
    if (payment && payment->state == lightning::PaymentState::succeeded) {
      r.stage = ledger::SpendStage::settled;
      OCTROI_CO_CHECK(journal->advance(r.hash, ledger::SpendStage::settled, payment->fee));
    } else if ((payment && payment->state == lightning::PaymentState::failed) ||
               (!payment && payment.error().is(lightning::Errc::not_found))) {
      r.stage = ledger::SpendStage::failed;
      OCTROI_CO_CHECK(journal->advance(r.hash, ledger::SpendStage::failed, {}));
    }
    out.push_back(r);
  }
  co_return out;
}

}  // namespace octroi::wallet
