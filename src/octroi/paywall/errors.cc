#include "octroi/paywall/errors.h"

namespace octroi::paywall {

ErrorInfo error_info(Errc e) {
  switch (e) {
    case Errc::unknown_invoice:
      return {"paywall.unknown-invoice", ErrorKind::refused};
    case Errc::not_settled:
      return {"paywall.not-settled", ErrorKind::refused};
    case Errc::spent_elsewhere:
      return {"paywall.spent-elsewhere", ErrorKind::refused};
    case Errc::no_offer:
      return {"paywall.no-offer", ErrorKind::unavailable};
    case Errc::bad_settings:
      return {"paywall.bad-settings", ErrorKind::invalid};
    case Errc::amount_not_whole:
      return {"paywall.amount-not-whole", ErrorKind::invalid};
    case Errc::stale:
      return {"paywall.stale", ErrorKind::unavailable};
  }
  return {"paywall.unknown", ErrorKind::internal};
}

}  // namespace octroi::paywall
