#include "octroi/paywall/l402_auth.h"

#include <algorithm>
#include <limits>
#include <span>
#include <utility>

#include "octroi/base/log.h"
#include "octroi/l402/error.h"
#include "octroi/l402/header.h"
#include "octroi/l402/mint.h"
#include "octroi/paywall/bundle_account.h"
#include "octroi/paywall/errors.h"
#include "octroi/paywall/facts.h"
#include "octroi/paywall/payment_checks.h"

namespace octroi::paywall {

namespace {

std::vector<std::string_view> views(const std::vector<std::string>& lines) {
  return {lines.begin(), lines.end()};
}

/// The condition that ties a token to the price rule it was bought under.
std::string rule_condition(const Service& service) { return service.settings.name.str() + "_rule"; }

/// `number × per / price`, and no more than can be counted.
std::int64_t scaled(std::int64_t number, std::uint64_t per, std::int64_t price) {
  __extension__ using Wide = unsigned __int128;
  if (number <= 0 || price <= 0) return 0;
  const Wide units =
      Wide{static_cast<std::uint64_t>(number)} * per / static_cast<std::uint64_t>(price);
  return static_cast<std::int64_t>(std::min<Wide>(units, ledger::kMostUnits));
}

/// How many units a token for the quoted price holds; none where it buys less than one: there is no
/// offer then (check_terms).
l402::Metered metered_terms(const MeterSettings& meter, const RequestContext& context,
                            std::optional<Rate> rate) {
  l402::Metered out{meter.unit, 0};
  if (meter.count) {
    out.units = scaled(*meter.count, meter.per, 1);
  } else if (meter.price) {
    const auto price = meter.price->in_msat(rate, context.now);
    if (price && !price->is_zero()) {
      out.units = scaled(context.quote.amount.count() /* raw: units for money */, meter.per,
                         price->count() /* raw: likewise */);
    }
  }
  return out;
}

l402::TokenTerms terms_for(const RequestContext& context, std::optional<Rate> rate) {
  const TokenSettings& token = context.service.settings.token;
  l402::TokenTerms terms;
  terms.service = context.service.settings.name;
  terms.capabilities = token.capabilities;
  const std::string& needed = context.rule.capability;
  if (!needed.empty() && std::ranges::find(terms.capabilities, needed) == terms.capabilities.end())
    terms.capabilities.push_back(needed);  // what is bought under a rule opens it
  terms.constraints = token.constraints;
  // Always written, also without price rules: a rule added later must not be open to older tokens.
  terms.constraints[rule_condition(context.service)] =
      context.service.quoted() ? quoted_place(context) : context.rule.id;
  terms.max_requests = token.max_requests;
  if (token.meter) terms.meter = metered_terms(*token.meter, context, rate);
  if (token.valid_for) terms.valid_until = context.now + *token.valid_for;
  return terms;
}

/// What the constraints of a token are compared with: what is true of the request itself, and what
/// the configuration takes from its query and fields.
struct Facts {
  std::string rule_name;
  std::string client;
  std::string place;  // of a quoted price
  std::array<l402::Fact, 4> list;
  std::vector<std::string> values;
  std::vector<l402::Fact> more;  // `list` and those of the configuration, where there are any
  explicit Facts(const RequestContext& c)
      : rule_name(rule_condition(c.service)),
        client(c.client.address.str()),
        place(c.service.quoted() ? quoted_place(c) : std::string()),
        list{l402::Fact{rule_name, place.empty() ? c.rule.id : place},
             l402::Fact{"method", c.method}, l402::Fact{"path", c.path},
             l402::Fact{"client", client}} {
    if (c.service.facts.empty()) return;
    more.assign(list.begin(), list.end());
    values.reserve(c.service.facts.size());
    for (const FactSource& source : c.service.facts) {
      values.push_back(fact_value(source, c.query, c.headers));
      more.push_back({source.condition, values.back()});
    }
  }
  Facts(const Facts&) = delete;
  Facts& operator=(const Facts&) = delete;
  [[nodiscard]] std::span<const l402::Fact> all() const {
    if (more.empty()) return list;
    return more;
  }
};

/// Kept as long as the token could be shown; "never" is the end of time.
UnixMillis keep_until(std::optional<UnixMillis> valid_until) {
  constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max() / 4;
  return valid_until ? *valid_until + Millis(3'600'000) : UnixMillis{kForever};
}

/// What a counted token may use; nothing when it counts what this octroi does not know.
std::unique_ptr<BundleUse> bundle_use(const l402::Grant& grant, const ServiceSettings& service) {
  const auto unit = pricing::unit_from_string(grant.meter->unit);
  if (!unit) return nullptr;
  auto use = std::make_unique<BundleUse>();
  use->service = service.name.str();
  use->token = grant.token;
  use->unit = *unit;
  use->sold = std::min(grant.meter->first, ledger::kMostUnits);
  use->bound = std::min(grant.meter->bound, ledger::kMostUnits);
  // The service may have come to count something else since the token was sold.
  const auto& now = service.token.meter;
  if (now && now->unit == grant.meter->unit) use->per = now->per;
  return use;
}

/// No limit in time: a token's requests are counted for as long as it lives.
constexpr Millis kCountForEver{1'000LL * 366 * 24 * 3'600'000};

Refusal refusal(mpp::ProblemType type, int status, std::string detail, Judged result) {
  Refusal r;
  r.problem = mpp::Problem(type, std::move(detail));
  r.status = status;
  r.result = result;
  return r;
}

}  // namespace

Refusal l402_refusal(const Error& error) {
  using mpp::ProblemType;
  using E = l402::Errc;
  if (error.is(E::two_credentials))
    return refusal(ProblemType::bad_request, 400, "send one L402 token, not several",
                   Judged::several);
  if (error.is(E::malformed) || error.is(E::too_large)) {
    return refusal(ProblemType::malformed_credential, 402, std::string(error.message()),
                   Judged::malformed);
  }
  if (error.is(E::expired))
    return refusal(ProblemType::payment_expired, 402, "the token has expired; buy a new one",
                   Judged::expired);
  if (error.is(E::caveat_denied)) {
    return refusal(ProblemType::verification_failed, 402,
                   "the token does not cover this request; buy one that does",
                   Judged::caveat_denied);
  }
  // Paid, but the operator said no: paying again would not help, so there is no challenge.
  if (error.is(E::revoked))
    return refusal(ProblemType::verification_failed, 403, "this token was revoked",
                   Judged::revoked);
  if (error.is(Errc::stale)) {
    auto r = refusal(ProblemType::internal_payment_error, 503,
                     "whether the token was revoked is not known here now; nothing was counted, "
                     "try again",
                     Judged::unavailable);
    r.retry_after = Millis(1'000);
    return r;
  }
  if (error.kind() == ErrorKind::unavailable || error.kind() == ErrorKind::timeout ||
      error.kind() == ErrorKind::internal) {
    auto r = refusal(ProblemType::internal_payment_error, 503,
                     "the token cannot be checked now; try again", Judged::unavailable);
    r.retry_after = Millis(1'000);
    return r;
  }
  if (error.is(Errc::not_settled)) {
    auto r = refusal(ProblemType::verification_failed, 402,
                     "the node does not report this token's invoice as settled yet",
                     Judged::not_settled);
    r.retry_after = Millis(1'000);
    return r;
  }
  return refusal(ProblemType::verification_failed, 402,
                 "the token or its preimage does not verify; buy a new one", Judged::invalid);
}

L402Authenticator::L402Authenticator(Shared& shared, std::shared_ptr<const l402::RootKeys> keys,
                                     std::shared_ptr<const l402::RevocationSet> revoked,
                                     std::string memo_prefix, Millis challenge_ttl,
                                     std::optional<Rate> rate)
    : shared_(shared),
      keys_(std::move(keys)),
      revoked_(std::move(revoked)),
      memo_prefix_(std::move(memo_prefix)),
      challenge_ttl_(challenge_ttl),
      rate_(rate) {}

Task<Verdict> L402Authenticator::verify(const Credentials& credentials,
                                        const RequestContext& context) {
  const auto authorization = views(credentials.l402);
  const auto macaroon = views(credentials.macaroon);
  auto credential = l402::parse_credential({authorization, macaroon, {}});
  if (!credential) co_return l402_refusal(credential.error());
  if (!*credential)
    co_return l402_refusal(Error(l402::Errc::malformed, "no L402 credential in the request"));

  const Facts facts(context);
  const std::array<std::string_view, 1> needed = {context.rule.capability};
  const std::span<const std::string_view> capabilities(needed.data(), needed[0].empty() ? 0 : 1);
  const l402::VerifyInput input{**credential,
                                {context.service.settings.name.str(), 0, capabilities, facts.all()},
                                context.now};
  // Another replica may have revoked it: who does not know does not serve.
  if (shared_.fresh != nullptr) {
    net::Loop* loop = net::Loop::current();
    if (loop == nullptr || !co_await shared_.fresh->wait(*loop))
      co_return l402_refusal(Error(Errc::stale));
  }
  auto verified = l402::verify(input, *keys_, *revoked_);
  if (!verified) co_return l402_refusal(verified.error());

  std::unique_ptr<BundleUse> bundle;
  if (verified->meter) {
    bundle = bundle_use(*verified, context.service.settings);
    if (!bundle) {
      co_return l402_refusal(Error(l402::Errc::caveat_denied,
                                   "meter: the token counts a unit that is not known here"));
    }
    // There is nothing to open, and nothing to take.
    if (bundle->bound <= 0) co_return refuse_exhausted(*bundle, 0, 1);
  }

  // A copy that its holder began to count is another thing than the token that nobody counts.
  auto known = known_.find(verified->token);
  if (known != known_.end() && bundle && !known->second.counted) known = known_.end();
  if (known == known_.end()) {
    auto seen = co_await first_sight(*verified, &context);
    if (!seen) co_return l402_refusal(seen.error());
    if (known_.size() >= kMaxKnown) known_.clear();
    known = known_.insert_or_assign(verified->token, *seen).first;
  }

  Grant grant;
  grant.scheme = OfferScheme::l402;
  grant.kind = ledger::Scheme::l402;
  grant.hash = verified->hash;
  grant.amount = known->second.amount;
  grant.token_id = verified->token;
  grant.expires = keep_until(verified->valid_until);
  grant.key = verified->key_index;
  grant.max_requests = verified->max_requests;
  if (verified->meter) {
    grant.use = Use::balance;
    grant.bundle = std::move(bundle);
  }
  co_return grant;
}

Task<Result<L402Authenticator::Known>> L402Authenticator::first_sight(
    l402::Grant grant, const RequestContext* context) {
  OCTROI_CO_TRY(auto invoice, co_await shared_.store.find_invoice(grant.hash));
  if (!invoice)
    co_return fail(Errc::unknown_invoice, "no invoice of this node has the token's payment hash");
  if (context->service.settings.strict) {
    if (shared_.settlement == nullptr)
      co_return fail(Errc::not_settled, "settlement cannot be checked now");
    OCTROI_CO_TRY(bool settled, co_await shared_.settlement->is_settled(grant.hash));
    if (!settled)
      co_return fail(Errc::not_settled, "the invoice behind this token is not settled yet");
  }
  ledger::ConsumeRequest claim;
  claim.hash = grant.hash;
  claim.scheme = ledger::Scheme::l402;
  claim.service = context->service.settings.name.str();
  claim.challenge_id = grant.token.hex();
  claim.payload = grant.token.raw();
  claim.idempotency_key = "l402";  // a token is shown many times: the same claim is never "spent"
  claim.now = context->now;
  claim.keep_until = keep_until(grant.valid_until);
  claim.token_id = grant.token;
  claim.request_id = context->request_id;
  OCTROI_CO_TRY(auto outcome, co_await this->claim(std::move(claim), &grant));
  switch (outcome.state) {
    case ledger::ConsumeState::fresh:
      shared_.unpaid.settled(grant.hash);
      context->metrics.first_payment(ledger::Scheme::l402, invoice->amount);
      break;
    case ledger::ConsumeState::replay:
    case ledger::ConsumeState::pending:
    case ledger::ConsumeState::unfinished:
      break;  // this token, seen before by another worker or life of the process
    case ledger::ConsumeState::unknown_hash:
      co_return fail(Errc::unknown_invoice, "no invoice of this node has the token's payment hash");
    case ledger::ConsumeState::spent:
      co_return fail(Errc::spent_elsewhere,
                     "the payment behind this token was used under another scheme");
  }
  co_return Known{invoice->amount, grant.meter.has_value()};
}

/// A counted token is opened with its claim. It is kept as long as the longest-lived copy of it.
Task<Result<ledger::ConsumeOutcome>> L402Authenticator::claim(ledger::ConsumeRequest claim,
                                                              const l402::Grant* grant) {
  if (!grant->meter) co_return co_await shared_.store.consume(std::move(claim));
  if (shared_.store.bundles() == nullptr)
    co_return fail(ledger::Errc::unavailable, "this store counts no tokens");
  ledger::OpenBundle request;
  request.proof = std::move(claim);
  request.unit = std::string(grant->meter->unit);
  request.granted = std::min(grant->meter->first, ledger::kMostUnits);
  request.keep_until = keep_until(grant->meter->sold_until);
  OCTROI_CO_TRY(auto opened, co_await shared_.store.bundles()->open_bundle(std::move(request)));
  co_return std::move(opened.proof);
}

/// Only a token that opens a number of requests is counted, in the store and over all that were
/// attenuated from it, because they share its id.
Task<Admission> L402Authenticator::admit(const Grant& grant, const RequestContext& context) {
  if (grant.bundle) {
    if (auto refused = co_await debit(&grant, &context)) co_return std::move(*refused);
  }
  if (auto refused = co_await count(&grant, &context)) {
    if (grant.bundle) co_await give_back(grant.bundle.get());
    co_return std::move(*refused);
  }
  co_return Proceed{};
}

Task<std::optional<Refusal>> L402Authenticator::count(const Grant* paid,
                                                      const RequestContext* asked) {
  const Grant& grant = *paid;
  const RequestContext& context = *asked;
  if (!grant.max_requests || !grant.token_id) co_return std::nullopt;
  // The blank keeps the name apart from every service's.
  auto taken = co_await shared_.store.take_free("l402 " + context.service.settings.name.str(),
                                                grant.token_id->hex(), *grant.max_requests,
                                                kCountForEver, context.now);
  if (taken && *taken) co_return std::nullopt;
  Refusal r = refusal(mpp::ProblemType::verification_failed, 402,
                      "the token's number of requests is used up; buy a new one", Judged::used_up);
  if (!taken) {
    r = refusal(mpp::ProblemType::internal_payment_error, 503,
                "the token cannot be counted now; try again", Judged::unavailable);
    r.retry_after = Millis(1'000);
  }
  r.key = grant.key;
  co_return r;
}

Task<Result<Offer>> L402Authenticator::offer(const RequestContext& context, Intent) {
  const Msat amount = context.quote.amount;
  std::string memo = memo_prefix_ + context.service.settings.name.str();
  OCTROI_CO_TRY(auto invoice, context.service.quoted()
                                  ? co_await shared_.invoices.take_once(amount, std::move(memo))
                                  : co_await shared_.invoices.take(amount, std::move(memo)));
  const TokenId id = keys_->new_token_id(shared_.random);
  auto macaroon = l402::mint(*keys_, invoice.hash, id, terms_for(context, rate_));
  if (!macaroon) {
    shared_.invoices.give_back(std::move(invoice));
    co_return fail(std::move(macaroon).error());
  }
  if (context.book) {
    // Who pays for a bundle that nobody booked has paid for nothing.
    if (auto booked = co_await context.book(id, amount); !booked) {
      shared_.invoices.give_back(std::move(invoice));
      co_return fail(std::move(booked).error());
    }
  }
  Offer offer;
  offer.hash = invoice.hash;
  offer.lines.push_back(l402::format_challenge(l402::SchemeName::l402, *macaroon, invoice.bolt11));
  if (context.service.settings.lsat) {
    offer.lines.push_back(
        l402::format_challenge(l402::SchemeName::lsat, *macaroon, invoice.bolt11));
  }
  ledger::TransactionRecord row;
  row.hash = invoice.hash;
  row.service = context.service.settings.name.str();
  row.scheme = ledger::Scheme::l402;
  row.amount = amount;
  row.token_id = id;
  row.request_id = context.request_id;
  row.created = context.now;
  row.expires = context.now + challenge_ttl_;
  shared_.transactions.handed_out(std::move(row));
  co_return offer;
}

/// One durable step before the relay. What was set aside for a metered answer and is not used comes
/// back after it (session_meter.h).
Task<std::optional<Refusal>> L402Authenticator::debit(const Grant* grant,
                                                      const RequestContext* context) {
  BundleUse& use = *grant->bundle;
  auto taken =
      co_await shared_.store.bundles()->debit_bundle(use.token, use.debit, use.bound, context->now);
  std::optional<Refusal> refused;
  if (!taken) {
    refused = refuse_for_now("the token cannot be counted now; try again", Millis(1'000));
  } else if (taken->outcome == ledger::BundleOutcome::applied) {
    use.left = left_within(*taken->bundle, use.bound);
    co_return std::nullopt;
  } else if (taken->outcome == ledger::BundleOutcome::exhausted) {
    refused = refuse_exhausted(use, left_within(*taken->bundle, use.bound), use.debit);
  } else {
    // Its row is gone, as after an older backup was restored: it is opened again by the next.
    known_.erase(use.token);
    refused = refuse_for_now("the token is being counted anew; try again", Millis(1'000));
  }
  refused->key = grant->key;
  co_return refused;
}

Task<void> L402Authenticator::give_back(const BundleUse* use) {
  auto returned =
      co_await shared_.store.bundles()->return_units(use->token, use->debit, shared_.clock.now());
  if (!returned) {
    OCTROI_LOG(error, "paywall", "what a token was counted for was not given back",
               {{"token", use->token.hex()}, {"error", returned.error().message()}});
  }
}

/// What is billed by the request is not billed when there was no answer.
Task<Result<>> L402Authenticator::settle(const Grant& grant, Delivery delivery) {
  if (!grant.bundle || delivery.metered) co_return Result<>{};
  if (delivery.fate == Fate::failed) {
    co_await give_back(grant.bundle.get());
  } else {
    count_bundle_units(shared_.metrics, grant.bundle->service, grant.bundle->unit,
                       grant.bundle->debit);
  }
  co_return Result<>{};
}

}  // namespace octroi::paywall
