// octroi/ledger/vault_keys.h: the keys that agents were given instead of real ones, and the real
// ones that were registered, sealed.
//
// Of a key only digests are kept: whoever reads this table can neither use nor guess one. A change
// of any row raises the version of the whole list, which is how servers notice what another process
// changed. Revoked is final.
//
// Errors   Errc::unavailable.   Thread: as Store.   Source: issue 6, "Keys".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/ledger/credentials.h"
#include "octroi/ledger/store.h"

namespace octroi::ledger {

enum class VaultKeyState : std::uint8_t { active, paused, revoked };
/// "active", "paused", "revoked".
[[nodiscard]] std::string_view to_string(VaultKeyState s);
[[nodiscard]] std::optional<VaultKeyState> vault_key_state_from_string(std::string_view text);

struct VaultKey {
  std::string id;        // public
  Digest secret_hash{};  // of what a bearer shows
  Digest pair_hash{};    // of the token where a vendor wants a name and a token
  std::string pair_id;   // that name
  bool live = true;      // false: opens test credentials only
  std::string vendor;    // of the configuration
  std::string policy;    // of the configuration
  std::string name;      // for people
  std::string server;    // the MCP server or program that holds it
  std::string agent;
  std::string run;       // bound to this run; empty: to none
  std::string parent;    // the key that this one is narrower than; empty: none
  bool canary = false;   // nobody should use it: whoever does raises an alarm
  std::string networks;  // ranges of addresses that it may be used from, with commas; empty: all
  std::string line;      // the first key that it goes on with after rotations; empty: itself
  std::optional<UnixMillis> expires;
  VaultKeyState state = VaultKeyState::active;
  UnixMillis created;
  UnixMillis changed;  // of its state
};

struct VaultKeyList {
  std::int64_t version = 0;
  std::vector<VaultKey> keys;  // in the order of their making
};

/// What caps that count by key count: the same for a key and those that it was rotated to.
[[nodiscard]] inline const std::string& counted_as(const VaultKey& key) {
  return key.line.empty() ? key.id : key.line;
}

/// Which keys a change is about; empty fields say nothing. All of them empty means every key.
struct VaultKeyFilter {
  std::string id, run, agent, policy, vendor;
  [[nodiscard]] bool matches(const VaultKey& key) const;
};

class VaultKeys {
 public:
  virtual ~VaultKeys() = default;
  /// False, and nothing written, when the id is taken.
  virtual Task<Result<bool>> add_vault_key(VaultKey key) = 0;
  virtual Task<Result<VaultKeyList>> list_vault_keys() = 0;
  virtual Task<Result<std::int64_t>> vault_keys_version() = 0;
  /// The keys that the filter names and that are not revoked get the state; their ids. One step.
  /// Revoking takes everything below them along.
  virtual Task<Result<std::vector<std::string>>> change_vault_keys(VaultKeyFilter which,
                                                                   VaultKeyState state,
                                                                   UnixMillis now) = 0;
  /// Adds `fresh`, ends the key `old` at `old_ends` at the latest, and puts the keys below `old`
  /// below `fresh`, which has the state of `old`, in one step. False, and nothing written, when
  /// `old` is revoked or unknown, or the new id is taken. Nothing is widened where `fresh` is no
  /// wider than `old`.
  virtual Task<Result<bool>> rotate_vault_key(VaultKey fresh, std::string old,
                                              UnixMillis old_ends) = 0;
  // --- the real keys of vendors; credentials.h
  /// A vendor's real key, sealed; replaces whatever there was.
  virtual Task<Result<>> put_credential(std::string vendor, std::string sealed_base64,
                                        UnixMillis now) = 0;
  /// The current one.
  virtual Task<Result<std::optional<std::string>>> find_credential(std::string vendor) = 0;
  /// All there are, by vendor and version.
  virtual Task<Result<std::vector<Credential>>> list_credentials() = 0;
  /// Puts a pending one beside the current one, in the place of an earlier pending one; its
  /// version, or nothing when the vendor has no current one. It is wiped at `until`.
  virtual Task<Result<std::optional<std::int64_t>>> stage_credential(std::string vendor,
                                                                     std::string sealed_base64,
                                                                     UnixMillis now,
                                                                     UnixMillis until) = 0;
  /// In one step. False, and nothing changed, when the current or the pending version is another
  /// one. What was previous before goes.
  virtual Task<Result<bool>> switch_credential(CredentialSwitch wanted) = 0;
  /// The previous one becomes current and the current one, which must be `from`, previous until the
  /// moment that was the other's; what is pending goes. The version that is current now; nothing,
  /// and nothing changed, when `from` is not current or nothing previous is left at `now`.
  virtual Task<Result<std::optional<std::int64_t>>> roll_back_credential(std::string vendor,
                                                                         std::int64_t from,
                                                                         UnixMillis now) = 0;
  /// Wipes what is pending, when it is this version.
  virtual Task<Result<bool>> drop_credential(std::string vendor, std::int64_t version) = 0;
  /// Wipes what is over at `now`: each is told to one caller, without what was sealed.
  virtual Task<Result<std::vector<Credential>>> wipe_credentials(UnixMillis now) = 0;
  /// Seals everything anew in one step. False, and nothing changed, when these are not all there
  /// are, or one of them is not what it was.
  virtual Task<Result<bool>> reseal_credentials(std::vector<Resealed> all, UnixMillis now) = 0;
};

}  // namespace octroi::ledger
