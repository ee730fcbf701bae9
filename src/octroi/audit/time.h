// octroi/audit/time.h: how rows and checkpoints write a moment: RFC 3339, UTC, milliseconds.
#pragma once

#include <string>

#include "octroi/base/clock.h"

namespace octroi::audit {

/// "2026-11-21T03:40:00.123Z"
[[nodiscard]] inline std::string time_text(UnixMillis t) {
  std::string out = to_rfc3339(UnixMillis{t.seconds() * 1000});
  const auto millis = static_cast<unsigned>(t.value - t.seconds() * 1000);
  out.back() = '.';
  out += static_cast<char>('0' + millis / 100);
  out += static_cast<char>('0' + millis / 10 % 10);
  out += static_cast<char>('0' + millis % 10);
  out += 'Z';
  return out;
}

}  // namespace octroi::audit
