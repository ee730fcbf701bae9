// A registered secret is never in the output, and redacting twice changes nothing more than once.
#include <cstdlib>

#include "octroi/base/log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string secret = "q7-fuzzed-secret";
  static const octroi::Redactor* const redactor = [] {
    static octroi::Redactor instance;
    instance.add_text(secret);
    return &instance;
  }();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string half(text.substr(0, size / 2));
  const std::string rest(text.substr(size / 2));
  const std::vector<std::string> forms = {secret, octroi::to_hex(octroi::as_bytes(secret)),
                                          octroi::to_base64url(octroi::as_bytes(secret))};
  for (const std::string& form : forms) {
    if (redactor->redact(half + form + rest).find(form) != std::string::npos) std::abort();
  }
  static const std::string preimage = std::string(60, '7') + "f00d";
  if (text.find(preimage) != std::string_view::npos) return 0;  // unlabelled, it may stay
  const std::string labelled = half + " preimage=" + preimage + " " + rest;
  if (redactor->redact(labelled).find(preimage) != std::string::npos) std::abort();
  return 0;
}
