// What decodes encodes to the same bytes: the form has one spelling only.
#include <cstdlib>

#include "octroi/ledger/stored_headers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const octroi::ByteView bytes(data, size);
  const auto headers = octroi::ledger::decode_headers(bytes);
  if (!headers) return 0;
  const octroi::Bytes again = octroi::ledger::encode_headers(*headers);
  if (!std::ranges::equal(again, bytes)) std::abort();
  return 0;
}
