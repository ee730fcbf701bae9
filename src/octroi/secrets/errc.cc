#include "octroi/secrets/errc.h"

namespace octroi::secrets {

ErrorInfo error_info(Errc e) {
  switch (e) {
    case Errc::not_a_reference:
      return {"secrets.not_a_reference", ErrorKind::invalid};
    case Errc::bad_reference:
      return {"secrets.bad_reference", ErrorKind::invalid};
    case Errc::unsupported:
      return {"secrets.unsupported", ErrorKind::invalid};
    case Errc::not_set:
      return {"secrets.not_set", ErrorKind::not_found};
    case Errc::empty:
      return {"secrets.empty", ErrorKind::invalid};
    case Errc::unreadable:
      return {"secrets.unreadable", ErrorKind::refused};
    case Errc::no_field:
      return {"secrets.no_field", ErrorKind::invalid};
    case Errc::bad_ring:
      return {"secrets.bad_ring", ErrorKind::invalid};
    case Errc::too_large:
      return {"secrets.too_large", ErrorKind::limit};
    case Errc::unavailable:
      return {"secrets.unavailable", ErrorKind::unavailable};
    case Errc::timeout:
      return {"secrets.timeout", ErrorKind::timeout};
    case Errc::unknown_operation:
      return {"secrets.unknown_operation", ErrorKind::not_found};
  }
  return {"secrets.unreadable", ErrorKind::internal};
}

}  // namespace octroi::secrets
