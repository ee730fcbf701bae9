#include "octroi/paywall/credentials.h"

#include <algorithm>
#include <array>

#include "octroi/mpp/auth_params.h"

namespace octroi::paywall {

namespace {

/// What never goes to the upstream from a client; the ordinary Authorization is put back.
constexpr std::array<std::string_view, 10> kNeverForwarded = {
    "Authorization",    "Payment-Authorization", "Macaroon",          "Grpc-Metadata-Macaroon",
    "Accept-Payment",   "Payment-Receipt",       "X-Octroi-Token-Id", "X-Octroi-Session-Id",
    "X-Octroi-Service", "X-Octroi-Amount-Msat"};

/// A look at a field of another name ends here; "_" and "-" never begin or end one of these, so
/// that it holds for every spelling.
constexpr http::Headers::NameSet kMayBePrivate(kNeverForwarded);

std::string_view scheme_of(std::string_view value) {
  return value.substr(0, value.find_first_of(" \t"));
}

bool is_payment_scheme(std::string_view scheme) {
  return http::equal_ignoring_case(scheme, "Payment") ||
         http::equal_ignoring_case(scheme, "L402") || http::equal_ignoring_case(scheme, "LSAT");
}

/// Whether one of a list of challenges (or credentials, which have the same form) is of ours.
bool names_payment_scheme(std::string_view value) {
  const std::array<std::string_view, 1> lines = {value};
  const auto found = mpp::parse_auth_challenges(lines);
  return std::any_of(found.begin(), found.end(),
                     [](const mpp::AuthChallenge& c) { return is_payment_scheme(c.scheme); });
}

/// Gateways that make variables of fields (CGI, WSGI) read "_" and "-" as one character.
bool is_spelled_like(std::string_view name, std::string_view field) {
  return name.size() == field.size() &&
         std::equal(name.begin(), name.end(), field.begin(), [](char a, char b) {
           return a == '_' ? b == '-' : http::equal_ignoring_case({&a, 1}, {&b, 1});
         });
}

void append_all(const http::Headers& headers, std::string_view name,
                std::vector<std::string>& out) {
  for (auto value : headers.all(name)) out.emplace_back(value);
}

}  // namespace

Credentials collect_credentials(const http::Headers& request) {
  Credentials out;
  for (auto value : request.all("Authorization")) {
    const auto scheme = scheme_of(value);
    if (http::equal_ignoring_case(scheme, "Payment")) {
      out.payment.emplace_back(value);
    } else if (is_payment_scheme(scheme)) {
      out.l402.emplace_back(value);
    } else {
      out.ordinary.emplace_back(value);
      out.mixed = out.mixed || names_payment_scheme(value);
    }
  }
  append_all(request, "Payment-Authorization", out.payment_authorization);
  append_all(request, "Macaroon", out.macaroon);
  append_all(request, "Grpc-Metadata-Macaroon", out.macaroon);
  return out;
}

void strip_credentials(http::Headers& request, const Credentials& credentials) {
  request.filter(kMayBePrivate, [](std::string_view name, std::string_view) {
    return std::none_of(kNeverForwarded.begin(), kNeverForwarded.end(),
                        [name](auto field) { return is_spelled_like(name, field); });
  });
  if (!credentials.ordinary.empty() && !credentials.mixed)
    request.add("Authorization", credentials.ordinary.front());
}

void strip_upstream_payment(http::Headers& response) {
  response.remove("Payment-Receipt");
  std::vector<std::string> keep;
  bool found = false;
  for (auto value : response.all("WWW-Authenticate")) {
    if (is_payment_scheme(scheme_of(value)) || names_payment_scheme(value)) {
      found = true;
    } else {
      keep.emplace_back(value);
    }
  }
  if (!found) return;
  response.remove("WWW-Authenticate");
  for (const auto& value : keep) response.add("WWW-Authenticate", value);
}

}  // namespace octroi::paywall
