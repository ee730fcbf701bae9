// Lines of text: a credential that parses, written as a client writes it, parses to the same; what
// is refused never shows its input; a challenge that parses, written again, parses to the same.
#include <algorithm>
#include <cstdlib>

#include "octroi/l402/header.h"

using namespace octroi;
using namespace octroi::l402;

namespace {

void check_credential(const CredentialLines& lines) {
  const auto found = parse_credential(lines);
  if (!found || !*found) return;
  const Credential& credential = **found;
  if (credential.macaroons.empty() || credential.macaroons.size() > kMaxMacaroons) std::abort();
  const Secret text = format_credential(SchemeName::l402, credential.macaroons.front(),
                                        credential.preimage.reveal());
  const std::string_view line = text.reveal_text();
  const auto again = parse_credential({.authorization = {&line, 1}});
  if (!again || !*again || (*again)->id != credential.id ||
      !(*again)->preimage.equals(credential.preimage))
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text({data, size});
  const std::size_t cut = text.find('\n');
  const std::vector<std::string_view> first = {text.substr(0, cut)};
  const std::vector<std::string_view> rest = {cut == std::string_view::npos ? std::string_view{}
                                                                            : text.substr(cut + 1)};
  check_credential({.authorization = first});
  check_credential({.authorization = first, .macaroon = rest});
  check_credential({.macaroon = first, .grpc_macaroon = rest});
  static_cast<void>(is_l402_authorization(text));
  for (const Challenge& challenge : parse_challenges(text)) {
    if (challenge.invoice.find_first_of("\"\\") != std::string::npos) continue;
    const auto again =
        parse_challenges(format_challenge(challenge.scheme, challenge.macaroon, challenge.invoice));
    if (again.size() != 1 || again[0].macaroon != challenge.macaroon ||
        again[0].invoice != challenge.invoice)
      std::abort();
  }
  return 0;
}
