#include "octroi/mpp/credential.h"

#include <fmt/core.h>

#include "octroi/base/secret.h"
#include "octroi/crypto/hash.h"
#include "octroi/json/canonical.h"
#include "octroi/json/writer.h"
#include "octroi/mpp/text.h"

namespace octroi::mpp {

namespace {

tl::unexpected<Error> malformed(std::string_view why) {
  return fail(Errc::malformed_credential, fmt::format("credential: {}", why));
}

/// What follows the scheme; nothing when the scheme is another.
std::optional<std::string_view> after_scheme(std::string_view field_value) {
  field_value = detail::trim(field_value);
  if (field_value.size() < kScheme.size()) return std::nullopt;
  if (!detail::equal_ignoring_case(field_value.substr(0, kScheme.size()), kScheme))
    return std::nullopt;
  const std::string_view rest = field_value.substr(kScheme.size());
  if (!rest.empty() && !detail::is_blank(rest.front())) return std::nullopt;
  return detail::trim(rest);
}

Result<std::string> required(json::Value object, std::string_view key) {
  auto text = object.string(key);
  if (!text) return malformed(text.error().message());
  return std::string(*text);
}

Result<std::optional<std::string>> optional(json::Value object, std::string_view key) {
  auto text = object.optional_string(key);
  if (!text) return malformed(text.error().message());
  return *text ? std::optional<std::string>(**text) : std::nullopt;
}

/// The echo, text for text: nothing is decoded or written anew, because the id covers the texts.
Result<Challenge> read_challenge(json::Value object) {
  Challenge c;
  OCTROI_TRY(c.id, required(object, "id"));
  OCTROI_TRY(c.realm, required(object, "realm"));
  OCTROI_TRY(c.method, required(object, "method"));
  OCTROI_TRY(c.intent, required(object, "intent"));
  OCTROI_TRY(c.request, required(object, "request"));
  OCTROI_TRY(c.expires, optional(object, "expires"));
  OCTROI_TRY(c.digest, optional(object, "digest"));
  OCTROI_TRY(c.description, optional(object, "description"));
  OCTROI_TRY(c.opaque, optional(object, "opaque"));
  OCTROI_TRY(c.header, optional(object, "header"));
  if (c.id.empty()) return malformed("challenge.id may not be empty");
  return c;
}

/// Members in canonical order, so that the text is canonical as it is written.
void write_challenge(json::Writer& out, const Challenge& c) {
  out.begin_object();
  out.field("description", c.description).field("digest", c.digest).field("expires", c.expires);
  out.field("header", c.header)
      .field("id", c.id)
      .field("intent", c.intent)
      .field("method", c.method);
  out.field("opaque", c.opaque).field("realm", c.realm).field("request", c.request);
  out.end_object();
}

}  // namespace

json::Value Credential::payload() const { return *envelope_.root().find("payload"); }

std::array<std::uint8_t, 32> Credential::fingerprint() const {
  const auto id_size = static_cast<std::uint32_t>(challenge_.id.size());
  std::array<std::uint8_t, 4> length;
  for (std::size_t i = 0; i < 4; ++i)
    length[i] = static_cast<std::uint8_t>(id_size >> (24 - 8 * i));
  std::string proof = json::canonicalize(payload());
  crypto::Sha256 hash;
  hash.update(length).update(as_bytes(challenge_.id)).update(as_bytes(proof));
  secure_wipe(proof.data(), proof.size());
  return hash.finish();
}

// Payment core, "Credentials (Authorization)". rule: MPP-30 MPP-31 MPP-32
Result<Credential> parse_credential(std::string_view field_value) {
  const auto token = after_scheme(field_value);
  if (!token) return malformed("the scheme is not Payment");
  if (token->empty()) return malformed("nothing follows the scheme");
  OCTROI_TRY(json::Document envelope,
             detail::decode_object(*token, kMaxCredentialBytes, Errc::malformed_credential,
                                   "credential", /*sensitive=*/true));
  const json::Value root = envelope.root();
  const auto echoed = root.object("challenge");
  if (!echoed) return malformed(echoed.error().message());
  if (const auto payload = root.object("payload"); !payload)
    return malformed(payload.error().message());
  OCTROI_TRY(Challenge challenge, read_challenge(*echoed));
  OCTROI_TRY(std::optional<std::string> source, optional(root, "source"));
  return Credential(std::move(challenge), std::move(source), std::move(envelope));
}

Result<std::string> format_credential(const Challenge& challenge, std::string_view payload_json,
                                      const std::optional<std::string>& source) {
  auto payload = json::parse(payload_json, {.max_bytes = kMaxCredentialBytes, .sensitive = true});
  if (!payload || !payload->root().is_object()) return malformed("payload must be a JSON object");
  json::Writer out;
  out.begin_object();
  write_challenge(out.key("challenge"), challenge);
  std::string proof = json::canonicalize(payload->root());
  out.key("payload").raw(proof);
  out.field("source", source);
  out.end_object();
  std::string text = std::move(out).take();
  secure_wipe(proof.data(), proof.size());
  if (text.size() > kMaxCredentialBytes) {
    return fail(Errc::too_large,
                fmt::format("credential: longer than {} bytes", kMaxCredentialBytes));
  }
  std::string token = detail::encode(text);
  secure_wipe(text.data(), text.size());
  return fmt::format("{} {}", kScheme, token);
}

bool is_payment_credential(std::string_view field_value) noexcept {
  return after_scheme(field_value).has_value();
}

// Payment core: a request carries one credential. Two in one line, as a proxy may join them, are
// two as well. rule: MPP-33
Result<std::optional<FoundCredential>> find_credential(
    std::span<const std::string_view> authorization,
    std::span<const std::string_view> payment_authorization) {
  std::optional<FoundCredential> found;
  std::size_t count = 0;
  const auto look = [&](std::span<const std::string_view> values, CredentialField field) {
    for (const std::string_view value : values) {
      if (!is_payment_credential(value)) continue;
      ++count;
      if (!found) found = FoundCredential{field, value};
      for (std::size_t comma = value.find(','); comma != std::string_view::npos;
           comma = value.find(',', comma + 1)) {
        // Enough of what follows to see the scheme, so that many commas cost no more than their
        // number.
        const std::string_view next = value.substr(comma + 1, kScheme.size() + 2);
        if (is_payment_credential(next)) ++count;
      }
    }
  };
  look(authorization, CredentialField::authorization);
  look(payment_authorization, CredentialField::payment_authorization);
  if (count > 1)
    return fail(Errc::several_credentials,
                "send one Payment credential, for the challenge you chose");
  return found;
}

// Payment core -01, `header`. rule: MPP-34
Result<> check_field(const Credential& credential, CredentialField field) {
  const bool asked = credential.challenge().header.has_value();
  if (asked == (field == CredentialField::payment_authorization)) return {};
  return fail(Errc::wrong_field,
              asked ? "send this credential in Payment-Authorization, as its challenge asks"
                    : "send this credential in Authorization, as its challenge asks");
}

}  // namespace octroi::mpp
