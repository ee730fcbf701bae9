#include "octroi/vault/oauth.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "octroi/crypto/hash.h"
#include "octroi/json/value.h"
#include "octroi/json/writer.h"
#include "octroi/vault/form.h"

namespace octroi::vault {

namespace {

constexpr std::size_t kLongestToken = std::size_t{16} * 1024;
constexpr std::size_t kLongestAnswer = std::size_t{64} * 1024;
constexpr Millis kUnsaid{5 * 60'000};              // RFC 6749 section 5.1 only recommends to say it
constexpr std::int64_t kLongest = 365LL * 86'400;  // seconds
constexpr std::size_t kShortestSecret = 8;

/// RFC 6749 section 5.2, RFC 8707 section 2, and what section 4.1.2.1 lends to servers in trouble.
constexpr std::array<std::string_view, 9> kRefusals = {
    "invalid_request",     "invalid_client",          "invalid_grant",
    "unauthorized_client", "unsupported_grant_type",  "invalid_scope",
    "invalid_target",      "temporarily_unavailable", "server_error"};

/// What vendors call a token that is not good any more.
constexpr std::array<std::string_view, 8> kBadTokens = {
    "invalid_token",        "expired_token",
    "token_expired",        "invalid_access_token",
    "expired_access_token", "access_token_expired",
    "invalid_session_id",   "invalidauthenticationtoken"};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool is_bad_token(std::string_view word) {
  return std::ranges::find(kBadTokens, lower(word)) != kBadTokens.end();
}

std::string encoded(std::string_view text) {
  Form form;
  form.set("", text);
  return form.text().substr(1);
}

Error refusal(int status, std::string_view body) {
  std::string_view word = "another error";
  const auto doc = json::parse(body, {8, kLongestAnswer, true});
  const auto said =
      doc ? doc->root().string("error") : Result<std::string_view>(std::string_view());
  if (said) {
    const auto known = std::ranges::find(kRefusals, *said);
    if (known != kRefusals.end()) word = *known;
  }
  const bool passes = status >= 500 || status == 429 || status == 408 ||
                      word == "temporarily_unavailable" || word == "server_error";
  return Error(passes ? Errc::upstream_failed : Errc::token_refused,
               fmt::format("the token endpoint answered {} ({})", status, word));
}

Error not_read(std::string_view what) {
  return Error(Errc::upstream_failed, fmt::format("the token endpoint's answer {}", what));
}

/// A number, or its digits as text, which many servers write.
std::optional<std::int64_t> seconds_of(const json::Value& v) {
  if (const auto n = v.as_int64()) return *n;
  std::string_view text;
  if (const auto s = v.as_string()) {
    text = *s;
  } else if (v.kind() == json::Kind::real) {
    text = v.number_text();  // 3600.0
    if (text.ends_with(".0")) text.remove_suffix(2);
  }
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

Result<MintedToken> read_granted(const json::Value& root) {
  const auto text = root.string("access_token");
  if (!text) return tl::unexpected<Error>(not_read("has no access_token"));
  const bool plain = !text->empty() && text->size() <= kLongestToken &&
                     std::ranges::all_of(*text, [](char c) { return c > ' ' && c < 127; });
  if (!plain) return tl::unexpected<Error>(not_read("has an access_token that is none"));
  const auto type = root.optional_string("token_type");
  if (!type || (*type && lower(**type) != "bearer"))
    return tl::unexpected<Error>(not_read("has a token_type that is not Bearer"));
  MintedToken out{Secret(*text), kUnsaid};
  if (const auto given = root.find("expires_in"); given && !given->is_null()) {
    const auto seconds = seconds_of(*given);
    if (!seconds) return tl::unexpected<Error>(not_read("has an expires_in that is no number"));
    out.lifetime = Seconds(std::clamp<std::int64_t>(*seconds, 0, kLongest));
  }
  return out;
}

/// `error="invalid_token"` of a Bearer challenge, quoted or not.
bool challenge_says_so(std::string_view value) {
  const std::string text = lower(value);
  const std::size_t bearer = text.find("bearer");
  if (bearer == std::string::npos) return false;
  const std::size_t at = text.find("error", bearer);
  for (std::size_t i = at; i != std::string::npos; i = text.find("error", i + 1)) {
    std::string_view rest = std::string_view(text).substr(i + 5);
    const bool begins = i == 0 || text[i - 1] == ' ' || text[i - 1] == ',' || text[i - 1] == '\t';
    while (rest.starts_with(' ')) rest.remove_prefix(1);
    if (!begins || !rest.starts_with('=')) continue;
    rest.remove_prefix(1);
    while (rest.starts_with(' ') || rest.starts_with('"')) rest.remove_prefix(1);
    return is_bad_token(rest.substr(0, rest.find_first_of("\", \t")));
  }
  return false;
}

bool names_bad_token(const json::Value& v) {
  for (const char* key : {"error", "code", "error_code", "errorCode", "type"}) {
    const auto at = v.find(key);
    if (!at) continue;
    if (const auto text = at->as_string(); text && is_bad_token(*text)) return true;
    if (at->is_object() && names_bad_token(*at)) return true;
  }
  return false;
}

}  // namespace

Result<MintedToken> read_token(int status, std::string_view body) {
  if (status != 200 && status != 201) return tl::unexpected<Error>(refusal(status, body));
  const auto doc = json::parse(body, {8, kLongestAnswer, true});
  if (!doc || !doc->root().is_object()) return tl::unexpected<Error>(not_read("is no JSON object"));
  return read_granted(doc->root());
}

bool says_token_is_bad(const http::Headers& headers, std::string_view body) {
  for (const std::string_view value : headers.all("www-authenticate")) {
    if (challenge_says_so(value)) return true;
  }
  const auto doc = json::parse(body, {16, kLongestAnswer, false});
  if (!doc) return false;
  if (doc->root().is_object()) return names_bad_token(doc->root());
  for (const json::Value element : doc->root().elements()) {
    if (names_bad_token(element)) return true;
  }
  return false;
}

Result<TokenGrant::Client> TokenGrant::client_of(const Secret& real) const {
  const std::string_view text = real.reveal_text();
  Client out{settings_.client_id, text};
  if (out.id.empty()) {
    const std::size_t colon = text.find(':');
    if (colon == 0 || colon == std::string_view::npos)
      return fail(Errc::bad_sealed, "write the real key as ID:SECRET, or name oauth.client_id");
    out = {text.substr(0, colon), text.substr(colon + 1)};
  }
  if (out.secret.size() < kShortestSecret)
    return fail(Errc::bad_sealed, "this is too short for a client's secret");
  return out;
}

Result<crypto::JwsSigner> TokenGrant::signer_of(const Secret& real) const {
  const auto algorithm =
      settings_.algorithm == "ES256" ? crypto::JwsAlgorithm::es256 : crypto::JwsAlgorithm::rs256;
  auto signer = crypto::JwsSigner::from_pem(algorithm, real);
  if (!signer)
    return fail(Errc::bad_sealed, fmt::format("the real key cannot sign {}: {}",
                                              settings_.algorithm, signer.error().message()));
  return signer;
}

Result<> TokenGrant::check_credential(const Secret& real) const {
  if (has_key()) {
    OCTROI_TRY(const auto signer, signer_of(real));
    std::ignore = signer;
    return {};
  }
  OCTROI_TRY(const Client client, client_of(real));
  const bool plain = std::ranges::all_of(
      real.reveal_text(), [](char c) { return static_cast<unsigned char>(c) >= ' ' && c != 127; });
  if (!plain) return fail(Errc::bad_sealed, "a client's secret is one line of printable text");
  std::ignore = client;
  return {};
}

http::Url TokenGrant::url() const {
  http::Url out;
  out.scheme = settings_.scheme;
  out.host = settings_.host;
  out.port = settings_.port;
  out.target = settings_.target.empty() ? "/" : settings_.target;
  return out;
}

Result<std::string> TokenGrant::assertion(const Secret& real, UnixMillis now,
                                          std::string_view id) const {
  OCTROI_TRY(const auto signer, signer_of(real));
  json::Writer header;
  header.begin_object().field("alg", settings_.algorithm).field("typ", "JWT");
  if (!settings_.key_id.empty()) header.field("kid", settings_.key_id);
  header.end_object();
  json::Writer claims;
  claims.begin_object().field("iss", settings_.issuer);
  claims.field("sub", settings_.subject.empty() ? settings_.issuer : settings_.subject);
  claims.field("aud", settings_.audience.empty() ? url().str() : settings_.audience);
  claims.key("iat").integer(now.seconds());
  claims.key("exp").integer((now + settings_.lifetime).seconds());
  claims.field("jti", id);
  // Some servers read the scope here, the others in the form.
  if (!settings_.scope.empty()) claims.field("scope", settings_.scope);
  claims.end_object();
  auto made = signer.sign(std::move(header).take(), std::move(claims).take());
  if (!made) return fail(Errc::unavailable, "the assertion for the token endpoint is not signed");
  return made;
}

Result<http::Request> TokenGrant::request(const Secret& real, UnixMillis now,
                                          std::string_view id) const {
  http::Request out;
  out.method = "POST";
  out.url = url();
  out.protocol = out.url.tls() ? http::Protocol::automatic : http::Protocol::http1;
  out.headers.add("Content-Type", "application/x-www-form-urlencoded");
  out.headers.add("Accept", "application/json");
  out.headers.add("Accept-Encoding", "identity");
  Form form;
  if (has_key()) {
    OCTROI_TRY(const std::string signed_claims, assertion(real, now, id));
    form.set("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
    form.set("assertion", signed_claims);
  } else {
    OCTROI_TRY(const Client client, client_of(real));
    form.set("grant_type", "client_credentials");
    if (settings_.client_auth == "post") {
      form.set("client_id", client.id);
      form.set("client_secret", client.secret);
    } else {
      // Section 2.3.1: both are encoded as in a form before they become Basic.
      const Secret pair = Secret::take(encoded(client.id) + ":" + encoded(client.secret));
      std::string value = "Basic " + to_base64(pair.reveal());
      out.headers.set("Authorization", value);
      secure_wipe(value.data(), value.size());
    }
    if (!settings_.audience.empty()) form.set("audience", settings_.audience);
  }
  if (!settings_.scope.empty()) form.set("scope", settings_.scope);
  out.body = form.text();
  return out;
}

std::vector<Secret> TokenGrant::spellings(const Secret& real) const {
  std::vector<Secret> out;
  if (!has_key()) {
    if (const auto client = client_of(real); client && settings_.client_id.empty())
      out.emplace_back(client->secret);
    return out;
  }
  // The key without the lines of its PEM, however they are broken.
  std::string text;
  std::string_view rest = real.reveal_text();
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.find('-') == std::string_view::npos && line.find(':') == std::string_view::npos)
      text += line.substr(0, line.find('\r'));
  }
  if (auto der = from_base64(text)) out.push_back(Secret::take(std::move(*der)));
  secure_wipe(text.data(), text.size());
  return out;
}

std::string TokenGrant::identity(const Secret& real) const {
  crypto::Sha256 h;
  for (const std::string_view part :
       {std::string_view(settings_.grant), std::string_view(settings_.host),
        std::string_view(settings_.target), std::string_view(settings_.client_id),
        std::string_view(settings_.scope), std::string_view(settings_.audience),
        std::string_view(settings_.issuer), std::string_view(settings_.subject),
        std::string_view(settings_.key_id), real.reveal_text()}) {
    const std::string size = fmt::format("{}:", part.size());
    h.update(as_bytes(size));
    h.update(as_bytes(part));
  }
  const std::string port = std::to_string(settings_.port);
  h.update(as_bytes(port));
  return to_hex(h.finish());
}

}  // namespace octroi::vault
