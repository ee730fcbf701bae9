#include "octroi/app/vault_approvals.h"

#include <utility>

#include "octroi/app/vault_keys.h"
#include "octroi/audit/journal.h"
#include "octroi/base/log.h"
#include "octroi/json/writer.h"
#include "octroi/vault/approval_desk.h"

namespace octroi::app {

namespace {

constexpr int kMostListed = 500;
constexpr int kExpireRows = 200;

Result<ledger::Approvals*> approvals_of(ledger::Store& store) {
  if (store.approvals() == nullptr)
    return fail(VaultKeyErrc::no_vault, "this store keeps no approvals");
  return store.approvals();
}

void write_approval(json::Writer& w, const ledger::Approval& a) {
  w.begin_object().field("id", a.id).field("state", ledger::to_string(a.state));
  w.field("vendor", a.vendor).field("operation", a.operation).field("method", a.method);
  w.field("path", a.path).field("amount", format(a.amount)).field("customer", a.customer);
  w.field("policy", a.policy).field("key_id", a.key_id).field("agent", a.agent);
  w.field("run", a.run).field("reason", a.reason).field("body_sha256", to_hex(a.body));
  w.field("asked_at", to_rfc3339(a.asked)).field("expires_at", to_rfc3339(a.expires));
  if (a.decided) w.field("decided_at", to_rfc3339(*a.decided)).field("decided_by", a.decided_by);
  w.end_object();
}

Task<Result<>> tell(ledger::Store* store, const ledger::Approval* ticket, std::string_view what) {
  audit::Journal* const journal = store->journal();
  if (journal == nullptr) co_return Result<>{};
  auto row = co_await journal->append(vault::approval_event(*ticket, what));
  if (!row) co_return fail(std::move(row).error());
  co_return Result<>{};
}

}  // namespace

std::string approval_json(const ledger::Approval& ticket) {
  json::Writer w;
  write_approval(w, ticket);
  return std::move(w).take();
}

Task<Result<std::string>> list_approvals(ledger::Store& store, std::string state) {
  OCTROI_CO_TRY(auto* const approvals, approvals_of(store));
  std::optional<ledger::ApprovalState> wanted;
  if (!state.empty() && state != "all") {
    wanted = ledger::approval_state_from_string(state);
    if (!wanted) {
      co_return fail(VaultKeyErrc::bad_request,
                     "state: use pending, approved, denied, used, expired or all");
    }
  }
  OCTROI_CO_TRY(const auto tickets, co_await approvals->list_approvals(wanted, kMostListed));
  json::Writer w;
  w.begin_object().key("approvals").begin_array();
  for (const auto& t : tickets) write_approval(w, t);
  w.end_array().end_object();
  co_return std::move(w).take();
}

Task<Result<std::string>> show_approval(ledger::Store& store, std::string id) {
  OCTROI_CO_TRY(auto* const approvals, approvals_of(store));
  OCTROI_CO_TRY(const auto ticket, co_await approvals->find_approval(std::move(id)));
  if (!ticket) co_return fail(VaultKeyErrc::not_found, "there is no such ticket");
  co_return approval_json(*ticket);
}

Task<Result<std::string>> decide_approval(ledger::Store& store,
                                          const vault::ApprovalSettings& rules, Verdict verdict,
                                          UnixMillis now) {
  OCTROI_CO_TRY(auto* const approvals, approvals_of(store));
  OCTROI_CO_TRY(const auto done,
                co_await approvals->decide_approval(verdict.id, verdict.approved, verdict.by, now,
                                                    now + rules.expires));
  if (!done.ticket) co_return fail(VaultKeyErrc::not_found, "there is no such ticket");
  if (!done.applied) {
    const bool over = done.ticket->state == ledger::ApprovalState::pending ||
                      done.ticket->state == ledger::ApprovalState::expired;
    co_return fail(
        VaultKeyErrc::conflict,
        over ? std::string("this ticket has run out; the request has to be made again")
             : fmt::format("this ticket is {} already", ledger::to_string(done.ticket->state)));
  }
  auto told = co_await tell(&store, &*done.ticket, verdict.approved ? "approved" : "denied");
  if (!told) {
    OCTROI_LOG(error, "vault", "a decision is missing in the audit",
               {{"ticket", verdict.id}, {"error", told.error().message()}});
  }
  co_return approval_json(*done.ticket);
}

Task<Result<int>> expire_approvals(ledger::Store& store, UnixMillis now) {
  OCTROI_CO_TRY(auto* const approvals, approvals_of(store));
  OCTROI_CO_TRY(const auto over, co_await approvals->expire_approvals(now, kExpireRows));
  for (const auto& ticket : over) {
    auto told = co_await tell(&store, &ticket, "expired");
    if (!told) {
      OCTROI_LOG(error, "vault", "a ticket that ran out is missing in the audit",
                 {{"ticket", ticket.id}, {"error", told.error().message()}});
    }
  }
  co_return static_cast<int>(over.size());
}

}  // namespace octroi::app
