#include "octroi/mpp/auth_params.h"

#include <algorithm>

#include "octroi/base/scan.h"
#include "octroi/mpp/text.h"

namespace octroi::mpp {

namespace {

using detail::is_alpha;
using detail::is_control;
using detail::is_digit;
using detail::is_token_char;
using detail::to_lower;

// From this many parameters on, sorting beats comparing every pair.
constexpr std::size_t kPairwiseParams = 16;

/// Reads one field value from left to right. Looking ahead never goes past one token and its
/// blanks, and what was looked at is either consumed or starts the next challenge, so the whole is
/// linear.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  void read_all(std::vector<AuthChallenge>& out) {
    while (true) {
      skip_separators();
      if (at_end()) return;
      std::string_view scheme = take_token();
      if (scheme.empty())
        return;  // no challenge starts here, and nothing says where the next one does
      AuthChallenge challenge;
      challenge.scheme = scheme;
      const bool go_on = read_content(challenge);
      check_repeated(challenge);
      out.push_back(std::move(challenge));
      if (!go_on) return;
    }
  }

 private:
  [[nodiscard]] bool at_end() const { return pos_ >= text_.size(); }
  [[nodiscard]] char peek() const { return text_[pos_]; }
  /// A line break can only be a folded line here: the HTTP layer admits no other.
  [[nodiscard]] static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
  }

  void skip_space() {
    while (!at_end() && is_space(peek())) ++pos_;
  }
  void skip_separators() {
    while (!at_end() && (is_space(peek()) || peek() == ',')) ++pos_;
  }
  std::string_view take_token() {
    const std::size_t start = pos_;
    while (!at_end() && is_token_char(peek())) ++pos_;
    return text_.substr(start, pos_ - start);
  }
  [[nodiscard]] bool at_element_end() {
    skip_space();
    return at_end() || peek() == ',';
  }

  /// What follows the scheme. False when the rest of the field value is not to be trusted.
  bool read_content(AuthChallenge& challenge) {
    if (!at_end() && !is_space(peek()) && peek() != ',')
      return give_up(challenge, AuthDefect::bad_syntax);
    if (at_element_end()) return true;
    if (take_token68(challenge)) return true;
    return read_params(challenge);
  }

  bool take_token68(AuthChallenge& challenge) {
    const std::size_t start = pos_;
    while (!at_end() && (is_alpha(peek()) || is_digit(peek()) ||
                         std::string_view("-._~+/").find(peek()) != std::string_view::npos)) {
      ++pos_;
    }
    while (!at_end() && pos_ > start && peek() == '=') ++pos_;
    const std::string_view token = text_.substr(start, pos_ - start);
    if (!token.empty() && at_element_end()) {
      challenge.token68 = token;
      return true;
    }
    pos_ = start;
    return false;
  }

  bool read_params(AuthChallenge& challenge) {
    while (true) {
      const std::size_t start = pos_;
      const std::string_view name = take_token();
      skip_space();
      if (name.empty() || at_end() || peek() != '=') {
        pos_ = start;
        // After a comma this is the next challenge's scheme; directly after our own it is nothing.
        if (challenge.params.empty() || name.empty())
          return give_up(challenge, AuthDefect::bad_syntax);
        return true;
      }
      ++pos_;
      skip_space();
      AuthParam& param = challenge.params.emplace_back();
      std::transform(name.begin(), name.end(), std::back_inserter(param.name), to_lower);
      const AuthDefect defect = read_value(param);
      if (defect != AuthDefect::none) return give_up(challenge, defect);
      if (!at_element_end()) {
        const bool nothing_lost = param.quoted && text_.find(',', pos_) == std::string_view::npos;
        return give_up(challenge,
                       nothing_lost ? AuthDefect::text_after_value : AuthDefect::bad_syntax);
      }
      skip_separators();
      if (at_end()) return true;
    }
  }

  AuthDefect read_value(AuthParam& param) {
    if (at_end() || peek() != '"') {
      param.value = take_token();
      return param.value.empty() ? AuthDefect::bad_syntax : AuthDefect::none;
    }
    param.quoted = true;
    AuthDefect defect = AuthDefect::none;
    for (++pos_; !at_end(); ++pos_) {
      char c = peek();
      if (c == '"') {
        ++pos_;
        return defect;
      }
      if (c == '\\') {
        if (++pos_ >= text_.size()) break;
        c = peek();
      }
      if (is_control(c) && c != '\t') defect = AuthDefect::bad_character;
      param.value += c;
    }
    return AuthDefect::unterminated_string;
  }

  static bool give_up(AuthChallenge& challenge, AuthDefect defect) {
    challenge.defect = defect;
    return false;
  }

  static void check_repeated(AuthChallenge& challenge) {
    if (challenge.defect != AuthDefect::none && challenge.defect != AuthDefect::text_after_value)
      return;
    std::vector<std::string_view> names;
    names.reserve(challenge.params.size());
    for (const AuthParam& param : challenge.params) {
      if (names.size() < kPairwiseParams &&
          std::find(names.begin(), names.end(), param.name) != names.end()) {
        challenge.defect = AuthDefect::repeated_parameter;
        return;
      }
      names.push_back(param.name);
    }
    if (names.size() <= kPairwiseParams) return;
    std::sort(names.begin(), names.end());
    if (std::adjacent_find(names.begin(), names.end()) != names.end()) {
      challenge.defect = AuthDefect::repeated_parameter;
    }
  }

  std::string_view text_;
  std::size_t pos_ = 0;
};

}  // namespace

std::string_view describe(AuthDefect defect) {
  switch (defect) {
    case AuthDefect::none:
      return "none";
    case AuthDefect::repeated_parameter:
      return "a parameter stands twice";
    case AuthDefect::unterminated_string:
      return "a quoted-string has no end";
    case AuthDefect::text_after_value:
      return "text after the end of a quoted-string";
    case AuthDefect::bad_syntax:
      return "neither token68 nor parameters";
    case AuthDefect::bad_character:
      return "a control character in a quoted-string";
  }
  return "unknown";
}

bool AuthChallenge::has_scheme(std::string_view name) const {
  return detail::equal_ignoring_case(scheme, name);
}

std::optional<std::string_view> AuthChallenge::param(std::string_view name) const {
  for (const AuthParam& p : params) {
    if (p.name == name) return p.value;
  }
  return std::nullopt;
}

// RFC 9110 section 11.6.1: one list over all lines of the field. rule: MPP-10
std::vector<AuthChallenge> parse_auth_challenges(std::span<const std::string_view> field_values) {
  std::vector<AuthChallenge> out;
  for (const std::string_view value : field_values) Reader(value).read_all(out);
  return out;
}

bool append_quoted_param(std::string& out, std::string_view name, std::string_view value) {
  const std::size_t before = out.size();
  (out += name) += "=\"";
  while (!value.empty()) {
    const std::size_t plain = plain_prefix(value);
    out.append(value, 0, plain);
    value.remove_prefix(plain);
    if (value.empty()) break;
    const char c = value.front();
    if (is_control(c) && c != '\t') {
      out.resize(before);
      return false;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
    value.remove_prefix(1);
  }
  out += '"';
  return true;
}

}  // namespace octroi::mpp
