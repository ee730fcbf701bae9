#include "octroi/l402/error.h"

namespace octroi::l402 {

ErrorInfo error_info(Errc e) {
  switch (e) {
    case Errc::malformed:
      return {"l402.malformed", ErrorKind::invalid};
    case Errc::too_large:
      return {"l402.too_large", ErrorKind::limit};
    case Errc::two_credentials:
      return {"l402.two_credentials", ErrorKind::invalid};
    case Errc::unknown_key:
      return {"l402.unknown_key", ErrorKind::refused};
    case Errc::bad_signature:
      return {"l402.bad_signature", ErrorKind::refused};
    case Errc::wrong_preimage:
      return {"l402.wrong_preimage", ErrorKind::refused};
    case Errc::expired:
      return {"l402.expired", ErrorKind::refused};
    case Errc::caveat_denied:
      return {"l402.caveat_denied", ErrorKind::refused};
    case Errc::third_party:
      return {"l402.third_party", ErrorKind::refused};
    case Errc::revoked:
      return {"l402.revoked", ErrorKind::refused};
    case Errc::bad_key:
      return {"l402.bad_key", ErrorKind::invalid};
    case Errc::bad_mint:
      return {"l402.bad_mint", ErrorKind::invalid};
  }
  return {"l402.unknown", ErrorKind::internal};
}

}  // namespace octroi::l402
