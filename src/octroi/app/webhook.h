// octroi/app/webhook.h: tells somebody outside what people should look at: a call that waits for
// approval, a canary key that was used.
//
//   POST <url>   {"id","type","at","data":{…}}
//   Octroi-Timestamp: 1763700000            seconds since 1970
//   Octroi-Signature: v1=<hex HMAC-SHA256 of "<timestamp>.<body>" under the secret>
//
// Whoever receives it checks the signature over the bytes, that the timestamp is near, and ignores
// an `id` that it has seen: what was not answered with 2xx is sent again, at most kAttempts times.
// Nothing of a call but its description is in it, never a body or a key. Addresses of this machine
// and its network are refused unless the configuration allows them; redirects are not followed.
//
// Thread   the control loop's.
#pragma once

#include <memory>
#include <string>

#include "octroi/base/metrics.h"
#include "octroi/http/client.h"
#include "octroi/net/loop.h"
#include "octroi/vault/settings.h"

namespace octroi::app {

class Webhook {
 public:
  Webhook(net::Loop& loop, MetricRegistry& metrics);
  ~Webhook();
  Webhook(const Webhook&) = delete;
  Webhook& operator=(const Webhook&) = delete;

  void configure(vault::WebhookSettings settings);
  /// Does not wait. `data` is a JSON object. Nothing happens without a configured address, nor when
  /// the type is not among those that it is to be told of.
  void send(std::string type, std::string data);

  static constexpr int kAttempts = 6;
  static constexpr int kMostAtOnce = 200;  // beyond it what comes is dropped, and counted

  struct State;

 private:
  std::shared_ptr<State> state_;
};

/// "v1=<hex>".
[[nodiscard]] std::string webhook_signature(const Secret& secret, std::string_view timestamp,
                                            std::string_view body);

}  // namespace octroi::app
