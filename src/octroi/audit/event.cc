#include "octroi/audit/event.h"

#include <algorithm>

namespace octroi::audit {

ErrorInfo error_info(Errc e) {
  switch (e) {
    case Errc::bad_event:
      return {"audit.bad_event", ErrorKind::internal};
    case Errc::bad_row:
      return {"audit.bad_row", ErrorKind::invalid};
    case Errc::bad_checkpoint:
      return {"audit.bad_checkpoint", ErrorKind::invalid};
    case Errc::bad_filter:
      return {"audit.bad_filter", ErrorKind::invalid};
    case Errc::bad_key:
      return {"audit.bad_key", ErrorKind::invalid};
    case Errc::no_such_run:
      return {"audit.no_such_run", ErrorKind::not_found};
    case Errc::broken:
      return {"audit.broken", ErrorKind::refused};
    case Errc::unavailable:
      return {"audit.unavailable", ErrorKind::unavailable};
  }
  return {"audit.unknown", ErrorKind::internal};
}

std::string_view to_string(Verdict v) {
  switch (v) {
    case Verdict::allowed:
      return "allowed";
    case Verdict::denied:
      return "denied";
    case Verdict::failed:
      return "failed";
    case Verdict::unknown:
      return "unknown";
    case Verdict::revoked_inflight:
      return "revoked_inflight";
  }
  return "unknown";
}

std::optional<Verdict> verdict_from_string(std::string_view text) {
  for (const Verdict v : {Verdict::allowed, Verdict::denied, Verdict::failed, Verdict::unknown,
                          Verdict::revoked_inflight}) {
    if (text == to_string(v)) return v;
  }
  return std::nullopt;
}

}  // namespace octroi::audit
