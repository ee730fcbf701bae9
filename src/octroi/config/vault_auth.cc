#include "octroi/config/vault_auth.h"

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>

#include <fmt/format.h>

#include "octroi/vault/sign_template.h"

namespace octroi::config {

namespace {

/// Written, and not what stands there anyway: `octroi config print` writes defaults too.
bool chosen(const Value& v) {
  return v.given && (v.field == nullptr || v.text != v.field->fallback);
}

using vault::SignTemplate;

/// Fields of the head that are the connection's, or say what the body is.
constexpr std::array<std::string_view, 15> kNotOurs = {"host",
                                                       "content-length",
                                                       "content-type",
                                                       "content-encoding",
                                                       "accept-encoding",
                                                       "transfer-encoding",
                                                       "connection",
                                                       "keep-alive",
                                                       "te",
                                                       "trailer",
                                                       "upgrade",
                                                       "expect",
                                                       "range",
                                                       "proxy-authorization",
                                                       "proxy-connection"};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool is_name(std::string_view text) {
  constexpr std::string_view kAlso = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kAlso.find(c) != std::string_view::npos;
  });
}

template <std::size_t N>
std::string listed(const std::array<std::string_view, N>& fields) {
  std::string out = "write ";
  for (std::size_t i = 0; i < N; ++i)
    out += fmt::format("{}{{{}}}", i == 0 ? "" : i + 1 == N ? " or " : ", ", fields[i]);
  return out;
}

bool is_local(const Url& url) {
  return url.host == "127.0.0.1" || url.host == "::1" || url.host == "localhost";
}

/// The templates of one `hmac` section, and what they name together.
class HmacCheck {
 public:
  HmacCheck(const std::string& path, const Value& v, Context& context)
      : path_(path), v_(v), c_(context) {}

  [[nodiscard]] bool names_key_id() const { return sends("key_id") || signs_key_id_; }

  void run() {
    const Value& sign = v_.at("sign");
    const bool given = sign.has_value();
    const SignTemplate message =
        given ? read(sign, path_ + ".sign", vault::kSignedFields) : SignTemplate{};
    signs_key_id_ = message.names("key_id");
    for (const auto& [name, value] : v_.at("headers").children) check_header(name, value);
    for (const auto& [name, value] : v_.at("query").children)
      sent_.push_back(read(value, path_ + ".query." + name, vault::kSentFields));
    if (!good_ || !given) return;
    if (!message.has_fields())
      c_.error(sign, path_ + ".sign", "signs nothing of the request", listed(vault::kSignedFields));
    if (!sends("signature"))
      c_.error(v_, path_, "sends the signature nowhere",
               "name {signature} in headers or query: headers: { X-Signature: \"{signature}\" }");
    for (const char* field : {"timestamp", "nonce"}) {
      if (message.names(field) && !sends(field))
        c_.error(sign, path_ + ".sign",
                 fmt::format("signs {{{}}}, which the vendor is not sent", field),
                 "name it in headers or query as well");
    }
    if (v_.at("key_id").given && !sends("key_id") && !message.names("key_id"))
      c_.error(v_.at("key_id"), path_ + ".key_id", "is named by no template",
               "name {key_id} in headers or query, or take it away");
    if (v_.at("hash").str() == "sha1")
      c_.warn(v_.at("hash"), path_ + ".hash", "is for vendors that take nothing better",
              "write sha256 where the vendor takes it");
  }

 private:
  void check_header(const std::string& name, const Value& value) {
    const std::string at = path_ + ".headers." + name;
    if (!is_name(name)) {
      c_.error(value, at, "is not a header name", "use letters, digits and dashes");
    } else if (std::ranges::find(kNotOurs, lower(name)) != kNotOurs.end()) {
      c_.error(value, at, "belongs to the connection or the body and cannot be set", "remove it");
    }
    const std::string& text = value.str();
    if (std::ranges::any_of(text, [](char c) { return c < ' ' || c == 127; }))
      c_.error(value, at, "has characters that no header can hold", "write it in one line");
    sent_.push_back(read(value, at, vault::kSentFields));
  }

  template <std::size_t N>
  SignTemplate read(const Value& at, const std::string& path,
                    const std::array<std::string_view, N>& known) {
    std::string problem;
    SignTemplate out = SignTemplate::parse(at.str(), known, problem);
    if (problem.empty()) return out;
    good_ = false;
    c_.error(at, path, problem, listed(known) + "; a brace itself is written twice");
    return {};
  }

  bool sends(std::string_view field) const {
    return std::ranges::any_of(sent_, [&](const SignTemplate& t) { return t.names(field); });
  }

  const std::string& path_;
  const Value& v_;
  Context& c_;
  std::vector<SignTemplate> sent_;
  bool good_ = true;
  bool signs_key_id_ = false;
};

void check_oauth(const std::string& path, const Value& vendor, const Value& v, Context& c) {
  const Value& to = v.at("token_url");
  if (const auto* url = std::get_if<Url>(&to.data); url != nullptr) {
    if (url->scheme == "http" && !is_local(*url))
      c.error(to, path + ".token_url", "would send the real key without TLS", "write https://");
    if (!url->userinfo.empty())
      c.error(to, path + ".token_url", "has user information, which is not sent",
              "write scheme, host and path; the client is client_id and the real key");
  }
  const bool signs = v.at("grant").str() == "jwt_bearer";
  for (const char* key : {"algorithm", "issuer", "subject", "key_id", "lifetime"}) {
    if (!signs && chosen(v.at(key)))
      c.error(v.at(key), fmt::format("{}.{}", path, key), "is read for grant: jwt_bearer",
              "take it away, or write grant: jwt_bearer");
  }
  for (const char* key : {"client_id", "client_auth"}) {
    if (signs && chosen(v.at(key)))
      c.error(v.at(key), fmt::format("{}.{}", path, key), "is read for grant: client_credentials",
              "take it away; who asks is issuer");
  }
  if (signs && !v.at("issuer").given)
    c.error(v, path + ".issuer", "is missing", "name whom the assertion is from: issuer: ID");
  if (const Value& auth = vendor.at("auth"); auth.given && auth.str() == "basic")
    c.error(auth, path.substr(0, path.rfind('.')) + ".auth", "cannot show a token",
            "write bearer, header:NAME, query:NAME or cookie:NAME");
}

/// What can be seen of the real key without using it: the vendor's pack looks again.
class CredentialCheck {
 public:
  CredentialCheck(std::string path, const Value& at, Context& context)
      : path_(std::move(path)), at_(at), c_(context) {}

  /// The part behind the colon; nothing, and an error, when there is none.
  std::optional<std::string_view> behind_id(std::string_view key) {
    const std::string_view text = at_.secret->reveal_text();
    const std::size_t colon = text.find(':');
    if (colon != 0 && colon != std::string_view::npos) return text.substr(colon + 1);
    c_.error(at_, path_, "is not ID:SECRET",
             fmt::format("write it so, or write the id as {}", key));
    return std::nullopt;
  }

  void hmac(const Value& v, bool has_id) {
    auto text = std::optional(at_.secret->reveal_text());
    if (has_id && !v.at("key_id").given) text = behind_id("hmac.key_id");
    if (!text) return;
    const std::string& key = v.at("key").str();
    if (key == "hex" && !from_hex(*text))
      c_.error(at_, path_, "is not hexadecimal, as hmac.key says",
               "write hmac.key: text or base64");
    if (key == "base64" && !from_base64_any(*text))
      c_.error(at_, path_, "is not base64, as hmac.key says", "write hmac.key: text or hex");
  }

  void oauth(const Value& v) {
    const std::string_view text = at_.secret->reveal_text();
    if (v.at("grant").str() == "jwt_bearer") {
      if (text.find("PRIVATE KEY-----") == std::string_view::npos)
        c_.error(at_, path_, "is no private key as PEM, as oauth.grant wants",
                 "refer to a file that begins with -----BEGIN PRIVATE KEY-----");
    } else if (!v.at("client_id").given) {
      std::ignore = behind_id("oauth.client_id");
    }
  }

 private:
  std::string path_;
  const Value& at_;
  Context& c_;
};

std::vector<std::pair<std::string, std::string>> texts(const Value& map) {
  std::vector<std::pair<std::string, std::string>> out;
  out.reserve(map.children.size());
  for (const auto& [name, value] : map.children) out.emplace_back(name, value.str());
  return out;
}

vault::HmacSettings hmac(const Value& v) {
  vault::HmacSettings out;
  out.hash = v.at("hash").str();
  out.key = v.at("key").str();
  out.sign = v.at("sign").str();
  out.encoding = v.at("encoding").str();
  out.timestamp = v.at("timestamp").str();
  out.key_id = v.at("key_id").str();
  out.headers = texts(v.at("headers"));
  out.query = texts(v.at("query"));
  return out;
}

vault::OauthSettings oauth(const Value& v) {
  vault::OauthSettings out;
  out.grant = v.at("grant").str();
  const Url& url = v.at("token_url").url();
  out.scheme = url.scheme;
  out.host = url.host;
  out.port = url.port_or_default();
  out.target = url.path.empty() ? "/" : url.path;
  out.client_id = v.at("client_id").str();
  out.client_auth = v.at("client_auth").str();
  for (const std::string& word : v.at("scope").strings())
    out.scope += (out.scope.empty() ? "" : " ") + word;
  out.audience = v.at("audience").str();
  out.algorithm = v.at("algorithm").str();
  out.issuer = v.at("issuer").str();
  out.subject = v.at("subject").str();
  out.key_id = v.at("key_id").str();
  out.lifetime = v.at("lifetime").duration();
  if (v.at("ca").secret) out.ca_pem = std::string(v.at("ca").secret->reveal_text());
  return out;
}

}  // namespace

Field hmac_field() {
  return {
      .key = "hmac",
      .type = Type::section,
      .doc =
          "For a vendor without a pack that wants requests signed (instead of `auth`). In "
          "templates `{field}` stands for a part of the request as it is sent.",
      .fields =
          {{.key = "sign",
            .type = Type::text,
            .doc = "Template of what is signed: `{timestamp}{method}{target}{body}`. Fields: "
                   "`method`, `path`, `query`, `target` (both), `host`, `content_type`, `body`, "
                   "`body_hash` (hex), `body_hash_base64`, `timestamp`, `nonce`, `key_id`, "
                   "`newline`.",
            .required = true},
           {.key = "hash",
            .type = Type::choice,
            .doc = "The hash of the HMAC, and of `body_hash`.",
            .fallback = "sha256",
            .choices = {"sha256", "sha384", "sha512", "sha1"}},
           {.key = "key",
            .type = Type::choice,
            .doc = "How the real key is written: as it is used, or in hex or base64.",
            .fallback = "text",
            .choices = {"text", "hex", "base64"}},
           {.key = "encoding",
            .type = Type::choice,
            .doc = "How the signature is written.",
            .fallback = "hex",
            .choices = {"hex", "base64", "base64url"}},
           {.key = "timestamp",
            .type = Type::choice,
            .doc = "How `{timestamp}` is written: since 1970, or as `2026-11-21T03:40:00Z`, or as "
                   "HTTP does.",
            .fallback = "seconds",
            .choices = {"seconds", "ms", "rfc3339", "http"}},
           {.key = "key_id",
            .type = Type::text,
            .doc = "What `{key_id}` stands for.",
            .derived = "the real key is `ID:SECRET` where a template names it"},
           {.key = "headers",
            .type = Type::map,
            .doc = "Headers that are set: `{ X-Key: \"{key_id}\", X-Signature: \"{signature}\" }`. "
                   "Fields: `signature`, `timestamp`, `nonce`, `key_id`, `body_hash`, "
                   "`body_hash_base64`.",
            .item = Type::text},
           {.key = "query",
            .type = Type::map,
            .doc = "Parameters that are added to the query, in the same way. Those with "
                   "`{signature}` come last and are not signed; the others are.",
            .item = Type::text}},
      .optional = true};
}

Field oauth_field() {
  return {
      .key = "oauth",
      .type = Type::section,
      .doc =
          "For a vendor without a pack that is shown access tokens: the real key is exchanged "
          "for them, and `auth` says where they go.",
      .fields =
          {{.key = "token_url",
            .type = Type::url,
            .doc = "Where tokens are asked for.",
            .choices = {"https", "http"},
            .required = true},
           {.key = "grant",
            .type = Type::choice,
            .doc = "`client_credentials`: the real key is a client's secret. `jwt_bearer`: it is a "
                   "private key as PEM, which signs an assertion.",
            .fallback = "client_credentials",
            .choices = {"client_credentials", "jwt_bearer"}},
           {.key = "client_id",
            .type = Type::text,
            .doc = "The client.",
            .derived = "the real key is `ID:SECRET`"},
           {.key = "client_auth",
            .type = Type::choice,
            .doc = "How the client's secret is shown: `basic` in a header, `post` in the form.",
            .fallback = "basic",
            .choices = {"basic", "post"}},
           {.key = "scope", .type = Type::list, .doc = "What the token is for."},
           {.key = "audience",
            .type = Type::text,
            .doc = "For whom the token is; with `jwt_bearer`, the assertion.",
            .derived = "with `jwt_bearer`, `token_url`"},
           {.key = "issuer", .type = Type::text, .doc = "Whom the assertion is from."},
           {.key = "subject",
            .type = Type::text,
            .doc = "Whom it is about.",
            .derived = "`issuer`"},
           {.key = "algorithm",
            .type = Type::choice,
            .doc = "What signs it: RSA, or ECDSA on P-256.",
            .fallback = "RS256",
            .choices = {"RS256", "ES256"}},
           {.key = "key_id", .type = Type::text, .doc = "Name of the key (`kid`)."},
           {.key = "lifetime",
            .type = Type::duration,
            .doc = "How long it may be used.",
            .fallback = "5m",
            .min = 10'000,
            .max = 3'600'000},
           {.key = "ca",
            .type = Type::pem,
            .doc = "CA that signs the certificate of `token_url`.",
            .derived = "the vendor's `ca`"}},
      .optional = true};
}

void check_vendor_auth(const std::string& path, const Value& vendor, const std::string& pack,
                       Context& context) {
  const Value& hmac = vendor.at("hmac");
  const Value& oauth = vendor.at("oauth");
  for (const char* key : {"hmac", "oauth"}) {
    if (vendor.at(key).given && pack != "generic")
      context.error(vendor.at(key), fmt::format("{}.{}", path, key),
                    fmt::format("is read for pack: generic, and this is {}", pack),
                    "take it away, or write pack: generic");
  }
  if (hmac.given && oauth.given)
    context.error(oauth, path + ".oauth", "stands beside hmac", "keep one of them");
  if (hmac.given && chosen(vendor.at("auth")))
    context.error(vendor.at("auth"), path + ".auth", "is not read beside hmac",
                  "say in hmac.headers where the key's id goes");
  const Value& real = vendor.at("credential");
  CredentialCheck credential(path + ".credential", real, context);
  if (hmac.given) {
    const std::string at = path + ".hmac";
    HmacCheck check(at, hmac, context);
    check.run();
    if (real.secret) credential.hmac(hmac, check.names_key_id());
  }
  if (oauth.given) {
    check_oauth(path + ".oauth", vendor, oauth, context);
    if (real.secret) credential.oauth(oauth);
  }
}

void bind_vendor_auth(const Value& vendor, vault::VendorSettings& out) {
  if (vendor.at("hmac").given) out.hmac = hmac(vendor.at("hmac"));
  if (vendor.at("oauth").given) out.oauth = oauth(vendor.at("oauth"));
}

}  // namespace octroi::config
