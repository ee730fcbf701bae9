// Whatever decodes encodes back to the same text, apart from case and padding.
#include <cstdlib>

#include "octroi/base/bytes.h"

namespace {
void require(bool holds) {
  if (!holds) std::abort();
}
std::string_view without_padding(std::string_view text) { return text.substr(0, text.find('=')); }
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const ByteView bytes(data, size);
  require(from_hex(to_hex(bytes), HexCase::lower).value() == Bytes(bytes.begin(), bytes.end()));
  require(from_base64(to_base64(bytes)).value() == Bytes(bytes.begin(), bytes.end()));
  require(from_base64url(to_base64url(bytes)).value() == Bytes(bytes.begin(), bytes.end()));
  if (const auto value = from_hex(text, HexCase::lower)) require(to_hex(*value) == text);
  if (const auto value = from_base64(text)) {
    require(without_padding(to_base64(*value)) == without_padding(text));
    require(value->size() <= base64_decoded_bound(size));
  }
  if (const auto value = from_base64url(text)) {
    require(to_base64url(*value) == without_padding(text));
  }
  const auto standard = from_base64(text);
  const auto url = from_base64url(text);
  const auto any = from_base64_any(text);
  require(any.has_value() == (standard.has_value() || url.has_value()));
  if (any) require(*any == (standard ? *standard : *url));
  return 0;
}
