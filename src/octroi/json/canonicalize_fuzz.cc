// Canonical text is its own canonical text, and that of every other way to write the value.
#include <cstdlib>

#include "octroi/base/bytes.h"
#include "octroi/json/canonical.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi;
  const auto document = json::parse(as_text({data, size}));
  const auto canonical = json::canonicalize(as_text({data, size}));
  if (document.has_value() != canonical.has_value()) std::abort();
  if (!document) return 0;
  if (json::canonicalize(document->root()) != *canonical) std::abort();
  if (json::canonicalize(*canonical).value() != *canonical) std::abort();
  if (json::canonicalize(document->root().to_json()).value() != *canonical) std::abort();
  return 0;
}
