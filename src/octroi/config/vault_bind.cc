// From the vault's checked values to the settings of its door, and the rules between its keys.

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "octroi/config/load.h"
#include "octroi/config/stripe_scopes.h"
#include "octroi/config/vault_auth.h"
#include "octroi/config/vault_operations.h"
#include "octroi/config/vault_section.h"
#include "octroi/json/writer.h"
#include "octroi/policy/policy.h"

namespace octroi::config {

namespace {

constexpr std::array<std::string_view, 7> kPacks = {"stripe",    "twilio", "resend", "openai",
                                                    "anthropic", "aws",    "mcp"};

bool has_pack(std::string_view name) {
  return std::find(kPacks.begin(), kPacks.end(), name) != kPacks.end();
}

/// RFC 6901, but for "", the whole of it.
bool is_pointer(std::string_view text) {
  if (!text.starts_with('/')) return false;
  for (std::size_t at = text.find('~'); at != std::string_view::npos; at = text.find('~', at + 1)) {
    const char escaped = at + 1 < text.size() ? text[at + 1] : ' ';
    if (escaped != '0' && escaped != '1') return false;
  }
  return true;
}

std::string upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

void write_value(json::Writer& w, const Value& v) {
  if (!v.children.empty() || v.type == Type::list) {
    if (v.type == Type::list) {
      w.begin_array();
      for (const auto& [key, child] : v.children) write_value(w, child);
      w.end_array();
      return;
    }
    w.begin_object();
    for (const auto& [key, child] : v.children) {
      if (!child.given) continue;
      w.key(key);
      write_value(w, child);
    }
    w.end_object();
    return;
  }
  if (const auto* n = std::get_if<std::int64_t>(&v.data)) {
    w.integer(*n);
  } else if (const auto* b = std::get_if<bool>(&v.data)) {
    w.boolean(*b);
  } else if (const auto* t = std::get_if<UnixMillis>(&v.data)) {
    w.string(to_rfc3339(*t));
  } else if (const auto* p = std::get_if<Price>(&v.data)) {
    w.string(format(*p));
  } else {
    w.string(v.text);
  }
}

/// The value that a message of octroi/policy speaks of: "caps[0].usd: write …".
const Value& spoken_of(const Value& policy, std::string_view message) {
  std::string path(message.substr(0, message.find(':')));
  path = path.substr(0, path.find('['));
  const Value& at = policy.at(path);
  return at.field != nullptr && at.given ? at : policy;
}

vault::OperationSettings operation(const Value& v) {
  vault::OperationSettings out;
  out.name = v.at("name").str();
  out.method = upper(v.at("method").str());
  out.path = v.at("path").str();
  out.graphql = v.at("graphql").str();
  out.direction = v.at("direction").str();
  out.amount = v.at("amount").str();
  out.quantity = v.at("quantity").str();
  out.currency = v.at("currency").str();
  out.major = v.at("unit").str() == "major";
  out.customer = v.at("customer").str();
  out.answer_amount = v.at("answer_amount").str();
  out.answer_currency = v.at("answer_currency").str();
  out.answer_id = v.at("answer_id").str();
  out.errors = v.at("errors").str();
  out.mark = v.at("mark").str();
  out.query = v.at("query").strings();
  return out;
}

vault::ListSettings list(const Value& v) {
  vault::ListSettings out;
  out.path = v.at("path").str();
  out.operations = v.at("operations").strings();
  out.items = v.at("items").str();
  out.id = v.at("id").str();
  out.amount = v.at("amount").str();
  out.currency = v.at("currency").str();
  out.major = v.at("unit").str() == "major";
  out.mark = v.at("mark").str();
  out.created = v.at("created").str();
  out.next = v.at("next").str();
  out.page_size = v.at("page_size").number();
  return out;
}

vault::ToolSettings tool(const Value& v) {
  vault::ToolSettings out;
  out.tool = v.at("tool").str();
  out.direction = v.at("direction").str();
  out.amount = v.at("amount").str();
  out.currency = v.at("currency").str();
  out.major = v.at("unit").str() == "major";
  out.customer = v.at("customer").str();
  out.answer_amount = v.at("answer_amount").str();
  out.answer_id = v.at("answer_id").str();
  out.error_is_refusal = v.at("on_error").str() == "release";
  return out;
}

/// Stripe has one, which is no part of a mock of Stripe.
std::optional<vault::DoorSettings> door(const vault::VendorSettings& vendor, const Value& v) {
  if (vendor.pack != "stripe") return std::nullopt;
  vault::DoorSettings out;
  if (!v.given) {
    if (vendor.host != "api.stripe.com") return std::nullopt;
    out.scheme = "https";
    out.host = "mcp.stripe.com";
    out.port = 443;
    return out;
  }
  const Url& url = v.url();
  out.scheme = url.scheme;
  out.host = url.host;
  out.port = url.port_or_default();
  if (!url.path.empty()) out.endpoint = url.path;
  return out;
}

vault::ModelPriceSettings model_price(const Value& v) {
  const auto dollars = [&](const char* key) { return v.at(key).price().usd.value_or(MicroUsd{}); };
  vault::ModelPriceSettings out;
  out.input = dollars("input");
  out.output = dollars("output");
  if (v.at("cached_input").given) out.cached_input = dollars("cached_input");
  if (v.at("cache_write").given) out.cache_write = dollars("cache_write");
  out.context = v.at("context").number();
  out.max_output = v.at("max_output").number();
  out.reasoning = v.at("reasoning").flag();
  return out;
}

vault::VendorSettings vendor(const std::string& name, const Value& v) {
  vault::VendorSettings out;
  out.name = name;
  out.pack = v.at("pack").str();
  if (out.pack.empty()) out.pack = has_pack(name) ? name : "generic";
  const Url& url = v.at("upstream").url();
  out.scheme = url.scheme;
  out.host = url.host;
  out.port = url.port_or_default();
  out.base_path = url.path;
  while (out.base_path.ends_with('/')) out.base_path.pop_back();
  if (v.at("ca").secret) out.ca_pem = std::string(v.at("ca").secret->reveal_text());
  out.auth = v.at("auth").str();
  bind_vendor_auth(v, out);
  out.credential = v.at("credential").secret;
  constexpr std::string_view kEnv = "env://";
  if (const std::string& from = v.at("credential").reference; from.starts_with(kEnv))
    out.credential_env = from.substr(kEnv.size(), from.find_first_of("#?") - kEnv.size());
  if (v.at("mode").given) out.live = v.at("mode").str() == "live";
  out.hosts = v.at("hosts").strings();
  for (const auto& [key, child] : v.at("operations").children)
    out.operations.push_back(operation(child));
  for (const auto& [key, child] : v.at("lists").children) out.lists.push_back(list(child));
  if (v.at("endpoint").given) out.endpoint = v.at("endpoint").str();
  for (const auto& [key, child] : v.at("tools").children) out.tools.push_back(tool(child));
  out.door = door(out, v.at("mcp"));
  for (const auto& [model, price] : v.at("prices").children)
    out.prices.emplace(model, model_price(price));
  out.timeout = v.at("timeout").duration();
  if (v.at("verify").given)
    out.verify = vault::VerifySettings{v.at("verify.method").str(), v.at("verify.path").str()};
  return out;
}

class VaultCheck {
 public:
  VaultCheck(const Value& root, Context& context) : vault_(root.at("vault")), c_(context) {}

  void run() {
    if (!vault_.valid) return;
    for (const auto& [name, v] : vault_.at("vendors").children) check_vendor(name, v);
    for (const auto& [name, v] : vault_.at("policies").children) check_policy(name, v);
    check_rates(vault_.at("rates.usd"));
    check_seal();
  }

 private:
  /// What credentials are sealed with is said once, and is long enough.
  void check_seal() {
    const Value* first = nullptr;
    std::string name;
    for (const char* key : {"key_file", "key", "key_passphrase", "key_transit"}) {
      const Value& v = vault_.at(key);
      if (!v.given) continue;
      if (first != nullptr) {
        c_.error(v, fmt::format("vault.{}", key),
                 fmt::format("stands beside vault.{}, which names another key of sealing", name),
                 "keep the one that registered credentials were sealed with");
      }
      first = &v;
      name = key;
    }
    check_length("key", 32, "make one with `openssl rand -hex 32`");
    check_length("key_passphrase", 12, "take several words");
    check_transit(vault_.at("key_transit"));
  }

  /// "transit/octroi", "team/transit/octroi": parts of a path, the last of which is the key.
  void check_transit(const Value& v) {
    if (!v.given || !v.valid) return;
    int parts = 0;
    bool sane = true;
    for (std::string_view rest = v.str(); sane; ++parts) {
      const std::size_t slash = rest.find('/');
      const std::string_view part = rest.substr(0, slash);
      sane = !part.empty() && part != "." && part != ".." && part.find(':') == part.npos;
      if (slash == rest.npos) break;
      rest.remove_prefix(slash + 1);
    }
    if (sane && parts > 0) return;
    c_.error(v, "vault.key_transit", "does not name a mount and a key",
             "write both with a slash between, such as transit/octroi");
  }

  void check_length(const std::string& key, std::size_t least, std::string fix) {
    const Value& v = vault_.at(key);
    if (!v.valid || v.secret == nullptr || v.secret->size() >= least) return;
    c_.error(v, "vault." + key,
             fmt::format("is {} bytes long; at least {} are needed", v.secret->size(), least),
             std::move(fix));
  }

  void check_vendor(const std::string& name, const Value& v) {
    const std::string path = "vault.vendors." + name;
    const std::string& auth = v.at("auth").str();
    const bool known = auth == "bearer" || auth == "basic" ||
                       (auth.starts_with("header:") && auth.size() > 7) ||
                       (auth.starts_with("query:") && auth.size() > 6) ||
                       (auth.starts_with("cookie:") && auth.size() > 7);
    if (v.at("auth").given && !known) {
      c_.error(v.at("auth"), path + ".auth", fmt::format("\"{}\" is no way to send a key", auth),
               "write bearer, basic, header:NAME, query:NAME or cookie:NAME");
    }
    for (const char* key : {"upstream", "mcp"}) {
      const Value& to = v.at(key);
      const auto* url = std::get_if<Url>(&to.data);
      if (url != nullptr && url->scheme == "http" && url->host != "127.0.0.1" &&
          url->host != "::1" && url->host != "localhost") {
        c_.error(to, path + "." + key, "would send the real key without TLS", "write https://");
      }
    }
    check_mcp(name, path, v);
    if (!name.empty() && name[0] == 'v' &&
        name.find_first_not_of("0123456789", 1) == std::string::npos) {
      c_.error(v, path, "looks like the version in a vendor's path",
               "give the vendor another name");
    }
    check_operations(path, v, c_);
    check_lists(path, v);
    if (const Value& at = v.at("verify.path"); at.has_value() && !at.str().starts_with('/'))
      c_.error(at, path + ".verify.path", "is not below upstream", "begin it with /");
    std::string pack = v.at("pack").str();
    if (pack.empty()) pack = has_pack(name) ? name : "generic";
    check_vendor_auth(path, v, pack, c_);
    // What a whole Stripe key opens is more than any policy needs.
    const Value& credential = v.at("credential");
    if (credential.secret && credential.secret->reveal_text().starts_with("sk_live_")) {
      std::vector<std::string> endpoints;
      for (const auto& [unused, policy] : vault_.at("policies").children) {
        if (policy.at("vendor").str() != name) continue;
        const auto its = policy.at("endpoints").strings();
        endpoints.insert(endpoints.end(), its.begin(), its.end());
      }
      const std::string scopes = stripe_scopes(endpoints);
      c_.warn(credential, path + ".credential", "is a key that opens the whole account",
              scopes.empty()
                  ? "make a Restricted Key (rk_live_…) with what the policies are going to need"
                  : fmt::format("make a Restricted Key (rk_live_…); the policies need {}", scopes));
    }
  }

  /// What an MCP server's keys say, and that they stand where they mean something.
  void check_mcp(const std::string& name, const std::string& path, const Value& v) {
    std::string pack = v.at("pack").str();
    if (pack.empty()) pack = has_pack(name) ? name : "generic";
    if (v.at("mcp").given && pack != "stripe") {
      c_.error(v.at("mcp"), path + ".mcp", "octroi knows the MCP server of Stripe alone",
               "make it a vendor of its own, with pack: mcp and its tools");
    }
    if (v.at("tools").given && pack != "mcp" && pack != "stripe") {
      c_.error(v.at("tools"), path + ".tools", "are read for pack: mcp and pack: stripe",
               "write operations, or pack: mcp");
    }
    if (const Value& at = v.at("endpoint"); at.given) {
      if (pack != "mcp")
        c_.error(at, path + ".endpoint", "is read for pack: mcp",
                 "take it away, or write pack: mcp");
      if (!at.str().starts_with('/') || at.str().find('?') != std::string::npos)
        c_.error(at, path + ".endpoint", "is no path", "write one such as /mcp");
    }
    std::set<std::string> seen;
    for (const auto& [key, tool] : v.at("tools").children) check_tool(path + ".tools", tool, seen);
  }

  void check_tool(const std::string& path, const Value& tool, std::set<std::string>& seen) {
    const std::string& name = tool.at("tool").str();
    const bool plain = std::ranges::all_of(
        std::string_view(name).substr(0, name.size() - (name.ends_with('*') ? 1 : 0)), [](char c) {
          return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '_' || c == '-' || c == '.';
        });
    if (!plain || name.starts_with("mcp.")) {
      c_.error(tool.at("tool"), path + ".tool", fmt::format("\"{}\" is no name of a tool", name),
               "write letters, digits, \"_\", \"-\" and \".\"; * stands at the end; mcp. is the "
               "protocol's own");
    }
    if (tool.at("tool").has_value() && !seen.insert(name).second)
      c_.error(tool.at("tool"), path + ".tool", fmt::format("\"{}\" is declared twice", name),
               "declare it once");
    for (const char* key : {"amount", "currency", "customer", "answer_amount", "answer_id"}) {
      const Value& at = tool.at(key);
      const bool fixed = std::string_view(key) == "currency" && at.str().starts_with('=');
      if (at.given && !fixed && !is_pointer(at.str()))
        c_.error(at, path + "." + key, fmt::format("\"{}\" is no JSON Pointer", at.str()),
                 "begin it with /, such as /order/total; write ~0 for ~ and ~1 for / in a name");
    }
  }

  void check_lists(const std::string& path, const Value& vendor) {
    std::vector<std::string_view> declared;
    for (const auto& [key, operation] : vendor.at("operations").children)
      declared.emplace_back(operation.at("name").str());
    for (const auto& [key, list] : vendor.at("lists").children) {
      if (const Value& at = list.at("path"); at.has_value() && !at.str().starts_with('/'))
        c_.error(at, path + ".lists.path", "is not below upstream", "begin it with /");
      for (const std::string& name : list.at("operations").strings()) {
        if (std::ranges::find(declared, name) != declared.end()) continue;
        const std::string_view close = nearest(name, declared);
        c_.error(list.at("operations"), path + ".lists.operations",
                 fmt::format("\"{}\" is not one of operations", name),
                 close.empty() ? "declare it there" : fmt::format("did you mean \"{}\"?", close));
      }
    }
  }

  void check_policy(const std::string& name, const Value& policy) {
    const Value& vendor = policy.at("vendor");
    const Value& vendors = vault_.at("vendors");
    if (vendor.has_value() && vendors.at(vendor.str()).field == nullptr) {
      std::vector<std::string_view> known;
      for (const auto& [key, unused] : vendors.children) known.emplace_back(key);
      const std::string_view close = nearest(vendor.str(), known);
      c_.error(
          vendor, fmt::format("vault.policies.{}.vendor", name),
          fmt::format("\"{}\" is not one of vault.vendors", vendor.str()),
          close.empty() ? "add it to vault.vendors" : fmt::format("did you mean \"{}\"?", close));
      return;
    }
    if (!policy.valid || !vendor.has_value()) return;
    const auto parsed = policy::parse_policy(name, policy_json(policy));
    const std::string path = "vault.policies." + name;
    if (!parsed) {
      const std::string message(parsed.error().message());
      c_.error(spoken_of(policy, message), path, message, "see docs/policy.md");
      return;
    }
    for (const std::string& advice : policy::advice(*parsed))
      c_.warn(policy, path, advice, "see docs/policy.md");
  }

  void check_rates(const Value& rates) {
    for (const auto& [code, v] : rates.children) {
      if (!policy::minor_digits(code, policy::MinorUnits::iso))
        c_.error(v, "vault.rates.usd." + code, "is no currency that is known here",
                 "write three letters, such as EUR");
      if (v.has_value() && !policy::parse_nano_usd(v.str()))
        c_.error(v, "vault.rates.usd." + code, fmt::format("\"{}\" is no rate", v.str()),
                 "write dollars for one unit, such as 1.085 usd");
    }
  }

  const Value& vault_;
  Context& c_;
};

}  // namespace

std::string policy_json(const Value& policy) {
  json::Writer w;
  write_value(w, policy);
  return std::move(w).take();
}

void check_vault(const Value& root, Context& context) { VaultCheck(root, context).run(); }

vault::VaultSettings vault_settings(const Value& root) {
  const Value& v = root.at("vault");
  vault::VaultSettings out;
  out.listen = v.at("listen").all<net::Endpoint>();
  out.max_body = static_cast<std::uint64_t>(v.at("max_body").number());
  out.key_file = v.at("key_file").str();
  out.reconcile_every = v.at("reconcile.every").duration();
  out.reconcile_grace = v.at("reconcile.grace").duration();
  out.keep_spends = v.at("keep_spends").duration();
  out.seal_key = v.at("key").secret;
  out.seal_passphrase = v.at("key_passphrase").secret;
  out.key_transit = v.at("key_transit").str();
  const auto* store = std::get_if<Url>(&root.at("store").data);
  const std::filesystem::path beside_store = store != nullptr && store->scheme == "sqlite"
                                                 ? std::filesystem::path(store->path).parent_path()
                                                 : std::filesystem::path();
  const bool has_key =
      v.at("key").given || v.at("key_passphrase").given || v.at("key_transit").given;
  if (out.key_file.empty() && !has_key && !beside_store.empty())
    out.key_file = (beside_store / "vault.key").string();
  out.approvals.wait = v.at("approvals.wait").duration();
  out.approvals.expires = v.at("approvals.expires").duration();
  if (v.at("webhook").given) {
    out.webhook.url = v.at("webhook.url").text;
    out.webhook.secret = v.at("webhook.secret").secret;
    out.webhook.allow_private = v.at("webhook.private").flag();
    out.webhook.events = v.at("webhook.events").strings();
  }
  out.proxy.enabled = v.at("proxy.enabled").flag();
  out.proxy.tunnels_others = v.at("proxy.others").str() == "tunnel";
  out.proxy.ca_file = v.at("proxy.ca_file").str();
  if (out.proxy.ca_file.empty() && !out.key_file.empty()) {
    out.proxy.ca_file =
        (std::filesystem::path(out.key_file).parent_path() / "vault-ca.pem").string();
  } else if (out.proxy.ca_file.empty() && !beside_store.empty()) {
    out.proxy.ca_file = (beside_store / "vault-ca.pem").string();
  }
  if (v.at("rates").given) {
    out.rates_as_of = v.at("rates.as_of").time();
    out.rates_max_age = v.at("rates.max_age").duration();
    out.haircut_percent = static_cast<int>(v.at("rates.haircut").number());
    for (const auto& [code, rate] : v.at("rates.usd").children) out.rates.emplace(code, rate.str());
  }
  for (const auto& [name, child] : v.at("vendors").children)
    out.vendors.push_back(vendor(name, child));
  for (const auto& [name, child] : v.at("policies").children)
    out.policies.push_back({name, child.at("vendor").str(), policy_json(child)});
  return out;
}

}  // namespace octroi::config
