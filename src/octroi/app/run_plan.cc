#include "octroi/app/run_plan.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include <fmt/format.h>
#include <stdlib.h>

#include "octroi/app/run_shims.h"
#include "octroi/app/server_state.h"
#include "octroi/base/file.h"
#include "octroi/http/message.h"
#include "octroi/vault/keys.h"
#include "octroi/vault/request.h"

namespace octroi::app {

namespace {

using vault::KeyShape;

/// What keys and addresses of a vendor are called by its SDKs and by servers that wrap them.
struct Names {
  std::string_view pack;
  KeyShape shape;
  std::vector<std::string_view> keys;   // of a pair: the name, then the token
  std::vector<std::string_view> bases;  // base URLs
  std::string_view below;               // path that the SDK expects in it
  std::vector<std::string_view> unset;  // other ways to a credential
};

const std::vector<Names>& known() {
  static const std::vector<Names> names = {
      {"stripe",
       KeyShape::stripe,
       {"STRIPE_API_KEY", "STRIPE_SECRET_KEY"},
       {"STRIPE_API_BASE"},
       "",
       {}},
      {"twilio",
       KeyShape::pair,
       {"TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"},
       {},
       "",
       {"TWILIO_API_KEY", "TWILIO_API_SECRET", "TWILIO_EDGE", "TWILIO_REGION"}},
      {"resend",
       KeyShape::resend,
       {"RESEND_API_KEY"},
       {"RESEND_API_URL", "RESEND_BASE_URL"},
       "",
       {}},
      {"openai", KeyShape::openai, {"OPENAI_API_KEY"}, {"OPENAI_BASE_URL"}, "/v1", {}},
      {"anthropic",
       KeyShape::anthropic,
       {"ANTHROPIC_API_KEY"},
       {"ANTHROPIC_BASE_URL"},
       "",
       {"ANTHROPIC_AUTH_TOKEN"}},
      {"aws",
       KeyShape::aws,
       {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"},
       {"AWS_ENDPOINT_URL"},
       "",
       {"AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE",
        "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI"}},
  };
  return names;
}

// A client that reads one of these trusts nothing but what is in the file.
constexpr std::array<std::string_view, 11> kReplacing = {
    "SSL_CERT_FILE",     "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",    "AWS_CA_BUNDLE",
    "GIT_SSL_CAINFO",    "PIP_CERT",
    "CARGO_HTTP_CAINFO", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "NIX_SSL_CERT_FILE", "TWILIO_CA_BUNDLE",
    "NPM_CONFIG_CAFILE"};
// And these add to what it trusts anyway.
constexpr std::array<std::string_view, 2> kAdding = {"NODE_EXTRA_CA_CERTS", "DENO_CERT"};

constexpr std::array<std::string_view, 5> kSystemRoots = {
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem", "/usr/local/etc/ssl/cert.pem"};

std::string value_of(const Environment& env, std::string_view name) {
  const auto found = env.find(std::string(name));
  return found == env.end() ? std::string() : found->second;
}

/// The system's roots and whatever the caller trusts beside them, each file once.
std::string roots(const Environment& ours) {
  std::set<std::string> files;
  for (const std::string_view candidate : kSystemRoots) {
    if (!std::filesystem::exists(candidate)) continue;
    files.emplace(candidate);
    break;
  }
  for (const std::string_view name : kReplacing) {
    if (std::string path = value_of(ours, name); !path.empty()) files.insert(std::move(path));
  }
  std::string out;
  for (const std::string& file : files) {
    if (const auto text = read_file(file)) out += *text + "\n";
  }
  return out;
}

/// Credentials are a part of a URL, where nothing but letters and digits is left alone.
std::string proxy_url(const VaultShare& share) {
  const std::size_t scheme = share.url.find("://") + 3;
  if (share.grants.empty()) return share.url;
  const std::string_view key = share.grants.front().key.reveal_text();
  const std::size_t colon = key.find(':');
  const std::string name = colon != std::string_view::npos ? std::string(key.substr(0, colon))
                           : share.run.empty()             ? "octroi"
                                                           : share.run;
  const std::string_view secret = colon != std::string_view::npos ? key.substr(colon + 1) : key;
  return share.url.substr(0, scheme) + percent_encode(name) + ":" + percent_encode(secret) + "@" +
         share.url.substr(scheme);
}

/// What goes past the proxy: what did before, but for the vendors' hosts, and this machine.
std::string no_proxy(const std::string& before, const std::set<std::string>& hosts) {
  std::string out = "localhost,127.0.0.1,::1";
  std::set<std::string_view> seen = {"localhost", "127.0.0.1", "::1"};
  std::string_view rest = before;
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    std::string_view entry = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    while (entry.starts_with(' ')) entry.remove_prefix(1);
    while (entry.ends_with(' ')) entry.remove_suffix(1);
    std::string_view plain = entry;
    while (plain.starts_with('*') || plain.starts_with('.')) plain.remove_prefix(1);
    const bool hides = std::any_of(hosts.begin(), hosts.end(), [&](const std::string& host) {
      return plain.empty() || host == plain || host.ends_with("." + std::string(plain));
    });
    if (!entry.empty() && !hides && seen.insert(entry).second) out += "," + std::string(entry);
  }
  return out;
}

Result<std::string> dressed(const VaultGrant& grant, KeyShape shape) {
  const std::string_view key = grant.key.reveal_text();
  // Somebody who was given a restricted dress has a program that asks for it.
  if (shape == KeyShape::stripe && key.starts_with("rk_")) return std::string(key);
  if (key.find(':') != std::string_view::npos) return std::string(key);
  if (shape == KeyShape::aws)
    return fail(
        StateErrc::bad_argument,
        "--vault: a key for AWS signs requests: give the pair AKIA…:SECRET that `octroi key "
        "issue --shape aws` printed");
  OCTROI_TRY(const Secret text, vault::dress_as(key, shape));
  return std::string(text.reveal_text());
}

/// Null: SDKs know no names for it.
const Names* names_of(const VaultGrant& grant) {
  const auto found = std::find_if(known().begin(), known().end(),
                                  [&](const Names& n) { return n.pack == grant.pack; });
  return found == known().end() ? nullptr : &*found;
}

/// What the variables of a vendor begin with that SDKs know no names for.
std::string prefix_of(const VaultGrant& grant) {
  std::string name = grant.vendor;
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c == '-' || c == '.' ? '_' : c;
  });
  return name;
}

/// The variable that holds the key, or its name.
std::string key_variable(const VaultGrant& grant) {
  const Names* const names = names_of(grant);
  return names != nullptr ? std::string(names->keys.front()) : prefix_of(grant) + "_API_KEY";
}

/// Calls to the vendor's hosts find the proxy. A base URL leads past it: that would lose the run,
/// and would lead all services of AWS to this one vendor.
bool by_proxy(const VaultShare& share, const VaultGrant& grant) {
  const bool wanted = !share.run.empty() || grant.pack == "aws";
  return wanted && !grant.hosts.empty() && !grant.ca_pem.empty();
}

Result<> add_key(RunPlan& plan, const VaultShare& share, const VaultGrant& grant) {
  const std::string base = share.url + "/" + grant.vendor;
  const Names* const found = names_of(grant);
  const bool proxied = by_proxy(share, grant);
  const auto lead = [&](const std::string& name, std::string_view below) {
    if (proxied) {
      plan.unset.emplace(name);
    } else {
      plan.set[name] = base + std::string(below);
    }
  };
  if (found == nullptr) {
    plan.set[key_variable(grant)] = std::string(grant.key.reveal_text());
    lead(prefix_of(grant) + "_BASE_URL", "");
    return {};
  }
  OCTROI_TRY(const std::string key, dressed(grant, found->shape));
  const bool two = found->shape == KeyShape::pair || found->shape == KeyShape::aws;
  const std::size_t colon = two ? key.find(':') : std::string::npos;
  for (std::size_t i = 0; i < found->keys.size(); ++i) {
    const bool pair = colon != std::string::npos;
    plan.set[std::string(found->keys[i])] = !pair    ? key
                                            : i == 0 ? key.substr(0, colon)
                                                     : key.substr(colon + 1);
  }
  for (const std::string_view name : found->bases) lead(std::string(name), found->below);
  for (const std::string_view name : found->unset) plan.unset.emplace(name);
  return {};
}

Result<> add_trust(RunPlan& plan, const std::string& ca, const RunFolder& folder,
                   const Environment& ours) {
  OCTROI_TRY(const std::string bundle, folder.write("bundle.pem", roots(ours) + ca));
  for (const std::string_view name : kReplacing) plan.set[std::string(name)] = bundle;
  plan.set["OCTROI_RUN_CA_BUNDLE"] = bundle;
  OCTROI_TRY(plan.set["OCTROI_RUN_CA"], folder.write("ca.pem", ca));
  for (const std::string_view name : kAdding) {
    std::string all;
    if (const std::string before = value_of(ours, name); !before.empty()) {
      if (const auto text = read_file(before)) all = *text + "\n";
    }
    OCTROI_TRY(plan.set[std::string(name)], folder.write(std::string(name) + ".pem", all + ca));
  }
  return {};
}

/// One word of NODE_OPTIONS, which ends at a blank unless it is quoted.
std::string node_word(std::string_view text) {
  if (text.find_first_of(" \"") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

Result<> add_shims(RunPlan& plan, const RunFolder& folder, const Environment& ours) {
  OCTROI_TRY(const std::string python, folder.write("python/sitecustomize.py", kPythonShim));
  const std::string folder_of_python = std::filesystem::path(python).parent_path().string();
  const std::string before = value_of(ours, "PYTHONPATH");
  plan.set["PYTHONPATH"] = before.empty() ? folder_of_python : folder_of_python + ":" + before;
  OCTROI_TRY(const std::string node, folder.write("preload.cjs", kNodeShim));
  const std::string options = value_of(ours, "NODE_OPTIONS");
  plan.set["NODE_OPTIONS"] =
      "--require=" + node_word(node) + (options.empty() ? "" : " " + options);
  plan.set["NODE_USE_ENV_PROXY"] = "1";
  return {};
}

}  // namespace

Environment RunPlan::over(const Environment& ours) const {
  Environment out = ours;
  for (const std::string& name : unset) out.erase(name);
  for (const auto& [name, value] : set) out[name] = value;
  return out;
}

Result<RunFolder> RunFolder::make(const Environment& ours) {
  std::string base = value_of(ours, "XDG_RUNTIME_DIR");
  if (base.empty() || !std::filesystem::is_directory(base)) base = value_of(ours, "TMPDIR");
  if (base.empty() || !std::filesystem::is_directory(base)) base = "/tmp";
  std::string path = base + "/octroi-run-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr)
    return fail(FileErrc::denied, base + ": no folder for the child's files can be made there");
  return RunFolder(std::move(path));
}

RunFolder::~RunFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

Result<std::string> RunFolder::write(const std::string& name, std::string_view content) const {
  const std::filesystem::path path = std::filesystem::path(path_) / name;
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  OCTROI_CHECK(write_file_atomic(path.string(), as_bytes(content)));
  return path.string();
}

Result<> check_distinct(const VaultShare& share) {
  std::map<std::string, const VaultGrant*> seen;
  for (const VaultGrant& grant : share.grants) {
    const auto [at, is_new] = seen.emplace(key_variable(grant), &grant);
    if (is_new) continue;
    const VaultGrant& other = *at->second;
    return fail(StateErrc::bad_argument,
                fmt::format("--vault: the keys {} (of {}) and {} (of {}) would both be {}, and a "
                            "program reads one: give one of them, and start another `octroi run` "
                            "for the other",
                            other.id, other.vendor, grant.id, grant.vendor, at->first));
  }
  return {};
}

Result<> check_run(const VaultShare& share) {
  if (share.run.empty()) return {};
  const auto refuse = [](const std::string& why) {
    return fail(StateErrc::bad_argument, "--run: " + why);
  };
  const auto word = vault::run_of({}, share.run);
  if (!word || *word != share.run)
    return refuse("a run is one word of at most 128 letters, digits and signs");
  if (share.run == "octroi") return refuse("\"octroi\" stands for no run; call it something else");
  constexpr std::string_view kBind = "bind the key to the run instead: octroi key issue --run RUN";
  for (const VaultGrant& grant : share.grants) {
    if (by_proxy(share, grant)) continue;
    return refuse(fmt::format(
        "the proxy carries the run, and calls to {} would not come by it ({}); {}", grant.vendor,
        grant.ca_pem.empty() ? "this vault is no proxy" : "the vendor has no hosts", kBind));
  }
  const bool pair = !share.grants.empty() &&
                    share.grants.front().key.reveal_text().find(':') != std::string_view::npos;
  if (pair)
    return refuse(
        fmt::format("the first key is a pair, whose name stands where the proxy would be "
                    "told the run; give another key first, or {}",
                    kBind));
  return {};
}

Result<> add_vault(RunPlan& plan, const VaultShare& share, const RunFolder& folder,
                   const Environment& ours) {
  std::set<std::string> hosts;
  std::string ca;
  for (const VaultGrant& grant : share.grants) {
    hosts.insert(grant.hosts.begin(), grant.hosts.end());
    plan.unset.insert(grant.unset.begin(), grant.unset.end());
    ca = grant.ca_pem;
    OCTROI_CHECK(add_key(plan, share, grant));
  }
  // The vault's own base URLs are reached straight.
  const auto url = http::Url::parse(share.url);
  const std::string own = url ? url->host : std::string();
  const std::string past =
      no_proxy(own + "," + value_of(ours, "NO_PROXY") + "," + value_of(ours, "no_proxy"), hosts);
  for (const char* name : {"NO_PROXY", "no_proxy"}) plan.set[name] = past;
  if (ca.empty()) return {};
  const std::string proxy = proxy_url(share);
  for (const char* name : {"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"})
    plan.set[name] = proxy;
  plan.unset.insert({"ALL_PROXY", "all_proxy"});
  OCTROI_CHECK(add_trust(plan, ca, folder, ours));
  plan.set["OCTROI_RUN_PROXY"] = proxy;
  std::string names;
  for (const std::string& host : hosts) names += (names.empty() ? "" : ",") + host;
  plan.set["OCTROI_RUN_HOSTS"] = names;
  return add_shims(plan, folder, ours);
}

}  // namespace octroi::app
