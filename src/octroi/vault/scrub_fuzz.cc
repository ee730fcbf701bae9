// A text in pieces is cleaned as the whole of it is, nothing of the key is left as it was, and what
// is held back stays bounded.
#include <algorithm>
#include <cstdlib>

#include "octroi/vault/scrub.h"

namespace {

constexpr std::string_view kKey = "sk_live_51aB+/=%c&d\\e";

void require(bool yes) {
  if (!yes) std::abort();
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octroi::vault;  // NOLINT(google-build-using-namespace): the subject of this file
  if (size < 2) return 0;
  static const auto needles = [] {
    auto made = std::make_shared<Needles>();
    made->add(octroi::Secret(kKey), "vault_redacted");
    return made;
  }();
  const std::size_t step = 1 + data[0] % 17;
  std::string text(reinterpret_cast<const char*>(data + 2), size - 2);
  // Inputs that hold the key are rare unless it is put in.
  if (!text.empty()) text.insert(data[1] % text.size(), kKey);
  const std::string whole = scrub(*needles, text);
  require(lower(whole).find(lower(std::string(kKey))) == std::string::npos);
  Scrubber scrubber(needles);
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += step)
    out += scrubber.feed(text.substr(at, step));
  out += scrubber.finish();
  require(out == whole);
  return 0;
}
