#include "octroi/admin/session_json.h"

#include <utility>

#include "octroi/json/writer.h"

namespace octroi::admin {

namespace {

using ledger::Session;

void write_refund(json::Writer& w, const ledger::Refund& refund) {
  w.begin_object()
      .field("status", std::string(ledger::to_string(refund.stage)))
      .field("amount_msat", refund.amount.count() /* raw: wire */)
      .field("rounding_msat", refund.rounding.count() /* raw: wire */)
      .field("fee_msat", refund.fee.count() /* raw: wire */)
      .field("attempts", refund.attempts)
      .field("updated_at", to_rfc3339(refund.updated))
      .field("detail", refund.detail)
      .end_object();
}

enum class Form : std::uint8_t { row, whole };

void write_session(json::Writer& w, const Session& s, Form form) {
  w.begin_object()
      .field("id", s.id.hex())
      .field("service", s.service)
      .field("state", std::string(ledger::to_string(s.state)))
      .field("deposit_msat", s.deposit.count() /* raw: wire */)
      .field("spent_msat", s.spent.count() /* raw: wire */)
      .field("balance_msat",
             s.state == ledger::SessionState::open ? s.balance().count() : 0 /* raw: wire */)
      .field("opened_at", to_rfc3339(s.opened))
      .field("last_used_at", to_rfc3339(s.last_used))
      .field("idle_timeout_ms", std::int64_t{s.idle_timeout.count()});
  w.key("closed_at");
  if (s.closed)
    w.string(to_rfc3339(*s.closed));
  else
    w.null();
  w.field("close_reason", std::string(ledger::to_string(s.reason)));
  w.key("refund");
  if (s.state == ledger::SessionState::closed)
    write_refund(w, s.refund);
  else
    w.null();
  if (form == Form::whole) {
    w.field("return_invoice", s.return_invoice).field("return_payment_hash", s.return_hash.hex());
  }
  w.end_object();
}

}  // namespace

std::string sessions_json(const std::vector<Session>& sessions, int limit) {
  json::Writer w;
  w.begin_object().key("sessions").begin_array();
  for (const Session& s : sessions) write_session(w, s, Form::row);
  w.end_array().key("next_before");
  if (std::cmp_equal(sessions.size(), limit))
    w.string(sessions.back().id.hex());
  else
    w.null();
  w.end_object();
  return std::move(w).take();
}

std::string session_json(const Session& session) {
  json::Writer w;
  write_session(w, session, Form::whole);
  return std::move(w).take();
}

std::string session_outcome_json(ledger::SessionOutcome outcome, const Session& session) {
  json::Writer w;
  w.begin_object().field("outcome", std::string(ledger::to_string(outcome))).key("session");
  write_session(w, session, Form::whole);
  w.end_object();
  return std::move(w).take();
}

std::string session_totals_json(const ledger::SessionTotals& t) {
  json::Writer w;
  w.begin_object()
      .field("deposits_msat", t.deposits.count() /* raw: wire */)
      .field("spent_msat", t.spent.count() /* raw: wire */)
      .field("refunded_msat", t.refunded.count() /* raw: wire */)
      .field("rounding_msat", t.rounding.count() /* raw: wire */)
      .field("open_balances_msat", t.open_balances.count() /* raw: wire */)
      .field("unpaid_refunds_msat", t.unpaid_refunds.count() /* raw: wire */)
      .field("refund_fees_msat", t.refund_fees.count() /* raw: wire */)
      .end_object();
  return std::move(w).take();
}

}  // namespace octroi::admin
