#include "octroi/ledger/spend_journal.h"

namespace octroi::ledger {

ErrorInfo error_info(SpendErrc e) {
  switch (e) {
    case SpendErrc::over_limit:
      return {"spend.over-limit", ErrorKind::refused};
    case SpendErrc::already_seen:
      return {"spend.already-seen", ErrorKind::conflict};
    case SpendErrc::no_entry:
      return {"spend.no-entry", ErrorKind::not_found};
    case SpendErrc::unavailable:
      return {"spend.unavailable", ErrorKind::unavailable};
  }
  return {"spend.unknown", ErrorKind::internal};
}

std::string_view to_string(SpendStage s) {
  switch (s) {
    case SpendStage::reserved:
      return "reserved";
    case SpendStage::submitted:
      return "submitted";
    case SpendStage::settled:
      return "settled";
    case SpendStage::failed:
      return "failed";
    case SpendStage::unknown:
      return "unknown";
  }
  return "unknown";
}

}  // namespace octroi::ledger
