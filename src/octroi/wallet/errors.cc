#include "octroi/wallet/errors.h"

namespace octroi::wallet {

ErrorInfo error_info(Errc e) {
  switch (e) {
    case Errc::no_challenge:
      return {"wallet.no-challenge", ErrorKind::refused};
    case Errc::over_limit:
      return {"wallet.over-limit", ErrorKind::refused};
    case Errc::bad_invoice:
      return {"wallet.bad-invoice", ErrorKind::refused};
    case Errc::wrong_network:
      return {"wallet.wrong-network", ErrorKind::refused};
    case Errc::insecure:
      return {"wallet.insecure", ErrorKind::refused};
    case Errc::payment_failed:
      return {"wallet.payment-failed", ErrorKind::refused};
    case Errc::payment_unknown:
      return {"wallet.payment-unknown", ErrorKind::timeout};
    case Errc::refused_after_pay:
      return {"wallet.refused-after-pay", ErrorKind::refused};
    case Errc::blocked:
      return {"wallet.blocked", ErrorKind::refused};
    case Errc::network:
      return {"wallet.network", ErrorKind::unavailable};
    case Errc::rate_limited:
      return {"wallet.rate-limited", ErrorKind::limit};
    case Errc::field_taken:
      return {"wallet.field-taken", ErrorKind::invalid};
    case Errc::too_large:
      return {"wallet.too-large", ErrorKind::limit};
    case Errc::too_many_redirects:
      return {"wallet.too-many-redirects", ErrorKind::refused};
    case Errc::session_store:
      return {"wallet.session-store", ErrorKind::internal};
    case Errc::session_unknown:
      return {"wallet.session-unknown", ErrorKind::not_found};
    case Errc::session_busy:
      return {"wallet.session-busy", ErrorKind::unavailable};
    case Errc::session_ended:
      return {"wallet.session-ended", ErrorKind::refused};
    case Errc::refund_missing:
      return {"wallet.refund-missing", ErrorKind::refused};
  }
  return {"wallet.unknown", ErrorKind::internal};
}

}  // namespace octroi::wallet
