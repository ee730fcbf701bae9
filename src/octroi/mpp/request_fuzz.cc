// Accepted requests and opaque maps are the same after they were written anew, in canonical form.
#include <cstdlib>

#include "octroi/base/bytes.h"
#include "octroi/mpp/lightning/charge.h"
#include "octroi/mpp/lightning/session.h"
#include "octroi/mpp/opaque.h"

namespace {

using namespace octroi;
using namespace octroi::mpp;

void check(std::string_view text) {
  if (const auto charge = lightning::parse_charge_request(text)) {
    const auto once = lightning::format_charge_request(*charge);
    if (!once) std::abort();
    const auto again = lightning::parse_charge_request(*once);
    if (again) {
      if (lightning::format_charge_request(*again).value() != *once ||
          again->amount != charge->amount)
        std::abort();
    } else if (once->size() < 20'000) {
      std::abort();
    }
  }
  if (const auto session = lightning::parse_session_request(text)) {
    if (const auto once = lightning::format_session_request(*session)) {
      const auto again = lightning::parse_session_request(*once);
      if (again && lightning::format_session_request(*again).value() != *once) std::abort();
      if (!again && once->size() < 20'000) std::abort();
    }
  }
  if (const auto map = parse_opaque(text)) {
    const auto again = parse_opaque(format_opaque(*map));
    if (again && *again != *map) std::abort();
    if (!again && text.size() < 4'000 / 6) std::abort();
  }
  (void)lightning::parse_close_body(text);
  (void)lightning::parse_balance_event(text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check(as_text({data, size}));
  check(to_base64url({data, size}));
  return 0;
}
