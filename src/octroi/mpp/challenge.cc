#include "octroi/mpp/challenge.h"

#include <algorithm>

#include <fmt/core.h>

#include "octroi/json/writer.h"
#include "octroi/mpp/auth_params.h"
#include "octroi/mpp/expiry.h"
#include "octroi/mpp/text.h"

namespace octroi::mpp {

namespace {

constexpr std::size_t kMaxRequestBytes = 16 * 1024;

tl::unexpected<Error> malformed(std::string_view name, std::string_view why) {
  return fail(Errc::malformed_challenge, fmt::format("challenge: {}: {}", name, why));
}

std::optional<std::string> optional_param(const AuthChallenge& challenge, std::string_view name) {
  const auto value = challenge.param(name);
  return value ? std::optional<std::string>(*value) : std::nullopt;
}

/// Broken syntax makes a challenge unusable, with one exception: quotes that were not escaped in a
/// description at the very end cost the reader a part of a text that nothing depends on.
bool is_usable(const AuthChallenge& challenge) {
  if (challenge.defect == AuthDefect::text_after_value)
    return challenge.params.back().name == "description";
  return challenge.defect == AuthDefect::none;
}

Result<Challenge> from_params(const AuthChallenge& in) {
  if (!is_usable(in)) return malformed("syntax", describe(in.defect));
  Challenge out;
  for (const auto& [name, field] :
       {std::pair{"id", &Challenge::id}, std::pair{"realm", &Challenge::realm},
        std::pair{"method", &Challenge::method}, std::pair{"intent", &Challenge::intent},
        std::pair{"request", &Challenge::request}}) {
    const auto value = in.param(name);
    if (!value) return malformed(name, "required parameter is missing");
    out.*field = *value;
  }
  out.expires = optional_param(in, "expires");
  out.digest = optional_param(in, "digest");
  out.description = optional_param(in, "description");
  out.opaque = optional_param(in, "opaque");
  out.header = optional_param(in, "header");
  // It is only shown, and in another encoding it cannot be: the rest of the challenge is no worse.
  if (out.description && !json::is_utf8(*out.description)) out.description.reset();
  OCTROI_CHECK(validate_challenge(out));
  if (!detail::decode_object(out.request, kMaxRequestBytes, Errc::malformed_challenge, "request")) {
    return malformed("request", "not base64url of a JSON object");
  }
  return out;
}

}  // namespace

bool is_method(std::string_view text) noexcept {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

bool is_intent(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return detail::is_alpha(c) || detail::is_digit(c) || c == '-';
  });
}

// Payment core, "Required Parameters" and "Optional Parameters". rule: MPP-12 MPP-13 MPP-14
Result<> validate_challenge(const Challenge& c) {
  if (c.id.empty()) return malformed("id", "may not be empty");
  if (!is_method(c.method)) return malformed("method", "must be lower-case letters");
  if (!is_intent(c.intent)) return malformed("intent", "must be letters, digits and hyphens");
  if (!detail::looks_like_base64url(c.request)) return malformed("request", "must be base64url");
  if (c.opaque && !detail::looks_like_base64url(*c.opaque))
    return malformed("opaque", "must be base64url");
  if (c.header && *c.header != kPaymentAuthorization)
    return malformed("header", "must be Payment-Authorization");
  if (c.expires && !parse_expires(*c.expires))
    return malformed("expires", "must be an RFC 3339 date-time");
  for (const std::string* text : {&c.id, &c.realm}) {
    if (!json::is_utf8(*text)) return malformed(text == &c.id ? "id" : "realm", "must be UTF-8");
  }
  if (c.digest && !json::is_utf8(*c.digest)) return malformed("digest", "must be UTF-8");
  return {};
}

// `id` first: clients in the field look for it there. rule: MPP-11
Result<std::string> format_challenge(const Challenge& c) {
  OCTROI_CHECK(validate_challenge(c));
  std::string out;
  out.reserve(256 + c.request.size());
  out += kScheme;
  char separator = ' ';
  std::string_view bad;
  const auto add = [&](std::string_view name, std::string_view value) {
    if (separator == ',') out += ',';
    out += ' ';
    separator = ',';
    if (!append_quoted_param(out, name, value)) bad = name;
  };
  add("id", c.id);
  add("realm", c.realm);
  add("method", c.method);
  add("intent", c.intent);
  add("request", c.request);
  if (c.expires) add("expires", *c.expires);
  if (c.digest) add("digest", *c.digest);
  if (c.description) add("description", *c.description);
  if (c.opaque) add("opaque", *c.opaque);
  if (c.header) add("header", *c.header);
  if (!bad.empty()) return malformed(bad, "may not contain control characters or line breaks");
  return out;
}

Result<std::vector<Challenge>> parse_challenges(std::span<const std::string_view> header_values) {
  std::vector<Challenge> out;
  std::optional<Error> first_problem;
  for (const AuthChallenge& any : parse_auth_challenges(header_values)) {
    if (!any.has_scheme(kScheme)) continue;
    auto challenge = from_params(any);
    if (challenge) {
      out.push_back(*std::move(challenge));
    } else if (!first_problem) {
      first_problem = std::move(challenge).error();
    }
  }
  if (!out.empty()) return out;
  return fail(Errc::no_challenge, first_problem
                                      ? std::string(first_problem->message())
                                      : std::string("no Payment challenge in WWW-Authenticate"));
}

}  // namespace octroi::mpp
