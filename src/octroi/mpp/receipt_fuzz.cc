// An accepted receipt is the same receipt after it was written anew.
#include <cstdlib>

#include "octroi/base/bytes.h"
#include "octroi/mpp/receipt.h"

namespace {

void check(std::string_view field_value) {
  using namespace octroi::mpp;
  const auto receipt = parse_receipt(field_value);
  if (!receipt) return;
  const auto text = format_receipt(*receipt);
  if (!text) std::abort();
  // Escapes may make the canonical text a little longer than the limit allows back in.
  const auto again = parse_receipt(*text);
  if (!again) {
    if (!again.error().is(Errc::too_large)) std::abort();
    return;
  }
  if (format_receipt(*again).value() != *text) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check(octroi::as_text({data, size}));
  check(octroi::to_base64url({data, size}));
  return 0;
}
