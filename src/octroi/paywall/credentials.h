// octroi/paywall/credentials.h: sorts what a request presents into payment credentials and ordinary
// ones, and takes everything that must not reach the upstream out of the head.
//
// Nothing is verified here. One Authorization line at most survives: the ordinary one (Basic,
// Bearer…). Source  RFC 9110 section 11; Payment core, "Payment-Authorization"; L402 protocol,
// carriers. Secrets the members hold live credentials: never log them. Thread: values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "octroi/http/headers.h"

namespace octroi::paywall {

struct Credentials {
  /// Values of Authorization fields with scheme Payment, and of Payment-Authorization fields.
  std::vector<std::string> payment;
  std::vector<std::string> payment_authorization;
  /// Values of Authorization fields with scheme L402 or LSAT.
  std::vector<std::string> l402;
  /// Values of Macaroon and Grpc-Metadata-Macaroon fields.
  std::vector<std::string> macaroon;
  /// Authorization fields of any other scheme.
  std::vector<std::string> ordinary;
  /// An ordinary field holds a payment credential behind a comma, as where two fields were joined:
  /// nobody can say what was meant.
  bool mixed = false;

  [[nodiscard]] bool has_payment() const {
    return !payment.empty() || !payment_authorization.empty();
  }
  [[nodiscard]] bool has_l402() const { return !l402.empty() || !macaroon.empty(); }
  [[nodiscard]] bool none() const { return !has_payment() && !has_l402(); }
};

[[nodiscard]] Credentials collect_credentials(const http::Headers& request);

/// Removes payment credentials, Accept-Payment, and the X-Octroi-* names that only we may set.
/// Keeps the one ordinary Authorization line.
void strip_credentials(http::Headers& request, const Credentials& credentials);

/// Removes an upstream's own payment fields: its receipt, and challenges of our schemes.
void strip_upstream_payment(http::Headers& response);

}  // namespace octroi::paywall
