#include "octroi/ledger/approvals.h"

namespace octroi::ledger {

std::string_view to_string(ApprovalState s) {
  switch (s) {
    case ApprovalState::pending:
      return "pending";
    case ApprovalState::approved:
      return "approved";
    case ApprovalState::denied:
      return "denied";
    case ApprovalState::used:
      return "used";
    case ApprovalState::expired:
      return "expired";
  }
  return "expired";
}

std::optional<ApprovalState> approval_state_from_string(std::string_view text) {
  for (const ApprovalState s :
       {ApprovalState::pending, ApprovalState::approved, ApprovalState::denied, ApprovalState::used,
        ApprovalState::expired}) {
    if (text == to_string(s)) return s;
  }
  return std::nullopt;
}

}  // namespace octroi::ledger
