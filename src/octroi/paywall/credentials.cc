#include "octroi/paywall/credentials.h"

#include <array>

namespace octroi::paywall {

namespace {

constexpr std::array<std::string_view, 4> kIdentityFields = {
    "X-Octroi-Token-Id", "X-Octroi-Session-Id", "X-Octroi-Service", "X-Octroi-Amount-Msat"};

std::string_view scheme_of(std::string_view value) {
  return value.substr(0, value.find_first_of(" \t"));
}

bool is_payment_scheme(std::string_view scheme) {
  return http::equal_ignoring_case(scheme, "Payment") ||
         http::equal_ignoring_case(scheme, "L402") || http::equal_ignoring_case(scheme, "LSAT");
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
    }
  }
  append_all(request, "Payment-Authorization", out.payment_authorization);
  append_all(request, "Macaroon", out.macaroon);
  append_all(request, "Grpc-Metadata-Macaroon", out.macaroon);
  return out;
}

void strip_credentials(http::Headers& request, const Credentials& credentials) {
  request.remove("Authorization");
  request.remove("Payment-Authorization");
  request.remove("Macaroon");
  request.remove("Grpc-Metadata-Macaroon");
  request.remove("Accept-Payment");
  request.remove("Payment-Receipt");
  for (auto name : kIdentityFields) request.remove(name);
  if (!credentials.ordinary.empty()) request.add("Authorization", credentials.ordinary.front());
}

void strip_upstream_payment(http::Headers& response) {
  response.remove("Payment-Receipt");
  std::vector<std::string> keep;
  bool found = false;
  for (auto value : response.all("WWW-Authenticate")) {
    if (is_payment_scheme(scheme_of(value))) {
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
