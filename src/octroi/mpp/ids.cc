#include "octroi/mpp/ids.h"

#include <fmt/core.h>

#include "octroi/base/secret.h"

namespace octroi::mpp {

namespace {

Result<> check_slot(std::string_view name, std::string_view text) {
  if (text.empty()) return fail(Errc::bad_identifier, fmt::format("{}: may not be empty", name));
  for (const char c : text) {
    if (c == '|') return fail(Errc::bad_identifier, fmt::format("{}: may not contain '|'", name));
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7F) {
      return fail(Errc::bad_identifier, fmt::format("{}: must be printable ASCII", name));
    }
  }
  return {};
}

}  // namespace

IdSlots id_slots(const Challenge& c) {
  const auto view = [](const std::optional<std::string>& text) {
    return text ? std::string_view(*text) : "";
  };
  return {.realm = c.realm,
          .method = c.method,
          .intent = c.intent,
          .request = c.request,
          .expires = view(c.expires),
          .digest = view(c.digest),
          .opaque = view(c.opaque),
          .header = view(c.header)};
}

// Payment core, "Recommended: HMAC-SHA256 Binding": absent slots are empty, the separators always
// stand; the description is not bound. With `header` there are eight slots. rule: MPP-20 MPP-21
std::string challenge_id(const crypto::HmacSha256Key& key, const IdSlots& s) {
  std::string text;
  text.reserve(s.realm.size() + s.method.size() + s.intent.size() + s.request.size() +
               s.expires.size() + s.digest.size() + s.opaque.size() + s.header.size() + 7);
  ((text += s.realm) += '|') += s.method;
  ((text += '|') += s.intent) += '|';
  ((text += s.request) += '|') += s.expires;
  ((text += '|') += s.digest) += '|';
  if (!s.header.empty()) (text += s.header) += '|';
  text += s.opaque;
  return to_base64url(key.mac(as_bytes(text)));
}

bool is_challenge_id(const crypto::HmacSha256Key& key, const IdSlots& slots, std::string_view id) {
  return constant_time_equal(as_bytes(challenge_id(key, slots)), as_bytes(id));
}

Result<KeyRing> KeyRing::create(std::vector<crypto::HmacSha256Key> keys) {
  if (keys.empty()) return fail(Errc::bad_key_ring, "secret: at least one is needed");
  return KeyRing(std::move(keys));
}

Result<KeyRing> KeyRing::from_secrets(const std::vector<const Secret*>& secrets) {
  std::vector<crypto::HmacSha256Key> keys;
  keys.reserve(secrets.size());
  for (const Secret* secret : secrets) {
    OCTROI_CHECK(check_secret(*secret));
    keys.emplace_back(*secret);
  }
  return create(std::move(keys));
}

// Payment core, "Challenge-Binding Secret Management". rule: MPP-22
std::optional<std::size_t> KeyRing::verify_id(const IdSlots& slots, std::string_view id) const {
  for (std::size_t version = 0; version < keys_.size(); ++version) {
    if (is_challenge_id(keys_[version], slots, id)) return version;
  }
  return std::nullopt;
}

Result<> check_secret(const Secret& secret) {
  if (secret.size() < KeyRing::kMinSecretBytes) {
    return fail(Errc::bad_key_ring,
                fmt::format("secret: needs at least {} bytes", KeyRing::kMinSecretBytes));
  }
  return {};
}

Result<> check_realm(std::string_view realm) { return check_slot("realm", realm); }

Result<> check_method(std::string_view method) {
  OCTROI_CHECK(check_slot("method", method));
  if (!is_method(method)) return fail(Errc::bad_identifier, "method: must be lower-case letters");
  return {};
}

Result<> check_intent(std::string_view intent) {
  OCTROI_CHECK(check_slot("intent", intent));
  if (!is_intent(intent))
    return fail(Errc::bad_identifier, "intent: must be letters, digits and hyphens");
  return {};
}

}  // namespace octroi::mpp
