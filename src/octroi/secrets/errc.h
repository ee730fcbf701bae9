// octroi/secrets/errc.h: why a secret cannot be had. Messages name the reference, never the value.
#pragma once

#include <cstdint>

#include "octroi/base/error.h"

namespace octroi::secrets {

enum class Errc : std::uint8_t {
  not_a_reference,    // no known scheme
  bad_reference,      // a known scheme, but not its form
  unsupported,        // a provider that this version does not have
  not_set,            // the variable, file, credential or field does not exist
  empty,              // it exists and holds nothing
  unreadable,         // it exists and cannot be read
  no_field,           // the JSON has no such text, or it is no JSON
  bad_ring,           // no key, a key twice, or one that is too short
  too_large,          // more than any secret is
  unavailable,        // whoever keeps it cannot be reached, or answers with an error
  timeout,            // it did not answer in time
  unknown_operation,  // conformance: no such operation
};
ErrorInfo error_info(Errc e);

}  // namespace octroi::secrets
