// Calls that wait for a human.
#include <utility>

#include <fmt/format.h>

#include "octroi/base/log.h"
#include "octroi/vault/broker_visit.h"

namespace octroi::vault {

namespace {

/// What of the question stands at the vendor and not in the request: it may be another by the time
/// that the request is sent again.
std::string looked_up(const policy::Call& call) {
  if (!call.looked_up) return {};
  std::string out =
      call.minor ? fmt::format("{} {}", call.minor->minor, call.minor->currency) : "-";
  for (const std::string& customer : call.customers) out += "\n" + customer;
  return out;
}

}  // namespace

ApprovalDesk::Question Broker::question_of(Visit& visit) const {
  ApprovalDesk::Question q;
  ledger::Approval& a = q.about;
  a.request =
      digest_of({ledger::counted_as(*visit.key), visit.call.operation, visit.input.method,
                 path_of_line(visit), visit.input.query.text(),
                 visit.vendor->pack->same_as(visit.operation, visit.input), looked_up(visit.call)});
  a.body = visit.body_hash;
  a.key_id = visit.key->id;
  a.vendor = visit.call.vendor;
  a.operation = visit.call.operation;
  a.method = visit.input.method;
  a.path = visit.input.path;
  if (!visit.call.customers.empty()) a.customer = visit.call.customers.front();
  a.policy = visit.policy->name;
  a.run = visit.call.run;
  a.agent = visit.call.agent;
  a.amount = visit.decision.amount;
  a.reason = visit.decision.message;
  q.used_by = reservation_id(visit);
  q.rules = visit.snapshot->settings.approvals;
  q.gone = [v = &visit] { return v->revoked || v->left; };
  return q;
}

/// Waits for a human, and goes on when one agreed to exactly this request.
Task<Result<>> Broker::ask_human(Visit& visit) {
  const std::string seen = looked_up(visit.call);
  visit.exchange.on_gone([](void* v) { static_cast<Visit*>(v)->left = true; }, &visit);
  auto answer = co_await shared_.approvals->ask(visit.exchange.loop(), question_of(visit));
  visit.exchange.on_gone(nullptr, nullptr);
  if (!answer) {
    OCTROI_LOG(error, kModule, "an approval cannot be asked for",
               {{"error", answer.error().message()}});
    co_return fail(Errc::unavailable, "approvals cannot be asked for now; nothing was sent");
  }
  if (!answer->passed) {
    // Nobody who approves it could let a key pass that was taken away meanwhile.
    if (visit.revoked) OCTROI_CO_CHECK(check_still_open(visit));
    co_return not_approved(visit, *answer);
  }
  visit.ticket = answer->ticket.id;
  visit.taken = answer->taken;
  OCTROI_CO_CHECK(co_await look_again(visit, seen));
  if (visit.decision.verdict == policy::Verdict::allow ||
      visit.decision.verdict == policy::Verdict::approve)
    co_return Result<>{};
  co_await give_back_ticket(visit);
  visit.reason = std::string(policy::to_string(visit.decision.reason));
  co_return fail(code_of(visit.decision.reason), visit.decision.message);
}

/// Somebody took his time to agree to what the vendor said before, under the policy of then: it is
/// judged by what is in force now, and has to be what he has seen.
Task<Result<>> Broker::look_again(Visit& visit, std::string seen) {
  constexpr Millis kAMoment{1'000};
  OCTROI_CO_CHECK(renew(visit));
  if (visit.call.looked_up && shared_.clock.now() - visit.judged >= kAMoment)
    co_await look_up(visit);
  OCTROI_CO_CHECK(co_await judge_whole(visit));
  if (looked_up(visit.call) == seen) co_return Result<>{};
  visit.reason = std::string(policy::to_string(policy::Reason::needs_approval));
  co_return fail(Errc::denied,
                 "what this call would do has changed since a human was asked: send it again");
}

Result<> Broker::not_approved(Visit& visit, const ApprovalDesk::Answer& answer) {
  using ledger::ApprovalState;
  const std::string& why = visit.decision.message;
  visit.reason = std::string(policy::to_string(policy::Reason::needs_approval));
  if (answer.full) {
    return fail(Errc::denied, why + "; too many of this key's requests wait for one already");
  }
  visit.refused_ticket = answer.ticket.id;
  switch (answer.ticket.state) {
    case ApprovalState::denied:
      visit.reason = "approval_denied";
      return fail(Errc::denied,
                  fmt::format("{}; it was denied (ticket {})", why, answer.ticket.id));
    case ApprovalState::expired:
      visit.reason = "approval_expired";
      return fail(Errc::denied,
                  fmt::format("{}; nobody answered in time (ticket {})", why, answer.ticket.id));
    case ApprovalState::pending:
    case ApprovalState::approved:
    case ApprovalState::used:
      break;
  }
  return fail(Errc::denied,
              fmt::format("{}; ticket {} was opened: once it is approved, send the same request "
                          "again, before {}",
                          why, answer.ticket.id, to_rfc3339(answer.ticket.expires)));
}

/// Nothing was sent: whoever agreed agreed to a call that is still to be made. A retry keeps what
/// its first attempt has taken, because that one may have been sent.
Task<void> Broker::give_back_ticket(Visit& visit) {
  if (!visit.taken || visit.before || shared_.approvals == nullptr) co_return;
  const UnixMillis taken = *std::exchange(visit.taken, {});
  co_await shared_.approvals->give_back(std::exchange(visit.ticket, {}), reservation_id(visit),
                                        taken);
}

}  // namespace octroi::vault
