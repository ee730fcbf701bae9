#include "octroi/paywall/session_auth.h"

#include <algorithm>
#include <utility>

#include "octroi/crypto/compare.h"
#include "octroi/crypto/hash.h"
#include "octroi/lightning/invoice_check.h"
#include "octroi/mpp/expiry.h"
#include "octroi/paywall/errors.h"
#include "octroi/paywall/payment_checks.h"

namespace octroi::paywall {

using mpp::ProblemType;

namespace {

/// A session's id is the hash of its first deposit, so its holder is whoever knows the preimage.
bool proves(const Secret& preimage, const PaymentHash& hash) {
  const crypto::Sha256Digest digest = crypto::sha256(preimage.reveal());
  return crypto::constant_time_equal(digest, hash.bytes());
}

Refusal wrong_preimage(std::string of) {
  return refuse_payment(ProblemType::lightning_invalid_preimage,
                        "SHA-256 of the preimage is not the payment hash of " + std::move(of),
                        Judged::invalid_preimage);
}

Refusal unknown_challenge(std::string detail) {
  return refuse_payment(ProblemType::lightning_unknown_challenge, std::move(detail),
                        Judged::unknown_challenge);
}

}  // namespace

// Lightning session, "Verification Procedure": what is common to the four actions. The id is
// verified first, so request and expiry are ours. rule: MPP-103 MPP-41
Task<Verdict> SessionIntent::verify(const mpp::Credential& credential,
                                    const RequestContext& context) {
  auto known = challenges_.recognise(context, Intent::session, credential.challenge());
  if (!known) {
    co_return unknown_challenge(
        "this challenge was not issued for sessions of this service; use the fresh one");
  }
  auto request = mpp::lightning::parse_session_request(known->challenge.request);
  if (!known->expires || !request || !request->deposit_amount) {
    auto r = unknown_challenge("this challenge is not one of ours; use the fresh one");
    r.key = known->key;
    co_return r;
  }
  if (mpp::is_expired(*known->expires, context.now, Millis(0))) {
    auto r = refuse_payment(
        ProblemType::lightning_challenge_expired,
        "the challenge has expired; show the session's credential with the fresh one",
        Judged::expired);
    r.key = known->key;
    co_return r;
  }
  Shown shown{credential, context, std::move(*known), *std::move(request)};
  auto action = mpp::lightning::parse_session_action(credential.payload());
  if (!action) {
    co_return co_await refuse(
        shown, refuse_payment(ProblemType::lightning_malformed_credential,
                              std::string(action.error().message()), Judged::malformed));
  }
  if (auto* open = std::get_if<mpp::lightning::OpenAction>(&*action))
    co_return co_await judge(shown, std::move(*open));
  if (auto* bearer = std::get_if<mpp::lightning::BearerAction>(&*action))
    co_return co_await judge(shown, std::move(*bearer));
  if (auto* top_up = std::get_if<mpp::lightning::TopUpAction>(&*action))
    co_return co_await judge(shown, std::move(*top_up));
  co_return co_await judge(shown, std::get<mpp::lightning::CloseAction>(std::move(*action)));
}

/// The deposit of the challenge may be paid already: the holder keeps it, to try again.
Task<Verdict> SessionIntent::refuse(Shown& shown, Refusal refusal) {
  co_return co_await repeat_unless_spent(shared_, std::move(refusal), std::move(shown.known),
                                         shown.request.payment_hash, verify_within_);
}

Grant SessionIntent::grant_of(const Shown& shown, SessionUse use) {
  Grant grant;
  grant.scheme = OfferScheme::payment;
  grant.kind = ledger::Scheme::mpp_session;
  grant.challenge_id = shown.known.challenge.id;
  grant.expires = *shown.known.expires;
  grant.key = shown.known.key;
  grant.hash = shown.request.payment_hash;
  switch (use.action) {
    case SessionUse::Action::open:
      grant.use = Use::once;
      break;
    case SessionUse::Action::bearer:
      grant.use = Use::balance;
      grant.hash = use.session;
      break;
    case SessionUse::Action::top_up:
    case SessionUse::Action::close:
      grant.use = Use::door;
      break;
  }
  grant.amount = use.debit;
  if (grant.use != Use::balance) grant.payload = shown.credential.fingerprint();
  grant.session = std::make_unique<SessionUse>(std::move(use));
  return grant;
}

// Lightning session, "Open Action". Where the route asks more than the challenge showed, the
// session opens, because its deposit is paid, but nothing is debited and nothing is served; where
// it asks less, less is billed.
Task<Verdict> SessionIntent::judge(Shown& shown, mpp::lightning::OpenAction action) {
  if (!proves(action.preimage, shown.request.payment_hash))
    co_return co_await refuse(shown, wrong_preimage("this challenge's deposit invoice"));
  SessionUse use;
  if (auto wrong = check_return_invoice(shown, action.return_invoice, use.return_hash)) {
    if (wrong->status == 503) co_return std::move(*wrong);
    co_return co_await refuse(shown, std::move(*wrong));
  }
  if (shown.context.service.settings.strict) {
    auto refusal =
        co_await confirm_settled(shared_, shown.known, shown.request.payment_hash, verify_within_);
    if (refusal) co_return std::move(*refusal);
  }
  auto asked = co_await terms(shown.context, {});
  if (!asked) co_return refuse_for_now("the price cannot be told now", Millis(5'000));
  const Sat price = asked->unit;
  use.action = SessionUse::Action::open;
  use.session = shown.request.payment_hash;
  use.price = to_msat(price);
  use.price_rose = price > shown.request.amount;
  if (!use.price_rose) use.debit = use.price;
  use.deposit = to_msat(*shown.request.deposit_amount);
  use.return_invoice = std::move(action.return_invoice);
  use.idle_timeout = shown.context.service.settings.session.idle_timeout;
  co_return grant_of(shown, std::move(use));
}

// Lightning session, "Return Invoice": the payer names where the rest goes, never how much.
std::optional<Refusal> SessionIntent::check_return_invoice(const Shown& shown,
                                                           const std::string& text,
                                                           PaymentHash& hash) const {
  const auto network = shared_.invoices.network();
  if (!network) {
    return refuse_for_now("the return invoice cannot be checked now; nothing was consumed",
                          Millis(5'000));
  }
  lightning::InvoiceExpectation wanted;
  wanted.amount = Msat{};
  wanted.network = network;
  wanted.payable_at = shown.context.now;
  auto invoice = lightning::check_invoice(text, wanted);
  if (!invoice) {
    return refuse_payment(ProblemType::lightning_invalid_return_invoice,
                          "returnInvoice: " + std::string(invoice.error().message()),
                          Judged::return_invoice);
  }
  const auto own = shared_.invoices.node_key();
  if (own && *own == invoice->payee.hex() &&
      !shown.context.service.settings.session.allow_own_invoice) {
    return refuse_payment(ProblemType::lightning_invalid_return_invoice,
                          "returnInvoice: is one of this service's own node, which cannot pay "
                          "itself; give one of the payer's node",
                          Judged::return_invoice);
  }
  hash = invoice->payment_hash;
  return std::nullopt;
}

// Lightning session, "Bearer Action": nothing is asked of the store here, so a wrong preimage costs
// no look-up of a session, and nobody learns by it which sessions there are.
Task<Verdict> SessionIntent::judge(Shown& shown, mpp::lightning::BearerAction action) {
  if (!proves(action.preimage, action.session_id))
    co_return co_await refuse(shown, wrong_preimage("this session"));
  auto asked = co_await terms(shown.context, action.session_id.hex());
  if (!asked) co_return refuse_for_now("the price cannot be told now", Millis(5'000));
  const Sat price = asked->unit;
  // What a source quotes is an estimate, settled by what the request cost: a lower one is no reason
  // to ask again.
  const bool lower = shown.context.quote_session && price < shown.request.amount;
  if (price != shown.request.amount && !lower) {
    auto r = refuse_payment(
        ProblemType::lightning_unknown_challenge,
        fmt::format("a request here costs {}, and this challenge says {}; nothing was taken: show "
                    "the credential with the fresh challenge",
                    format(price), format(shown.request.amount)),
        Judged::price_changed);
    r.key = shown.known.key;
    co_return r;
  }
  SessionUse use;
  use.action = SessionUse::Action::bearer;
  use.session = action.session_id;
  use.price = to_msat(price);
  use.debit = use.price;
  co_return grant_of(shown, std::move(use));
}

// Lightning session, "TopUp Action".
Task<Verdict> SessionIntent::judge(Shown& shown, mpp::lightning::TopUpAction action) {
  if (!proves(action.top_up_preimage, shown.request.payment_hash))
    co_return co_await refuse(shown, wrong_preimage("this challenge's deposit invoice"));
  if (shown.context.service.settings.strict) {
    auto refusal =
        co_await confirm_settled(shared_, shown.known, shown.request.payment_hash, verify_within_);
    if (refusal) co_return std::move(*refusal);
  }
  SessionUse use;
  use.action = SessionUse::Action::top_up;
  use.session = action.session_id;
  use.deposit = to_msat(*shown.request.deposit_amount);
  co_return grant_of(shown, std::move(use));
}

// Lightning session, "Close Action".
Task<Verdict> SessionIntent::judge(Shown& shown, mpp::lightning::CloseAction action) {
  if (!proves(action.preimage, action.session_id))
    co_return co_await refuse(shown, wrong_preimage("this session"));
  SessionUse use;
  use.action = SessionUse::Action::close;
  use.session = action.session_id;
  co_return grant_of(shown, std::move(use));
}

// ------------------------------------------------------------------------------------------------
// Offering.

/// What a request on this route costs a session, in whole satoshis: they are all that the wire can
/// say.
Result<Sat> SessionIntent::unit_price(const RequestContext& context) const {
  OCTROI_TRY(const Msat amount, context.rule.session_price.in_msat(rate_, context.now));
  if (amount.is_zero()) return fail(Errc::no_offer, "a session cannot be billed a price of zero");
  return to_sat_ceil(amount);
}

/// What the source of prices says where it quotes sessions, else what is written.
Task<Result<SessionIntent::Terms>> SessionIntent::terms(const RequestContext& context,
                                                        std::string session) {
  if (!context.quote_session) {
    OCTROI_CO_TRY(const Sat unit, unit_price(context));
    co_return Terms{unit, std::nullopt};
  }
  OCTROI_CO_TRY(const auto quote, co_await context.quote_session(std::move(session)));
  if (quote.unit.is_zero())
    co_return fail(Errc::no_offer, "a session cannot be billed a price of zero");
  Terms out{to_sat_ceil(quote.unit), std::nullopt};
  if (!quote.deposit.is_zero()) out.deposit = to_sat_ceil(quote.deposit);
  co_return out;
}

// Lightning session, "Deposit": one unit at least.
Result<Sat> SessionIntent::deposit_for(const RequestContext& context, const Terms& terms) const {
  const SessionSettings& s = context.service.settings.session;
  if (terms.deposit) return std::max(terms.unit, *terms.deposit);
  if (!s.deposit) return terms.unit.times(s.deposit_multiplier);
  OCTROI_TRY(const Msat amount, s.deposit->in_msat(rate_, context.now));
  return std::max(terms.unit, to_sat_ceil(amount));
}

Task<Result<Offer>> SessionIntent::offer(const RequestContext& context) {
  OCTROI_CO_TRY(const Terms asked, co_await terms(context, {}));
  const Sat unit = asked.unit;
  OCTROI_CO_TRY(const Sat deposit, deposit_for(context, asked));
  OCTROI_CO_TRY(auto invoice,
                co_await shared_.invoices.take(to_msat(deposit), challenges_.memo(context)));
  const SessionSettings& settings = context.service.settings.session;
  mpp::lightning::SessionRequest request;
  request.amount = unit;
  request.unit_type = settings.unit;
  request.deposit_invoice = invoice.bolt11;
  request.payment_hash = invoice.hash;
  request.deposit_amount = deposit;
  request.idle_timeout = std::chrono::ceil<Seconds>(settings.idle_timeout);
  auto encoded = mpp::lightning::format_session_request(request);
  co_return challenges_.offer(
      shared_, context, Intent::session,
      {std::move(invoice), std::move(encoded), to_msat(deposit), ledger::Scheme::mpp_session});
}

}  // namespace octroi::paywall
