#include "octroi/paywall/route.h"

#include <algorithm>
#include <limits>

#include "octroi/crypto/hash.h"
#include "octroi/http/headers.h"
#include "octroi/paywall/cors.h"
#include "octroi/paywall/errors.h"

namespace octroi::paywall {

namespace {

/// HEAD asks for what GET would answer, so it costs what GET costs.
std::string_view priced_method(std::string_view method) {
  return method == "HEAD" ? "GET" : method;
}

bool listed(const std::vector<std::string>& methods, std::string_view method) {
  return methods.empty() || std::find(methods.begin(), methods.end(), method) != methods.end();
}

std::string rule_id(const PriceRule& rule) {
  std::string text = rule.path;
  for (const auto& m : rule.methods) {
    text.push_back('\n');
    text += m;
  }
  const auto digest = crypto::sha256(as_bytes(text));
  return to_hex(ByteView(digest).first(8));
}

Result<std::vector<Pattern>> compile_all(const std::vector<std::string>& expressions,
                                         Anchor anchor) {
  std::vector<Pattern> out;
  for (const auto& e : expressions) {
    OCTROI_TRY(auto pattern, Pattern::compile(e, anchor));
    out.push_back(std::move(pattern));
  }
  return out;
}

/// Hosts have no case; requests bring theirs in lower case.
Result<Pattern> compile_host(const std::string& expression) {
  OCTROI_TRY(auto pattern, Pattern::compile(expression, Anchor::both));
  if (!pattern.is_literal()) return Pattern::compile("(?i)" + expression, Anchor::both);
  std::string lower = expression;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  return Pattern::compile(lower, Anchor::both);
}

Result<FactSource> fact_source(const std::string& condition, std::string_view source) {
  FactSource out;
  out.condition = condition;
  const auto colon = source.find(':');
  const std::string_view from = source.substr(0, colon);
  if (colon == std::string_view::npos || colon + 1 == source.size() ||
      (from != "query" && from != "header")) {
    return fail(Errc::bad_settings,
                "token.facts." + condition + ": must be query:NAME or header:NAME");
  }
  out.from = from == "query" ? FactSource::From::query : FactSource::From::header;
  out.name = std::string(source.substr(colon + 1));
  return out;
}

Result<Service> compile(const ServiceSettings& settings, std::uint32_t index) {
  Service s;
  s.settings = settings;
  s.index = index;
  if (!settings.host.empty()) {
    OCTROI_TRY(s.host, compile_host(settings.host));
  }
  OCTROI_TRY(s.path, Pattern::compile(settings.path, Anchor::start));
  for (const auto& rule : settings.prices) {
    CompiledRule compiled;
    OCTROI_TRY(compiled.path, Pattern::compile(rule.path, Anchor::segment));
    compiled.methods = rule.methods;
    compiled.price = rule.price;
    compiled.session_price = rule.price;
    compiled.capability = rule.capability;
    compiled.id = rule_id(rule);
    s.rules.push_back(std::move(compiled));
  }
  CompiledRule own;
  own.price = settings.price;
  own.session_price = settings.session.price.value_or(settings.price);
  own.capability = settings.capability;
  own.id = "default";
  s.rules.push_back(std::move(own));
  for (const auto& [condition, source] : settings.token.facts) {
    OCTROI_TRY(auto fact, fact_source(condition, source));
    s.facts.push_back(std::move(fact));
  }
  std::uint64_t ordinal = 0;
  for (const auto& limit : settings.rate_limits) {
    CompiledLimit compiled;
    OCTROI_TRY(compiled.path, Pattern::compile(limit.path, Anchor::start));
    compiled.limit = limit;
    compiled.key =
        (static_cast<std::uint64_t>(std::hash<std::string>{}(settings.name.str())) << 8) +
        ordinal++;
    s.limits.push_back(std::move(compiled));
  }
  OCTROI_TRY(s.free_paths, compile_all(settings.free_paths, Anchor::segment));
  OCTROI_TRY(s.no_invoice_paths, compile_all(settings.no_invoice_paths, Anchor::start));
  s.exposed = exposed_list(settings.cors);
  return s;
}

}  // namespace

bool Service::offers(OfferScheme scheme) const {
  return std::find(settings.schemes.begin(), settings.schemes.end(), scheme) !=
         settings.schemes.end();
}

bool Service::sells(PaymentIntent intent) const {
  return offers(OfferScheme::payment) && std::find(settings.intents.begin(), settings.intents.end(),
                                                   intent) != settings.intents.end();
}

bool Service::method_allowed(std::string_view method) const {
  return listed(settings.methods, method) || (method == "HEAD" && listed(settings.methods, "GET"));
}

const CompiledRule& Service::rule_for(std::string_view method,
                                      std::string_view request_path) const {
  for (const auto& rule : rules) {
    if (listed(rule.methods, priced_method(method)) && rule.path.matches(request_path)) return rule;
  }
  return rules.back();
}

void RouteTable::PrefixIndex::add(const std::string& prefix, std::uint32_t service) {
  by_prefix[prefix].push_back(service);
  const auto length = static_cast<std::uint32_t>(prefix.size());
  auto at = std::lower_bound(lengths.begin(), lengths.end(), length);
  if (at == lengths.end() || *at != length) lengths.insert(at, length);
}

Result<RouteTable> RouteTable::build(const std::vector<ServiceSettings>& services) {
  RouteTable table;
  for (std::uint32_t i = 0; i < services.size(); ++i) {
    auto service = compile(services[i], i);
    if (!service)
      return fail(std::move(service).error().within("service " + services[i].name.str()));
    const bool literal_host = !services[i].host.empty() && service->host.is_literal();
    PrefixIndex& index =
        literal_host ? table.by_host_[service->host.literal_prefix()] : table.any_host_;
    index.add(service->path.literal_prefix(), i);
    table.services_.push_back(std::move(*service));
  }
  return table;
}

void RouteTable::best_in(const PrefixIndex& index, std::string_view host, std::string_view path,
                         std::uint32_t& best) const {
  std::string key;
  for (std::uint32_t length : index.lengths) {
    if (length > path.size()) break;
    key.assign(path.substr(0, length));
    auto found = index.by_prefix.find(key);
    if (found == index.by_prefix.end()) continue;
    for (std::uint32_t candidate : found->second) {
      if (candidate >= best) break;  // ascending: a better one was found already
      const Service& s = services_[candidate];
      if (s.host.matches(host) && s.path.matches(path)) {
        best = candidate;
        break;
      }
    }
  }
}

const Service* RouteTable::find(std::string_view host, std::string_view path) const {
  std::uint32_t best = std::numeric_limits<std::uint32_t>::max();
  if (auto own = by_host_.find(std::string(host)); own != by_host_.end())
    best_in(own->second, host, path, best);
  best_in(any_host_, host, path, best);
  return best == std::numeric_limits<std::uint32_t>::max() ? nullptr : &services_[best];
}

std::string_view host_without_port(std::string_view authority) {
  if (authority.starts_with('[')) {
    auto end = authority.find(']');
    return end == std::string_view::npos ? authority : authority.substr(1, end - 1);
  }
  auto colon = authority.rfind(':');
  return colon == std::string_view::npos ? authority : authority.substr(0, colon);
}

}  // namespace octroi::paywall
