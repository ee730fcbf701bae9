// octroi/paywall/settings.h: what the paywall is told: the validated, resolved form of the
// configuration's `paywall` section. Immutable once published; config fills it, tests build it by
// hand.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/base/secret.h"
#include "octroi/money/money.h"
#include "octroi/net/address.h"
#include "octroi/upstream/settings.h"

namespace octroi::paywall {

enum class OfferScheme : std::uint8_t { l402, payment };

/// How a client is counted: free quota, rate limits.
enum class CountBy : std::uint8_t { ip, token, session };

/// What of a request is bound into a Payment challenge besides service and method.
enum class Scope : std::uint8_t {
  path,   // the percent-decoded, normalised path (default)
  rule,   // the price rule that matched: one payment opens any path of the rule
  query,  // path and query
};

enum class DigestMode : std::uint8_t {
  on,   // bodies of POST, PUT, PATCH are read (up to digest_limit), bound into the challenge;
        // larger: 413
  off,  // bodies are streamed and not bound
};

enum class Forward : std::uint8_t {
  none,      // the upstream learns nothing about the payment
  identity,  // X-Octroi-Token-Id, -Session-Id, -Service, -Amount-Msat
};

struct PriceRule {
  /// RE2 over the decoded path, anchored at its start; must end where a segment ends, so that
  /// "/v1/cheap" prices no "/v1/cheap-but-dear". Empty: any.
  std::string path;
  std::vector<std::string> methods;  // empty: any
  Price price;
  std::string capability = {};  // an L402 token must have it; empty: none is needed
};

struct FreeQuota {
  std::int64_t requests = 0;  // 0: none
  Millis per{24LL * 3600 * 1000};
  CountBy by = CountBy::ip;
};

struct RateLimit {
  std::string path;  // RE2; empty: any
  std::int64_t requests = 0;
  Millis per{60'000};
  std::int64_t burst = 0;  // 0: = requests
  CountBy by = CountBy::token;
};

struct UpstreamTimeouts {
  Millis connect{5'000};
  Millis first_byte{60'000};
  Millis idle{60'000};
};

/// Which HTTP an upstream is spoken to.
enum class UpstreamProtocol : std::uint8_t {
  automatic,  // https: what TLS agrees on (ALPN); http: HTTP/1.1, but HTTP/2 for gRPC
  http1,
  h2,  // over cleartext with prior knowledge; over TLS an upstream without it is refused
};

struct UpstreamSettings {
  std::string scheme = "http";
  std::vector<upstream::Address> addresses;  // never empty; all serve the same
  std::string base_path;                     // prefix put before the path, without trailing slash
  std::string ca_pem;                        // own CA for https; empty: the system's
  std::string server_name;                   // name to verify; empty: the address's host
  UpstreamProtocol protocol = UpstreamProtocol::automatic;
  upstream::Policy policy;
};

struct CorsPolicy {
  bool enabled = true;
  std::vector<std::string> origins = {"*"};
  std::vector<std::string> methods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
  std::vector<std::string> allow_headers = {
      "Content-Type",   "Authorization",   "Payment-Authorization", "Payment-Receipt",
      "Accept-Payment", "Idempotency-Key", "Grpc-Metadata-Macaroon"};
  std::vector<std::string> expose_headers = {"WWW-Authenticate", "Payment-Receipt", "X-Request-Id",
                                             "Retry-After", "L402-Balance"};
  bool credentials = false;
  Millis max_age{600'000};
};

/// A token that is sold as a number of units (a bundle). One of `count` and `price` is given.
struct MeterSettings {
  std::string unit = "request";  // as pricing::Unit spells them
  std::uint64_t per = 1;         // units that are counted, or priced, at once; positive
  std::optional<std::int64_t> count;  // of `per` units each; positive
  std::optional<Price> price;         // of `per` units: the token holds what its price buys
};

struct TokenSettings {
  std::optional<Millis> valid_for = Millis(30LL * 24 * 3600 * 1000);  // empty: never expires
  std::vector<std::string> capabilities;
  std::map<std::string, std::string> constraints;
  std::optional<std::int64_t> max_requests;  // one token opens; empty: as many as it lives
  std::optional<MeterSettings> meter;        // empty: nothing is counted
  /// What a constraint is compared with, by its condition: "query:NAME" or "header:NAME".
  std::map<std::string, std::string> facts;
};

/// What can be bought under the Payment scheme, and how much of it a 402 shows.
enum class PaymentIntent : std::uint8_t { charge, session };
enum class OfferHow : std::uint8_t {
  first,  // the one that the client prefers; without a preference the first of `intents`
  all,    // all that the client accepts, best first
};

struct RefundSettings {
  Msat max_fee = to_msat(10_sat);  // and never more than the session brought in, but 1 sat
  Millis wait{10'000};             // for its end, before a close is answered; 0: not at all
};

struct SessionSettings {
  std::string unit = "request";  // as pricing::Unit spells them
  std::uint64_t per = 1;         // so many of them cost the price; positive
  std::optional<Price> price;  // of a unit where no rule of `prices` matches; empty: the service's
  std::int64_t deposit_multiplier = 20;
  std::optional<Price> deposit;  // empty: price × multiplier. Never less than one unit
  Millis idle_timeout{300'000};
  Millis hold{60'000};  // how long a stream whose session is dry waits for a top-up
  RefundSettings refund;
  bool allow_own_invoice = false;  // a return invoice of our own node
};

struct HeaderInjection {
  std::string name;
  std::shared_ptr<const Secret> value;  // may hold a real credential: never logged
};

struct ServiceSettings {
  ServiceName name;
  std::string host;                  // RE2 over the Host without port, anchored; empty: any
  std::string path;                  // RE2 over the decoded path, anchored at its start; empty: any
  std::vector<std::string> methods;  // empty: any
  UpstreamSettings upstream;
  UpstreamTimeouts timeouts;
  bool auth = true;  // off: relayed without payment
  Price price;
  std::vector<PriceRule> prices;  // first match wins, before `price`
  std::string capability;         // needed where no rule of `prices` matches; empty: none
  /// Name of the source that quotes each price; empty: prices as written here.
  std::string price_source;
  std::uint64_t price_body = 0;  // bytes of a request's body that the source is told; longer: 413
  bool metered = false;  // tokens are bundles: the source is asked before each request, and told after
  bool session_quotes = false;  // the source says what a session's request costs
  std::vector<OfferScheme> schemes = {OfferScheme::l402};
  bool lsat = true;  // the LSAT spelling of the L402 offer, wherever l402 is on
  TokenSettings token;
  std::vector<PaymentIntent> intents = {PaymentIntent::charge};
  OfferHow offer = OfferHow::first;
  SessionSettings session;
  FreeQuota free;
  std::vector<RateLimit> rate_limits;
  std::vector<HeaderInjection> headers;       // set on the request to the upstream
  std::optional<std::string> rewrite_prefix;  // put before the path
  std::optional<std::string> rewrite_strip;   // removed from the start of the path
  std::uint64_t max_body = 10ULL << 20;       // request body; larger: 413
  DigestMode digest = DigestMode::on;
  std::uint64_t digest_limit = 1ULL << 20;
  Scope scope = Scope::path;
  CorsPolicy cors;
  std::vector<net::Cidr> block;
  std::vector<std::string> free_paths;        // RE2, anchored as PriceRule.path: no payment
  std::vector<std::string> no_invoice_paths;  // RE2: unpaid requests get 401 and no invoice
  bool strict = false;                        // the node must confirm settlement
  Forward forward = Forward::none;
  bool opaque = false;            // emit the `opaque` parameter
  bool payment_header = false;    // emit header="Payment-Authorization"
  std::string description;        // shown to payers; never authorises
  bool discovery = true;          // listed in /openapi.json and /llms.txt
  bool discovery_shadow = false;  // answer them even when the upstream has its own
};

struct TlsFiles {
  std::string certificate_pem;
  std::shared_ptr<const Secret> key_pem;
};

enum class PriceProtocol : std::uint8_t { http, grpc };

/// A program that is asked for prices.
struct PriceSourceSettings {
  std::string name;
  PriceProtocol protocol = PriceProtocol::http;
  std::string url;          // scheme://host:port/prefix
  std::string ca_pem;       // own CA for https; empty: the system's
  std::string server_name;  // to verify; empty: the URL's host
  std::shared_ptr<const Secret> token;  // shown as a bearer token; may be null
  Millis timeout{5'000};
  Millis keep_reports{7LL * 24 * 3600 * 1000};  // what could not be told by then is dropped
};

struct PaywallSettings {
  std::vector<net::Endpoint> listen;
  std::optional<TlsFiles> tls;
  std::vector<net::Cidr> trusted_proxies;
  std::string realm;  // defaults to the listen address
  std::vector<std::shared_ptr<const Secret>>
      secret;  // [current, previous…]; empty: made once, kept in the store
  std::vector<std::shared_ptr<const Secret>> l402_keys;
  Millis challenge_ttl{15LL * 60 * 1000};
  Millis verify_within{10'000};  // what the store and the node are given to judge a credential
  std::int64_t max_unpaid = 64;
  std::int64_t invoice_pool = 32;
  std::vector<net::Cidr> block;
  std::optional<Rate> rate;  // for prices in usd
  std::vector<PriceSourceSettings> price_sources;
  std::vector<ServiceSettings> services;
};

}  // namespace octroi::paywall
