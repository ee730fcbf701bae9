// octroi/mpp/conformance.h: the operations of octroi-conformance that belong to json and mpp, so
// that any vector file can be run against them.
//
//   jcs.canonicalize      "JSON text"                                   → "canonical text"
//   base64url.encode      "hex"                                         → "text"
//   base64url.decode      "text"                                        → "hex"
//   challenge.format      {id, realm, method, intent, request, …}       → "Payment id=…"
//   challenge.parse       ["field value", …]                            → [{id, realm, …}, …]
//   challenge.id          {secret_hex, realm, method, intent, request, expires, digest, header,
//   opaque} → "id" credential.format     {challenge: {…}, payload: {…}, source}        → "Payment
//   …" credential.parse      "Payment …"                                   → {challenge, payload,
//   source} receipt.format        {method, timestamp, reference, …}             → "base64url"
//   receipt.parse         "base64url"                                   → {status, method, …}
//   accept_payment.rank   {header, offers: ["m/i" or {method, intent}]} → offers
//
// Where a base64url text is asked for in a challenge to format, an object is accepted too and
// encoded. Errors   what the functions themselves give; unknown_operation for any other name.
// Thread   pure.   Source: architecture 3.2.
#pragma once

#include <string>
#include <string_view>

#include "octroi/base/result.h"

namespace octroi::mpp {

/// Input and value are JSON texts.
[[nodiscard]] Result<std::string> run_conformance_operation(std::string_view operation,
                                                            std::string_view input_json);
/// Whether the name is one of the above.
[[nodiscard]] bool is_conformance_operation(std::string_view operation);

}  // namespace octroi::mpp
