// Sources of prices: what a request costs, and what those that keep accounts are told of it.
#include <algorithm>
#include <array>
#include <utility>

#include "octroi/base/log.h"
#include "octroi/net/deadline.h"
#include "octroi/paywall/errors.h"
#include "octroi/paywall/gate_visit.h"
#include "octroi/paywall/payment_checks.h"
#include "octroi/pricing/request_text.h"

namespace octroi::paywall {

namespace {

constexpr Millis kQuoteDeadline{5'000};  // for a source of prices, as for an invoice
constexpr Millis kReportOpen{120'000};   // unless somebody keeps it open (usage_desk.h)
constexpr std::size_t kReason = 256;     // of a refusal by a source of prices

/// Fields that a source of prices has no business with.
bool is_private_field(std::string_view name) {
  static constexpr std::array<std::string_view, 6> kPrivate = {
      "Authorization", "Payment-Authorization",  "Proxy-Authorization",
      "Macaroon",      "Grpc-Metadata-Macaroon", "Cookie"};
  return std::any_of(kPrivate.begin(), kPrivate.end(),
                     [name](auto p) { return http::equal_ignoring_case(p, name); });
}

}  // namespace

/// The price as the configuration writes it: no coroutine, no allocation.
Result<pricing::Quote> Gate::written_price(const Visit& visit) const {
  OCTROI_TRY(const Msat amount,
             visit.context->rule.price.in_msat(visit.snapshot().settings.rate, visit.started));
  return pricing::Quote{amount, {}, std::nullopt};
}

/// The request as a source of prices is told it.
pricing::PriceRequest Gate::price_request(const Visit& visit) {
  const RequestContext& c = *visit.context;
  pricing::PriceRequest request;
  request.service = c.service.settings.name;
  request.authority = visit.client.host.empty() ? visit.request().authority : visit.client.host;
  request.method = c.method == "HEAD" ? "GET" : c.method;
  request.path = c.path;
  request.query = c.query;
  for (const auto field : c.headers) {
    if (!is_private_field(field.name)) request.headers.emplace_back(field.name, field.value);
  }
  request.content_length = c.body_length;
  const auto rule = static_cast<std::size_t>(&c.rule - c.service.rules.data());
  if (rule + 1 < c.service.rules.size()) request.rule = rule;
  if (!c.told_body.empty()) request.body = *visit.body;
  return request;
}

/// Asked once for each 402, and only when an offer is about to be made.
Task<Result<pricing::Quote>> Gate::quoted_price(const Visit& visit) {
  const RequestContext& c = *visit.context;
  pricing::PriceSource* source =
      prices_ == nullptr ? nullptr : prices_->find(c.service.settings.price_source);
  net::Loop* loop = net::Loop::current();
  if (source == nullptr || loop == nullptr)
    co_return fail(pricing::Errc::unavailable, "no such source of prices");
  auto quote = co_await net::within(*loop, kQuoteDeadline, source->quote(price_request(visit)));
  if (!quote) co_return fail(pricing::Errc::unavailable, "the source of prices did not answer");
  if (*quote && (*quote)->valid_until && *(*quote)->valid_until <= shared_.clock.now())
    co_return fail(pricing::Errc::unavailable, "the source quoted a price that has passed");
  co_return std::move(*quote);
}

pricing::Pricer* Gate::pricer_of(const Visit& visit) const {
  pricing::PriceSource* source =
      prices_ == nullptr ? nullptr : prices_->find(visit.service->settings.price_source);
  return source == nullptr ? nullptr : source->pricer();
}

namespace {
template <class T>
Result<T> in_time(std::optional<Result<T>> answer) {
  if (!answer) return fail(pricing::Errc::unavailable, "the source of prices did not answer");
  return *std::move(answer);
}
tl::unexpected<Error> no_source() {
  return fail(pricing::Errc::unavailable, "no such source of prices");
}
Refusal no_account() {
  return refuse_for_now("what this request may use cannot be told now; nothing was taken",
                        kUnavailableRetry);
}
}  // namespace

/// Before the challenge is shown: who pays for it has a bundle then.
Task<Result<>> Gate::book_bundle(Visit& visit, TokenId token, Msat price) {
  pricing::Pricer* pricer = pricer_of(visit);
  if (pricer == nullptr) co_return no_source();
  co_return in_time(
      co_await net::within(visit.exchange.loop(), kQuoteDeadline,
                           pricer->challenge_minted(price_request(visit), token, price)));
}

Task<Result<pricing::SessionQuote>> Gate::quoted_session(Visit& visit, std::string session) {
  pricing::Pricer* pricer = pricer_of(visit);
  if (pricer == nullptr) co_return no_source();
  co_return in_time(
      co_await net::within(visit.exchange.loop(), kQuoteDeadline,
                           pricer->quote_session(price_request(visit), std::move(session))));
}

/// Where a source of prices keeps accounts it is asked first, and a report stands in the store
/// before the request goes out; what the source set aside is told back also when we refuse.
Task<Admission> Gate::admit(Visit& visit, Authenticator& authenticator, const Grant& grant) {
  const ServiceSettings& s = visit.service->settings;
  const bool bundle = s.metered && grant.token_id;
  const bool session =
      s.session_quotes && grant.session && grant.use != Use::door && !grant.session->price_rose;
  if (!bundle && !session) co_return co_await authenticator.admit(grant, *visit.context);
  if (bundle) {
    if (auto denied = co_await authorize(visit, grant)) co_return std::move(*denied);
  } else {
    ledger::UsageReport report;
    report.kind = ledger::ReportKind::session;
    report.subject = grant.session->session.hex();
    report.estimate = grant.session->debit;
    report.request_text = pricing::request_text(price_request(visit));
    if (!co_await open_report(visit, std::move(report))) co_return no_account();
  }
  auto admission = co_await authenticator.admit(grant, *visit.context);
  if (std::holds_alternative<Proceed>(admission)) co_return admission;
  if (visit.report->kind() == ledger::ReportKind::session) {
    // Nothing was debited, so nothing may come back.
    auto ended = co_await shared_.store.usage_reports()->end_report(visit.report->id());
    std::ignore = ended;
  } else {
    co_await finish_report(visit, {503, "", "", true, ""});
  }
  visit.report.reset();
  co_return admission;
}

/// Whether the token's bundle has enough left for this request. Whatever stands in the way of that
/// lets nothing through.
Task<std::optional<Refusal>> Gate::authorize(Visit& visit, const Grant& grant) {
  pricing::Pricer* pricer = pricer_of(visit);
  if (pricer == nullptr || shared_.store.usage_reports() == nullptr) co_return no_account();
  auto answer =
      in_time(co_await net::within(visit.exchange.loop(), kQuoteDeadline,
                                   pricer->authorize(price_request(visit), *grant.token_id)));
  if (!answer) {
    OCTROI_LOG(
        error, kModule, "a request could not be authorised",
        {{"service", visit.service->settings.name.str()}, {"error", answer.error().message()}});
    co_return no_account();
  }
  if (!answer->allowed) {
    visit.next_price = answer->price;
    std::string reason = pricing::as_utf8(answer->reason.substr(0, kReason));
    if (reason.empty()) reason = "the token's bundle is used up; buy another";
    auto r =
        refuse_payment(mpp::ProblemType::verification_failed, std::move(reason), Judged::used_up);
    r.key = grant.key;
    co_return r;
  }
  ledger::UsageReport report;
  report.subject = grant.token_id->hex();
  report.reserved = answer->reserved;
  if (co_await open_report(visit, std::move(report))) co_return std::nullopt;
  // What was set aside would stay so: told at once, if that can be.
  if (pricer = pricer_of(visit); pricer != nullptr) {
    pricing::Usage nothing;
    nothing.id = to_hex(shared_.random.bytes<16>());
    nothing.subject = grant.token_id->hex();
    nothing.service = visit.service->settings.name;
    nothing.path = visit.path;
    nothing.status = 503;
    nothing.complete = true;
    nothing.reserved = answer->reserved;
    auto told = co_await net::within(visit.exchange.loop(), kQuoteDeadline,
                                     pricer->report_usage(std::move(nothing)));
    std::ignore = told;
  }
  co_return no_account();
}

Task<Result<>> Gate::open_report(Visit& visit, ledger::UsageReport report) {
  ledger::UsageReports* reports = shared_.store.usage_reports();
  if (reports == nullptr) co_return no_source();
  auto open = std::make_unique<OpenReport>(to_hex(shared_.random.bytes<16>()), report.kind);
  report.id = open->id();
  report.source = visit.service->settings.price_source;
  report.service = visit.service->settings.name.str();
  report.path = visit.path;
  report.created = shared_.clock.now();
  const UnixMillis until = report.created + kReportOpen;
  auto written = co_await reports->open_report(std::move(report), until);
  if (!written) {
    OCTROI_LOG(error, kModule, "no usage report can be written",
               {{"error", written.error().message()}});
    co_return fail(std::move(written).error());
  }
  visit.report = std::move(open);
  co_return Result<>{};
}

Task<void> Gate::finish_report(Visit& visit, ledger::ReportedAnswer answer) {
  auto finished = co_await shared_.store.usage_reports()->finish_report(
      visit.report->id(), std::move(answer), shared_.clock.now());
  if (!finished || !*finished) {
    // It is told all the same, as of a request that nobody saw end.
    OCTROI_LOG(error, kModule, "a usage report could not be finished",
               {{"request", visit.request_id}, {"report", visit.report->id()}});
  }
  if (shared_.usage != nullptr) shared_.usage->ring();
}

}  // namespace octroi::paywall
