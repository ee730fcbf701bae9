#include "octroi/mpp/errc.h"

namespace octroi::mpp {

ErrorInfo error_info(Errc e) {
  switch (e) {
    case Errc::malformed_challenge:
      return {"mpp.malformed_challenge", ErrorKind::invalid};
    case Errc::no_challenge:
      return {"mpp.no_challenge", ErrorKind::invalid};
    case Errc::malformed_credential:
      return {"mpp.malformed_credential", ErrorKind::invalid};
    case Errc::several_credentials:
      return {"mpp.several_credentials", ErrorKind::invalid};
    case Errc::wrong_field:
      return {"mpp.wrong_field", ErrorKind::refused};
    case Errc::too_large:
      return {"mpp.too_large", ErrorKind::limit};
    case Errc::malformed_receipt:
      return {"mpp.malformed_receipt", ErrorKind::invalid};
    case Errc::malformed_request:
      return {"mpp.malformed_request", ErrorKind::invalid};
    case Errc::malformed_payload:
      return {"mpp.malformed_payload", ErrorKind::invalid};
    case Errc::malformed_opaque:
      return {"mpp.malformed_opaque", ErrorKind::invalid};
    case Errc::malformed_digest:
      return {"mpp.malformed_digest", ErrorKind::invalid};
    case Errc::digest_mismatch:
      return {"mpp.digest_mismatch", ErrorKind::refused};
    case Errc::bad_expires:
      return {"mpp.bad_expires", ErrorKind::invalid};
    case Errc::expired:
      return {"mpp.expired", ErrorKind::refused};
    case Errc::bad_path:
      return {"mpp.bad_path", ErrorKind::invalid};
    case Errc::bad_identifier:
      return {"mpp.bad_identifier", ErrorKind::invalid};
    case Errc::bad_key_ring:
      return {"mpp.bad_key_ring", ErrorKind::invalid};
    case Errc::unknown_operation:
      return {"mpp.unknown_operation", ErrorKind::not_found};
  }
  return {"mpp.malformed_challenge", ErrorKind::internal};
}

}  // namespace octroi::mpp
