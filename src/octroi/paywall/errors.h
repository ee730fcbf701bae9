// octroi/paywall/errors.h: why the gate itself says no.
// Thread: values.
#pragma once

#include "octroi/base/result.h"

namespace octroi::paywall {

enum class Errc : std::uint8_t {
  unknown_invoice,   // the proof is over a payment hash that our node never made
  not_settled,       // `strict`: the node does not report the invoice as settled
  spent_elsewhere,   // the payment was used under another scheme or credential
  no_offer,          // no scheme can make a challenge now
  bad_settings,      // the settings contradict themselves
  amount_not_whole,  // a Payment price that is not whole satoshis
  stale,             // other replicas may have revoked what this one does not know of
};
ErrorInfo error_info(Errc e);

}  // namespace octroi::paywall
