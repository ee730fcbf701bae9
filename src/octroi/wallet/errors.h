// octroi/wallet/errors.h: why the wallet did not fetch or pay. Each maps to one exit code of the
// command. Thread: values.
#pragma once

#include "octroi/base/result.h"

namespace octroi::wallet {

enum class Errc : std::uint8_t {
  no_challenge,     // 402 without a challenge that we can pay
  over_limit,       // the price is above --max-cost or a configured limit
  bad_invoice,      // the invoice contradicts its challenge, cannot be read, or is about to expire
  wrong_network,    // the invoice is of another Lightning network than our node
  insecure,         // a challenge over plain HTTP from another machine is never paid
  payment_failed,   // definite: nothing was paid
  payment_unknown,  // submitted, outcome unknown: `octroi wallet reconcile`
  refused_after_pay,   // paid, and refused again: never paid a second time
  blocked,             // the SSRF guard refused the address
  network,             // no connection, a broken answer, or a time-out
  rate_limited,        // 429
  field_taken,         // the proof would overwrite a field of the caller's own
  too_large,           // the answer is larger than the limit
  too_many_redirects,  // more redirects than allowed, or one from https to http
  session_store,       // what is kept about prepaid sessions cannot be read or written
  session_unknown,     // the wallet has no such session
  session_busy,        // another process has been opening or filling a session for too long
  session_ended,       // the service ended the session while a stream was waiting for a top-up
  refund_missing,      // the service says that it gave back what our node did not receive
};
ErrorInfo error_info(Errc e);

}  // namespace octroi::wallet
