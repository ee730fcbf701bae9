#include "octroi/vault/media_type.h"

#include <algorithm>
#include <vector>

#include "octroi/http/message.h"
#include "octroi/vault/errors.h"

namespace octroi::vault {

namespace {

tl::unexpected<Error> malformed() {
  return fail(Errc::unsupported_body, "the Content-Type is no type/subtype with parameters");
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

void skip_blanks(std::string_view& rest) {
  while (rest.starts_with(' ') || rest.starts_with('\t')) rest.remove_prefix(1);
}

/// Everything up to one of these characters, or the end.
std::string_view take_until(std::string_view& rest, std::string_view ends) {
  const std::size_t end = std::min(rest.find_first_of(ends), rest.size());
  const std::string_view out = rest.substr(0, end);
  rest.remove_prefix(end);
  return out;
}

/// A token, or a quoted-string without its quotes.
Result<std::string> take_value(std::string_view& rest) {
  if (!rest.starts_with('"')) {
    const std::string_view token = take_until(rest, "; \t");
    if (!http::is_token(token)) return malformed();
    return std::string(token);
  }
  rest.remove_prefix(1);
  std::string out;
  while (!rest.empty() && rest[0] != '"') {
    if (rest[0] == '\\') rest.remove_prefix(1);
    if (rest.empty()) break;
    out += rest[0];
    rest.remove_prefix(1);
  }
  if (rest.empty()) return malformed();
  rest.remove_prefix(1);
  return out;
}

}  // namespace

bool MediaType::is_json() const {
  return essence == "application/json" ||
         (essence.starts_with("application/") && essence.ends_with("+json"));
}

Result<> MediaType::check_utf8() const {
  // US-ASCII is a part of it, and what is beyond it is UTF-8 to whoever reads it so.
  if (charset.empty() || charset == "utf-8" || charset == "utf8" || charset == "us-ascii")
    return {};
  return fail(Errc::unsupported_body, "the body must be in UTF-8");
}

Result<MediaType> read_media_type(std::string_view field) {
  MediaType out;
  std::string_view rest = field;
  skip_blanks(rest);
  if (rest.empty()) return out;
  const std::string_view type = take_until(rest, "; \t");
  const std::size_t slash = type.find('/');
  if (slash == std::string_view::npos || !http::is_token(type.substr(0, slash)) ||
      !http::is_token(type.substr(slash + 1)))
    return malformed();
  out.essence = lower(type);
  std::vector<std::string> seen;
  for (skip_blanks(rest); !rest.empty(); skip_blanks(rest)) {
    if (rest[0] != ';') return malformed();
    rest.remove_prefix(1);
    skip_blanks(rest);
    if (rest.empty() || rest[0] == ';') continue;
    std::string name = lower(take_until(rest, "=; \t"));
    if (!http::is_token(name) || !rest.starts_with('=')) return malformed();
    rest.remove_prefix(1);
    OCTROI_TRY(std::string value, take_value(rest));
    if (std::ranges::find(seen, name) != seen.end()) return malformed();
    if (name == "charset") out.charset = lower(value);
    seen.push_back(std::move(name));
  }
  return out;
}

}  // namespace octroi::vault
