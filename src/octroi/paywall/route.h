// octroi/paywall/route.h: which service answers a request, and at which price rule.
//
// The first service in the configuration's order whose host and path match wins. Services are
// indexed by exact host and by the literal beginning of their path, so that ten services and ten
// thousand cost the same. Thread: immutable after construction, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "octroi/base/result.h"
#include "octroi/paywall/pattern.h"
#include "octroi/paywall/settings.h"

namespace octroi::paywall {

/// A price rule that a request can fall under; index 0 is the service's own price.
struct CompiledRule {
  Pattern path;
  std::vector<std::string> methods;
  Price price;
  Price session_price;     // of a unit of a session
  std::string capability;  // that a token needs; empty: none
  /// Names the rule in caveats and bindings; survives reordering, changes with the rule's own text.
  std::string id;
};

struct CompiledLimit {
  Pattern path;
  RateLimit limit;
  std::uint64_t key = 0;  // differs between rules, even those with the same pattern
};

/// Where the value comes from that a token's constraint is compared with.
struct FactSource {
  enum class From : std::uint8_t { query, header };
  std::string condition;
  From from = From::query;
  std::string name;
};

/// One service, ready to be asked.
struct Service {
  ServiceSettings settings;
  std::uint32_t index = 0;
  Pattern host;
  Pattern path;
  std::vector<CompiledRule> rules;  // never empty; the last one is the service's own price
  std::vector<CompiledLimit> limits;
  std::vector<Pattern> free_paths;
  std::vector<Pattern> no_invoice_paths;
  std::string exposed;  // of its CORS policy, as a field has them
  std::vector<FactSource> facts;

  /// Whether a source quotes each price, instead of the configuration.
  [[nodiscard]] bool quoted() const { return !settings.price_source.empty(); }
  [[nodiscard]] bool offers(OfferScheme scheme) const;
  /// Under the Payment scheme.
  [[nodiscard]] bool sells(PaymentIntent intent) const;
  [[nodiscard]] bool method_allowed(std::string_view method) const;
  /// `method` with HEAD as GET.
  [[nodiscard]] const CompiledRule& rule_for(std::string_view method, std::string_view path) const;
};

class RouteTable {
 public:
  [[nodiscard]] static Result<RouteTable> build(const std::vector<ServiceSettings>& services);

  /// `host` without port, lower-case; `path` percent-decoded and normalised. Null: no service
  /// (404).
  [[nodiscard]] const Service* find(std::string_view host, std::string_view path) const;
  [[nodiscard]] const std::vector<Service>& services() const { return services_; }

 private:
  struct PrefixIndex {
    std::unordered_map<std::string, std::vector<std::uint32_t>> by_prefix;
    std::vector<std::uint32_t> lengths;  // of the prefixes, ascending
    void add(const std::string& prefix, std::uint32_t service);
  };
  void best_in(const PrefixIndex& index, std::string_view host, std::string_view path,
               std::uint32_t& best) const;

  std::vector<Service> services_;
  std::unordered_map<std::string, PrefixIndex> by_host_;  // services with a literal host
  PrefixIndex any_host_;                                  // all others
};

/// "example.com:8080" → "example.com"; brackets of an IPv6 literal are removed.
[[nodiscard]] std::string_view host_without_port(std::string_view authority);

}  // namespace octroi::paywall
