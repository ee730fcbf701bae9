// octroi/adapters/lnd/lnd_node.h: an lnd node over its REST interface.
//
// Credentials  `macaroon` needs invoices:read and invoices:write only (lnd's invoice.macaroon);
//              `pay_macaroon` offchain:read and offchain:write for pay, track and balance. They are
//              sent in Grpc-Metadata-Macaroon and stand in no message or log.
// Transport    https with lnd's own certificate pinned, or one the system trusts; http on loopback
// only. Errors       lightning::Errc. A refused connection is `unavailable` (nothing was sent); an
//                    answer that
//              never came is `timeout`, for a payment `payment_unknown`: it may have been made.
//              Whatever lnd says that we do not know for certain to mean "not paid" is
//              payment_unknown too.
// Thread       one loop; it owns its HTTP client.
// Source       lnd REST reference: lnrpc, routerrpc, invoicesrpc.
#pragma once

#include <memory>
#include <string>

#include "octroi/base/clock.h"
#include "octroi/base/result.h"
#include "octroi/base/secret.h"
#include "octroi/lightning/node.h"
#include "octroi/net/loop.h"

namespace octroi::lnd {

struct LndOptions {
  std::string url;                             // "https://127.0.0.1:8080"
  std::shared_ptr<const Secret> macaroon;      // hex
  std::shared_ptr<const Secret> pay_macaroon;  // hex; null: the same
  std::string tls_cert_pem;     // exactly this certificate; empty: the system's store
  Millis call_timeout{10'000};  // everything but pay and subscribe
  Millis subscription_silence{
      60'000};  // then the subscription is renewed, in case its peer is gone
};

/// Checks the options; nothing is sent before the first call.
[[nodiscard]] Result<std::unique_ptr<lightning::Node>> make_lnd_node(net::Loop& loop,
                                                                     LndOptions options);

}  // namespace octroi::lnd
