#include "octroi/paywall/discovery.h"

#include <algorithm>
#include <map>
#include <set>

#include "octroi/json/writer.h"
#include "octroi/paywall/pattern.h"

namespace octroi::paywall {

namespace {

bool offers(const ServiceSettings& s, OfferScheme scheme) {
  return std::find(s.schemes.begin(), s.schemes.end(), scheme) != s.schemes.end();
}

/// OpenAPI paths are literal or templates; a regular expression becomes its literal beginning with
/// a catch-all behind it.
std::string openapi_path(const std::string& service_path, const std::string& rule_path) {
  const std::string& expression = rule_path.empty() ? service_path : rule_path;
  auto pattern = Pattern::compile(expression, Anchor::start);
  std::string path = pattern ? pattern->literal_prefix() : "/";
  const bool whole = pattern && expression.ends_with('$') &&
                     path.size() + 1 + (expression.starts_with('^') ? 1U : 0U) == expression.size();
  if (path.empty() || path.front() != '/') path = "/";
  if (whole) return path;
  if (path.back() == '/') return path.size() > 1 ? path + "{path}" : "/";
  return path;
}

std::vector<std::string> operations(const ServiceSettings& s, const PriceRule* rule) {
  static const std::set<std::string> kKnown = {"GET", "POST", "PUT", "PATCH", "DELETE"};
  const auto& listed = rule != nullptr && !rule->methods.empty() ? rule->methods : s.methods;
  std::vector<std::string> out;
  for (const auto& m : listed) {
    if (!kKnown.contains(m)) continue;
    std::string lower = m;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return static_cast<char>(c | 0x20); });
    out.push_back(lower);
  }
  if (out.empty()) out = {"get", "post"};
  return out;
}

/// A price as people read it.
std::string told(const ServiceSettings& s, const Price& price) {
  return s.price_source.empty() ? format(price) : "quoted for each request";
}

/// The amount as the charge intent writes it: whole satoshis; null when a rate or a source of
/// prices decides at request time.
void write_amount(json::Writer& w, const ServiceSettings& s, const Price& price) {
  if (price.usd || !s.price_source.empty()) {
    w.key("amount").null();
  } else {
    w.field("amount", fmt::format("{}", to_sat_ceil(price.msat).count() /* raw: wire */));
  }
}

/// Of one operation: a request, and a unit of a session.
struct Prices {
  Price charge;
  Price session;
};

/// What the amount of a session buys, and its deposit where no rate and no source decides it.
void write_unit(json::Writer& w, const ServiceSettings& s, const Price& price) {
  w.field("unitType", s.session.unit).field("per", std::uint64_t{s.session.per});
  const Price deposit = s.session.deposit.value_or(price);
  if (deposit.usd || !s.price_source.empty()) return;
  const std::int64_t times = s.session.deposit ? 1 : s.session.deposit_multiplier;
  if (const auto whole = deposit.msat.times(times)) {
    w.field("depositAmount", fmt::format("{}", to_sat_ceil(*whole).count() /* raw: wire */));
  }
}

/// "2 sat for 1000 tokens, from a deposit"
std::string told_session(const ServiceSettings& s, const Price& price) {
  if (!s.price_source.empty()) return "quoted, from a deposit";
  const bool many = s.session.per != 1;
  return fmt::format("{} for {}{}{}, from a deposit", format(price),
                     many ? fmt::format("{} ", s.session.per) : std::string("each "),
                     s.session.unit, many && s.session.unit != "KiB" ? "s" : "");
}

void write_offer(json::Writer& w, const ServiceSettings& s, std::string_view intent,
                 const Price& price) {
  w.begin_object().field("intent", intent).field("method", "lightning");
  write_amount(w, s, price);
  w.field("currency", "sat");
  if (intent == "session") write_unit(w, s, price);
  if (!s.description.empty()) w.field("description", s.description);
  w.end_object();
}

/// In the order in which the service names what it sells.
void write_offers(json::Writer& w, const ServiceSettings& s, const Prices& prices) {
  w.key("x-payment-info").begin_object().key("offers").begin_array();
  for (const PaymentIntent intent : s.intents) {
    const bool session = intent == PaymentIntent::session;
    write_offer(w, s, session ? "session" : "charge", session ? prices.session : prices.charge);
  }
  w.end_array().end_object();
}

void write_operation(json::Writer& w, const std::string& method, const ServiceSettings& s,
                     const Prices& prices) {
  w.key(method).begin_object();
  w.field("summary", s.description.empty() ? s.name.str() : s.description);
  w.key("tags").begin_array().string(s.name.str()).end_array();
  const bool paid = s.auth;
  if (paid && offers(s, OfferScheme::payment)) write_offers(w, s, prices);
  if (method == "post" || method == "put" || method == "patch") {
    w.key("requestBody")
        .begin_object()
        .key("content")
        .begin_object()
        .key("application/json")
        .begin_object();
    w.key("schema").begin_object().field("type", "object").end_object();
    w.end_object().end_object().end_object();
  }
  w.key("responses").begin_object();
  w.key("200").begin_object().field("description", "The resource").end_object();
  if (paid) {
    w.key("402").begin_object();
    w.field("description",
            fmt::format("Payment required: {}. The WWW-Authenticate fields hold the challenges.",
                        told(s, prices.charge)));
    w.end_object();
  }
  w.end_object().end_object();
}

struct Listed {
  const ServiceSettings* service;
  Prices prices;
  std::vector<std::string> methods;
};

std::map<std::string, std::map<std::string, Listed>> paths_of(const PaywallSettings& settings) {
  std::map<std::string, std::map<std::string, Listed>> out;
  auto add = [&out](const ServiceSettings& s, const PriceRule* rule, const Prices& prices) {
    const std::string path = openapi_path(s.path, rule != nullptr ? rule->path : "");
    for (const auto& m : operations(s, rule)) out[path].try_emplace(m, Listed{&s, prices, {}});
  };
  for (const auto& s : settings.services) {
    if (!s.discovery) continue;
    for (const auto& rule : s.prices) add(s, &rule, {rule.price, rule.price});
    add(s, nullptr, {s.price, s.session.price.value_or(s.price)});
  }
  return out;
}

std::string make_openapi(const PaywallSettings& settings) {
  const auto paths = paths_of(settings);
  if (paths.empty()) return {};
  json::Writer w;
  w.begin_object().field("openapi", "3.1.0");
  w.key("info").begin_object().field("title", settings.realm).field("version", "1").end_object();
  w.key("x-service-info").begin_object();
  w.key("categories").begin_array().string("api").end_array();
  w.key("docs").begin_object().field("llms", "/llms.txt").end_object();
  w.end_object();
  w.key("paths").begin_object();
  for (const auto& [path, methods] : paths) {
    w.key(path).begin_object();
    if (path.ends_with("{path}")) {
      w.key("parameters").begin_array().begin_object();
      w.field("name", "path").field("in", "path").field("required", true);
      w.key("schema").begin_object().field("type", "string").end_object();
      w.end_object().end_array();
    }
    for (const auto& [method, listed] : methods)
      write_operation(w, method, *listed.service, listed.prices);
    w.end_object();
  }
  w.end_object().end_object();
  return std::move(w).take();
}

bool has_intent(const ServiceSettings& s, PaymentIntent intent) {
  return offers(s, OfferScheme::payment) &&
         std::find(s.intents.begin(), s.intents.end(), intent) != s.intents.end();
}
bool sells_sessions(const ServiceSettings& s) { return has_intent(s, PaymentIntent::session); }
/// One request at a time, or as many as a token lives.
bool sells_singly(const ServiceSettings& s) {
  return offers(s, OfferScheme::l402) || has_intent(s, PaymentIntent::charge);
}

std::string told_units(std::uint64_t number, const std::string& unit) {
  return fmt::format("{} {}{}", number, unit, number != 1 && unit != "KiB" ? "s" : "");
}

/// "L402", and what a counted token holds.
std::string told_token(const ServiceSettings& s) {
  if (!s.token.meter) return "L402";
  const MeterSettings& m = *s.token.meter;
  if (m.count) {
    return fmt::format("L402 (a token holds {})",
                       told_units(static_cast<std::uint64_t>(*m.count) * m.per, m.unit));
  }
  return fmt::format("L402 (a token holds {} for each {})", told_units(m.per, m.unit),
                     format(m.price.value_or(Price())));
}

/// Those that are not sessions.
std::string scheme_names(const ServiceSettings& s) {
  std::string out;
  const auto add = [&out](std::string_view name) {
    out.append(out.empty() ? "" : ", ").append(name);
  };
  if (offers(s, OfferScheme::l402)) add(told_token(s));
  if (has_intent(s, PaymentIntent::charge)) add("Payment (lightning/charge)");
  return out;
}

std::string make_llms(const PaywallSettings& settings) {
  std::string out = fmt::format(
      "# {}\n\n> A paid API. Requests without payment are answered 402 with Lightning invoices in "
      "the "
      "WWW-Authenticate fields; pay one and repeat the request with its proof.\n\n## Services\n\n",
      settings.realm);
  bool any = false;
  for (const auto& s : settings.services) {
    if (!s.discovery) continue;
    any = true;
    out +=
        fmt::format("- {}{}{}\n", s.name.str(), s.description.empty() ? "" : ": ", s.description);
    for (const auto& rule : s.prices) {
      out += fmt::format("  - {}: {}\n", openapi_path(s.path, rule.path), told(s, rule.price));
    }
    if (s.auth) {
      const std::string path = openapi_path(s.path, "");
      if (sells_singly(s)) {
        out += fmt::format("  - {}: {} by {}\n", path, told(s, s.price), scheme_names(s));
      }
      if (sells_sessions(s)) {
        out += fmt::format("  - {}: {} by Payment (lightning/session)\n", path,
                           told_session(s, s.session.price.value_or(s.price)));
      }
    } else {
      out += fmt::format("  - {}: free\n", openapi_path(s.path, ""));
    }
  }
  out += "\n## More\n\n- [OpenAPI](/openapi.json): operations and prices\n";
  return any ? out : std::string{};
}

}  // namespace

Discovery::Discovery(const PaywallSettings& settings)
    : openapi_(make_openapi(settings)), llms_(make_llms(settings)) {}

}  // namespace octroi::paywall
