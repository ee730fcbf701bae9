// Whatever file is taken for a time zone: each moment is in its day and month, the next day begins
// where it ends, and nothing takes long.
#include <cstdlib>

#include "octroi/policy/time_zone.h"

namespace {
void require(bool holds) {
  if (!holds) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi;
  const auto zone = policy::TimeZone::parse("x", ByteView(data, size));
  if (!zone) return 0;
  for (const std::int64_t seconds : {0LL, 1'763'726'400LL, 4'102'444'800LL, 951'782'400LL}) {
    const UnixMillis now{seconds * 1000 + 7};
    const policy::Window day = (*zone)->day(now);
    require(day.starts <= now && now < day.ends);
    require((*zone)->day(day.ends).starts >= day.ends);
    const policy::Window month = (*zone)->month(now);
    require(month.starts <= now && now < month.ends);
    require(month.starts <= day.starts && day.ends <= month.ends);
  }
  return 0;
}
