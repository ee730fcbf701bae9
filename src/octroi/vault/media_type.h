// octroi/vault/media_type.h: what a Content-Type says, in the one way in which it can be read.
//
// Refused  what is not `type/subtype` with parameters by the grammar, and a parameter twice: some
//          servers look for the first `charset=`, others for the last, others end the type at a
//          comma.
// Errors   Errc::unsupported_body.
// Source   RFC 9110 section 8.3.1.
// Thread   pure.
#pragma once

#include <string>
#include <string_view>

#include "octroi/base/result.h"

namespace octroi::vault {

struct MediaType {
  std::string essence;  // "application/json", lower case; empty: the field is not there
  std::string charset;  // lower case; empty: it names none

  [[nodiscard]] bool is_form() const { return essence == "application/x-www-form-urlencoded"; }
  /// Also the types that are JSON by their suffix (RFC 6839 section 3.1).
  [[nodiscard]] bool is_json() const;
  /// That a text of this type is one of ours.
  [[nodiscard]] Result<> check_utf8() const;
};

/// An empty text is no type at all.
[[nodiscard]] Result<MediaType> read_media_type(std::string_view field);

}  // namespace octroi::vault
