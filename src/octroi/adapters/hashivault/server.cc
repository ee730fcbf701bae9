#include "octroi/adapters/hashivault/server.h"

#include <algorithm>

#include "octroi/base/file.h"
#include "octroi/base/percent.h"
#include "octroi/json/value.h"
#include "octroi/net/address.h"
#include "octroi/secrets/errc.h"
#include "octroi/secrets/provider.h"
#include "octroi/secrets/reference.h"

namespace octroi::hashivault {

using secrets::Errc;

namespace {

constexpr Seconds kLongestLease{24 * 60 * 60};

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

/// What can stand in a header, and is no accident of a file's end.
bool is_word(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7F; });
}

/// The text itself, or what it refers to.
Result<Secret> read_half(const std::string& named, const std::string& text,
                         const ReadSecret& read) {
  if (!secrets::is_reference(text)) return Secret(std::string_view(text));
  if (text.starts_with(secrets::prefix_of(secrets::Scheme::vault))) {
    return fail(Errc::bad_reference,
                named +
                    " refers to the server that it logs in to: name another source, such as "
                    "cred:// or file://");
  }
  if (!read) return fail(Errc::unsupported, named + " is a reference, and nothing here reads it");
  auto fetched = read(text);
  if (!fetched) return fail(std::move(fetched).error().within(named));
  return fetched;
}

Result<Secret> half_of_role(const Variables& environment, std::string_view name,
                            const ReadSecret& read) {
  const std::string named = "VAULT_" + std::string(name);
  const std::string text = variable(environment, name);
  if (text.empty()) {
    return fail(Errc::not_set,
                named + " is not set: an AppRole needs VAULT_ROLE_ID and VAULT_SECRET_ID");
  }
  OCTROI_TRY(Secret value, read_half(named, text, read));
  if (!is_word(value.reveal_text()))
    return fail(Errc::unreadable, named + " is empty, or has blanks in it");
  return value;
}

bool is_path(std::string_view path) {
  const auto inner = [](std::string_view part) {
    return !part.empty() && part != "." && part != "..";
  };
  while (true) {
    const std::size_t slash = path.find('/');
    if (!inner(path.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
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

Result<std::optional<Secret>> token_from(const Variables& environment) {
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
    return std::nullopt;
  }
  if (!is_word(token.reveal_text()))
    return fail(Errc::unreadable, "the token for the vault is empty, or has blanks in it");
  return token;
}

Result<std::optional<AppRole>> app_role_from(const Variables& environment, const ReadSecret& read) {
  if (variable(environment, "ROLE_ID").empty() && variable(environment, "SECRET_ID").empty())
    return std::nullopt;
  AppRole out;
  out.mount = variable(environment, "APPROLE_MOUNT");
  if (out.mount.empty()) out.mount = "approle";
  if (!is_path(out.mount)) {
    return fail(Errc::bad_reference,
                "VAULT_APPROLE_MOUNT is no path: write what stands behind auth/, such as approle");
  }
  OCTROI_TRY(out.role_id, half_of_role(environment, "ROLE_ID", read));
  OCTROI_TRY(out.secret_id, half_of_role(environment, "SECRET_ID", read));
  return out;
}

std::optional<Login> read_login(const Secret& body) {
  json::ParseLimits limits;
  limits.sensitive = true;
  const auto document = json::parse(body.reveal_text(), limits);
  if (!document) return std::nullopt;
  const auto auth = document->root().find("auth");
  if (!auth) return std::nullopt;
  const auto token = auth->string("client_token");
  const auto lease = auth->optional_int64("lease_duration");
  if (!token || !is_word(*token) || !lease || lease->value_or(0) < 0) return std::nullopt;
  const auto seconds = std::min<std::int64_t>(lease->value_or(0), kLongestLease.count());
  return Login{Secret(*token), Seconds(seconds)};
}

std::string encoded_path(std::string_view path) {
  return "/" + percent_encoded(path, [](char c) { return c == '/' || is_unreserved(c); });
}

}  // namespace octroi::hashivault
