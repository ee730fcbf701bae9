// An accepted credential is the same credential after it was written anew. The input is tried as
// the field value, and as the JSON in it.
#include <array>
#include <cstdlib>

#include "octroi/base/bytes.h"
#include "octroi/mpp/credential.h"
#include "octroi/mpp/lightning/charge.h"
#include "octroi/mpp/lightning/session.h"

namespace {

using namespace octroi;

void check(std::string_view field_value) {
  const std::array<std::string_view, 1> line = {field_value};
  (void)mpp::find_credential(line, {});
  const auto credential = mpp::parse_credential(field_value);
  if (!credential) return;
  if (!mpp::is_payment_credential(field_value)) std::abort();
  (void)mpp::lightning::verify_charge(*credential, {UnixMillis{0}, Millis(0), std::nullopt});
  if (const auto action = mpp::lightning::parse_session_action(credential->payload())) {
    const auto again = json::parse(mpp::lightning::session_payload_json(*action));
    if (!again || !mpp::lightning::parse_session_action(again->root())) std::abort();
  }
  const auto text = mpp::format_credential(credential->challenge(), credential->payload().to_json(),
                                           credential->source());
  if (!text) {
    if (!text.error().is(mpp::Errc::too_large)) std::abort();
    return;
  }
  const auto again = mpp::parse_credential(*text);
  if (!again || again->challenge() != credential->challenge() ||
      again->source() != credential->source() ||
      again->fingerprint() != credential->fingerprint()) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check(as_text({data, size}));
  check("Payment " + to_base64url({data, size}));
  return 0;
}
