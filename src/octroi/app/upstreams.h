// octroi/app/upstreams.h: a loop's connections to upstreams: pools for those that verify in the
// ordinary way, and pools for each private CA and each name to verify in the configuration; and how
// a worker shares requests out among the addresses of a service. Thread: the loop's.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "octroi/http/client.h"
#include "octroi/paywall/gate.h"

namespace octroi::app {

class Upstreams final : public paywall::UpstreamClients {
 public:
  /// `turn` differs between workers.
  Upstreams(net::Loop& loop, std::size_t turn);
  ~Upstreams() override;

  /// Makes the pools that the snapshot's services need, and closes idle connections to addresses
  /// that no service has any more.
  void publish(const paywall::Snapshot& snapshot);
  [[nodiscard]] std::shared_ptr<upstream::Balancer> balancer_for(
      std::shared_ptr<const upstream::Group> group) override;
  [[nodiscard]] http::Client& client_for(const paywall::ServiceSettings& service) override;

 private:
  using Trust = std::pair<std::string, std::string>;  // own CA, name to verify
  using TrustView = std::pair<std::string_view, std::string_view>;
  struct Less {  // finds without copying
    using is_transparent = void;
    bool operator()(const TrustView& a, const TrustView& b) const { return a < b; }
  };
  static TrustView trust_of(const paywall::ServiceSettings& service);
  void add(const paywall::ServiceSettings& service);

  net::Loop& loop_;
  const std::size_t turn_;
  std::unique_ptr<http::Client> system_;
  std::map<Trust, std::unique_ptr<http::Client>, Less> by_trust_;
  std::map<std::string, std::shared_ptr<upstream::Balancer>, std::less<>> balancers_;
};

}  // namespace octroi::app
