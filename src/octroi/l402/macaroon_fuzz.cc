// Any bytes: whatever decodes is written again byte for byte from its parts, and appending a caveat
// keeps it decodable with all that was there.
#include <cstdlib>

#include "octroi/l402/identifier.h"
#include "octroi/l402/macaroon.h"

using namespace octroi;
using namespace octroi::l402;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  const auto macaroon = decode_macaroon(bytes);
  if (!macaroon) return 0;
  // The one field with two spellings: a first location that is there and empty.
  if (macaroon->location.empty() && bytes[1] == 1) return 0;
  MacaroonWriter writer(as_bytes("root"), macaroon->location, macaroon->identifier);
  std::size_t count = 0;
  for (const CaveatView& caveat : macaroon->caveats) {
    writer.add_third_party(caveat.location, caveat.id, caveat.vid);
    ++count;
  }
  if (count != macaroon->caveat_count) std::abort();
  const auto again = std::move(writer).finish();
  if (!again || again->size() != size) std::abort();
  if (!std::equal(again->begin(), again->end() - 32, bytes.begin())) std::abort();
  if (!signature_matches(*decode_macaroon(*again), as_bytes("root"))) std::abort();
  if (signature_matches(*macaroon, as_bytes("root")) &&
      !std::equal(bytes.begin(), bytes.end(), again->begin()))
    std::abort();

  const std::vector<std::string> more = {"x=y"};
  if (const auto longer = attenuate(bytes, more)) {
    if (decode_macaroon(*longer)->caveat_count != count + 1) std::abort();
  }
  static_cast<void>(decode_identifier(macaroon->identifier));
  return 0;
}
