// octroi/json/errc.h: why JSON text, or a value in it, was refused.
//
// Messages name the place ("challenge.request") and the fix, never the value found there.
// Thread: pure.
#pragma once

#include <cstdint>

#include "octroi/base/error.h"

namespace octroi::json {

enum class Errc : std::uint8_t {
  syntax,          // not JSON text (RFC 8259), or something follows it
  invalid_utf8,    // bytes that are not UTF-8
  lone_surrogate,  // \uD800…\uDFFF without its other half: no UTF-8 text means it
  duplicate_key,   // an object names a member twice: two readers could see two values
  too_deep,        // more nested arrays and objects than the limit
  too_large,       // more bytes than the limit
  number_range,    // a number that no IEEE 754 double can hold (1e400)
  missing,         // a required member is absent
  wrong_type,      // a member is there, with another type
  out_of_range,    // a number that does not fit the type asked for
};
ErrorInfo error_info(Errc e);

}  // namespace octroi::json
