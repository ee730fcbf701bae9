// What parses formats to a text that parses to the same amount; nothing parsed exceeds its type.
#include <cstdlib>

#include "octroi/money/money.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto price = parse_price(text)) {
    const auto again = parse_price(format(*price));
    if (!again || *again != *price) std::abort();
    if (price->msat > Msat::from_raw_unchecked(Msat::kMax)) std::abort();
    if (parse_msat(text).has_value() == price->usd.has_value()) std::abort();
    if (parse_usd(text).has_value() != price->usd.has_value()) std::abort();
  }
  if (const auto sat = sat_from_wire(text)) {
    if (std::to_string(sat->count()) != text) std::abort();
  }
  return 0;
}
