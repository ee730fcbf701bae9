// From checked values to the settings that the doors read. Nothing can fail here any more.

#include <algorithm>
#include <filesystem>

#include "octroi/config/check.h"
#include "octroi/config/vault_section.h"

namespace octroi::config {
namespace {

std::vector<std::shared_ptr<const Secret>> secrets(const Value& list) {
  std::vector<std::shared_ptr<const Secret>> out;
  for (const auto& [key, child] : list.children) {
    if (child.secret) out.push_back(child.secret);
  }
  return out;
}

std::string pem(const Value& v) {
  return v.secret ? std::string(v.secret->reveal_text()) : std::string();
}

std::string upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

std::vector<std::string> methods(const Value& list) {
  std::vector<std::string> out = list.strings();
  for (std::string& m : out) m = upper(std::move(m));
  return out;
}

std::optional<Rate> rate(const Value& root) {
  const Value& v = root.at("rates");
  if (!v.given) return std::nullopt;
  Rate r;
  r.per_btc = v.at("btc_usd").price().usd.value_or(MicroUsd{});
  r.as_of = v.at("as_of").time();
  r.max_age = v.at("max_age").duration();
  return r;
}

paywall::CountBy count_by(const std::string& word) {
  if (word == "token") return paywall::CountBy::token;
  if (word == "session") return paywall::CountBy::session;
  return paywall::CountBy::ip;
}

paywall::Scope scope(const std::string& word) {
  if (word == "rule") return paywall::Scope::rule;
  if (word == "query") return paywall::Scope::query;
  return paywall::Scope::path;
}

paywall::UpstreamProtocol protocol(const std::string& word) {
  if (word == "http1") return paywall::UpstreamProtocol::http1;
  if (word == "h2") return paywall::UpstreamProtocol::h2;
  return paywall::UpstreamProtocol::automatic;
}

upstream::Policy upstream_policy(const Value& v) {
  upstream::Policy out;
  out.balance = v.at("balance").str() == "least_requests" ? upstream::Balance::least_requests
                                                          : upstream::Balance::round_robin;
  out.passive = {v.at("passive.failures").number(), v.at("passive.ejection").duration()};
  out.max_connections = v.at("max_connections").number();
  const Value& health = v.at("health");
  if (!health.given) return out;
  out.health =
      upstream::HealthSettings{health.at("path").str(),         health.at("interval").duration(),
                               health.at("timeout").duration(), health.at("healthy").number(),
                               health.at("unhealthy").number(), {}};
  for (const std::string& text : health.at("status").strings()) {
    if (const auto range = parse_status_range(text)) out.health->status.push_back(*range);
  }
  return out;
}

paywall::UpstreamSettings upstream(const Value& v) {
  const auto& several = v.at("urls").children;
  const Url& url = several.empty() ? v.at("url").url() : several.front().value.at("url").url();
  paywall::UpstreamSettings out;
  out.scheme = url.scheme;
  for (const auto& [key, one] : several) {
    const Url& u = one.at("url").url();
    out.addresses.push_back({u.host, u.port_or_default(), one.at("weight").number()});
  }
  if (several.empty()) out.addresses.push_back({url.host, url.port_or_default()});
  out.policy = upstream_policy(v);
  out.base_path = url.path;
  while (out.base_path.ends_with('/')) out.base_path.pop_back();
  out.ca_pem = pem(v.at("ca"));
  out.server_name = v.at("server_name").str();
  out.protocol = protocol(v.at("protocol").str());
  return out;
}

/// "mpp" is payment, "l402+mpp" is both; each once, in the order written.
std::vector<paywall::OfferScheme> schemes(const Value& list) {
  std::vector<paywall::OfferScheme> out;
  const auto add = [&](paywall::OfferScheme s) {
    if (std::find(out.begin(), out.end(), s) == out.end()) out.push_back(s);
  };
  for (const std::string& word : list.strings()) {
    if (word == "l402" || word == "l402+mpp") add(paywall::OfferScheme::l402);
    if (word == "payment" || word == "mpp" || word == "l402+mpp")
      add(paywall::OfferScheme::payment);
  }
  return out;
}

paywall::MeterSettings meter(const Value& v) {
  paywall::MeterSettings out;
  out.unit = v.at("unit").str();
  out.per = static_cast<std::uint64_t>(v.at("per").number());
  if (v.at("count").has_value()) out.count = v.at("count").number();
  if (v.at("price").has_value()) out.price = v.at("price").price();
  return out;
}

paywall::TokenSettings token(const Value& v) {
  paywall::TokenSettings out;
  const Value& valid_for = v.at("valid_for");
  out.valid_for = valid_for.str() == "never" ? std::nullopt : std::optional(valid_for.duration());
  out.capabilities = v.at("capabilities").strings();
  for (const auto& [key, child] : v.at("constraints").children) out.constraints[key] = child.str();
  for (const auto& [key, child] : v.at("facts").children) out.facts[key] = child.str();
  if (v.at("max_requests").has_value()) out.max_requests = v.at("max_requests").number();
  if (v.at("meter").given) out.meter = meter(v.at("meter"));
  return out;
}

std::vector<paywall::PaymentIntent> intents(const Value& service) {
  using paywall::PaymentIntent;
  const Value& list = service.at("payment.intents");
  if (!list.given) {
    if (!service.at("session").given) return {PaymentIntent::charge};
    return {PaymentIntent::charge, PaymentIntent::session};
  }
  std::vector<PaymentIntent> out;
  for (const std::string& word : list.strings()) {
    const auto intent = word == "session" ? PaymentIntent::session : PaymentIntent::charge;
    if (std::find(out.begin(), out.end(), intent) == out.end()) out.push_back(intent);
  }
  return out;
}

paywall::SessionSettings session(const Value& v) {
  paywall::SessionSettings out;
  if (!v.given) return out;
  out.unit = v.at("unit").str();
  out.per = static_cast<std::uint64_t>(v.at("per").number());
  if (v.at("price").has_value()) out.price = v.at("price").price();
  out.deposit_multiplier = v.at("deposit_multiplier").number();
  if (v.at("deposit").has_value()) out.deposit = v.at("deposit").price();
  out.idle_timeout = v.at("idle_timeout").duration();
  out.hold = v.at("hold").duration();
  out.refund = {v.at("refund.max_fee").price().msat, v.at("refund.wait").duration()};
  out.allow_own_invoice = v.at("allow_own_invoice").flag();
  return out;
}

paywall::CorsPolicy cors(const Value& v) {
  paywall::CorsPolicy out;
  out.enabled = v.at("enabled").flag();
  out.origins = v.at("origins").strings();
  out.methods = methods(v.at("methods"));
  out.allow_headers = v.at("allow_headers").strings();
  out.expose_headers = v.at("expose_headers").strings();
  out.credentials = v.at("credentials").flag();
  out.max_age = v.at("max_age").duration();
  return out;
}

std::vector<paywall::PriceRule> prices(const Value& list) {
  std::vector<paywall::PriceRule> out;
  for (const auto& [key, v] : list.children) {
    out.push_back({v.at("path").str(), methods(v.at("methods")), v.at("price").price(),
                   v.at("capability").str()});
  }
  return out;
}

std::vector<paywall::RateLimit> rate_limits(const Value& list) {
  std::vector<paywall::RateLimit> out;
  for (const auto& [key, v] : list.children) {
    paywall::RateLimit limit;
    limit.path = v.at("path").str();
    limit.requests = v.at("requests").number();
    limit.per = v.at("per").duration();
    limit.burst = v.at("burst").number();
    limit.by = count_by(v.at("by").str());
    out.push_back(std::move(limit));
  }
  return out;
}

void bind_rewrite(const Value& v, paywall::ServiceSettings& out) {
  if (v.at("prefix").has_value()) out.rewrite_prefix = v.at("prefix").str();
  if (v.at("strip").has_value()) out.rewrite_strip = v.at("strip").str();
}

void price_source(const Value& v, paywall::ServiceSettings& out) {
  if (!v.given) return;
  out.price_source = v.at("name").str();
  out.price_body = static_cast<std::uint64_t>(v.at("body").number());
  out.metered = v.at("metered").flag();
  out.session_quotes = v.at("sessions").flag();
}

std::vector<paywall::PriceSourceSettings> price_sources(const Value& map) {
  std::vector<paywall::PriceSourceSettings> out;
  for (const auto& [name, v] : map.children) {
    paywall::PriceSourceSettings s;
    s.name = name;
    s.protocol = v.at("protocol").str() == "grpc" ? paywall::PriceProtocol::grpc
                                                  : paywall::PriceProtocol::http;
    s.url = v.at("url").url().shown();
    s.ca_pem = pem(v.at("ca"));
    s.server_name = v.at("server_name").str();
    s.token = v.at("token").secret;
    s.timeout = v.at("timeout").duration();
    s.keep_reports = v.at("keep_reports").duration();
    out.push_back(std::move(s));
  }
  return out;
}

paywall::ServiceSettings service(const Value& v) {
  paywall::ServiceSettings out;
  out.name = ServiceName(v.at("name").str());
  out.host = v.at("match.host").str();
  out.path = v.at("match.path").str();
  out.methods = methods(v.at("methods"));
  out.upstream = upstream(v.at("upstream"));
  out.timeouts = {v.at("timeouts.connect").duration(), v.at("timeouts.first_byte").duration(),
                  v.at("timeouts.idle").duration()};
  out.auth = v.at("auth").str() == "on";
  out.price = v.at("price").price();
  out.prices = prices(v.at("prices"));
  out.capability = v.at("capability").str();
  price_source(v.at("price_source"), out);
  out.schemes = schemes(v.at("schemes"));
  out.lsat = v.at("lsat").flag();
  out.token = token(v.at("token"));
  out.intents = intents(v);
  out.offer =
      v.at("payment.offer").str() == "all" ? paywall::OfferHow::all : paywall::OfferHow::first;
  out.session = session(v.at("session"));
  // Where only sessions are sold their price is the only one.
  if (!v.at("price").has_value() && out.session.price) out.price = *out.session.price;
  out.free = {v.at("free.requests").number(), v.at("free.per").duration(),
              count_by(v.at("free.by").str())};
  out.rate_limits = rate_limits(v.at("rate_limits"));
  for (const auto& [name, header] : v.at("headers").children) {
    // Without a resolver there is no value to send; the name stays, so that nothing is left out
    // unseen.
    out.headers.push_back({name, header.secret ? header.secret : std::make_shared<const Secret>()});
  }
  bind_rewrite(v.at("rewrite"), out);
  out.max_body = static_cast<std::uint64_t>(v.at("max_body").number());
  out.digest = v.at("digest").str() == "on" ? paywall::DigestMode::on : paywall::DigestMode::off;
  out.digest_limit =
      std::min(static_cast<std::uint64_t>(v.at("digest_limit").number()), out.max_body);
  out.scope = scope(v.at("scope").str());
  out.cors = cors(v.at("cors"));
  out.block = v.at("block").all<net::Cidr>();
  out.free_paths = v.at("free_paths").strings();
  out.no_invoice_paths = v.at("no_invoice_paths").strings();
  out.strict = v.at("strict").flag();
  out.forward =
      v.at("forward").str() == "identity" ? paywall::Forward::identity : paywall::Forward::none;
  out.opaque = v.at("payment.opaque").flag();
  out.payment_header = v.at("payment.header").flag();
  out.description = v.at("description").str();
  out.discovery = v.at("discovery.enabled").flag();
  out.discovery_shadow = v.at("discovery.shadow").flag();
  return out;
}

paywall::PaywallSettings paywall_settings(const Value& root) {
  const Value& v = root.at("paywall");
  paywall::PaywallSettings out;
  out.listen = root.at("listen").all<net::Endpoint>();
  if (root.at("tls").given)
    out.tls = paywall::TlsFiles{pem(root.at("tls.cert")), root.at("tls.key").secret};
  out.trusted_proxies = root.at("trusted_proxies").all<net::Cidr>();
  out.realm = v.at("realm").str();
  if (out.realm.empty() && !out.listen.empty()) out.realm = out.listen.front().str();
  out.secret = secrets(v.at("secret"));
  out.l402_keys = secrets(v.at("l402_keys"));
  out.challenge_ttl = v.at("challenge_ttl").duration();
  out.verify_within = v.at("verify_within").duration();
  out.max_unpaid = v.at("max_unpaid").number();
  out.invoice_pool = v.at("invoice_pool").number();
  out.block = v.at("block").all<net::Cidr>();
  out.rate = rate(root);
  out.price_sources = price_sources(v.at("price_sources"));
  for (const auto& [key, child] : v.at("services").children) out.services.push_back(service(child));
  return out;
}

std::shared_ptr<const Secret> macaroon(const Value& v) {
  if (!v.secret) return nullptr;
  return std::make_shared<const Secret>(Secret::take(macaroon_hex(*v.secret)));
}

LightningSettings lightning(const Value& v) {
  LightningSettings out;
  out.backend = v.at("backend").str();
  out.sim.file = v.at("sim.file").str();
  out.sim.account = v.at("sim.account").str();
  out.sim.initial = v.at("sim.initial").price().msat;
  out.sim.fee_ppm = v.at("sim.fee_ppm").number();
  if (out.backend != "lnd") return out;
  const Url& url = v.at("lnd.url").url();
  out.lnd.url = url.shown();
  out.lnd.macaroon = macaroon(v.at("lnd.macaroon"));
  out.lnd.pay_macaroon = macaroon(v.at("lnd.pay_macaroon"));
  out.lnd.tls_cert_pem = pem(v.at("lnd.tls_cert"));
  return out;
}

Config::Wallet wallet_settings(const Value& v) {
  Config::Wallet out;
  out.lightning = lightning(v.at("lightning"));
  out.settings.store = v.at("store").str();
  const Value& limits = v.at("limits");
  out.settings.limits.per_payment = limits.at("per_payment").price().msat;
  out.settings.limits.per_minute = limits.at("per_minute").price().msat;
  out.settings.limits.per_day = limits.at("per_day").price().msat;
  out.settings.limits.max_fee = limits.at("max_fee").price().msat;
  return out;
}

PriceServerSettings price_server(const Value& v) {
  PriceServerSettings out;
  if (const auto* e = std::get_if<net::Endpoint>(&v.at("listen").data)) out.listen = *e;
  out.token = v.at("token").secret;
  out.bundle = v.at("bundle").price().msat;
  out.default_model = v.at("default_model").str();
  for (const auto& [name, model] : v.at("models").children)
    out.models.push_back({name, model.at("input").price().msat, model.at("output").price().msat});
  out.keep_unused = v.at("keep_unused").duration();
  return out;
}

AdminSettings admin(const Value& root, const Url& store) {
  const Value& v = root.at("admin");
  AdminSettings out;
  if (!v.given) return out;
  if (const auto* e = std::get_if<net::Endpoint>(&v.at("listen").data)) out.listen = *e;
  const Value& t = v.at("auth.token");
  out.token = t.secret;
  if (t.reference.starts_with("file://")) {
    out.token_file = t.reference.substr(7);
  } else if (!t.given) {
    // A store on another machine has no folder here; cross_check asks for a token then.
    out.token_file = (std::filesystem::path(store.path).parent_path() / "admin.token").string();
  }
  return out;
}

LogLevel level(const std::string& word) { return parse_log_level(word).value_or(LogLevel::info); }

LogConfig log(const Value& v) {
  LogConfig out;
  out.level = level(v.at("level").str());
  out.json = v.at("format").str() == "json";
  out.file = v.at("file").str();
  out.rotate_bytes = static_cast<std::uint64_t>(v.at("rotation.size").number());
  out.rotate_keep = static_cast<int>(v.at("rotation.keep").number());
  for (const auto& [name, child] : v.at("modules").children)
    out.modules.emplace_back(name, level(child.str()));
  return out;
}

std::optional<SharedSettings> shared(const Value& root) {
  const auto* url = std::get_if<Url>(&root.at("shared").data);
  if (url == nullptr) return std::nullopt;
  auto place = check_redis_url(*url);
  if (!place) return std::nullopt;  // told before
  SharedSettings out;
  out.place = *std::move(place);
  out.password = root.at("shared_password").secret;
  out.ca_pem = pem(root.at("shared_ca"));
  return out;
}

RetentionSettings retention(const Value& v) {
  const auto of = [&](std::string_view key) {
    const Value& one = v.at(key);
    return one.str() == "forever" ? std::nullopt : std::optional(one.duration());
  };
  return {of("transactions"), of("sessions"), of("approvals"), v.at("expired").duration()};
}

TelemetrySettings telemetry(const Value& v) {
  TelemetrySettings out;
  const std::string& metrics = v.at("metrics").str();
  out.metrics = metrics != "off";
  out.metrics_public = metrics == "public";
  out.access_log = v.at("access_log").str();
  if (v.at("otlp").has_value()) out.otlp = v.at("otlp").url().shown();
  for (const auto& [name, header] : v.at("otlp_headers").children) {
    out.otlp_headers.emplace_back(name,
                                  header.secret ? header.secret : std::make_shared<const Secret>());
  }
  out.otlp_ca_pem = pem(v.at("otlp_ca"));
  out.otlp_sample = parse_share(v.at("otlp_sample").str()).value_or(0);
  out.otlp_interval = v.at("otlp_interval").duration();
  out.otlp_service = v.at("otlp_service").str();
  out.propagate = v.at("propagate").flag();
  return out;
}

}  // namespace

Config bind(const Value& root, const Context& context) {
  Config out;
  out.file = context.file;
  const std::string& environment = root.at("environment").str();
  out.environment = environment == "production" ? Environment::production
                    : environment == "staging"  ? Environment::staging
                                                : Environment::development;
  const Url& store = root.at("store").url();
  out.store = store.scheme + "://" + store.path;
  out.store_password = root.at("store_password").secret;
  out.shared = shared(root);
  out.audit_checkpoints = root.at("audit_checkpoints").str();
  if (root.at("lightning").given) out.lightning = lightning(root.at("lightning"));
  if (root.at("paywall").given) out.paywall = paywall_settings(root);
  if (root.at("vault").given) out.vault = vault_settings(root);
  if (root.at("wallet").given) out.wallet = wallet_settings(root.at("wallet"));
  if (root.at("price_server").given) out.price_server = price_server(root.at("price_server"));
  out.admin = admin(root, store);
  out.log = log(root.at("log"));
  out.retention = retention(root.at("retention"));
  out.telemetry = telemetry(root.at("telemetry"));
  out.rate = rate(root);
  out.workers = static_cast<int>(root.at("workers").number());
  out.shutdown_grace = root.at("shutdown_grace").duration();
  return out;
}

}  // namespace octroi::config
