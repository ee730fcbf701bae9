// octroi/mpp/auth_params.h: takes WWW-Authenticate values apart, for every authentication scheme.
//
// Splits any number of field values, each with any number of challenges, into scheme and token68 or
// parameters. Never fails as a whole: what is wrong with one challenge is told in its `defect`, and
// what cannot be told apart any more (after an unterminated quoted-string) ends that field value.
//
// Syntax   "scheme [1*SP (token68 / #auth-param)]", lists with empty elements, blanks around "=",
//          quoted-strings with escapes, folded lines already joined or with CRLF and blanks.
// Cost     one pass, linear in the input; nothing is ever scanned twice.
// Errors   none.   Thread: pure.
// Source   RFC 9110 sections 5.6 and 11.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace octroi::mpp {

enum class AuthDefect : std::uint8_t {
  none,
  repeated_parameter,   // one name twice: two readers would see two values
  unterminated_string,  // a quoted-string without its end
  text_after_value,     // text after the last quoted-string, and nothing lost but it: a="x "y" z"
  bad_syntax,           // neither token68 nor auth-params
  bad_character,        // a control character inside a quoted-string
};
[[nodiscard]] std::string_view describe(AuthDefect defect);

struct AuthParam {
  std::string name;   // lower case: names are compared without case
  std::string value;  // without quotes and escapes
  bool quoted = false;
};

struct AuthChallenge {
  std::string scheme;   // as sent; compare with has_scheme
  std::string token68;  // empty unless the challenge has this form
  std::vector<AuthParam> params;
  AuthDefect defect = AuthDefect::none;  // anything else: do not use

  [[nodiscard]] bool has_scheme(std::string_view name) const;  // without case
  /// The value of a parameter, by its lower-case name.
  [[nodiscard]] std::optional<std::string_view> param(std::string_view name) const;
};

[[nodiscard]] std::vector<AuthChallenge> parse_auth_challenges(
    std::span<const std::string_view> field_values);

/// Appends `name="value"` with `\` and `"` escaped. False, and nothing appended, when the value has
/// a control character (tab is one that may stand).
[[nodiscard]] bool append_quoted_param(std::string& out, std::string_view name,
                                       std::string_view value);

}  // namespace octroi::mpp
