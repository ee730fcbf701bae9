#include "octroi/crypto/errors.h"

namespace octroi::crypto {

ErrorInfo error_info(Errc e) {
  switch (e) {
    case Errc::bad_key:
      return {"crypto.bad_key", ErrorKind::invalid};
    case Errc::weak_key:
      return {"crypto.weak_key", ErrorKind::invalid};
    case Errc::bad_signature:
      return {"crypto.bad_signature", ErrorKind::refused};
    case Errc::wrong_algorithm:
      return {"crypto.wrong_algorithm", ErrorKind::refused};
    case Errc::bad_ciphertext:
      return {"crypto.bad_ciphertext", ErrorKind::refused};
    case Errc::bad_parameters:
      return {"crypto.bad_parameters", ErrorKind::invalid};
    case Errc::malformed:
      return {"crypto.malformed", ErrorKind::invalid};
    case Errc::unavailable:
      return {"crypto.unavailable", ErrorKind::internal};
  }
  return {"crypto.unknown", ErrorKind::internal};
}

}  // namespace octroi::crypto
