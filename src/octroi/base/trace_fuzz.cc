// A traceparent that is read is written back as it came, as far as this version knows it; a
// tracestate that is accepted can be cut at its commas into members that are accepted alone.
#include <cstdlib>

#include "octroi/base/bytes.h"
#include "octroi/base/trace.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi;
  const std::string_view text = as_text(ByteView(data, size));
  if (const auto parent = parse_traceparent(text)) {
    const std::string again = to_traceparent(*parent);
    if (parse_traceparent(again) != parent) std::abort();
    // All but the version, which is ours, and what versions to come put behind.
    if (again.substr(2) != text.substr(2, again.size() - 2)) std::abort();
    if (text.starts_with("00") && text.size() != again.size()) std::abort();
  }
  if (is_tracestate(text)) {
    std::string_view rest = text;
    std::size_t members = 0;
    while (!rest.empty()) {
      const std::size_t end = rest.find(',');
      const std::string_view member = rest.substr(0, end);
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
      if (member.find_first_not_of(" \t") == std::string_view::npos) continue;
      ++members;
      if (!is_tracestate(member)) std::abort();
    }
    if (members == 0 || members > 32 || text.size() > 512) std::abort();
    if (text.find_first_of("\r\n") != std::string_view::npos) std::abort();
  }
  return 0;
}
