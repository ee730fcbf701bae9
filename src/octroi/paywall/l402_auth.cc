#include "octroi/paywall/l402_auth.h"

#include <limits>
#include <utility>

#include "octroi/l402/error.h"
#include "octroi/l402/header.h"
#include "octroi/l402/mint.h"
#include "octroi/paywall/errors.h"

namespace octroi::paywall {

namespace {

std::vector<std::string_view> views(const std::vector<std::string>& lines) {
  return {lines.begin(), lines.end()};
}

/// The condition that ties a token to the price rule it was bought under.
std::string rule_condition(const Service& service) { return service.settings.name.str() + "_rule"; }

l402::TokenTerms terms_for(const RequestContext& context) {
  const TokenSettings& token = context.service.settings.token;
  l402::TokenTerms terms;
  terms.service = context.service.settings.name;
  terms.capabilities = token.capabilities;
  terms.constraints = token.constraints;
  // Always written, also without price rules: a rule added later must not be open to older tokens.
  terms.constraints[rule_condition(context.service)] = context.rule.id;
  if (token.valid_for) terms.valid_until = context.now + *token.valid_for;
  return terms;
}

/// What a client's own caveats (attenuation) may speak about.
struct Facts {
  std::string rule_name;
  std::string client;
  std::array<l402::Fact, 4> list;
  explicit Facts(const RequestContext& c)
      : rule_name(rule_condition(c.service)),
        client(c.client.address.str()),
        list{l402::Fact{rule_name, c.rule.id}, l402::Fact{"method", c.method},
             l402::Fact{"path", c.path}, l402::Fact{"client", client}} {}
  Facts(const Facts&) = delete;
  Facts& operator=(const Facts&) = delete;
};

/// Kept as long as the token could be shown; "never" is the end of time.
UnixMillis keep_until(const l402::Grant& grant) {
  constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max() / 4;
  return grant.valid_until ? *grant.valid_until + Millis(3'600'000) : UnixMillis{kForever};
}

Refusal refusal(mpp::ProblemType type, int status, std::string detail, std::string_view result) {
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
    return refusal(ProblemType::bad_request, 400, "send one L402 token, not several", "several");
  if (error.is(E::malformed) || error.is(E::too_large)) {
    return refusal(ProblemType::malformed_credential, 402, std::string(error.message()),
                   "malformed");
  }
  if (error.is(E::expired))
    return refusal(ProblemType::payment_expired, 402, "the token has expired; buy a new one",
                   "expired");
  if (error.is(E::caveat_denied)) {
    return refusal(ProblemType::verification_failed, 402,
                   "the token does not cover this request; buy one that does", "caveat_denied");
  }
  // Paid, but the operator said no: paying again would not help, so there is no challenge.
  if (error.is(E::revoked))
    return refusal(ProblemType::verification_failed, 403, "this token was revoked", "revoked");
  if (error.kind() == ErrorKind::unavailable || error.kind() == ErrorKind::timeout ||
      error.kind() == ErrorKind::internal) {
    auto r = refusal(ProblemType::internal_payment_error, 503,
                     "the token cannot be checked now; try again", "unavailable");
    r.retry_after = Millis(1'000);
    return r;
  }
  if (error.is(Errc::not_settled)) {
    auto r = refusal(ProblemType::verification_failed, 402,
                     "the node does not report this token's invoice as settled yet", "not_settled");
    r.retry_after = Millis(1'000);
    return r;
  }
  return refusal(ProblemType::verification_failed, 402,
                 "the token or its preimage does not verify; buy a new one", "invalid");
}

L402Authenticator::L402Authenticator(Shared& shared, std::shared_ptr<const l402::RootKeys> keys,
                                     std::shared_ptr<const l402::RevocationSet> revoked,
                                     std::string memo_prefix, Millis challenge_ttl)
    : shared_(shared),
      keys_(std::move(keys)),
      revoked_(std::move(revoked)),
      memo_prefix_(std::move(memo_prefix)),
      challenge_ttl_(challenge_ttl) {}

Task<Verdict> L402Authenticator::verify(const Credentials& credentials,
                                        const RequestContext& context) {
  const auto authorization = views(credentials.l402);
  const auto macaroon = views(credentials.macaroon);
  auto credential = l402::parse_credential({authorization, macaroon, {}});
  if (!credential) co_return l402_refusal(credential.error());
  if (!*credential)
    co_return l402_refusal(Error(l402::Errc::malformed, "no L402 credential in the request"));

  const Facts facts(context);
  const l402::VerifyInput input{
      **credential, {context.service.settings.name.str(), 0, {}, facts.list}, context.now};
  auto verified = l402::verify(input, *keys_, *revoked_);
  if (!verified) co_return l402_refusal(verified.error());

  auto known = known_.find(verified->token);
  if (known == known_.end()) {
    auto seen = co_await first_sight(*verified, context.service.settings.name.str(), context.now,
                                     context.service.settings.strict);
    if (!seen) co_return l402_refusal(seen.error());
    if (known_.size() >= kMaxKnown) known_.clear();
    known = known_.emplace(verified->token, *seen).first;
  }

  Grant grant;
  grant.scheme = OfferScheme::l402;
  grant.kind = ledger::Scheme::l402;
  grant.hash = verified->hash;
  grant.amount = known->second.amount;
  grant.token_id = verified->token;
  grant.expires = keep_until(*verified);
  grant.key_version = fmt::format("{}", verified->key_index);
  co_return grant;
}

Task<Result<L402Authenticator::Known>> L402Authenticator::first_sight(l402::Grant grant,
                                                                      std::string service,
                                                                      UnixMillis now, bool strict) {
  OCTROI_CO_TRY(auto invoice, co_await shared_.store.find_invoice(grant.hash));
  if (!invoice)
    co_return fail(Errc::unknown_invoice, "no invoice of this node has the token's payment hash");
  if (strict) {
    if (shared_.settlement == nullptr)
      co_return fail(Errc::not_settled, "settlement cannot be checked now");
    OCTROI_CO_TRY(bool settled, co_await shared_.settlement->is_settled(grant.hash));
    if (!settled)
      co_return fail(Errc::not_settled, "the invoice behind this token is not settled yet");
  }
  ledger::ConsumeRequest claim;
  claim.hash = grant.hash;
  claim.scheme = ledger::Scheme::l402;
  claim.service = service;
  claim.challenge_id = grant.token.hex();
  claim.payload = grant.token.raw();
  claim.idempotency_key = "l402";  // a token is shown many times: the same claim is never "spent"
  claim.now = now;
  claim.keep_until = keep_until(grant);
  OCTROI_CO_TRY(auto outcome, co_await shared_.store.consume(std::move(claim)));
  switch (outcome.state) {
    case ledger::ConsumeState::fresh:
      shared_.unpaid.settled(grant.hash);
      shared_.metrics
          .counter("octroi_payments_total", "Payments proven for the first time",
                   {{"service", service}, {"scheme", "l402"}})
          .add();
      shared_.metrics.counter("octroi_paid_msat_total", "Millisatoshi paid and proven")
          .add(invoice->amount.count() /* raw: a counter's increment */);
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
  co_return Known{invoice->amount};
}

Task<Admission> L402Authenticator::admit(const Grant&, const RequestContext&) {
  co_return Proceed{};
}

Task<Result<Offer>> L402Authenticator::offer(const RequestContext& context) {
  OCTROI_CO_TRY(auto invoice,
                co_await shared_.invoices.take(context.price,
                                               memo_prefix_ + context.service.settings.name.str()));
  const TokenId id = keys_->new_token_id(shared_.random);
  auto macaroon = l402::mint(*keys_, invoice.hash, id, terms_for(context));
  if (!macaroon) {
    shared_.invoices.give_back(std::move(invoice));
    co_return fail(std::move(macaroon).error());
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
  row.amount = context.price;
  row.token_id = id;
  row.request_id = context.request_id;
  row.created = context.now;
  row.expires = context.now + challenge_ttl_;
  shared_.transactions.handed_out(std::move(row));
  co_return offer;
}

Task<Result<>> L402Authenticator::settle(const Grant&, ledger::StoredResponse) {
  co_return Result<>{};
}

}  // namespace octroi::paywall
