// octroi/cli/exit_code.h: how a command ends. Scripts rely on these numbers; they never change.
#pragma once

#include "octroi/base/error.h"

namespace octroi::cli {

enum class ExitCode : int {
  done = 0,
  failed = 1,
  usage = 2,                  // wrong arguments or configuration
  payment_failed = 3,         // nothing was paid
  network = 4,                // no connection, no answer in time
  refused_after_payment = 5,  // paid, but the credential was not accepted
  rate_limited = 6,
  policy_refused = 7,   // a limit or rule said no; nothing was paid
  approval = 8,         // a person must approve, or did not
  outcome_unknown = 9,  // run `octroi wallet reconcile`
  dry_run_would_pay = 10,
  dry_run_would_not_pay = 11,
  blocked = 12,     // the SSRF guard
  http_error = 22,  // status 400 or more, with --fail
};

[[nodiscard]] constexpr int to_int(ExitCode code) { return static_cast<int>(code); }

/// What an error of which nothing more is known means for the caller.
[[nodiscard]] constexpr ExitCode exit_code_for(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid:
      return ExitCode::usage;
    case ErrorKind::unavailable:
    case ErrorKind::timeout:
      return ExitCode::network;
    case ErrorKind::limit:
      return ExitCode::rate_limited;
    case ErrorKind::refused:
    case ErrorKind::not_found:
    case ErrorKind::conflict:
    case ErrorKind::internal:
      return ExitCode::failed;
  }
  return ExitCode::failed;
}

}  // namespace octroi::cli
