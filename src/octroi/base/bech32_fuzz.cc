// Whatever decodes encodes back to the same text in lower case, and bits regroup without loss.
#include <cctype>
#include <cstdlib>

#include "octroi/base/bech32.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi;
  const ByteView bytes(data, size);
  const auto words = bytes_to_words(bytes);
  if (words_to_bytes(words).value() != Bytes(bytes.begin(), bytes.end())) std::abort();
  if (bech32_decode(bech32_encode(Bech32Kind::bech32, "lnbc", words).value(), 1U << 24)->words !=
      words) {
    std::abort();
  }
  if (const auto decoded = bech32_decode(as_text(bytes))) {
    std::string lower(as_text(bytes));
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (bech32_encode(decoded->kind, decoded->prefix, decoded->words).value() != lower)
      std::abort();
  }
  return 0;
}
