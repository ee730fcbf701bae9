// octroi/vault/request.h: a request, read once: the agent's key, the vendor that it is for, and the
// canonical form of everything that is judged. What follows works on this and never looks at the
// bytes that came.
//
// Errors   Errc::no_key, several_keys, unknown_vendor, wrong_vendor, ambiguous, unsupported_body,
//          body_too_large.
// Thread   one exchange.
#pragma once

#include <optional>
#include <string>

#include "octroi/http/server.h"
#include "octroi/vault/keys.h"
#include "octroi/vault/snapshot.h"

namespace octroi::vault {

/// Where a request is addressed, before anything is known of its key.
struct Address {
  const Vendor* vendor = nullptr;  // null: only the key can tell
  std::string path;                // canonical, as the vendor sees it
  /// Where the host is that of several vendors' accounts: these, one of which the key is for.
  std::vector<const Vendor*> among = {};
};
[[nodiscard]] Result<Address> find_vendor(const Snapshot& snapshot, const http::RequestHead& head);

/// The text that the agent shows as its key; it is taken out of the head (and `query`).
struct Shown {
  Secret text;  // what was shown, kept until the look-up is done
  Secret name;  // of Basic credentials
  bool basic = false;
  [[nodiscard]] Result<PresentedKey> read() const;
};
[[nodiscard]] Result<Shown> take_key(http::RequestHead& head, Form& query, const Vendor* vendor);

/// What Proxy-Authorization shows, which is taken out of the head; nothing when it is not there.
struct ProxyKey {
  Shown shown;
  std::string run;  // the user name, where that is neither the key nor "octroi"
};
[[nodiscard]] Result<std::optional<ProxyKey>> take_proxy_key(http::Headers& headers);

/// On what way a request came, where that was not straight.
struct Via {
  std::string host;                     // of the tunnel that it is inside of; empty: none
  std::shared_ptr<const ProxyKey> key;  // that the proxy was shown; null: none
};

/// A host as it is compared: lower case, without port and final dot.
[[nodiscard]] std::string host_of(std::string_view authority);

/// Reads method, query and body as this vendor's packs want them. `path` and `query` are those of
/// before. Consumes the exchange's body.
Task<Result<Input>> read_input(http::Exchange& exchange, const Vendor& vendor, std::string path,
                               Form query, std::uint64_t max_body);

/// The agent's name for its run: X-Agent-Run-Id, or `other`; empty when there is none.
[[nodiscard]] Result<std::string> run_of(const http::Headers& headers, std::string_view other);

}  // namespace octroi::vault
