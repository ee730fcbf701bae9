#include "octroi/vault/errors.h"

namespace octroi::vault {

ErrorInfo error_info(Errc e) {
  switch (e) {
    case Errc::no_key:
      return {"vault.no-key", ErrorKind::refused};
    case Errc::several_keys:
      return {"vault.several-keys", ErrorKind::refused};
    case Errc::unknown_key:
      return {"vault.unknown-key", ErrorKind::refused};
    case Errc::key_revoked:
      return {"vault.key-revoked", ErrorKind::refused};
    case Errc::key_paused:
      return {"vault.key-paused", ErrorKind::refused};
    case Errc::key_expired:
      return {"vault.key-expired", ErrorKind::refused};
    case Errc::wrong_mode:
      return {"vault.wrong-mode", ErrorKind::refused};
    case Errc::wrong_run:
      return {"vault.wrong-run", ErrorKind::refused};
    case Errc::unknown_vendor:
      return {"vault.unknown-vendor", ErrorKind::not_found};
    case Errc::wrong_vendor:
      return {"vault.wrong-vendor", ErrorKind::refused};
    case Errc::unknown_operation:
      return {"vault.unknown-operation", ErrorKind::refused};
    case Errc::ambiguous:
      return {"vault.ambiguous", ErrorKind::invalid};
    case Errc::unsupported_body:
      return {"vault.unsupported-body", ErrorKind::invalid};
    case Errc::body_too_large:
      return {"vault.body-too-large", ErrorKind::limit};
    case Errc::denied:
      return {"vault.denied", ErrorKind::refused};
    case Errc::over_cap:
      return {"vault.over-cap", ErrorKind::limit};
    case Errc::idempotency_reuse:
      return {"vault.idempotency-reuse", ErrorKind::conflict};
    case Errc::in_flight:
      return {"vault.in-flight", ErrorKind::conflict};
    case Errc::unavailable:
      return {"vault.unavailable", ErrorKind::unavailable};
    case Errc::upstream_failed:
      return {"vault.upstream-failed", ErrorKind::unavailable};
    case Errc::unknown_outcome:
      return {"vault.unknown-outcome", ErrorKind::timeout};
    case Errc::encoded_answer:
      return {"vault.encoded-answer", ErrorKind::internal};
    case Errc::token_refused:
      return {"vault.token-refused", ErrorKind::refused};
    case Errc::bad_sealed:
      return {"vault.bad-sealed", ErrorKind::invalid};
  }
  return {"vault.unknown", ErrorKind::internal};
}

std::optional<Errc> errc_of(const Error& error) {
  for (int i = 0; i <= static_cast<int>(Errc::bad_sealed); ++i) {
    if (error.is(static_cast<Errc>(i))) return static_cast<Errc>(i);
  }
  return std::nullopt;
}

int status_of(Errc e) {
  switch (e) {
    case Errc::no_key:
    case Errc::several_keys:
    case Errc::unknown_key:
    case Errc::key_revoked:
    case Errc::key_paused:
    case Errc::key_expired:
    case Errc::wrong_mode:
      return 401;
    case Errc::wrong_run:
    case Errc::wrong_vendor:
    case Errc::unknown_operation:
    case Errc::denied:
    case Errc::over_cap:
      return 403;
    case Errc::unknown_vendor:
      return 404;
    case Errc::ambiguous:
      return 400;
    case Errc::unsupported_body:
      return 415;
    case Errc::body_too_large:
      return 413;
    case Errc::idempotency_reuse:
    case Errc::in_flight:
      return 409;
    case Errc::unavailable:
      return 503;
    case Errc::upstream_failed:
    case Errc::unknown_outcome:
    case Errc::encoded_answer:
    case Errc::token_refused:
      return 502;
    case Errc::bad_sealed:
      return 500;
  }
  return 500;
}

}  // namespace octroi::vault
