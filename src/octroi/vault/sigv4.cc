#include "octroi/vault/sigv4.h"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>

#include "octroi/base/bytes.h"
#include "octroi/base/percent.h"
#include "octroi/crypto/compare.h"

namespace octroi::vault {

namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kUnsigned = "UNSIGNED-PAYLOAD";
constexpr Millis kSkew = std::chrono::minutes(5);
constexpr std::size_t kMostSigned = 64;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Everything but unreserved characters as escapes; `keep` stays.
std::string encoded(std::string_view text, std::string_view keep) {
  return percent_encoded(
      text, [&](char c) { return is_unreserved(c) || keep.find(c) != std::string_view::npos; });
}

std::string decoded(std::string_view text, bool plus_is_space) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
        hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

/// S3 signs the path as it is sent, everybody else once more encoded.
std::string canonical_uri(std::string_view path, std::string_view service) {
  const std::string sent = encoded(decoded(path, false), "/");
  return service == "s3" ? sent : encoded(sent, "/");
}

/// Sorted by name, then by value, each as it is written after encoding.
std::string canonical_query(std::string_view query, bool plus_is_space) {
  std::vector<std::pair<std::string, std::string>> parts;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view one = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (one.empty()) continue;
    const std::size_t equals = std::min(one.find('='), one.size());
    parts.emplace_back(
        encoded(decoded(one.substr(0, equals), plus_is_space), ""),
        encoded(decoded(one.substr(std::min(equals + 1, one.size())), plus_is_space), ""));
  }
  std::sort(parts.begin(), parts.end());
  std::string out;
  for (const auto& [name, value] : parts) {
    if (!out.empty()) out += '&';
    out += name;
    out += '=';
    out += value;
  }
  return out;
}

/// Without spaces around it, and never two in a row.
std::string tidy(std::string_view value) {
  std::string out;
  for (const char c : value) {
    const bool space = c == ' ' || c == '\t';
    if (space && (out.empty() || out.back() == ' ')) continue;
    out += space ? ' ' : c;
  }
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

/// "name:value\n" for each of these fields, in this order.
std::string canonical_headers(const http::RequestHead& head, std::string_view host,
                              const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    out += name + ":";
    if (name == "host") {
      out += tidy(host);
    } else {
      bool first = true;
      for (const std::string_view value : head.headers.all(name)) {
        if (!first) out += ",";
        first = false;
        out += tidy(value);
      }
    }
    out += "\n";
  }
  return out;
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    if (!out.empty()) out += ';';
    out += name;
  }
  return out;
}

std::string hex_of(const crypto::Sha256Digest& digest) { return to_hex(digest); }

std::string scope_text(const SignedClaim& claim) {
  return fmt::format("{}/{}/{}/aws4_request", claim.date, claim.region, claim.service);
}

/// What the secret becomes for one day, region and service.
crypto::HmacSha256Key scope_key(const Secret& secret, const SignedClaim& scope) {
  std::string first = "AWS4" + std::string(secret.reveal_text());
  crypto::Sha256Digest key = crypto::hmac_sha256(as_bytes(first), as_bytes(scope.date));
  secure_wipe(first.data(), first.size());
  for (const std::string_view step :
       {std::string_view(scope.region), std::string_view(scope.service),
        std::string_view("aws4_request")})
    key = crypto::hmac_sha256(key, as_bytes(step));
  crypto::HmacSha256Key out(key);
  secure_wipe(key.data(), key.size());
  return out;
}

/// The signature of a canonical request, in hexadecimal.
std::string signature_of(const Secret& secret, const SignedClaim& scope,
                         std::string_view canonical) {
  const std::string text = fmt::format("{}\n{}\n{}\n{}", kAlgorithm, scope.time, scope_text(scope),
                                       hex_of(crypto::sha256(as_bytes(canonical))));
  return hex_of(scope_key(secret, scope).mac(as_bytes(text)));
}

tl::unexpected<Error> bad(std::string_view why) {
  return fail(Errc::no_key, fmt::format("the request's AWS signature {}", why));
}

/// "Credential=…, SignedHeaders=…, Signature=…", each once.
struct Parts {
  std::string credential, headers, signature;
};
Result<Parts> parts_of(std::string_view text) {
  Parts out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    const std::string one = tidy(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t equals = one.find('=');
    if (equals == std::string::npos) return bad("cannot be read");
    const std::string name = one.substr(0, equals);
    std::string* const to = name == "Credential"      ? &out.credential
                            : name == "SignedHeaders" ? &out.headers
                            : name == "Signature"     ? &out.signature
                                                      : nullptr;
    if (to == nullptr || !to->empty()) return bad("cannot be read");
    *to = one.substr(equals + 1);
  }
  if (out.credential.empty() || out.headers.empty() || out.signature.size() != 64)
    return bad("is incomplete");
  return out;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> out;
  for (;;) {
    const std::size_t end = std::min(text.find(separator), text.size());
    out.emplace_back(text.substr(0, end));
    if (end == text.size()) return out;
    text.remove_prefix(end + 1);
  }
}

/// "2026-01-31T12:00:00Z" as "20260131T120000Z", and back.
std::string short_time(UnixMillis now) {
  std::string out;
  for (const char c : to_rfc3339(now).substr(0, 19)) {
    if (c != '-' && c != ':') out += c;
  }
  return out + "Z";
}
std::optional<UnixMillis> from_short_time(std::string_view t) {
  if (t.size() != 16 || t[8] != 'T' || t[15] != 'Z') return std::nullopt;
  const auto time =
      from_rfc3339(fmt::format("{}-{}-{}T{}:{}:{}Z", t.substr(0, 4), t.substr(4, 2), t.substr(6, 2),
                               t.substr(9, 2), t.substr(11, 2), t.substr(13, 2)));
  return time ? std::optional(*time) : std::nullopt;
}

/// What has to be signed is signed, in order and once.
Result<> check_names(const http::RequestHead& head, const std::vector<std::string>& names) {
  if (names.size() > kMostSigned || !std::is_sorted(names.begin(), names.end()) ||
      std::adjacent_find(names.begin(), names.end()) != names.end())
    return bad("names its fields out of order");
  if (!std::binary_search(names.begin(), names.end(), std::string("host")))
    return bad("leaves out the host");
  for (const auto& field : head.headers) {
    const std::string name = lower(field.name);
    if (name.starts_with("x-amz-") && !std::binary_search(names.begin(), names.end(), name))
      return bad(fmt::format("leaves out {}", name));
  }
  return {};
}

}  // namespace

Result<std::optional<SignedClaim>> read_signature(const http::RequestHead& head) {
  const auto authorization = head.headers.get("authorization");
  if (!authorization || !authorization->starts_with(kAlgorithm)) {
    if (head.query().find("X-Amz-Signature=") != std::string_view::npos)
      return fail(Errc::no_key, "links that are signed beforehand are not taken: sign the request");
    return std::optional<SignedClaim>();
  }
  if (head.headers.count("authorization") > 1)
    return fail(Errc::several_keys, "show one key, in one place");
  if (head.headers.has("x-amz-security-token"))
    return fail(Errc::no_key, "a vault key has no session token: leave AWS_SESSION_TOKEN out");
  OCTROI_TRY(const Parts parts, parts_of(authorization->substr(kAlgorithm.size())));
  const std::vector<std::string> scope = split(parts.credential, '/');
  if (scope.size() != 5 || scope[4] != "aws4_request") return bad("has no scope");
  SignedClaim out;
  out.key_name = scope[0];
  out.date = scope[1];
  out.region = scope[2];
  out.service = scope[3];
  out.signature = parts.signature;
  const std::vector<std::string> names = split(parts.headers, ';');
  OCTROI_CHECK(check_names(head, names));
  for (const char* once : {"x-amz-date", "x-amz-content-sha256"}) {
    if (head.headers.count(once) > 1)
      return fail(Errc::ambiguous, fmt::format("the field {} stands there twice", once));
  }
  out.time = std::string(head.headers.get("x-amz-date").value_or(""));
  if (!from_short_time(out.time)) return bad("has no date: send X-Amz-Date");
  if (!out.time.starts_with(out.date)) return bad("is of another day than its scope");
  out.body_hash = std::string(head.headers.get("x-amz-content-sha256").value_or(""));
  OCTROI_TRY(out.chunks, read_chunk_fields(head.headers, out.service, out.body_hash));
  out.canonical =
      fmt::format("{}\n{}\n{}\n{}\n{}\n", head.method, canonical_uri(head.path(), out.service),
                  canonical_query(head.query(), false),
                  canonical_headers(head, head.authority, names), parts.headers);
  return std::optional<SignedClaim>(std::move(out));
}

Result<> check_signature(const SignedClaim& claim, const Secret& secret,
                         const crypto::Sha256Digest& body, UnixMillis now) {
  const auto at = from_short_time(claim.time);
  if (!at || *at > now + kSkew || *at < now - kSkew)
    return bad("is more than five minutes from now: set the clock");
  const std::string hash = hex_of(body);
  const bool hashed = !claim.body_hash.empty() && claim.body_hash != kUnsigned &&
                      claim.chunks.is == Chunks::Is::none;
  if (hashed && claim.body_hash != hash) return bad("is of another body");
  const std::string expected = signature_of(
      secret, claim, claim.canonical + (claim.body_hash.empty() ? hash : claim.body_hash));
  if (!crypto::constant_time_equal(as_bytes(expected), as_bytes(claim.signature)))
    return fail(Errc::unknown_key, "the request's AWS signature is not of this vault key");
  return {};
}

ChunkSigner chunk_signer(const SignedClaim& claim, const Secret& secret) {
  return {scope_key(secret, claim), claim.time, scope_text(claim), claim.signature};
}

void sign_request(http::RequestHead& head, std::string_view host, const crypto::Sha256Digest& body,
                  const SigningKey& key, std::string_view region, std::string_view service,
                  UnixMillis now) {
  SignedClaim claim;
  claim.time = short_time(now);
  claim.date = claim.time.substr(0, 8);
  claim.region = region;
  claim.service = service;
  const std::string hash = hex_of(body);
  head.headers.set("X-Amz-Date", claim.time);
  head.headers.set("X-Amz-Content-Sha256", hash);
  std::vector<std::string> names = {"host"};
  for (const auto& field : head.headers) {
    std::string name = lower(field.name);
    if (name.starts_with("x-amz-") || name == "content-type") names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  const std::string list = joined(names);
  const std::string canonical = fmt::format(
      "{}\n{}\n{}\n{}\n{}\n{}", head.method, canonical_uri(head.path(), service),
      canonical_query(head.query(), true), canonical_headers(head, host, names), list, hash);
  head.headers.set("Authorization",
                   fmt::format("{} Credential={}/{}/{}/{}/aws4_request, SignedHeaders={}, "
                               "Signature={}",
                               kAlgorithm, key.id, claim.date, region, service, list,
                               signature_of(key.secret, claim, canonical)));
}

}  // namespace octroi::vault
