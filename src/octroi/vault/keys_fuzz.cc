// Only what was issued is read as a key.
#include <cstdlib>

#include "octroi/vault/keys.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi::vault;  // NOLINT(google-build-using-namespace): the subject of this file
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto key = read_key(text)) {
    // A body is the end of the text, and has its size.
    if (key->body.size() != kKeyBodySize || !text.ends_with(key->body)) std::abort();
  }
  const std::size_t half = size / 2;
  if (const auto pair = read_pair(text.substr(0, half), text.substr(half))) {
    if (pair->body.empty() == pair->token.empty()) std::abort();
  }
  return 0;
}
