// Rules between keys. Each is one function with one topic; each reports and goes on, so that a
// person sees everything at once. A value that was already found wrong is left out of further
// rules.

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <fmt/format.h>

#include "octroi/config/check.h"
#include "octroi/config/vault_section.h"

namespace octroi::config {
namespace {

bool is_on(const Value& v) { return v.flag(); }
bool broken(const Value& v) { return v.given && !v.valid; }

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

bool has(const std::vector<std::string>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

/// "^api\.example\.com$" → "api.example.com"; empty when the pattern is more than one host.
std::string literal_host(std::string_view pattern) {
  if (pattern.starts_with('^')) pattern.remove_prefix(1);
  if (pattern.ends_with('$')) pattern.remove_suffix(1);
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\' && i + 1 < pattern.size() && pattern[i + 1] == '.') continue;
    if (std::string_view("*+?()[]{}|\\^$").find(pattern[i]) != std::string_view::npos) return {};
    out += pattern[i];
  }
  return lower(out);
}

std::string without_port(const std::string& authority) {
  if (authority.starts_with('[')) return authority.substr(0, authority.find(']') + 1);
  return authority.substr(0, authority.find(':'));
}

/// What every path that matches begins with; `whole`: and every path that begins so, matches.
struct LiteralPath {
  std::string text;
  bool whole = true;
};
LiteralPath literal_path(std::string_view pattern) {
  constexpr std::string_view kMeta = "*+?()[]{}|\\^$.";
  LiteralPath out;
  if (pattern.find('|') != std::string_view::npos) return {"", false};
  if (pattern.starts_with('^')) pattern.remove_prefix(1);
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\' && i + 1 < pattern.size() &&
        std::string_view(".-/_~").find(pattern[i + 1]) != std::string_view::npos) {
      out.text += pattern[++i];
      continue;
    }
    if (kMeta.find(pattern[i]) != std::string_view::npos) {
      // What follows a letter may make it optional.
      if (std::string_view("*?{").find(pattern[i]) != std::string_view::npos && !out.text.empty())
        out.text.pop_back();
      out.whole = pattern.substr(i) == ".*";
      return out;
    }
    out.text += pattern[i];
  }
  return out;
}

bool looks_like_credential(const std::string& header) {
  constexpr std::array<std::string_view, 6> kMarks{"auth",   "cookie", "token",
                                                   "secret", "key",    "password"};
  const std::string name = lower(header);
  return std::any_of(kMarks.begin(), kMarks.end(),
                     [&](std::string_view m) { return name.find(m) != std::string::npos; });
}

class CrossCheck {
 public:
  CrossCheck(const Value& root, Context& context)
      : root_(root), c_(context), production_(root.at("environment").str() == "production") {}

  void run() {
    listeners();
    shared_store();
    shared_counters();
    unavailable_parts();
    rates();
    written_secrets(root_, "");
    if (root_.at("lightning").given) lightning(root_.at("lightning"), "lightning");
    if (root_.at("paywall").given) paywall();
    if (root_.at("price_server").given) price_server();
    if (root_.at("wallet").given) wallet();
    if (root_.at("vault").given) check_vault(root_, c_);
    policies_that_are_over();
    if (root_.at("admin").given) admin();
    telemetry();
    nothing_started();
  }

 private:
  // --- the whole file ---

  void listeners() {
    std::vector<std::pair<std::string, const Value*>> all;
    const auto collect = [&](const Value& v, const std::string& path) {
      if (v.children.empty()) {
        all.emplace_back(path, &v);
      } else {
        for (std::size_t i = 0; i < v.children.size(); ++i) {
          all.emplace_back(v.children.size() == 1 ? path : fmt::format("{}[{}]", path, i),
                           &v.children[i].value);
        }
      }
    };
    if (root_.at("paywall").given) collect(root_.at("listen"), "listen");
    if (root_.at("vault").given) collect(root_.at("vault.listen"), "vault.listen");
    if (root_.at("admin").given) collect(root_.at("admin.listen"), "admin.listen");
    std::map<net::Endpoint, std::string> seen;
    for (const auto& [path, value] : all) {
      const auto* endpoint = std::get_if<net::Endpoint>(&value->data);
      if (endpoint == nullptr || endpoint->port == 0) continue;
      const auto [it, added] = seen.emplace(*endpoint, path);
      if (!added)
        c_.error(*value, path, fmt::format("is the same address as {}", it->second),
                 "give each listener a port of its own");
    }
    if (root_.at("paywall").given && root_.at("listen").valid &&
        root_.at("listen").children.empty()) {
      c_.error(root_.at("listen"), "listen", "is empty, but the paywall must listen somewhere",
               "write an address such as 127.0.0.1:8402");
    }
  }

  void shared_counters() {
    const auto* url = std::get_if<Url>(&root_.at("shared").data);
    for (const char* key : {"shared_password", "shared_ca"}) {
      if (url == nullptr && root_.at(key).given) {
        c_.warn(root_.at(key), key, "is not used without `shared`",
                "remove it, or write shared: redis://host:6379/0");
      }
    }
    if (url == nullptr) return;
    if (url->scheme == "redis" && root_.at("shared_ca").given) {
      c_.warn(root_.at("shared_ca"), "shared_ca", "is not used without TLS",
              "write shared: rediss://…");
    }
    const auto* store = std::get_if<Url>(&root_.at("store").data);
    if (store != nullptr && store->scheme == "sqlite") {
      c_.warn(root_.at("shared"), "shared", "is of no use to one process with a SQLite store",
              "remove it, or write store: postgresql://user@host/database");
    }
  }

  void shared_store() {
    const Value& store = root_.at("store");
    const auto* url = std::get_if<Url>(&store.data);
    if (url == nullptr || url->scheme != "postgresql") {
      if (url != nullptr && root_.at("store_password").given) {
        c_.warn(root_.at("store_password"), "store_password", "is not used by a SQLite store",
                "remove it, or write store: postgresql://user@host/database");
      }
      return;
    }
    if (root_.at("admin").given && !root_.at("admin.auth.token").given) {
      c_.error(root_.at("admin"), "admin.auth.token",
               "is missing; there is no folder beside a PostgreSQL store to make it in",
               "write auth: { token: file:///var/lib/octroi/admin.token }, or another reference");
    }
  }

  void unavailable_parts() {
    later(root_.at("admin.auth.oauth"), "admin.auth.oauth",
          "only the bootstrap token opens the admin API");
  }
  void later(const Value& part, const std::string& path, std::string_view consequence) {
    if (part.given && part.valid) {
      c_.warn(part, path, fmt::format("is not available in this version; {}", consequence),
              "remove it, or keep it for a later version");
    }
  }

  void policies_that_are_over() {
    for (const auto& [name, policy] : root_.at("vault.policies").children) {
      const Value& ends = policy.at("expires");
      if (!ends.valid || !ends.has_value() || ends.time() > c_.now) continue;
      c_.warn(ends, fmt::format("vault.policies.{}.expires", name),
              "is over: keys of this policy open nothing", "write a later moment, or remove it");
    }
  }

  void rates() {
    const Value& rates = root_.at("rates");
    const auto dollars = priced_in_usd();
    if (!rates.given) {
      if (!dollars.empty()) {
        const auto& [path, value] = dollars.front();
        c_.error(*value, path, "is in usd, but there is no `rates` section",
                 "add rates: { btc_usd: 65000 usd, as_of: 2026-11-01 }, or write the price in sat");
      }
      return;
    }
    if (!rates.valid || broken(rates.at("as_of")) || broken(rates.at("max_age")) ||
        !rates.at("as_of").has_value())
      return;
    const Price btc = rates.at("btc_usd").price();
    if (rates.at("btc_usd").has_value() && btc.is_zero()) {
      c_.error(rates.at("btc_usd"), "rates.btc_usd", "is zero", "write the price of one bitcoin");
    }
    const UnixMillis as_of = rates.at("as_of").time();
    if (as_of > c_.now + Millis(24LL * 3600 * 1000)) {
      c_.error(rates.at("as_of"), "rates.as_of", "is in the future",
               "write when the rate was true");
    } else if (as_of + rates.at("max_age").duration() < c_.now) {
      const auto severity = dollars.empty() ? Severity::warning : Severity::error;
      c_.report(severity, rates.at("as_of"), "rates.as_of",
                fmt::format("is more than max_age ({}) ago: the rate is stale{}",
                            rates.at("max_age").text,
                            dollars.empty() ? "" : " and prices in usd cannot be converted"),
                "bring btc_usd and as_of up to date, or raise max_age");
    }
  }

  std::vector<std::pair<std::string, const Value*>> priced_in_usd() const {
    std::vector<std::pair<std::string, const Value*>> out;
    const auto add = [&](const Value& v, std::string path) {
      if (v.price().usd) out.emplace_back(std::move(path), &v);
    };
    for (const auto& [path, service] : services()) {
      if (service->at("auth").str() != "on") continue;
      add(service->at("price"), path + ".price");
      const auto& rules = service->at("prices").children;
      for (std::size_t i = 0; i < rules.size(); ++i) {
        add(rules[i].value.at("price"), fmt::format("{}.prices[{}].price", path, i));
      }
    }
    return out;
  }

  void written_secrets(const Value& v, const std::string& path) {
    if (v.written_secret) {
      c_.report(production_ || from_store(v) ? Severity::error : Severity::warning, v, path,
                from_store(v) ? "is a secret, which is not kept in the store"
                              : "is a secret written into the file",
                "move it to a file or the environment and refer to it: file:///path or env://NAME");
    }
    for (std::size_t i = 0; i < v.children.size(); ++i) {
      const auto& [key, child] = v.children[i];
      if (key.empty()) {
        written_secrets(child, v.children.size() == 1 && child.type != Type::section
                                   ? path
                                   : fmt::format("{}[{}]", path, i));
      } else {
        written_secrets(child, path.empty() ? key : path + "." + key);
      }
    }
  }

  void nothing_started() {
    if (root_.given && !root_.at("paywall").given && !root_.at("wallet").given &&
        !root_.at("admin").given && !root_.at("vault").given && !root_.at("price_server").given &&
        !c_.has_errors()) {
      c_.warn(root_, "", "no door is configured: there is neither paywall, vault, wallet nor admin",
              "add the section of the door to start");
    }
  }

  // --- nodes ---

  void lightning(const Value& v, const std::string& path) {
    if (!v.valid) return;
    const Value& backend = v.at("backend");
    if (backend.str() == "sim") {
      if (production_) {
        c_.error(backend, path + ".backend", "sim is a simulation and is refused in production",
                 "use lnd, or set environment: development");
      } else if (root_.at("environment").str() == "staging") {
        c_.warn(backend, path + ".backend", "sim is a simulation: no money moves",
                "use lnd where money should move");
      }
    }
    if (backend.str() == "lnd") lnd(v, path + ".lnd");
  }

  void lnd(const Value& node, const std::string& path) {
    const Value& v = node.at("lnd");
    if (!v.given) {
      c_.error(node.at("backend"), path, "is required with backend: lnd",
               "add lnd: { url: https://127.0.0.1:8080, macaroon: file:///…/invoice.macaroon }");
      return;
    }
    const Value& url = v.at("url");
    if (url.has_value() && url.url().scheme == "http") {
      const auto address = net::IpAddress::parse(url.url().host);
      if (url.url().host != "localhost" && (!address || !address->is_loopback())) {
        c_.error(url, path + ".url",
                 "is plain http to another machine; the macaroon could be read on the way",
                 "use https://");
      }
    }
    if (url.has_value() && (!url.url().userinfo.empty() || url.url().path.size() > 1)) {
      c_.error(url, path + ".url", "has a path or a user, which lnd has not",
               "write https://host:port");
    }
    macaroon(v.at("macaroon"), path + ".macaroon");
    macaroon(v.at("pay_macaroon"), path + ".pay_macaroon");
  }
  void macaroon(const Value& v, const std::string& path) {
    if (v.secret && macaroon_hex(*v.secret).empty()) {
      c_.error(v, path, "is neither a macaroon file nor hex",
               "refer to the file that lnd wrote, such as file:///…/invoice.macaroon");
    }
  }

  // --- paywall ---

  std::vector<std::pair<std::string, const Value*>> services() const {
    std::vector<std::pair<std::string, const Value*>> out;
    const auto& list = root_.at("paywall.services").children;
    for (std::size_t i = 0; i < list.size(); ++i)
      out.emplace_back(fmt::format("paywall.services[{}]", i), &list[i].value);
    return out;
  }

  static bool sells(const Value& service) { return service.at("auth").str() == "on"; }
  static bool sells_payment(const Value& service) {
    const auto words = service.at("schemes").strings();
    return sells(service) && (has(words, "payment") || has(words, "mpp") || has(words, "l402+mpp"));
  }
  static bool sells_sessions(const Value& service) {
    if (!sells_payment(service)) return false;
    const Value& intents = service.at("payment.intents");
    if (!intents.given) return service.at("session").given;
    return has(intents.strings(), "session");
  }
  static bool sells_charges(const Value& service) {
    if (!sells_payment(service)) return false;
    const Value& intents = service.at("payment.intents");
    return !intents.given || has(intents.strings(), "charge");
  }
  /// No single requests, so that the price of a unit is the only one.
  static bool sells_sessions_only(const Value& service) {
    const Value& intents = service.at("payment.intents");
    return sells_sessions(service) && !sells_l402(service) && intents.given &&
           intents.strings().size() == 1;
  }
  static bool sells_l402(const Value& service) {
    const auto words = service.at("schemes").strings();
    return sells(service) && (has(words, "l402") || has(words, "l402+mpp"));
  }

  void paywall() {
    const Value& v = root_.at("paywall");
    realm(v);
    key_ring(v.at("secret"), "paywall.secret");
    key_ring(v.at("l402_keys"), "paywall.l402_keys");
    if (v.at("max_unpaid").valid && v.at("max_unpaid").number() == 0 && production_) {
      c_.warn(v.at("max_unpaid"), "paywall.max_unpaid",
              "is 0: anybody can make the node create invoices without end",
              "set a bound, such as 64");
    }
    for (const auto& [name, source] : v.at("price_sources").children) {
      if (!source.at("url").has_value() || source.at("url").url().userinfo.empty()) continue;
      c_.error(source.at("url"), "paywall.price_sources." + name + ".url", "names a user",
               "write the credential in token, as a reference");
    }
    bool any_sale = false;
    std::map<std::string, const Value*> names;
    std::map<std::string, std::string> matches;
    Reach reach;
    for (const auto& [path, s] : services()) {
      if (!s->valid) continue;
      any_sale = any_sale || sells(*s);
      service_name(*s, path, names);
      same_match(*s, path, matches);
      reached(*s, path, reach);
      service(*s, path);
    }
    if (v.at("services").valid && v.at("services").children.empty()) {
      c_.warn(v.at("services").given ? v.at("services") : v, "paywall.services",
              "is empty: nothing is served until a service is added to the store",
              "write a service here, or add one with `octroi service add`");
    }
    if (any_sale && !root_.at("lightning").given) {
      c_.error(v, "lightning", "is required, because the paywall sells",
               "add lightning: { backend: sim } to try it out, or an lnd node");
    }
    plain_http();
    refunds_need_a_paying_node();
  }

  void realm(const Value& v) {
    const Value& realm = v.at("realm");
    if (broken(realm)) return;
    const std::string& text = realm.str();
    if (text.find_first_of("|\"\\") != std::string::npos) {
      c_.error(realm, "paywall.realm",
               "holds a |, a quote or a backslash, which separate fields in a challenge",
               "use the host that clients use");
      return;
    }
    std::string wrong_host;
    for (const auto& [path, s] : services()) {
      const std::string host = literal_host(s->at("match.host").str());
      if (!host.empty() && !text.empty() && lower(without_port(text)) != host && wrong_host.empty())
        wrong_host = host;
    }
    if (!wrong_host.empty()) {
      c_.warn(realm, "paywall.realm",
              fmt::format("is not the host that clients of a service use ({})", wrong_host),
              "set it to that host; clients show it to people and some refuse another");
    }
    if (text.empty() && !realm.given && !only_loopback()) {
      c_.warn(v, "paywall.realm", "is not set, so challenges carry the listen address",
              "set it to the host that clients use");
    }
  }

  bool only_loopback() const {
    const auto& list = root_.at("listen").children;
    return std::all_of(list.begin(), list.end(), [](const auto& item) {
      const auto* e = std::get_if<net::Endpoint>(&item.value.data);
      return e == nullptr || e->address.is_loopback();
    });
  }

  void key_ring(const Value& ring, const std::string& path) {
    constexpr std::size_t kMin = 32;
    std::vector<const Secret*> seen;
    for (std::size_t i = 0; i < ring.children.size(); ++i) {
      const Value& key = ring.children[i].value;
      if (!key.secret) continue;
      const std::string where = ring.children.size() == 1 ? path : fmt::format("{}[{}]", path, i);
      if (key.secret->size() < kMin) {
        c_.error(key, where,
                 fmt::format("is {} bytes long; at least {} are needed", key.secret->size(), kMin),
                 "make one with `openssl rand -hex 32`");
      }
      if (std::any_of(seen.begin(), seen.end(),
                      [&](const Secret* s) { return s->equals(*key.secret); })) {
        c_.error(key, where, "is the same key as an earlier one", "list each key once");
      }
      seen.push_back(key.secret.get());
    }
  }

  void service_name(const Value& s, const std::string& path,
                    std::map<std::string, const Value*>& names) {
    const Value& name = s.at("name");
    if (!name.has_value()) return;
    const std::string& text = name.str();
    const bool plain = text.size() <= 64 &&
                       text.find_first_not_of(
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
                           std::string::npos;
    if (!plain) {
      c_.error(name, path + ".name", "must be 1 to 64 letters, digits, dots, underscores or dashes",
               "shorten it or replace the other characters; it stands in tokens");
    }
    const auto [it, added] = names.emplace(text, &name);
    if (!added && !from_store(name)) {
      c_.error(
          name, path + ".name",
          fmt::format("\"{}\" is taken by the service on line {}", text, it->second->mark.line),
          "give each service a name of its own; tokens are bound to it");
    }
  }

  void same_match(const Value& s, const std::string& path,
                  std::map<std::string, std::string>& matches) {
    std::string key = s.at("match.host").str() + "\n" + s.at("match.path").str();
    const auto [it, added] = matches.emplace(std::move(key), s.at("name").str());
    if (!added && !from_store(s)) {
      c_.warn(s.at("match").given ? s.at("match") : s, path + ".match",
              fmt::format(
                  "is the same as of service \"{}\", which comes first: this one is never reached",
                  it->second),
              "change the host or the path, or remove one of the two");
    }
  }

  /// What services so far take whole: the literal beginnings of paths, a pattern of hosts each.
  using Reach = std::map<std::string, std::map<std::string, std::string>>;

  /// A service that was added to the store while octroi ran must not turn out to be dead: each that
  /// stands before it takes what it matches.
  void reached(const Value& s, const std::string& path, Reach& reach) {
    const std::string& host = s.at("match.host").str();
    const LiteralPath mine = literal_path(s.at("match.path").str());
    if (from_store(s)) {
      for (const std::string& theirs : {std::string(), host}) {
        const std::string* before = covered_by(reach[theirs], mine, s.at("match.path").str());
        if (before == nullptr) continue;
        c_.error(s.at("match").given ? s.at("match") : s, path + ".match",
                 fmt::format("is never reached: service \"{}\", which comes first, takes every "
                             "request that it matches",
                             *before),
                 "change the host or the path");
        return;
      }
    }
    auto& paths = reach[host];
    if (mine.whole) paths.emplace(mine.text, s.at("name").str());
    paths.emplace("=" + s.at("match.path").str(), s.at("name").str());
  }

  static const std::string* covered_by(const std::map<std::string, std::string>& paths,
                                       const LiteralPath& mine, const std::string& written) {
    if (const auto same = paths.find("=" + written); same != paths.end()) return &same->second;
    for (std::size_t n = 0; n <= mine.text.size(); ++n) {
      const auto it = paths.find(mine.text.substr(0, n));
      if (it != paths.end()) return &it->second;
    }
    return nullptr;
  }

  void service(const Value& s, const std::string& path) {
    price(s, path);
    upstream(s, path);
    schemes(s, path);
    bodies(s, path);
    headers(s, path);
    rewrite(s, path);
    methods(s.at("methods"), path + ".methods");
    methods(s.at("cors.methods"), path + ".cors.methods");
    cors(s, path);
    limits(s, path);
    payment(s, path);
    token(s, path);
  }

  /// Names and values stand in caveats as they are, so they may not hold what separates caveats.
  void token(const Value& s, const std::string& path) {
    auto name = [&](const Value& v, const std::string& where) {
      if (!v.has_value() || is_caveat_name(v.str())) return;
      c_.error(v, where, "must be printable ASCII without blanks, commas, colons, quotes and =",
               "choose a plain name such as read");
    };
    name(s.at("capability"), path + ".capability");
    const auto& rules = s.at("prices").children;
    for (std::size_t i = 0; i < rules.size(); ++i)
      name(rules[i].value.at("capability"), fmt::format("{}.prices[{}].capability", path, i));
    const auto& capabilities = s.at("token.capabilities").children;
    for (std::size_t i = 0; i < capabilities.size(); ++i)
      name(capabilities[i].value, fmt::format("{}.token.capabilities[{}]", path, i));
    for (const auto& [condition, value] : s.at("token.constraints").children)
      this->condition(condition, value, path + ".token.constraints." + condition);
    for (const auto& [condition, value] : s.at("token.facts").children) {
      const std::string where = path + ".token.facts." + condition;
      this->condition(condition, value, where);
      const std::string from = value.str();
      const bool known = (from.starts_with("query:") && from.size() > 6) ||
                         (from.starts_with("header:") && from.size() > 7);
      if (value.has_value() && !known) {
        c_.error(value, where, "must be query:NAME or header:NAME",
                 "write what the condition is compared with, such as query:days");
      }
    }
    if (s.at("token.meter").given) meter(s, s.at("token.meter"), path + ".token.meter");
  }

  /// A token that holds a number of units.
  void meter(const Value& s, const Value& m, const std::string& path) {
    const Value& count = m.at("count");
    const Value& price = m.at("price");
    if (count.given == price.given) {
      c_.error(m, path,
               count.given ? "has both a count and a price" : "says neither how many nor for what",
               "write count: how many, or price: what so many cost");
    }
    if (count.has_value() && m.at("per").valid &&
        count.number() > kMostUnits / m.at("per").number()) {
      c_.error(count, path + ".count", "is more than can be counted",
               "count in KiB, or sell less at once");
    }
    if (s.at("token.max_requests").given && m.at("unit").str() == "request") {
      c_.error(s.at("token.max_requests"), path.substr(0, path.rfind('.')) + ".max_requests",
               "counts the requests that meter counts", "remove one of the two");
    }
    if (s.at("price_source.metered").given && s.at("price_source.metered").flag()) {
      c_.error(m, path, "counts what the price source counts (price_source.metered)",
               "remove one of the two");
    }
    if (price.has_value() && price.price().is_zero()) {
      c_.error(price, path + ".price", "is zero: no number of units has that price",
               "write what `per` units cost");
      return;
    }
    if (!price.has_value() || price.price().usd || !m.at("per").valid) return;
    buys_a_unit(m, s.at("price"), path);
    for (const auto& [key, rule] : s.at("prices").children) buys_a_unit(m, rule.at("price"), path);
  }

  void buys_a_unit(const Value& m, const Value& sold, const std::string& path) {
    if (!sold.has_value() || sold.price().usd || sold.price().is_zero()) return;
    const std::int64_t one = m.at("price").price().msat.count(); /* raw: a ratio */
    const std::int64_t paid = sold.price().msat.count();         /* raw: a ratio */
    if (paid >= one / m.at("per").number() + (one % m.at("per").number() != 0 ? 1 : 0)) return;
    c_.error(m.at("price"), path + ".price",
             fmt::format("is more than a token costs ({}): it would hold nothing", sold.text),
             "raise the service's price, or lower this one");
  }

  /// As the store counts (ledger::kMostUnits).
  static constexpr std::int64_t kMostUnits = 10'000'000'000'000;

  void condition(const std::string& name, const Value& at, const std::string& where) {
    if (!is_caveat_name(name) || name == "services" || name == "preimage" ||
        name.ends_with("_capabilities") || name.ends_with("_valid_until") ||
        name.ends_with("_max_requests") || name.ends_with("_meter")) {
      c_.error(at, where, "is no name for a condition, or has a meaning of its own",
               "choose another name; validity, capabilities and the number of requests have keys "
               "of their own in token");
    }
  }

  /// As l402 reads names in caveats.
  static bool is_caveat_name(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
      return c > 0x20 && c < 0x7f && c != ',' && c != ':' && c != '=' && c != '"' && c != '\\';
    });
  }

  void price(const Value& s, const std::string& path) {
    const Value& price = s.at("price");
    const auto& rules = s.at("prices").children;
    if (!sells(s)) {
      const Value& at = price.given ? price : s.at("prices");
      if (s.at("auth").str() == "off" && at.given) {
        c_.warn(at, path + (price.given ? ".price" : ".prices"),
                "is set, but auth is off: nobody pays it", "remove it, or set auth: on");
      }
      return;
    }
    const bool covered =
        !rules.empty() && std::any_of(rules.begin(), rules.end(), [](const auto& r) {
          return !r.value.at("path").has_value() && r.value.at("methods").children.empty();
        });
    const bool by_session = sells_sessions_only(s) && s.at("session.price").given;
    const bool quoted = s.at("price_source").given;
    if (quoted) price_source(s, path);
    if (!price.given && !covered && !by_session && !quoted) {
      c_.error(s, path + ".price", "is required",
               "add price: 10 sat, or auth: off to relay without payment");
    }
    // A unit of a session has a stricter rule of its own.
    if (!sells_sessions(s) || s.at("session.price").given) whole_sat(s, price, path + ".price");
    zero(s, price, path + ".price");
    for (std::size_t i = 0; i < rules.size(); ++i) {
      const Value& rule = rules[i].value;
      const std::string where = fmt::format("{}.prices[{}]", path, i);
      if (!sells_sessions(s)) whole_sat(s, rule.at("price"), where + ".price");
      zero(s, rule.at("price"), where + ".price");
      methods(rule.at("methods"), where + ".methods");
      if (covered && i + 1 < rules.size() && !rule.at("path").has_value() &&
          rule.at("methods").children.empty() && rule.valid) {
        c_.warn(rule, where, "matches every request, so the rules after it never apply",
                "move it to the end");
      }
    }
  }

  /// Who keeps accounts elsewhere sells no single requests at the price of a bundle.
  void price_source(const Value& s, const std::string& path) {
    const Value& v = s.at("price_source");
    const std::string where = path + ".price_source";
    const Value& name = v.at("name");
    const auto& known = root_.at("paywall.price_sources").children;
    if (name.has_value() && std::none_of(known.begin(), known.end(), [&](const auto& source) {
          return source.key == name.str();
        })) {
      c_.error(name, where + ".name",
               fmt::format("\"{}\" is not among paywall.price_sources", name.str()),
               "add it there, with its url");
    }
    if (s.at("price").given) {
      c_.warn(s.at("price"), path + ".price", "is never asked: the price source says what is",
              "remove it, or remove price_source");
    }
    const bool metered = v.at("metered").valid && v.at("metered").flag();
    if (metered && !sells_l402(s)) {
      c_.error(v.at("metered"), where + ".metered",
               "is on, but bundles are L402 tokens, which the service does not offer",
               "add l402 to schemes");
    }
    if (metered && sells_charges(s)) {
      c_.error(v.at("metered"), where + ".metered",
               "is on, and the service sells single requests: each would cost as much as a bundle",
               "write schemes: [l402], or payment: { intents: [session] }");
    }
    const bool sessions = v.at("sessions").valid && v.at("sessions").flag();
    if (sessions && !sells_sessions(s)) {
      c_.error(v.at("sessions"), where + ".sessions", "is on, but the service sells no sessions",
               "add session: {} and payment to schemes");
    }
    if (sessions && s.at("session.unit").given && s.at("session.unit").str() != "request") {
      c_.error(s.at("session.unit"), path + ".session.unit",
               "is what the price source decides: it says what each request cost",
               "remove it, or write price_source.sessions: off and a price");
    }
  }

  /// Lightning cannot carry nothing: an invoice without amount asks for whatever its payer likes.
  void zero(const Value& s, const Value& price, const std::string& path) {
    if (!price.has_value() || !price.price().is_zero() || !s.at("schemes").valid) return;
    if (!sells_payment(s)) {
      c_.error(price, path, "is zero, which l402 cannot ask for",
               "add payment to schemes, or write auth: off, or list the path in free_paths");
    } else if (sells_l402(s)) {
      c_.warn(price, path, "is zero, which l402 cannot ask for: only payment is offered for it",
              "write auth: off or list the path in free_paths, if it is meant to be free");
    }
  }

  void whole_sat(const Value& s, const Value& price, const std::string& path) {
    if (!sells_payment(s) || !price.has_value() || price.price().usd) return;
    const Msat msat = price.price().msat;
    if (to_msat(to_sat_ceil(msat)) != msat) {
      c_.warn(price, path,
              fmt::format("is not a whole number of sat; under the Payment scheme {} is asked",
                          format(to_sat_ceil(msat))),
              "use whole sat, or offer l402 only");
    }
  }

  void upstream(const Value& s, const std::string& path) {
    const Value& v = s.at("upstream");
    if (!v.given || broken(v)) return;
    const std::string where = path + ".upstream";
    const Value& one = v.at("url");
    const Value& several = v.at("urls");
    if (one.given && several.given) {
      c_.error(several, where + ".urls", "is written beside `url`",
               "move the address of `url` into `urls`, and remove `url`");
    }
    if (several.given && several.children.empty()) {
      if (!broken(several)) {
        c_.error(several, where + ".urls", "is empty",
                 "write at least one address, such as http://127.0.0.1:9000");
      }
      return;
    }
    if (!one.given && !several.given) {
      c_.error(v, where + ".url", "is required",
               "add `url:` with a URL such as http://127.0.0.1:9000, or `urls:` with several");
      return;
    }
    // With one address the service's `upstream` is its place, as people write it in one word.
    if (one.has_value()) upstream_url(v, one, where);
    for (std::size_t i = 0; i < several.children.size(); ++i) {
      upstream_url(v, several.children[i].value.at("url"), fmt::format("{}.urls[{}]", where, i));
    }
    upstream_urls(several, where);
    upstream_health(v, where);
    if (v.at("balance").given && several.children.size() < 2) {
      c_.warn(v.at("balance"), where + ".balance", "has no effect on a single address",
              "add `urls` with several, or remove it");
    }
  }

  void upstream_url(const Value& v, const Value& url, const std::string& path) {
    if (!url.has_value()) return;
    const Url& u = url.url();
    if (!u.userinfo.empty()) {
      c_.error(url, path, "holds a user or password",
               "put it into headers: { Authorization: \"Basic ${env://NAME}\" }");
    }
    if (u.scheme == "http" && (v.at("ca").given || v.at("server_name").given)) {
      c_.error(url, path, "is plain http, but a certificate is asked for",
               "use https://, or remove ca and server_name");
    }
    const auto address =
        u.host == "localhost" ? net::IpAddress::parse("127.0.0.1") : net::IpAddress::parse(u.host);
    if (!address) return;
    for (const net::Endpoint& e : root_.at("listen").all<net::Endpoint>()) {
      const bool any = e.address.str() == "0.0.0.0" || e.address.str() == "::";
      if (e.port == u.port_or_default() &&
          (e.address == *address || (any && address->is_loopback()))) {
        c_.error(url, path, "is octroi's own listener: requests would go round in circles",
                 "point it at the server behind octroi");
      }
    }
  }

  /// A request is written once and may go to any of them, so they must all take it alike.
  void upstream_urls(const Value& several, const std::string& where) {
    if (several.children.size() > upstream::kMaxAddresses) {
      c_.error(several, where + ".urls",
               fmt::format("has {} addresses; {} are possible", several.children.size(),
                           upstream::kMaxAddresses),
               "give a DNS name that stands for several of them");
    }
    const auto base = [](std::string path) {
      while (path.ends_with('/')) path.pop_back();
      return path;
    };
    const Url* first = nullptr;
    std::map<std::pair<std::string, std::uint16_t>, std::size_t> seen;
    for (std::size_t i = 0; i < several.children.size(); ++i) {
      const Value& url = several.children[i].value.at("url");
      if (!url.has_value()) continue;
      const Url& u = url.url();
      const std::string path = fmt::format("{}.urls[{}]", where, i);
      if (first == nullptr) first = &u;
      if (u.scheme != first->scheme) {
        c_.error(url, path,
                 fmt::format("is {}, but the first address is {}", u.scheme, first->scheme),
                 "use one scheme for all addresses of a service");
      }
      if (base(u.path) != base(first->path)) {
        c_.error(url, path,
                 fmt::format("has the path \"{}\", but the first address has \"{}\"", base(u.path),
                             base(first->path)),
                 "use one path for all addresses of a service, or two services");
      }
      const auto [it, added] = seen.emplace(std::pair(u.host, u.port_or_default()), i);
      if (!added) {
        c_.error(url, path, fmt::format("is the same address as {}.urls[{}]", where, it->second),
                 "write it once, with a weight");
      }
    }
  }

  void upstream_health(const Value& v, const std::string& where) {
    const Value& health = v.at("health");
    if (!health.given || broken(health)) return;
    const Value& path = health.at("path");
    if (path.has_value() && !path.str().starts_with('/')) {
      c_.error(path, where + ".health.path", "must begin with a slash",
               "write /healthz, for example");
    }
    if (path.has_value() && path.str().find_first_of(" #") != std::string::npos) {
      c_.error(path, where + ".health.path", "holds a blank or a fragment",
               "percent-encode the blank, or remove what follows the #");
    }
    const Value& status = health.at("status");
    for (const auto& [key, one] : status.children) {
      if (!broken(one) && !parse_status_range(one.str())) {
        c_.error(one, where + ".health.status", fmt::format("\"{}\" is no status", one.str()),
                 "write numbers from 100 to 599, or ranges such as 200-299");
      }
    }
    if (!path.has_value() && status.given) {
      c_.warn(status, where + ".health.status", "has no effect without a path",
              "add path: /healthz, for example");
    }
    const auto& urls = v.at("urls").children;
    const Value& url = urls.empty() ? v.at("url") : urls.front().value.at("url");
    if (!path.has_value() && url.has_value() && url.url().scheme == "https") {
      c_.warn(
          health, where + ".health",
          "has no path: a server that shakes hands over TLS counts as healthy, whatever it answers",
          "add path: /healthz, for example");
    }
    if (health.at("timeout").valid && health.at("interval").valid &&
        health.at("timeout").duration() > health.at("interval").duration()) {
      c_.warn(health.at("timeout").given ? health.at("timeout") : health, where + ".health.timeout",
              "is longer than the interval: a silent address is asked less often than the interval "
              "says",
              "make it shorter");
    }
  }

  void schemes(const Value& s, const std::string& path) {
    const Value& list = s.at("schemes");
    if (list.given && list.valid && list.children.empty() && sells(s)) {
      c_.error(list, path + ".schemes", "is empty, so nothing can be paid",
               "write [l402], [payment] or both, or remove the line");
    }
    if (!sells(s) || list.children.empty()) return;
    if (s.at("lsat").given && is_on(s.at("lsat")) && !sells_l402(s)) {
      c_.warn(s.at("lsat"), path + ".lsat", "is on, but the service does not offer l402",
              "add l402 to schemes, or remove the line");
    }
    if (s.at("token").given && !sells_l402(s)) {
      c_.warn(s.at("token"), path + ".token",
              "has no effect, because the service does not offer l402",
              "add l402 to schemes, or remove it");
    }
    if (s.at("payment").given && !sells_payment(s)) {
      c_.warn(s.at("payment"), path + ".payment",
              "has no effect, because the service does not offer payment",
              "add payment to schemes, or remove it");
    }
    if (s.at("session").given && !sells_payment(s)) {
      c_.error(s.at("session"), path + ".session", "needs the Payment scheme",
               "write schemes: [l402, payment], or remove it");
    }
    if (s.at("session").given && sells_payment(s) && !sells_sessions(s)) {
      c_.error(s.at("session"), path + ".session", "is left out by payment.intents",
               "write intents: [charge, session], or remove one of the two");
    }
    if (s.at("scope").given && !sells_payment(s)) {
      c_.warn(s.at("scope"), path + ".scope",
              "has no effect, because the service does not offer payment",
              "add payment to schemes, or remove it");
    }
  }

  /// Payment credentials are bearer proofs: they may cross no wire in clear.
  void plain_http() {
    if (root_.at("tls").given || only_loopback() || !root_.at("trusted_proxies").children.empty() ||
        broken(root_.at("trusted_proxies")))
      return;
    for (const auto& [path, s] : services()) {
      if (!sells_payment(*s)) continue;
      c_.error(
          s->at("schemes"), path + ".schemes",
          fmt::format("offers payment over plain http on {}",
                      root_.at("listen").children.front().value.text),
          "set tls, listen on 127.0.0.1, or name the proxy that speaks https in trusted_proxies");
      return;
    }
  }

  void bodies(const Value& s, const std::string& path) {
    const Value& max = s.at("max_body");
    const Value& limit = s.at("digest_limit");
    const Value& digest = s.at("digest");
    if (!max.valid || !limit.valid) return;
    if (digest.str() == "off" && limit.given) {
      c_.warn(limit, path + ".digest_limit", "has no effect with digest: off",
              "remove it, or set digest: on");
    }
    if (digest.str() != "on" || !sells_payment(s)) return;
    if (limit.given && limit.number() > max.number()) {
      c_.warn(limit, path + ".digest_limit", fmt::format("is larger than max_body ({})", max.text),
              "raise max_body, or lower it");
    } else if (max.given && max.number() > limit.number()) {
      c_.warn(max, path + ".max_body",
              fmt::format("is larger than digest_limit ({}): larger bodies get 413", limit.text),
              "raise digest_limit, or set digest: off to stream bodies unbound");
    }
  }

  void headers(const Value& s, const std::string& path) {
    constexpr std::array<std::string_view, 9> kRefused{
        "connection", "content-length", "transfer-encoding", "upgrade", "te",
        "trailer",    "keep-alive",     "proxy-connection",  "expect"};
    std::set<std::string> seen;
    for (const auto& [name, value] : s.at("headers").children) {
      const std::string where = path + ".headers." + name;
      if (!is_token(name))
        c_.error(value, where, "is not a header name", "use letters, digits and dashes");
      if (std::find(kRefused.begin(), kRefused.end(), lower(name)) != kRefused.end()) {
        c_.error(value, where, "belongs to the connection and cannot be set", "remove it");
      }
      if (lower(name).starts_with("x-octroi-")) {
        c_.error(value, where, "is a name that octroi sets itself",
                 "use another name, or forward: identity");
      }
      if (!seen.insert(lower(name)).second)
        c_.error(value, where, "is set twice in different spellings", "keep one of the two");
      if (value.valid && value.reference.empty() && looks_like_credential(name)) {
        c_.report(production_ || from_store(value) ? Severity::error : Severity::warning, value,
                  where,
                  from_store(value) ? "looks like a credential, which is not kept in the store"
                                    : "looks like a credential written into the file",
                  "refer to it: \"Bearer ${env://NAME}\"");
      }
    }
  }

  void rewrite(const Value& s, const std::string& path) {
    for (const std::string_view key : {"strip", "prefix"}) {
      const Value& v = s.at("rewrite").at(key);
      if (!v.has_value()) continue;
      if (!v.str().starts_with('/') || v.str().find_first_of("?# ") != std::string::npos) {
        c_.error(v, fmt::format("{}.rewrite.{}", path, key), "must be the beginning of a path",
                 "write it with a leading slash and without query, such as /api");
      }
    }
  }

  void methods(const Value& list, const std::string& path) {
    for (const auto& [key, v] : list.children) {
      const std::string& m = v.str();
      if (!v.has_value() || (is_token(m) && std::all_of(m.begin(), m.end(),
                                                        [](char c) { return c < '0' || c > '9'; })))
        continue;
      c_.error(v, path, fmt::format("\"{}\" is not a method", m),
               "write methods such as GET or POST");
    }
  }

  void cors(const Value& s, const std::string& path) {
    if (is_on(s.at("cors.credentials")) && has(s.at("cors.origins").strings(), "*")) {
      c_.error(s.at("cors.credentials"), path + ".cors.credentials",
               "cannot be on while every origin is allowed; browsers refuse it",
               "list the origins, or turn credentials off");
    }
    for (const auto& [key, v] : s.at("cors.origins").children) {
      if (!v.has_value() || v.str() == "*" || v.str() == "null") continue;
      const auto u = parse_url(v.str());
      if (!u || !u->path.empty())
        c_.error(v, path + ".cors.origins", fmt::format("\"{}\" is not an origin", v.str()),
                 "write scheme://host without a path, or *");
    }
    for (const std::string_view key : {"allow_headers", "expose_headers"}) {
      for (const auto& [unused, v] : s.at("cors").at(key).children) {
        if (v.has_value() && !is_token(v.str())) {
          c_.error(v, fmt::format("{}.cors.{}", path, key),
                   fmt::format("\"{}\" is not a header name", v.str()),
                   "use letters, digits and dashes");
        }
      }
    }
  }

  void limits(const Value& s, const std::string& path) {
    const auto& list = s.at("rate_limits").children;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Value& burst = list[i].value.at("burst");
      if (list[i].value.at("by").str() == "session" && !sells_sessions(s)) {
        c_.warn(list[i].value.at("by"), fmt::format("{}.rate_limits[{}].by", path, i),
                "counts sessions, which this service does not sell; it never applies",
                "use token or ip, or sell sessions");
      }
      if (burst.has_value() && burst.number() > 100 * list[i].value.at("requests").number()) {
        c_.warn(burst, fmt::format("{}.rate_limits[{}].burst", path, i),
                "is more than a hundred times `requests`", "check the two numbers");
      }
    }
    if (s.at("free").given && s.at("free.requests").valid && s.at("free.requests").number() == 0) {
      c_.warn(s.at("free"), path + ".free", "gives no free requests", "set requests, or remove it");
    }
    if (s.at("free").given && !sells(s) && s.at("auth").valid) {
      c_.warn(s.at("free"), path + ".free", "has no effect with auth: off",
              "remove it, or set auth: on");
    }
  }

  void payment(const Value& s, const std::string& path) {
    const Value& intents = s.at("payment.intents");
    if (intents.given && intents.valid && intents.children.empty()) {
      c_.error(intents, path + ".payment.intents", "is empty", "write [charge]");
    }
    if (sells(s) && sells_sessions(s)) session(s, path);
  }

  // --- sessions ---

  void session(const Value& s, const std::string& path) {
    const Value& v = s.at("session");
    const std::string where = path + ".session";
    const Value& unit = v.at("price").given ? v.at("price") : s.at("price");
    unit_price(unit, (v.at("price").given ? where : path) + ".price");
    const auto& rules = s.at("prices").children;
    for (std::size_t i = 0; i < rules.size(); ++i) {
      unit_price(rules[i].value.at("price"), fmt::format("{}.prices[{}].price", path, i));
    }
    const bool by_request = v.at("unit").valid && v.at("unit").str() == "request";
    if (by_request && v.at("per").has_value() && v.at("per").number() != 1) {
      c_.error(
          v.at("per"), where + ".per",
          "is for units of an answer: several requests at one price cannot be billed one by one",
          "write per: 1, or a unit of chunk, token, byte or KiB");
    }
    deposit(v, unit, where);
    if (s.at("price_source").given && s.at("price_source.sessions").valid &&
        !s.at("price_source.sessions").flag()) {
      c_.error(s.at("price_source"), path + ".price_source",
               "quotes each request, but a session is billed what its challenge showed",
               "write sessions: on in it, if the source quotes sessions, or sell none");
    }
  }

  /// On the wire a unit costs whole satoshi, and what is shown is what is billed.
  void unit_price(const Value& price, const std::string& path) {
    if (!price.has_value()) return;
    if (price.price().is_zero()) {
      c_.error(price, path, "is zero, and sessions bill every request",
               "give it a price, list the path in free_paths, or sell no sessions");
      return;
    }
    if (price.price().usd) return;  // rounded up when it is asked, and billed so
    const Msat msat = price.price().msat;
    if (to_msat(to_sat_ceil(msat)) != msat) {
      c_.error(price, path, "is not a whole number of sat, which a session cannot be billed",
               "use whole sat");
    }
  }

  void deposit(const Value& v, const Value& unit, const std::string& where) {
    const Value& deposit = v.at("deposit");
    if (deposit.has_value()) {
      if (v.at("deposit_multiplier").given) {
        c_.warn(v.at("deposit_multiplier"), where + ".deposit_multiplier",
                "has no effect beside deposit", "remove one of the two");
      }
      if (unit.has_value() && !deposit.price().usd && !unit.price().usd &&
          deposit.price().msat < unit.price().msat) {
        c_.error(deposit, where + ".deposit", "does not pay for one unit",
                 fmt::format("write {} or more", format(unit.price())));
      }
      return;
    }
    const Value& multiplier = v.at("deposit_multiplier");
    if (!unit.has_value() || unit.price().usd || !multiplier.has_value()) return;
    if (!unit.price().msat.times(multiplier.number())) {
      c_.error(multiplier.given ? multiplier : unit, where + ".deposit_multiplier",
               "makes a deposit of more than there are bitcoin", "write a smaller number");
    }
  }

  // --- the price server ---

  void price_server() {
    const Value& v = root_.at("price_server");
    if (!v.valid) return;
    const Value& models = v.at("models");
    if (models.valid && models.children.empty()) {
      c_.error(models, "price_server.models", "is empty, so nothing has a price",
               "add a model with input and output");
    }
    const Value& fallback = v.at("default_model");
    if (fallback.has_value() &&
        std::none_of(models.children.begin(), models.children.end(),
                     [&](const auto& model) { return model.key == fallback.str(); })) {
      c_.error(fallback, "price_server.default_model", "is not among models",
               "add it there, or remove the line");
    }
    if (v.at("bundle").has_value() && v.at("bundle").price().is_zero()) {
      c_.error(v.at("bundle"), "price_server.bundle", "is zero, and a bundle is sold",
               "write what a token buys, such as 1000 sat");
    }
    const auto* listen = std::get_if<net::Endpoint>(&v.at("listen").data);
    if (listen != nullptr && !listen->address.is_loopback() && !v.at("token").given) {
      c_.error(v.at("listen"), "price_server.listen",
               "is beyond this machine, and whoever reaches it may change the books",
               "set token, or listen on 127.0.0.1");
    }
  }

  // --- the other doors ---

  void wallet() {
    const Value& v = root_.at("wallet");
    if (!v.valid) return;
    if (!v.at("lightning").given) {
      c_.error(v, "wallet.lightning", "is required",
               "add lightning: { backend: sim } below wallet, or an lnd node");
    } else {
      lightning(v.at("lightning"), "wallet.lightning");
      may_pay(v.at("lightning"), "wallet.lightning", "the wallet pays");
    }
    const Value& l = v.at("limits");
    const auto order = [&](std::string_view small, std::string_view large) {
      const Value& a = l.at(small);
      const Value& b = l.at(large);
      if (a.has_value() && b.has_value() && a.price().msat > b.price().msat) {
        c_.warn(a.given ? a : b, fmt::format("wallet.limits.{}", small),
                fmt::format("is more than {} ({}), which is reached first", large, b.text),
                fmt::format("lower it, or raise {}", large));
      }
    };
    order("per_payment", "per_minute");
    order("per_minute", "per_day");
    pays_itself();
  }

  /// `who` needs it to pay.
  void may_pay(const Value& node, const std::string& path, std::string_view who) {
    if (node.at("backend").str() != "lnd") return;
    const Value& own = node.at("lnd.pay_macaroon");
    const Value& paying = own.given ? own : node.at("lnd.macaroon");
    if (!paying.secret || macaroon_can_pay(*paying.secret) != false) return;
    c_.warn(paying, path + (own.given ? ".lnd.pay_macaroon" : ".lnd.macaroon"),
            fmt::format("does not allow payments (no offchain:write), and {}", who),
            "set pay_macaroon to one from `lncli bakemacaroon offchain:write offchain:read`");
  }

  void refunds_need_a_paying_node() {
    for (const auto& [path, s] : services()) {
      if (!sells(*s) || !sells_sessions(*s)) continue;
      may_pay(root_.at("lightning"), "lightning",
              fmt::format("{} sells sessions, whose rest is refunded", path));
      return;
    }
  }

  void pays_itself() {
    const Value& seller = root_.at("lightning");
    const Value& payer = root_.at("wallet.lightning");
    if (!seller.given || !payer.given || seller.at("backend").str() != "sim" ||
        payer.at("backend").str() != "sim")
      return;
    if (seller.at("sim.file").str() == payer.at("sim.file").str() &&
        seller.at("sim.account").str() == payer.at("sim.account").str()) {
      c_.error(payer.at("sim.account"), "wallet.lightning.sim.account",
               "is the seller's own account; a node cannot pay itself",
               "give the wallet an account of its own, such as agent");
    }
  }

  void admin() {
    const Value& v = root_.at("admin");
    const auto* e = std::get_if<net::Endpoint>(&v.at("listen").data);
    if (e != nullptr && !e->address.is_loopback()) {
      c_.warn(v.at("listen"), "admin.listen",
              "is plain http on an address that other machines may reach",
              "listen on 127.0.0.1 and put a proxy with https before it");
    }
    const Value& token = v.at("auth.token");
    if (token.secret && token.secret->size() < 16) {
      c_.error(token, "admin.auth.token",
               fmt::format("is {} bytes long; at least 16 are needed", token.secret->size()),
               "make one with `openssl rand -hex 32`");
    }
  }

  void telemetry() {
    const Value& metrics = root_.at("telemetry.metrics");
    if (metrics.str() == "public" && production_) {
      c_.warn(metrics, "telemetry.metrics",
              "shows income and load to everybody who reaches the admin listener",
              "use metrics: on, which needs the admin token");
    }
    if (metrics.str() == "public" && !root_.at("admin").given) {
      c_.warn(metrics, "telemetry.metrics", "has no effect without the admin section",
              "add admin: {}");
    }
    otlp(root_.at("telemetry"));
  }

  void otlp(const Value& t) {
    const Value& sample = t.at("otlp_sample");
    if (const auto share = parse_share(sample.str()); !share && sample.valid)
      c_.error(sample, "telemetry.otlp_sample", std::string(share.error().message()),
               "the share of requests that are recorded, of those that nobody decided about");
    const Value& url = t.at("otlp");
    if (!url.has_value()) {
      for (const std::string_view key : {"otlp_headers", "otlp_ca", "otlp_sample"}) {
        if (t.at(key).given)
          c_.warn(t.at(key), fmt::format("telemetry.{}", key), "has no effect without otlp",
                  "set telemetry.otlp to the collector's URL, or remove it");
      }
      return;
    }
    if (!url.url().userinfo.empty())
      c_.error(url, "telemetry.otlp", "holds a user name or password",
               "send it as a header: otlp_headers: { Authorization: \"Basic ${env://NAME}\" }");
    otlp_headers(t.at("otlp_headers"), url.url());
  }

  void otlp_headers(const Value& headers, const Url& url) {
    constexpr std::array<std::string_view, 6> kOurs{
        "content-type", "content-length", "host", "transfer-encoding", "connection", "expect"};
    const auto address = net::IpAddress::parse(url.host);
    const bool clear =
        url.scheme == "http" && url.host != "localhost" && (!address || !address->is_loopback());
    for (const auto& [name, value] : headers.children) {
      const std::string where = "telemetry.otlp_headers." + name;
      if (!is_token(name)) {
        c_.error(value, where, "is not a header name", "use letters, digits and dashes");
      } else if (std::find(kOurs.begin(), kOurs.end(), lower(name)) != kOurs.end()) {
        c_.error(value, where, "is set by octroi itself", "remove it");
      }
      if (!looks_like_credential(name)) continue;
      if (value.valid && value.reference.empty())
        c_.report(production_ ? Severity::error : Severity::warning, value, where,
                  "looks like a credential written into the file",
                  "refer to it: \"Bearer ${env://NAME}\"");
      if (clear)
        c_.warn(value, where, "crosses the network in clear text", "use https for telemetry.otlp");
    }
  }

  const Value& root_;
  Context& c_;
  bool production_;
};

}  // namespace

void cross_check(const Value& root, Context& context) { CrossCheck(root, context).run(); }

}  // namespace octroi::config
