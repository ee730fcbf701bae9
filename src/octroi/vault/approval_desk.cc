#include "octroi/vault/approval_desk.h"

#include <utility>

#include "octroi/base/bytes.h"
#include "octroi/base/log.h"

namespace octroi::vault {

namespace {

constexpr std::string_view kModule = "vault";
constexpr Millis kLook{20};
/// A ticket is asked for in the store this often even when the counter stands still: the control
/// thread may be what is slow.
constexpr Millis kAskAnyway{2'000};

struct Waiting {
  explicit Waiting(std::atomic<int>& n) : count(n) { ++count; }
  ~Waiting() { --count; }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  std::atomic<int>& count;
};

}  // namespace

audit::Event approval_event(const ledger::Approval& ticket, std::string_view what) {
  audit::Event e;
  e.kind = "approval." + std::string(what);
  e.run = ticket.run;
  e.agent = ticket.agent;
  e.key_id = ticket.key_id;
  e.vendor = ticket.vendor;
  e.operation = ticket.operation;
  e.method = ticket.method;
  e.path = ticket.path;
  e.policy = ticket.policy;
  e.customer = ticket.customer;
  e.reserved = ticket.amount;
  e.body_sha256 = ticket.body;
  e.details.emplace_back("ticket", ticket.id);
  if (!ticket.decided_by.empty()) e.details.emplace_back("by", ticket.decided_by);
  return e;
}

void ApprovalDesk::count(std::string_view what) {
  metrics_
      .counter("octroi_vault_approvals_total", "Tickets for calls that need a human, by event.",
               {{"event", std::string(what)}})
      .add();
}

Task<Result<ApprovalDesk::Answer>> ApprovalDesk::ask(net::Loop& loop, Question question) {
  ledger::Approval wanted = question.about;
  wanted.id = "apr_" + to_hex(random_.bytes<10>());
  wanted.used_by = question.used_by;
  wanted.asked = clock_.now();
  wanted.expires = wanted.asked + question.rules.expires;
  OCTROI_CO_TRY(auto asked, co_await approvals_.ask_approval(std::move(wanted), kMostPending));
  if (asked.full) {
    Answer answer;
    answer.full = true;
    co_return answer;
  }
  if (asked.made) {
    // A ticket that the audit does not tell of is one that nobody answers: it runs out.
    OCTROI_CO_TRY(const auto row, co_await journal_.append(approval_event(asked.ticket, "asked")));
    std::ignore = row;
    count("asked");
    if (on_asked) on_asked(asked.ticket);
  }
  if (asked.ticket.state == ledger::ApprovalState::pending && question.rules.wait > Millis(0) &&
      waiting_.load() < kMostWaiting) {
    OCTROI_CO_TRY(asked.ticket, co_await wait(&loop, &question, std::move(asked.ticket)));
  }
  co_return co_await settle(std::move(question), std::move(asked.ticket));
}

/// Until it is decided, over, or nobody waits any more.
Task<Result<ledger::Approval>> ApprovalDesk::wait(net::Loop* loop, const Question* question,
                                                  ledger::Approval ticket) {
  const Waiting here(waiting_);
  const Millis until = loop->now() + question->rules.wait;
  Millis asked = loop->now();
  std::int64_t seen = version_.load();
  while (loop->now() < until) {
    co_await loop->sleep(kLook);
    if (question->gone && question->gone()) co_return ticket;
    const std::int64_t version = version_.load();
    if (version == seen && loop->now() - asked < kAskAnyway) continue;
    seen = version;
    asked = loop->now();
    OCTROI_CO_TRY(auto now, co_await approvals_.find_approval(ticket.id));
    if (!now) co_return ticket;
    ticket = *std::move(now);
    if (ticket.state != ledger::ApprovalState::pending) co_return ticket;
  }
  co_return ticket;
}

Task<Result<ApprovalDesk::Answer>> ApprovalDesk::settle(Question question,
                                                        ledger::Approval ticket) {
  Answer answer;
  const bool open = ticket.state == ledger::ApprovalState::approved ||
                    ticket.state == ledger::ApprovalState::used;
  if (open && !(question.gone && question.gone())) {
    const UnixMillis now = clock_.now();
    OCTROI_CO_TRY(const auto took, co_await approvals_.take_approval(
                                       ticket.id, question.about.request, question.used_by, now));
    answer.passed = took != ledger::TakeOutcome::refused;
    if (took == ledger::TakeOutcome::taken) answer.taken = now;
    if (answer.passed) count("used");
  }
  answer.ticket = std::move(ticket);
  co_return answer;
}

Task<void> ApprovalDesk::give_back(std::string id, std::string used_by, UnixMillis taken) {
  auto given = co_await approvals_.give_back_approval(id, std::move(used_by), taken);
  if (!given) {
    OCTROI_LOG(warn, kModule, "a ticket that was not used stays used",
               {{"ticket", id}, {"error", given.error().message()}});
  }
}

}  // namespace octroi::vault
