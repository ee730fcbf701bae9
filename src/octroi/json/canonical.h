// octroi/json/canonical.h: the JSON Canonicalization Scheme: one text for one value, so that it can
// be hashed and signed.
//
// Order    members by the UTF-16 code units of their names (which is not the order of the UTF-8
//          bytes once a name leaves the Basic Multilingual Plane).
// Numbers  as ECMAScript prints the nearest double: shortest digits that round-trip, exponent form
//          from 1e21 up and below 1e-6; -0 is 0. An integer beyond 2^53 is therefore rounded, as
//          the scheme demands: exact large amounts belong in strings.
// Strings  \b \t \n \f \r \" \\ and \u00xx for the other controls; everything else as it is.
// Refused  what json::parse refuses (duplicate keys, lone surrogates, too deep, …).
// Source   RFC 8785.   Thread: pure.
#pragma once

#include <string>
#include <string_view>

#include "octroi/base/result.h"
#include "octroi/json/value.h"

namespace octroi::json {

[[nodiscard]] Result<std::string> canonicalize(std::string_view json_text,
                                               const ParseLimits& limits = {});
[[nodiscard]] std::string canonicalize(const Value& value);
void append_canonical(std::string& out, const Value& value);

/// ECMAScript's Number::toString. REQUIRES a finite number.
void append_number(std::string& out, double number);

/// The canonical order of two member names in UTF-8.
[[nodiscard]] bool canonical_less(std::string_view a, std::string_view b) noexcept;

}  // namespace octroi::json
