#include "octroi/secrets/key_ring.h"

#include <algorithm>

#include "octroi/base/bytes.h"
#include "octroi/base/file.h"
#include "octroi/base/log.h"
#include "octroi/crypto/hash.h"

namespace octroi::secrets {

std::string key_label(const Secret& key) {
  const auto mac = crypto::hmac_sha256(key.reveal(), as_bytes("octroi key version label"));
  return to_hex(ByteView(mac).first(4));
}

Result<> KeyRing::add(std::shared_ptr<const Secret> key, std::optional<UnixMillis> until) {
  if (key == nullptr || key->size() < least_bytes_) {
    return fail(Errc::bad_ring, fmt::format("{}: a key needs at least {} bytes: make one with "
                                            "openssl rand -hex 32",
                                            name_, least_bytes_));
  }
  if (std::ranges::any_of(versions_, [&](const KeyVersion& v) { return v.key->equals(*key); })) {
    return fail(Errc::bad_ring, fmt::format("{}: the same key is in the ring twice", name_));
  }
  std::string label = key_label(*key);
  versions_.push_back({std::move(key), std::move(label), until});
  return {};
}

Result<KeyRing> KeyRing::make(std::string_view name,
                              std::vector<std::shared_ptr<const Secret>> keys,
                              std::size_t least_bytes) {
  KeyRing ring(std::string(name), least_bytes);
  if (keys.empty()) return fail(Errc::bad_ring, fmt::format("{}: there is no key", name));
  for (auto& key : keys) OCTROI_CHECK(ring.add(std::move(key), std::nullopt));
  return ring;
}

std::vector<KeyVersion> KeyRing::accepted(UnixMillis now) const {
  std::vector<KeyVersion> out;
  for (const KeyVersion& version : versions_) {
    if (!version.until || now < *version.until) out.push_back(version);
  }
  return out;
}

Result<KeyRing> KeyRing::rotated(std::shared_ptr<const Secret> next, UnixMillis now,
                                 Millis overlap) const {
  KeyRing ring(name_, least_bytes_);
  OCTROI_CHECK(ring.add(std::move(next), std::nullopt));
  for (std::size_t i = 0; i < versions_.size(); ++i) {
    const auto until = i == 0 ? std::optional(now + overlap) : versions_[i].until;
    if (until && *until <= now) continue;
    OCTROI_CHECK(ring.add(versions_[i].key, until));
  }
  return ring;
}

KeyRing KeyRing::without_previous() const {
  KeyRing ring(name_, least_bytes_);
  ring.versions_.push_back(current());
  return ring;
}

namespace {
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kTokenChars = 43;  // 32 bytes in base64url

Result<std::shared_ptr<const Secret>> registered(Result<Secret> made) {
  if (!made) return fail(std::move(made).error());
  redactor().add(*made);
  return std::make_shared<const Secret>(*std::move(made));
}
}  // namespace

Result<std::shared_ptr<const Secret>> load_or_create_key(const std::string& path, Random& random) {
  return registered(load_or_create_secret_file(path, {kKeyBytes, kKeyBytes},
                                               [&] { return random.secret(kKeyBytes); }));
}

Result<std::shared_ptr<const Secret>> load_or_create_token(const std::string& path,
                                                           Random& random) {
  // An editor's last newline is no reason to refuse a token, nor part of it.
  auto text = load_or_create_secret_file(path, {kTokenChars, kTokenChars + 1}, [&] {
    return Secret::take(to_base64url(random.secret(kKeyBytes).reveal()));
  });
  if (text && text->reveal_text().ends_with('\n')) {
    return registered(Secret(text->reveal_text().substr(0, text->size() - 1)));
  }
  return registered(std::move(text));
}

}  // namespace octroi::secrets
