#include "octroi/ledger/shared_state.h"

namespace octroi::ledger {

ErrorInfo error_info(SharedErrc e) {
  switch (e) {
    case SharedErrc::unavailable:
      return {"shared.unavailable", ErrorKind::unavailable};
  }
  return {"shared.unknown", ErrorKind::internal};
}

}  // namespace octroi::ledger
