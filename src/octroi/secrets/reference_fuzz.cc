// A text that parses is a reference, keeps its own spelling, and has parts that say what it says.
#include <cstdlib>

#include "octroi/base/bytes.h"
#include "octroi/secrets/reference.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi;
  const std::string_view text = as_text(ByteView(data, size));
  const auto r = secrets::parse_reference(text);
  if (!r) {
    if (!secrets::is_reference(text) && !r.error().is(secrets::Errc::not_a_reference)) std::abort();
    return 0;
  }
  if (!secrets::is_reference(text) || r->text != text || r->locator.empty()) std::abort();
  std::string again(secrets::prefix_of(r->scheme));
  again += r->locator;
  char separator = '?';
  for (const auto& [name, value] : r->options) {
    again += separator + name + "=" + value;
    separator = '&';
  }
  if (!r->field.empty()) again += "#" + r->field;
  if (again != text) std::abort();
  return 0;
}
