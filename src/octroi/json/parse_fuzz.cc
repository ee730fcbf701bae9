// Whatever is accepted can be written and read again without a difference.
#include <cstdlib>

#include "octroi/base/bytes.h"
#include "octroi/json/value.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi;
  const auto document = json::parse(as_text({data, size}));
  if (!document) return 0;
  const std::string text = document->root().to_json();
  const auto again = json::parse(text);
  if (!again || again->root().to_json() != text) std::abort();
  return 0;
}
