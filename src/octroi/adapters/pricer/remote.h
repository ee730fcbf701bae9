// octroi/adapters/pricer/remote.h: a price source that is another program, asked over HTTP with
// JSON or over gRPC; both speak the same six calls (wire.h).
//
// Fails    closed: no connection, no answer in time, an answer that makes no sense, a negative
//          price or one beyond all money is Errc::unavailable; a refusal of the request by the
//          program is Errc::no_price. Messages never hold what was sent or answered.
// Reports  carry their id as `Idempotency-Key`.
// Thread   one a loop; it may be destroyed while calls are under way, which then end by themselves.
// Source   issue 5, "Dynamic prices"; docs/pricing.md.
#pragma once

#include <memory>
#include <string>

#include "octroi/base/metrics.h"
#include "octroi/base/secret.h"
#include "octroi/net/loop.h"
#include "octroi/pricing/pricer.h"

namespace octroi::pricer {

enum class Protocol : std::uint8_t { http, grpc };

struct RemoteOptions {
  std::string name;  // for metrics and messages
  Protocol protocol = Protocol::http;
  std::string url;                      // http or https; a path is put before those of the calls
  std::string ca_pem;                   // own CA; empty: the system's
  std::string server_name;              // to verify; empty: the URL's host
  std::shared_ptr<const Secret> token;  // shown as a bearer token; may be null
  Millis timeout{5'000};                // of a call, connecting included
};

/// The loop and the registry outlive it.
[[nodiscard]] Result<std::unique_ptr<pricing::Pricer>> make_remote_pricer(net::Loop& loop,
                                                                          RemoteOptions options,
                                                                          MetricRegistry& metrics);

}  // namespace octroi::pricer
