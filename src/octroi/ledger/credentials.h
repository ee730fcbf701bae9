// octroi/ledger/credentials.h: the real keys of vendors, sealed, and how one takes the place of
// another: it is staged beside the one in use, tried, and switched to in one step; the one before
// stays for an overlap, so that there is a way back, and is wiped then.
//
// A version is never the same twice in a store. Of a vendor there is at most one of each state.
// Every change raises the version of the list of vault keys (vault_keys.h), which is how servers
// notice what another process changed.
//
// Thread: plain data.   Source: issue 6, "Secrets"; architecture 3.5.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/clock.h"

namespace octroi::ledger {

enum class CredentialState : std::uint8_t {
  current,   // calls are made with it
  pending,   // staged, and not used so far
  previous,  // calls were made with it until lately
};
/// "current", "pending", "previous".
[[nodiscard]] std::string_view to_string(CredentialState s);
[[nodiscard]] std::optional<CredentialState> credential_state_from_string(std::string_view text);

struct Credential {
  std::string vendor;
  std::int64_t version = 0;
  CredentialState state = CredentialState::current;
  std::string sealed;                  // base64
  std::string account;                 // whose it is, as the vendor said; empty: it did not
  UnixMillis since;                    // in use; of a pending one: staged
  std::optional<UnixMillis> until;     // when it is wiped; of the current one: never
  std::optional<UnixMillis> verified;  // when the vendor took it
};

/// The current version `from` gives way to the pending one `to`.
struct CredentialSwitch {
  std::string vendor;
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::string account;
  std::optional<UnixMillis> verified;
  UnixMillis now;
  std::optional<UnixMillis> keep_until;  // the one before; empty: it is wiped in the same step
};

/// A credential under another key of sealing. Version 0: one that is not there yet, as current.
struct Resealed {
  std::string vendor;
  std::int64_t version = 0;
  std::string before;  // as it was sealed
  std::string after;
};

}  // namespace octroi::ledger
