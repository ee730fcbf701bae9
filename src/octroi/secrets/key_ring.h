// octroi/secrets/key_ring.h: the versions of one key: the current one, which issues, and previous
// ones, which verify until their overlap has passed.
//
// Labels   what metrics and logs call a version: eight hex digits of a MAC under the key itself, so
//          that a label tells versions apart and tells nothing about the key.
// Errors   Errc::bad_ring.
// Thread   immutable once made; rotating gives a new ring.
// Source   architecture 3.5: issuing uses the first, verifying tries all within their overlap.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/random.h"
#include "octroi/base/result.h"
#include "octroi/base/secret.h"
#include "octroi/secrets/errc.h"

namespace octroi::secrets {

struct KeyVersion {
  std::shared_ptr<const Secret> key;
  std::string label;
  std::optional<UnixMillis> until;  // verifies before it; empty: as long as it is in the ring
};

[[nodiscard]] std::string key_label(const Secret& key);

class KeyRing {
 public:
  static constexpr std::size_t kLeastBytes = 32;

  /// [current, previous…] as configured. `name` is for messages ("paywall.secret").
  [[nodiscard]] static Result<KeyRing> make(std::string_view name,
                                            std::vector<std::shared_ptr<const Secret>> keys,
                                            std::size_t least_bytes = kLeastBytes);

  [[nodiscard]] const KeyVersion& current() const { return versions_.front(); }
  /// Newest first.
  [[nodiscard]] const std::vector<KeyVersion>& versions() const { return versions_; }
  /// Those that verify at `now`, newest first. The current one always does.
  [[nodiscard]] std::vector<KeyVersion> accepted(UnixMillis now) const;

  /// A ring with a new current key; the old current one verifies for `overlap` more, and versions
  /// that have passed theirs are gone.
  [[nodiscard]] Result<KeyRing> rotated(std::shared_ptr<const Secret> next, UnixMillis now,
                                        Millis overlap) const;
  /// After an exposure: a ring with only the current key.
  [[nodiscard]] KeyRing without_previous() const;

 private:
  KeyRing(std::string name, std::size_t least) : name_(std::move(name)), least_bytes_(least) {}
  [[nodiscard]] Result<> add(std::shared_ptr<const Secret> key, std::optional<UnixMillis> until);

  std::string name_;
  std::size_t least_bytes_;
  std::vector<KeyVersion> versions_;
};

/// A key file of 32 random bytes and a token file of 32 random bytes in base64url: made (0600) only
/// when nothing is there. A file that is empty, unreadable or of another size is an error and stays
/// as it is. Both are registered with the redactor. Errors are those of base/file.h.
[[nodiscard]] Result<std::shared_ptr<const Secret>> load_or_create_key(const std::string& path,
                                                                       Random& random);
[[nodiscard]] Result<std::shared_ptr<const Secret>> load_or_create_token(const std::string& path,
                                                                         Random& random);

}  // namespace octroi::secrets
