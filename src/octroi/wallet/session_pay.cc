// SessionManager where it costs money: deposits, top-ups, and what a process left half done.
#include <algorithm>
#include <utility>

#include "octroi/base/log.h"
#include "octroi/http/message.h"
#include "octroi/wallet/session_turn.h"

namespace octroi::wallet {

namespace {

constexpr Seconds kReturnInvoiceLife{30LL * 24 * 3600};
constexpr Millis kRemember{90LL * 24 * 3600 * 1000};  // sessions that have ended

/// Lightning session, "Return Invoice": it outlives the session by far; a node that does not allow
/// that much is asked for what the session needs.
Task<Result<lightning::Invoice>> make_return_invoice(lightning::Node* node, Seconds idle_timeout) {
  const Seconds least = 2 * std::max(idle_timeout, Seconds(300));
  auto invoice = co_await node->add_invoice(
      {Msat{}, "refund of a session", std::max(kReturnInvoiceLife, least)});
  if (invoice || invoice.error().is(lightning::Errc::unavailable)) co_return invoice;
  co_return co_await node->add_invoice({Msat{}, "refund of a session", least});
}

/// A service that took a deposit for nothing gets no second one by itself: an agent that tries
/// again would pay with every try.
Result<> no_deposit_was_refused(const SessionBook& book, const std::string& origin,
                                const std::string& realm) {
  OCTROI_TRY(const auto records, book.of_origin(origin));
  for (const SessionRecord& r : records) {
    if (r.stage != SessionStage::refused || r.realm != realm) continue;
    return fail(Errc::refused_after_pay,
                fmt::format("this service took a deposit of {} before and refused to open the "
                            "session; nothing was paid now. When that is settled: octroi wallet "
                            "sessions close {}",
                            format(r.deposit), r.id.hex()));
  }
  return {};
}

Error lost_answer(std::string_view what, Msat amount, const Error& e) {
  return {Errc::network,
          fmt::format("paid {} for {}, and then: {}. Nothing is lost: the next fetch of this "
                      "service shows the proof again",
                      format(amount), what, e.message())};
}

}  // namespace

Result<> SessionManager::may_deposit(const Turn& turn, const SessionOffer& offer) const {
  if (!offer.invoice) {
    return fail(Errc::bad_invoice,
                "Payment: the service offers no deposit invoice that can be paid");
  }
  if (turn.request.http.headers.has(offer.field())) {
    return fail(Errc::field_taken,
                fmt::format("the session's credential would go into {0}, which the request has "
                            "already: nothing was paid; leave {0} out",
                            offer.field()));
  }
  OCTROI_CHECK(payer_.decide(turn.request, offer.deposit));
  // --max-cost is for the whole fetch; a limit a payment has been looked at.
  if (turn.request.max_cost) {
    OCTROI_TRY(const Msat together, turn.result.paid.plus(offer.deposit));
    if (together > *turn.request.max_cost) {
      return fail(Errc::over_limit,
                  fmt::format("with a further {} this fetch would cost more than {}",
                              format(offer.deposit), format(*turn.request.max_cost)));
    }
  }
  return {};
}

Task<Result<lightning::Payment>> SessionManager::pay_deposit(Turn* turn,
                                                             const SessionOffer* offer) {
  auto paid = co_await payer_.pay(offer->invoice_text, *offer->invoice, turn->request.http.url.host,
                                  "session", turn->request.max_fee, turn->request.payment_timeout);
  if (!paid) co_return paid;
  turn->result.scheme = Scheme::payment;
  OCTROI_CO_TRY(turn->result.paid, turn->result.paid.plus(paid->amount));
  OCTROI_CO_TRY(turn->result.fee, turn->result.fee.plus(paid->fee));
  co_return paid;
}

/// One process an origin decides here; the others wait and find its session.
Task<Result<SessionManager::Next>> SessionManager::open_or_join(Turn* turn) {
  OCTROI_CO_TRY(const FileLock claim,
                co_await turn->book->claim(client_.loop(), turn->origin, kPatience));
  OCTROI_CO_TRY(auto record, pick(*turn));
  if (record && record->stage == SessionStage::open)
    co_return Next{Next::What::bear, std::move(record), std::nullopt};
  if (record) co_return co_await resume_open(turn, std::move(*record));
  if (!turn->fresh) co_return Next{};
  co_return co_await open_new(turn);
}

Task<Result<SessionManager::Next>> SessionManager::open_new(Turn* turn) {
  if (turn->opened) {
    co_return fail(Errc::refused_after_pay,
                   "a session was opened for this request, and the service asks for another one; "
                   "nothing more was paid");
  }
  const SessionOffer offer = *std::exchange(turn->fresh, std::nullopt);
  OCTROI_CO_CHECK(may_deposit(*turn, offer));
  OCTROI_CO_CHECK(no_deposit_was_refused(*turn->book, turn->origin, offer.challenge.realm));
  std::ignore = turn->book->prune(clock_.now() - kRemember);
  OCTROI_CO_TRY(lightning::Node * node, co_await means_.node());
  OCTROI_CO_TRY(auto refund_to,
                co_await make_return_invoice(node, offer.idle_timeout.value_or(Seconds(0))));
  SessionRecord record;
  record.id = offer.hash;
  record.origin = turn->origin;
  record.realm = offer.challenge.realm;
  record.url = turn->request.http.url.str();
  record.method = turn->request.http.method;
  remember_path(record, turn->path());
  record.challenge = offer.challenge;
  record.challenge_expires = offer.expires;
  record.unit = offer.unit;
  record.deposit = offer.deposit;
  record.return_invoice = std::move(refund_to.bolt11);
  record.return_hash = refund_to.hash;
  record.idle_timeout = offer.idle_timeout.value_or(Seconds(0));
  record.opened = record.last_used = clock_.now();
  OCTROI_CO_CHECK(turn->book->save(record));  // before the node may have the order
  turn->opened = true;
  auto paid = co_await pay_deposit(turn, &offer);
  if (!paid) {
    if (!paid.error().is(Errc::payment_unknown)) std::ignore = turn->book->remove(record.id);
    co_return fail(std::move(paid).error());
  }
  record.preimage = std::move(paid->preimage);
  record.stage = SessionStage::paid;
  if (auto kept = turn->book->save(record); !kept) {
    OCTROI_LOG(error, "wallet", "a deposit was paid and its proof could not be written down",
               {{"session", record.id.hex()}});
  }
  co_return co_await send_open(turn, std::move(record));
}

/// An earlier process was cut off. Its deposit is found again at the node, and is shown.
Task<Result<SessionManager::Next>> SessionManager::resume_open(Turn* turn, SessionRecord record) {
  if (record.stage == SessionStage::paying) {
    OCTROI_CO_TRY(auto paid, co_await payer_.recall(record.id));
    if (!paid) {
      OCTROI_CO_CHECK(turn->book->remove(record.id));
      if (turn->fresh) co_return co_await open_new(turn);
      co_return Next{};
    }
    record.preimage = std::move(paid->preimage);
    record.stage = SessionStage::paid;
    OCTROI_CO_CHECK(turn->book->save(record));
  }
  if (record.stage == SessionStage::opening) {
    // The service may have it: then an open would only repeat its first answer.
    const SessionOffer* fresh = turn->fresh_for(record);
    if (fresh == nullptr && record.challenge_expires <= clock_.now() + kShowBefore) {
      OCTROI_CO_CHECK(co_await refresh(turn));
      fresh = turn->fresh_for(record);
    }
    OCTROI_CO_TRY(auto answer,
                  co_await show(turn, fresh != nullptr ? fresh->challenge : record.challenge,
                                mpp::lightning::session_payload_json(mpp::lightning::BearerAction{
                                    record.id, record.preimage.clone()})));
    using mpp::ProblemType;
    std::optional<ProblemType> problem;
    if (answer.head.status == 402) {
      OCTROI_CO_TRY(auto refusal, co_await read_refusal(turn, &answer));
      problem = refusal.problem;
    }
    if (answer.head.status != 402 || problem == ProblemType::lightning_insufficient_balance ||
        problem == ProblemType::lightning_session_closed) {
      const bool charged = answer.head.status != 402 && answer.has_receipt();
      OCTROI_CO_CHECK(update(*turn->book, record, [&](SessionRecord& r) {
        r.stage = SessionStage::open;
        r.last_used = clock_.now();
        if (charged)
          r.spent = std::min(r.spent.plus(to_msat(r.unit)).value_or(r.deposit), r.deposit);
      }));
      turn->know(record);
      if (answer.head.status != 402)
        co_return Next{Next::What::answered, std::nullopt, std::move(answer)};
      co_return Next{Next::What::bear, std::move(record), std::nullopt};
    }
  }
  co_return co_await send_open(turn, std::move(record));
}

/// Lightning session, "Open Action": the request itself is served with it.
Task<Result<SessionManager::Next>> SessionManager::send_open(Turn* turn, SessionRecord record) {
  record.stage = SessionStage::opening;
  OCTROI_CO_CHECK(turn->book->save(record));
  turn->know(record);
  auto answer = co_await show(turn, record.challenge,
                              mpp::lightning::session_payload_json(mpp::lightning::OpenAction{
                                  record.preimage.clone(), record.return_invoice}));
  if (!answer) co_return fail(lost_answer("a session", record.deposit, answer.error()));
  if (!answer->refused()) {
    const bool served = answer->has_receipt();
    if (served || answer->head.status < 400) {
      OCTROI_CO_CHECK(update(*turn->book, record, [&](SessionRecord& r) {
        r.stage = SessionStage::open;
        r.last_used = clock_.now();
        if (served) r.spent = std::min(to_msat(r.unit), r.deposit);
      }));
    }
    turn->know(record);
    turn->charged = record.spent;
    turn->opened = true;
    co_return Next{Next::What::answered, std::nullopt, std::move(*answer)};
  }
  OCTROI_CO_TRY(auto refusal, co_await read_refusal(turn, &*answer));
  using mpp::ProblemType;
  if (refusal.problem == ProblemType::lightning_insufficient_balance ||
      refusal.problem == ProblemType::lightning_session_closed) {
    // It is known there, and this request is not served by the open: the price rose, or it ended.
    OCTROI_CO_CHECK(
        update(*turn->book, record, [](SessionRecord& r) { r.stage = SessionStage::open; }));
    turn->opened = true;
    co_return Next{Next::What::bear, std::move(record), std::nullopt};
  }
  const bool elsewhere = fitness(record, turn->path()) < 2;
  OCTROI_CO_CHECK(update(*turn->book, record, [&](SessionRecord& r) {
    r.stage = elsewhere ? SessionStage::paid : SessionStage::refused;
    r.detail = refusal.detail;
  }));
  if (elsewhere) {
    co_return fail(
        Errc::refused_after_pay,
        fmt::format("a deposit of {} was paid for another page of this service and waits "
                    "to be shown there; nothing was paid now. Fetch that page, or: "
                    "octroi wallet sessions close {}",
                    format(record.deposit), record.id.hex()));
  }
  co_return fail(
      Errc::refused_after_pay,
      fmt::format("paid a deposit of {}, and the service refused to open the session; it "
                  "was not paid again{}{}",
                  format(record.deposit), refusal.detail.empty() ? "" : ": ", refusal.detail));
}

/// Once a request; for a stream, as often as it runs dry. Another process may have done it.
Task<Result<>> SessionManager::top_up(Turn* turn, PaymentHash id) {
  const Msat known = turn->use.deposit;
  if (!turn->fresh || !turn->fresh->invoice) {
    OCTROI_CO_CHECK(co_await refresh(turn));
  }
  OCTROI_CO_TRY(const FileLock claim,
                co_await turn->book->claim(client_.loop(), turn->origin, kPatience));
  OCTROI_CO_TRY(auto record, turn->book->find(id));
  if (!record) co_return fail(Errc::session_unknown, "the session was removed meanwhile");
  if (record->deposit > known) {
    turn->know(*record);
    turn->topped_up = false;  // not by us: should that be spent already, it is our turn
    turn->fresh.reset();
    co_return Result<>{};
  }
  if (record->top_up && record->top_up->preimage.empty()) {
    OCTROI_CO_TRY(auto paid, co_await payer_.recall(record->top_up->hash));
    OCTROI_CO_CHECK(update(*turn->book, *record, [&](SessionRecord& r) {
      if (!paid) {
        r.top_up.reset();
      } else if (r.top_up) {
        r.top_up->preimage = paid->preimage.clone();
      }
    }));
  }
  if (!record->top_up) OCTROI_CO_CHECK(co_await pay_top_up(turn, &*record));
  co_return co_await send_top_up(turn, &*record);
}

Task<Result<>> SessionManager::pay_top_up(Turn* turn, SessionRecord* record) {
  const SessionOffer offer = *std::exchange(turn->fresh, std::nullopt);
  if (offer.challenge.realm != record->realm)
    co_return fail(Errc::insecure, "the service asks for a deposit for another realm");
  OCTROI_CO_CHECK(may_deposit(*turn, offer));
  OCTROI_CO_CHECK(update(*turn->book, *record, [&](SessionRecord& r) {
    r.top_up = PendingTopUp{offer.hash, offer.challenge, offer.deposit, {}};
  }));
  auto paid = co_await pay_deposit(turn, &offer);
  if (!paid) {
    if (!paid.error().is(Errc::payment_unknown))
      OCTROI_CO_CHECK(update(*turn->book, *record, [](SessionRecord& r) { r.top_up.reset(); }));
    co_return fail(std::move(paid).error());
  }
  const Secret preimage = std::move(paid->preimage);
  auto kept = update(*turn->book, *record, [&](SessionRecord& r) {
    if (r.top_up) r.top_up->preimage = preimage.clone();
  });
  if (!kept) {
    OCTROI_LOG(error, "wallet", "a top-up was paid and its proof could not be written down",
               {{"session", record->id.hex()}});
    record->top_up->preimage = preimage.clone();
  }
  co_return Result<>{};
}

/// Lightning session, "TopUp Action": on the same URL, and with the same body, as the service may
/// bind both.
Task<Result<>> SessionManager::send_top_up(Turn* turn, SessionRecord* record) {
  const Msat amount = record->top_up->amount;
  const mpp::Challenge challenge = record->top_up->challenge;
  auto answer = co_await show(turn, challenge,
                              mpp::lightning::session_payload_json(mpp::lightning::TopUpAction{
                                  record->id, record->top_up->preimage.clone()}));
  if (!answer) co_return fail(lost_answer("a top-up", amount, answer.error()));
  if (answer->head.status == 200) {
    answer->exchange.reset();
    const auto offer = read_session_offer(challenge, clock_.now());
    OCTROI_CO_CHECK(update(*turn->book, *record, [&](SessionRecord& r) {
      r.deposit = r.deposit.plus(amount).value_or(r.deposit);
      r.top_up.reset();
      r.last_used = clock_.now();
      // The one that we have may be over; this one is younger.
      if (offer && r.challenge_expires <= clock_.now() + kShowBefore) {
        r.challenge = offer->challenge;
        r.challenge_expires = offer->expires;
        r.unit = offer->unit;
      }
    }));
    turn->know(*record);
    turn->use.topped_up = turn->use.topped_up.plus(amount).value_or(amount);
    turn->fresh.reset();
    co_return Result<>{};
  }
  if (answer->head.status / 100 != 4) {
    co_return fail(lost_answer(
        "a top-up", amount,
        Error(Errc::network, fmt::format("the service answers {}", answer->head.status))));
  }
  OCTROI_CO_TRY(auto refusal, co_await read_refusal(turn, &*answer));
  const bool ended = refusal.problem == mpp::ProblemType::lightning_session_closed ||
                     refusal.problem == mpp::ProblemType::lightning_session_not_found;
  OCTROI_CO_CHECK(update(*turn->book, *record, [&](SessionRecord& r) {
    r.top_up.reset();
    r.detail = "a top-up of " + format(amount) + " was paid and refused";
    if (ended) r.stage = SessionStage::closed;
  }));
  co_return fail(
      Errc::refused_after_pay,
      fmt::format("paid {} to top the session up, and the service refused it; it was not "
                  "paid again{}{}",
                  format(amount), refusal.detail.empty() ? "" : ": ", refusal.detail));
}

}  // namespace octroi::wallet
