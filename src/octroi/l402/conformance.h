// octroi/l402/conformance.h: the operations of octroi-conformance that belong to l402.
//
//   macaroon.decode   "base64"   → {version, location, identifier_hex, identifier, caveats,
//   third_party,
//                                   signature_hex, payment_hash, token_id}
//       `identifier` only when it is printable ASCII, `payment_hash` and `token_id` only when it is
//       an L402 identifier; `caveats` are the texts in order (third-party ones by their id).
//   macaroon.verify   {macaroon, root_key_hex, preimage_hex?, service?, capabilities?, facts?,
//   now?}
//       → {valid: true, valid_until?}. The signature always; the preimage against the identifier's
//       hash when given; the caveats when a service is (`now` in unix seconds, 0 when absent;
//       `facts` an object of texts).
//
// Errors   those of error.h; unknown operation and input of the wrong shape: Errc::malformed or
// json's. Thread   pure.   Source: architecture 3.2.
#pragma once

#include <string>
#include <string_view>

#include "octroi/base/result.h"

namespace octroi::l402 {

/// Input and value are JSON texts.
[[nodiscard]] Result<std::string> run_conformance_operation(std::string_view operation,
                                                            std::string_view input_json);
[[nodiscard]] bool is_conformance_operation(std::string_view operation);

}  // namespace octroi::l402
