#include "octroi/ledger/store.h"

namespace octroi::ledger {

ErrorInfo error_info(Errc e) {
  switch (e) {
    case Errc::unavailable:
      return {"ledger.unavailable", ErrorKind::unavailable};
    case Errc::newer_schema:
      return {"ledger.newer_schema", ErrorKind::conflict};
    case Errc::locked:
      return {"ledger.locked", ErrorKind::conflict};
    case Errc::corrupt:
      return {"ledger.corrupt", ErrorKind::internal};
    case Errc::not_pending:
      return {"ledger.not_pending", ErrorKind::conflict};
    case Errc::bad_amount:
      return {"ledger.bad_amount", ErrorKind::internal};
  }
  return {"ledger.corrupt", ErrorKind::internal};
}

std::string_view to_string(Scheme s) {
  switch (s) {
    case Scheme::l402:
      return "l402";
    case Scheme::mpp_charge:
      return "mpp_charge";
    case Scheme::mpp_session:
      return "mpp_session";
  }
  return "l402";
}

std::optional<Scheme> scheme_from_string(std::string_view text) {
  for (Scheme s : {Scheme::l402, Scheme::mpp_charge, Scheme::mpp_session}) {
    if (to_string(s) == text) return s;
  }
  return std::nullopt;
}

}  // namespace octroi::ledger
