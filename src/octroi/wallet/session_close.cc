// SessionManager at the end of a session: closes it, and looks whether what the service says that
// it gave back has reached our node.
#include <algorithm>
#include <utility>

#include "octroi/base/log.h"
#include "octroi/json/value.h"
#include "octroi/mpp/receipt.h"
#include "octroi/net/deadline.h"
#include "octroi/wallet/session_turn.h"

namespace octroi::wallet {

namespace {

constexpr std::uint64_t kMostBody = 64 * 1024;
/// A refund that is said to be paid arrives within this time or is missing.
constexpr Millis kRefundWait{10'000};
constexpr Millis kLookAgain{100};
constexpr Millis kListTimeout{10'000};

/// Lightning session, "Receipt": the receipt of a close says what its body says.
void compare_receipt(const http::Headers& headers, const SessionRecord& record,
                     const mpp::lightning::CloseBody& body, std::vector<std::string>& notes) {
  const auto field = headers.get("Payment-Receipt");
  if (!field) {
    notes.emplace_back("the service gave no receipt for the close");
    return;
  }
  const auto receipt = mpp::parse_receipt(*field);
  if (!receipt || receipt->reference != record.id.hex()) {
    notes.emplace_back("the receipt of the close is not one of this session");
    return;
  }
  std::string refund;
  std::string status;
  for (const auto& [name, value] : receipt->extra) {
    if (name == "refundSats") refund = value;
    if (name == "refundStatus") status = value;
  }
  if (refund != std::to_string(body.refund.count() /* raw: wire */) ||
      status != fmt::format("\"{}\"", mpp::lightning::to_string(body.status))) {
    notes.emplace_back("the receipt of the close says something else than its answer");
  }
}

bool refund_is_outstanding(const SessionRecord& r) {
  if (!r.refund_seen.is_zero()) return false;
  if (r.refund_status == mpp::lightning::RefundStatus::skipped) return false;
  return r.stage == SessionStage::closing || r.stage == SessionStage::closed;
}

}  // namespace

Task<Result<SessionManager::Closed>> SessionManager::close(PaymentHash id, FetchRequest like) {
  Turn turn;
  turn.request = std::move(like);
  OCTROI_CO_TRY(turn.book, means_.book());
  OCTROI_CO_TRY(auto record, turn.book->find(id));
  if (!record) co_return fail(Errc::session_unknown, "the wallet has no session of that id");
  turn.origin = record->origin;
  OCTROI_CO_TRY(const FileLock claim,
                co_await turn.book->claim(client_.loop(), turn.origin, kPatience));
  OCTROI_CO_TRY(record, turn.book->find(id));
  if (!record) co_return fail(Errc::session_unknown, "the session was removed meanwhile");
  OCTROI_CO_TRY(turn.request.http.url, http::Url::parse(record->url));
  turn.request.http.method = record->method;
  turn.request.http.body.clear();
  turn.request.http.headers.remove("Content-Type");
  turn.request.follow_redirects = false;
  co_return co_await close_claimed(&turn, std::move(*record));
}

Task<Result<SessionManager::Closed>> SessionManager::close_claimed(Turn* turn,
                                                                   SessionRecord record) {
  Closed closed;
  if (record.stage == SessionStage::refused) {
    closed.record = std::move(record);
    closed.mismatch = true;
    closed.notes.push_back(fmt::format(
        "the service never opened it: nothing comes back by itself. Ask its operator about the "
        "payment {} of {}",
        closed.record.id.hex(), format(closed.record.deposit)));
    OCTROI_CO_CHECK(update(*turn->book, closed.record,
                           [](SessionRecord& r) { r.stage = SessionStage::closed; }));
    co_return closed;
  }
  if (record.is_unfinished()) {
    const PaymentHash id = record.id;
    OCTROI_CO_TRY(auto next, co_await resume_open(turn, std::move(record)));
    next.answer.reset();
    OCTROI_CO_TRY(auto now, turn->book->find(id));
    if (!now) {  // the deposit was never paid
      closed.record.id = id;
      closed.record.stage = SessionStage::closed;
      closed.notes.emplace_back("its deposit was never paid; nothing is to come back");
      co_return closed;
    }
    record = std::move(*now);
  }
  if (record.top_up) {
    // What is left of a paid top-up is to come back with the rest.
    turn->use.deposit = record.deposit;
    if (auto done = co_await top_up_left_over(turn, &record); !done)
      closed.notes.emplace_back("top-up: " + std::string(done.error().message()));
  }
  closed.record = std::move(record);
  if (closed.record.stage == SessionStage::open || closed.record.stage == SessionStage::closing)
    OCTROI_CO_CHECK(co_await send_close(turn, &closed));
  const bool promised = closed.record.refund && !closed.record.refund->is_zero() &&
                        closed.record.refund_status == mpp::lightning::RefundStatus::succeeded;
  OCTROI_CO_CHECK(co_await see_refund(turn->book, &closed, promised ? kRefundWait : Millis(0)));
  compare_refund(closed);
  co_return closed;
}

/// One that a process that is gone began. Nothing new is paid.
Task<Result<>> SessionManager::top_up_left_over(Turn* turn, SessionRecord* record) {
  if (record->top_up->preimage.empty()) {
    OCTROI_CO_TRY(auto paid, co_await payer_.recall(record->top_up->hash));
    OCTROI_CO_CHECK(update(*turn->book, *record, [&](SessionRecord& r) {
      if (!paid) {
        r.top_up.reset();
      } else if (r.top_up) {
        r.top_up->preimage = paid->preimage.clone();
      }
    }));
    if (!record->top_up) co_return Result<>{};
  }
  co_return co_await send_top_up(turn, record);
}

/// Lightning session, "Close Action".
Task<Result<>> SessionManager::send_close(Turn* turn, Closed* closed) {
  SessionRecord& record = closed->record;
  OCTROI_CO_CHECK(
      update(*turn->book, record, [](SessionRecord& r) { r.stage = SessionStage::closing; }));
  turn->know(record);
  turn->fresh.reset();
  for (bool again = false;; again = true) {
    if (!turn->fresh && record.challenge_expires <= clock_.now() + kShowBefore)
      OCTROI_CO_CHECK(co_await refresh(turn));
    OCTROI_CO_CHECK(Payer::may_pay(turn->request, {}));
    const SessionOffer* fresh = turn->fresh_for(record);
    if (turn->fresh && fresh == nullptr)
      co_return fail(Errc::insecure, "the service's realm is another one now");
    OCTROI_CO_TRY(auto answer,
                  co_await show(turn, fresh != nullptr ? fresh->challenge : record.challenge,
                                mpp::lightning::session_payload_json(mpp::lightning::CloseAction{
                                    record.id, record.preimage.clone()})));
    if (answer.head.status == 402) {
      OCTROI_CO_TRY(auto refusal, co_await read_refusal(turn, &answer));
      const bool ended = refusal.problem == mpp::ProblemType::lightning_session_closed;
      if (ended || refusal.problem == mpp::ProblemType::lightning_session_not_found) {
        closed->notes.emplace_back(ended ? "the service had ended it before"
                                         : "the service does not know it any more");
        co_return update(*turn->book, record,
                         [](SessionRecord& r) { r.stage = SessionStage::closed; });
      }
      if (!again && turn->fresh) continue;
      co_return fail(Errc::refused_after_pay,
                     "the service refuses to close the session" +
                         (refusal.detail.empty() ? std::string() : ": " + refusal.detail));
    }
    auto text = co_await net::within(client_.loop(), turn->request.timeout,
                                     http::read_all(answer.exchange->body(), kMostBody));
    if (!text || !*text)
      co_return fail(Errc::network, "the answer to the close did not come; close it again");
    auto body = mpp::lightning::parse_close_body(**text);
    if (answer.head.status != 200 || !body) {
      co_return fail(Errc::network,
                     fmt::format("the service answers {} to the close, and not as it should",
                                 answer.head.status));
    }
    compare_receipt(answer.head.headers, record, *body, closed->notes);
    if (const auto left = record.deposit.minus(record.spent);
        left && to_msat(body->refund) < *left) {
      closed->notes.push_back(
          fmt::format("we counted {} left, the service {}", format(*left), format(body->refund)));
    }
    co_return update(*turn->book, record, [&](SessionRecord& r) {
      r.stage = SessionStage::closed;
      r.refund = body->refund;
      r.refund_status = body->status;
      // What is not given back was spent, whatever we had counted.
      r.spent = r.deposit.minus(to_msat(body->refund)).value_or(r.spent);
      r.last_used = clock_.now();
    });
  }
}

/// Asks our node what arrived on the return invoice.
Task<Result<>> SessionManager::see_refund(SessionBook* book, Closed* closed, Millis patience) {
  SessionRecord& record = closed->record;
  if (!refund_is_outstanding(record)) co_return Result<>{};
  OCTROI_CO_TRY(lightning::Node * node, co_await means_.node());
  const Millis until = client_.loop().now() + patience;
  for (;;) {
    auto status = co_await node->lookup_invoice(record.return_hash);
    if (status && status->state == lightning::InvoiceState::settled) {
      const Msat seen = status->paid;
      OCTROI_CO_TRY(ledger::SpendJournal * journal, means_.journal());
      if (auto noted = journal->note_refund(record.id, seen, clock_.now());
          !noted && !noted.error().is(ledger::SpendErrc::no_entry)) {
        co_return noted;
      }
      co_return update(*book, record, [&](SessionRecord& r) {
        r.refund_seen = seen;
        r.stage = SessionStage::closed;
      });
    }
    if (client_.loop().now() >= until) co_return Result<>{};
    co_await client_.loop().sleep(kLookAgain);
  }
}

void SessionManager::compare_refund(Closed& closed) const {
  using mpp::lightning::RefundStatus;
  const SessionRecord& r = closed.record;
  const Msat said = r.refund ? to_msat(*r.refund) : Msat{};
  if (r.refund_status == RefundStatus::succeeded && r.refund_seen != said) {
    closed.mismatch = true;
    closed.notes.push_back(
        fmt::format("the service says that it paid back {}; our node received {}", format(said),
                    format(r.refund_seen)));
  }
  if (r.refund_status == RefundStatus::failed && r.refund_seen.is_zero()) {
    closed.mismatch = true;
    closed.notes.push_back(
        fmt::format("the refund of {} could not be paid yet; ask the service's operator, and look "
                    "again with octroi wallet sessions",
                    format(said)));
  }
}

Task<Result<std::vector<SessionRecord>>> SessionManager::list(FetchRequest like) {
  OCTROI_CO_TRY(SessionBook * book, means_.book());
  OCTROI_CO_TRY(auto records, book->all());
  like.timeout = std::min(like.timeout, kListTimeout);
  for (SessionRecord& record : records) {
    if (record.is_idle(clock_.now())) {
      // The service should have ended it. To end it here is harmless, and brings back what is left.
      if (auto closed = co_await close(record.id, like)) {
        record = std::move(closed->record);
      } else if (auto now = book->find(record.id); now && *now) {
        record = std::move(**now);
      }
    }
    if (!refund_is_outstanding(record)) continue;
    Closed closed;
    closed.record = record.clone();
    if (co_await see_refund(book, &closed, Millis(0))) record = std::move(closed.record);
  }
  co_return records;
}

}  // namespace octroi::wallet
