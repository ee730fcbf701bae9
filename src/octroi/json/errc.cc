#include "octroi/json/errc.h"

namespace octroi::json {

ErrorInfo error_info(Errc e) {
  switch (e) {
    case Errc::syntax:
      return {"json.syntax", ErrorKind::invalid};
    case Errc::invalid_utf8:
      return {"json.invalid_utf8", ErrorKind::invalid};
    case Errc::lone_surrogate:
      return {"json.lone_surrogate", ErrorKind::invalid};
    case Errc::duplicate_key:
      return {"json.duplicate_key", ErrorKind::invalid};
    case Errc::too_deep:
      return {"json.too_deep", ErrorKind::limit};
    case Errc::too_large:
      return {"json.too_large", ErrorKind::limit};
    case Errc::number_range:
      return {"json.number_range", ErrorKind::invalid};
    case Errc::missing:
      return {"json.missing", ErrorKind::invalid};
    case Errc::wrong_type:
      return {"json.wrong_type", ErrorKind::invalid};
    case Errc::out_of_range:
      return {"json.out_of_range", ErrorKind::invalid};
  }
  return {"json.syntax", ErrorKind::internal};
}

}  // namespace octroi::json
