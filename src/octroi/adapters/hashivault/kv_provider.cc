#include "octroi/adapters/hashivault/kv_provider.h"

#include <algorithm>
#include <charconv>
#include <memory>

#include "octroi/base/file.h"
#include "octroi/base/log.h"
#include "octroi/base/percent.h"
#include "octroi/json/value.h"
#include "octroi/net/run_apart.h"

namespace octroi::hashivault {

using secrets::Errc;
using secrets::Fetched;
using secrets::Reference;
using secrets::Variables;

namespace {

constexpr std::uint64_t kMostAnswer = std::uint64_t{1} << 20;

/// OpenBao's name wins, as in its own programs.
std::string variable(const Variables& environment, std::string_view name) {
  for (const std::string_view prefix : {"BAO_", "VAULT_"}) {
    const auto it = environment.find(std::string(prefix) + std::string(name));
    if (it != environment.end() && !it->second.empty()) return it->second;
  }
  return {};
}

bool is_loopback(const std::string& host) {
  if (host == "localhost") return true;
  const auto address = net::IpAddress::parse(host);
  return address && address->is_loopback();
}

std::string option(const Reference& reference, std::string_view name) {
  for (const auto& [key, value] : reference.options) {
    if (key == name) return value;
  }
  return {};
}

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 9 &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

Result<> check_options(const Reference& reference) {
  for (const auto& [name, value] : reference.options) {
    if (name == "version" && is_number(value)) continue;
    if (name == "kv" && (value == "1" || value == "2")) continue;
    return fail(Errc::bad_reference,
                "vault:// reference has an option that is not known here: write ?version=3 for an "
                "older version, ?kv=1 or ?kv=2 for an engine that cannot be asked");
  }
  if (option(reference, "kv") == "1" && !option(reference, "version").empty()) {
    return fail(Errc::bad_reference,
                "vault:// reference asks the first version of the engine, which keeps no older "
                "versions, for one: leave ?version= out");
  }
  return {};
}

std::string encoded_path(const std::vector<std::string>& parts, std::size_t from, std::size_t to) {
  std::string out;
  for (std::size_t i = from; i < to; ++i) out += "/" + percent_encoded(parts[i], is_unreserved);
  return out;
}

std::size_t parts_of(const std::string& mount) {
  return static_cast<std::size_t>(std::ranges::count(mount, '/')) + 1;
}

/// By status alone: an answer may hold what nobody should read.
tl::unexpected<Error> refused(int status, const Reference& reference) {
  const auto told = [&](Errc why, std::string_view what) {
    return fail(why, fmt::format("{}: {} (status {})", reference.text, what, status));
  };
  if (status >= 300 && status < 400)
    return told(Errc::unavailable,
                "the server points elsewhere, which is not followed: name its active node in "
                "VAULT_ADDR");
  switch (status) {
    case 400:
      return told(Errc::unreadable, "the server does not understand the request");
    case 403:
      return told(Errc::unreadable,
                  "the server refuses the token: it is over, or its policy does not let it read "
                  "this path");
    case 404:
      return told(Errc::not_set, "there is nothing at this path, or this version was deleted");
    case 429:
      return told(Errc::unavailable, "the server is asked too often, or stands by");
    case 472:
    case 473:
      return told(Errc::unavailable, "the server stands by: name the active one in VAULT_ADDR");
    case 503:
      return told(Errc::unavailable, "the server is sealed, or down for maintenance");
    default:
      return told(Errc::unavailable, "the server does not answer as it should");
  }
}

tl::unexpected<Error> unreachable(const Error& error, const Reference& reference) {
  const bool late = error.is(http::Errc::timeout);
  return fail(late ? Errc::timeout : Errc::unavailable,
              fmt::format("{}: {}", reference.text, error.message()));
}

/// One conversation about one reference.
struct Talk {
  const Server& server;
  const Secret& token;
  const Reference& reference;
  Millis timeout;
  std::unique_ptr<http::Client> client;
};

struct Answer {
  int status = 0;
  Secret body;
};

Task<Result<Answer>> ask(Talk* talk, std::string target) {
  http::Request request;
  request.url = talk->server.url;
  request.url.target += target;
  request.headers.set("Accept", "application/json");
  request.headers.set("X-Vault-Request", "true");
  request.headers.set("X-Vault-Token", std::string(talk->token.reveal_text()));
  if (!talk->server.name_space.empty())
    request.headers.set("X-Vault-Namespace", talk->server.name_space);
  auto answer = co_await talk->client->fetch(std::move(request), kMostAnswer, talk->timeout);
  if (!answer) co_return unreachable(answer.error(), talk->reference);
  Answer out;
  out.status = answer->status;
  out.body = Secret::take(std::move(answer->body));
  co_return out;
}

/// What the server says of the mount; where it does not, the first part, and the second version.
Task<Result<Mount>> find_mount(Talk* talk) {
  const Reference& r = talk->reference;
  Mount assumed{r.parts.front(), 2};
  if (const std::string said = option(r, "kv"); !said.empty()) {
    assumed.version = said == "1" ? 1 : 2;
    co_return assumed;
  }
  OCTROI_CO_TRY(
      const Answer answer,
      co_await ask(talk, "/v1/sys/internal/ui/mounts" + encoded_path(r.parts, 0, r.parts.size())));
  if (answer.status >= 300 && answer.status < 400) co_return refused(answer.status, r);
  if (answer.status >= 500) co_return refused(answer.status, r);
  if (answer.status != 200) co_return assumed;
  auto mount = read_mount(answer.body);
  const bool fits = mount && (r.locator + "/").starts_with(mount->path + "/") &&
                    parts_of(mount->path) < r.parts.size();
  co_return fits ? *std::move(mount) : assumed;
}

Task<Result<Fetched>> converse(Talk* talk) {
  OCTROI_CO_TRY(const Mount mount, co_await find_mount(talk));
  OCTROI_CO_TRY(const Answer answer, co_await ask(talk, target_of(mount, talk->reference)));
  if (answer.status != 200) co_return refused(answer.status, talk->reference);
  co_return read_secret(answer.body, mount, talk->reference);
}

Result<http::ClientConfig> client_config(const Server& server, Millis timeout) {
  http::ClientConfig config;
  config.timeouts = {.connect = timeout, .first_byte = timeout, .idle = timeout};
  config.server_name = server.tls_name;
  if (server.url.tls() && !server.ca_file.empty()) {
    net::TlsClientOptions options;
    auto pem = read_file(server.ca_file, std::size_t{1} << 20);
    if (!pem) return fail(std::move(pem).error().within("VAULT_CACERT"));
    options.ca_pem = *std::move(pem);
    auto tls = net::make_tls_client(std::move(options));
    if (!tls) return fail(std::move(tls).error().within("VAULT_CACERT"));
    config.tls = *std::move(tls);
  }
  return config;
}

}  // namespace

Result<Server> Server::from(const Variables& environment) {
  const std::string address = variable(environment, "ADDR");
  if (address.empty()) {
    return fail(Errc::not_set,
                "VAULT_ADDR is not set: name the server, such as https://vault.example:8200");
  }
  Server out;
  auto url = http::Url::parse(address);
  if (!url) return fail(Errc::bad_reference, "VAULT_ADDR is no http or https address");
  out.url = *std::move(url);
  if (!out.url.tls() && !is_loopback(out.url.host)) {
    return fail(Errc::bad_reference,
                "VAULT_ADDR: plain http is accepted for loopback addresses only: write https");
  }
  std::string& prefix = out.url.target;
  if (prefix.find('?') != std::string::npos)
    return fail(Errc::bad_reference, "VAULT_ADDR has a query: leave it out");
  while (prefix.ends_with('/')) prefix.pop_back();
  out.name_space = variable(environment, "NAMESPACE");
  out.ca_file = variable(environment, "CACERT");
  out.tls_name = variable(environment, "TLS_SERVER_NAME");
  return out;
}

Result<Secret> token_from(const Variables& environment) {
  const std::string written = variable(environment, "TOKEN");
  const std::string file = variable(environment, "TOKEN_FILE");
  Secret token;
  if (!written.empty()) {
    token = Secret(std::string_view(written));
  } else if (!file.empty()) {
    auto read = read_secret_file(file, std::size_t{64} * 1024);
    if (!read) return fail(std::move(read).error().within("VAULT_TOKEN_FILE"));
    std::string_view text = read->reveal_text();
    while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
    token = Secret(text);
  } else {
    return fail(Errc::not_set,
                "neither VAULT_TOKEN nor VAULT_TOKEN_FILE is set: give octroi a token that may "
                "read the path");
  }
  const std::string_view text = token.reveal_text();
  const bool plain = std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7F; });
  if (text.empty() || !plain)
    return fail(Errc::unreadable, "the token for the vault is empty, or has blanks in it");
  return token;
}

std::optional<Mount> read_mount(const Secret& body) {
  json::ParseLimits limits;
  limits.sensitive = true;
  const auto document = json::parse(body.reveal_text(), limits);
  if (!document || !document->root().is_object()) return std::nullopt;
  const auto data = document->root().find("data");
  if (!data || !data->is_object()) return std::nullopt;
  const auto path = data->find("path");
  if (!path || !path->as_string()) return std::nullopt;
  Mount out;
  out.path = std::string(*path->as_string());
  while (out.path.ends_with('/')) out.path.pop_back();
  if (out.path.empty()) return std::nullopt;
  // An engine that was mounted without options is of the first version.
  out.version = 1;
  if (const auto options = data->find("options"); options && options->is_object()) {
    const auto version = options->find("version");
    if (version && version->as_string().value_or("") == "2") out.version = 2;
  }
  return out;
}

std::string target_of(const Mount& mount, const Reference& reference) {
  const std::size_t inside = parts_of(mount.path);
  const std::size_t all = reference.parts.size();
  std::string out = "/v1" + encoded_path(reference.parts, 0, inside);
  if (mount.version == 2) out += "/data";
  out += encoded_path(reference.parts, inside, all);
  const std::string version = option(reference, "version");
  if (mount.version == 2 && !version.empty()) out += "?version=" + version;
  return out;
}

Result<Fetched> read_secret(const Secret& body, const Mount& mount, const Reference& reference) {
  auto value =
      secrets::select_json(body, (mount.version == 2 ? "data.data." : "data.") + reference.field);
  if (!value) {
    const bool empty = value.error().is(Errc::empty);
    return fail(empty ? Errc::empty : Errc::no_field,
                fmt::format("{}: {}", reference.text,
                            empty ? "this field is empty" : "there is no such field with a text"));
  }
  Fetched out{*std::move(value), {}, {}};
  json::ParseLimits limits;
  limits.sensitive = true;
  const auto document = json::parse(body.reveal_text(), limits);
  const auto data = document ? document->root().find("data") : std::nullopt;
  const auto about = data && data->is_object() ? data->find("metadata") : std::nullopt;
  if (mount.version == 2 && about && about->is_object()) {
    if (const auto version = about->find("version")) out.version = version->to_json();
  }
  return out;
}

Result<Fetched> KvProvider::fetch(const Reference& reference) {
  OCTROI_CHECK(check_options(reference));
  auto server = Server::from(environment_);
  if (!server) return fail(std::move(server).error().within(reference.text));
  auto token = token_from(environment_);
  if (!token) return fail(std::move(token).error().within(reference.text));
  redactor().add(*token);
  auto config = client_config(*server, timeout_);
  if (!config) return fail(std::move(config).error().within(reference.text));
  Talk talk{*server, *token, reference, timeout_, nullptr};
  return net::run_apart<Result<Fetched>>([&](net::Loop& loop) -> Task<Result<Fetched>> {
    struct Go {
      static Task<Result<Fetched>> run(Talk* t, net::Loop* l, http::ClientConfig c) {
        t->client = http::make_client(*l, std::move(c));
        auto out = co_await converse(t);
        t->client.reset();  // before its loop
        co_return out;
      }
    };
    return Go::run(&talk, &loop, *config);
  });
}

}  // namespace octroi::hashivault
