// octroi/app/upstreams.h: a worker's connections to upstreams: one pool for those that verify
// against the system's certificates, and one for each private CA in the configuration. Thread: the
// worker's.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "octroi/http/client.h"
#include "octroi/paywall/gate.h"

namespace octroi::app {

class Upstreams final : public paywall::UpstreamClients {
 public:
  explicit Upstreams(net::Loop& loop);
  ~Upstreams() override;

  /// Makes the pools that the snapshot's services need; pools in use stay.
  void publish(const paywall::Snapshot& snapshot);
  [[nodiscard]] http::Client& client_for(const paywall::ServiceSettings& service) override;

 private:
  net::Loop& loop_;
  std::unique_ptr<http::Client> system_;
  std::map<std::string, std::unique_ptr<http::Client>> by_ca_;
};

}  // namespace octroi::app
