#include "octroi/upstream/errors.h"

namespace octroi::upstream {

ErrorInfo error_info(Errc e) {
  switch (e) {
    case Errc::busy:
      return {"upstream.busy", ErrorKind::unavailable};
    case Errc::no_more:
      return {"upstream.no-more", ErrorKind::unavailable};
  }
  return {"upstream.unknown", ErrorKind::internal};
}

}  // namespace octroi::upstream
