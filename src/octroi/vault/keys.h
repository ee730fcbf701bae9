// octroi/vault/keys.h: the text of vault keys, how one is made and recognised, and the immutable
// book of all keys that workers look them up in.
//
// Shape    a body of 50 letters and digits: one for the mode (l, t), 11 that name the key, 32
//          random, 6 that check the rest, so that a typing error is noticed without any look-up. In
//          front stands "vault_live_" or "vault_test_", or what a vendor's SDK insists on
//          ("sk_live_vault", "re_vault", …): the same key in another dress. Vendors that want a
//          name and a token (Twilio) get a pair that is derived from the same body, one way.
// Secrets  only SHA-256 digests are kept; the text exists once, in the answer that issues it. Whole
//          digests are compared, in constant time.
// Errors   Errc::no_key (not one of ours, or mistyped), unknown_key, key_revoked, key_paused,
//          key_expired.
// Thread   pure; a KeyBook is immutable.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/random.h"
#include "octroi/base/secret.h"
#include "octroi/ledger/vault_keys.h"
#include "octroi/net/address.h"
#include "octroi/vault/errors.h"

namespace octroi::vault {

inline constexpr std::size_t kKeyIdSize = 12;
inline constexpr std::size_t kKeyBodySize = 50;

/// How a key is dressed.
enum class KeyShape : std::uint8_t {
  vault,       // vault_live_…
  stripe,      // sk_live_vault…
  restricted,  // rk_live_vault…, a Stripe restricted key
  resend,      // re_vault…
  openai,      // sk-vault…
  anthropic,   // sk-ant-vault…
  pair,        // AC… and a token of 32 hexadecimal digits
  aws,         // AKIA… and a secret that signs, and is derived from vault.key_file
};

struct IssuedKey {
  ledger::VaultKey record;  // names and digests; the rest is the caller's to fill
  Secret body;
  Secret signing;  // of a key that signs: signer_secret()
  /// What the agent is given. For pairs: "AC…:token", "AKIA…:secret".
  [[nodiscard]] Secret text(KeyShape shape) const;
};
[[nodiscard]] IssuedKey issue_key(bool live, Random& random);

/// The name of the pair that the key of this id is dressed as.
[[nodiscard]] std::string pair_name(std::string_view id);

/// A key that signs has a name like AWS's, made from its record, and a secret that whoever verifies
/// it must have too: it is derived from the key file, so that nothing that signs is stored.
[[nodiscard]] std::string signer_name(const ledger::VaultKey& key);
[[nodiscard]] Secret signer_secret(const Secret& master, std::string_view key_id);

/// What a request showed: views into it.
struct PresentedKey {
  std::string_view body;   // of a bearer; empty for a pair
  std::string_view name;   // of a pair
  std::string_view token;  // of a pair
};
/// In whatever dress. Errc::no_key for everything else.
[[nodiscard]] Result<PresentedKey> read_key(std::string_view text);
/// A name and a token, as in Basic credentials; a bearer in the place of the name or of the token
/// is one too.
[[nodiscard]] Result<PresentedKey> read_pair(std::string_view name, std::string_view token);

/// The same key in another dress, without asking anybody. Errc::no_key when the text is no key, or
/// a pair: only the pair can be made of the key, not the key of the pair.
[[nodiscard]] Result<Secret> dress_as(std::string_view text, KeyShape shape);

/// Every key as it stands, for one moment.
class KeyBook {
 public:
  explicit KeyBook(ledger::VaultKeyList list);

  /// Null: nobody was given it. What state it is in is for check() to say.
  [[nodiscard]] const ledger::VaultKey* find(const PresentedKey& key) const;
  [[nodiscard]] const ledger::VaultKey* by_id(std::string_view id) const;
  /// By the name that it signs with; the signature is still to be checked.
  [[nodiscard]] const ledger::VaultKey* by_signer(std::string_view name) const;
  /// The key that this one is narrower than; null: none, or it is not there.
  [[nodiscard]] const ledger::VaultKey* above(const ledger::VaultKey& key) const;
  /// Whether it opens anything now: it, and every key above it.
  [[nodiscard]] Result<> check(const ledger::VaultKey& key, UnixMillis now) const;
  /// When the first of it and the keys above it expires.
  [[nodiscard]] std::optional<UnixMillis> end_of(const ledger::VaultKey& key) const;
  /// Whether it may be used from there, and every key above it.
  [[nodiscard]] bool allows(const ledger::VaultKey& key, const net::IpAddress& from) const;
  [[nodiscard]] std::int64_t version() const { return list_.version; }
  [[nodiscard]] const std::vector<ledger::VaultKey>& keys() const { return list_.keys; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const noexcept {
      return std::hash<std::string_view>{}(s);
    }
  };
  using Index = std::unordered_map<std::string, std::size_t, Hash, std::equal_to<>>;
  ledger::VaultKeyList list_;
  Index by_id_;
  Index by_pair_;
  Index by_signer_;
  std::unordered_map<std::string, std::vector<net::Cidr>> networks_;  // of keys that have some
};

/// "10.0.0.0/8,::1": at most kMostNetworks.
[[nodiscard]] Result<std::vector<net::Cidr>> parse_networks(std::string_view text);
inline constexpr std::size_t kMostNetworks = 32;
/// Keys above a key, at most.
inline constexpr int kDeepest = 8;

/// Whether this key alone opens anything now. A canary never does, and says no more than a key that
/// nobody was given.
[[nodiscard]] Result<> check_key(const ledger::VaultKey& key, UnixMillis now);

}  // namespace octroi::vault
