// octroi/vault/front.h: how requests reach the broker: straight (by path, Host or key), as to a
// proxy (absolute-form), and inside a CONNECT tunnel, which octroi ends itself where the host is a
// vendor's.
//
// Governed  A tunnel to a vendor's host is answered with a certificate that octroi's own authority
//           signs for that host; what comes inside is HTTP/1.1 or HTTP/2, and every request of it
//           is judged for itself, as if it had come alone. The tunnel's host is the only one inside
//           it.
// Others    are refused, or passed on unseen where the configuration says so, tunnels and requests
//           in absolute-form: for who shows a vault key in Proxy-Authorization, to public addresses
//           only, and written down. All of it ends when its key is revoked or expires.
// Keys      A key in Proxy-Authorization (of CONNECT, or of a request in absolute-form) stands in
//           for one that a request does not show itself. Its user name, unless it is "octroi", is
//           the run.
// Told      GET /.well-known/octroi/vault with a vault key: what the key opens, by which hosts, and
//           the authority's certificate, for `octroi run`.
//
// Thread    one per worker, on its loop; snapshots, books and the authority are shared.
// Source    RFC 9110 section 9.3.6 and RFC 9112 section 3.2; issue 6, "Reaching it".
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>

#include "octroi/net/tls_authority.h"
#include "octroi/vault/broker.h"

namespace octroi::vault {

class Front {
 public:
  /// How another host is connected to; the guard is its own business.
  using Dial = std::function<Task<Result<std::unique_ptr<net::Stream>>>(
      net::Loop* loop, std::string host, std::uint16_t port)>;
  /// To public addresses only, whatever the name resolves to.
  [[nodiscard]] static Dial public_dial();

  /// `authority` null: no tunnel is intercepted, and CONNECT to a vendor says why not. `plain` is
  /// how requests in absolute-form go to other hosts; null: to public addresses only.
  Front(net::Loop& loop, Shared& shared, Broker& broker, std::shared_ptr<const Snapshot> snapshot,
        std::shared_ptr<const KeyBook> book, std::shared_ptr<const net::TlsAuthority> authority,
        Dial dial = public_dial(), std::unique_ptr<http::Client> plain = nullptr);
  ~Front();
  Front(const Front&) = delete;
  Front& operator=(const Front&) = delete;

  /// `server` is the exchange's own, and serves what is inside its tunnels.
  Task<void> handle(http::Exchange& exchange, http::Server& server);

  void publish(std::shared_ptr<const Snapshot> snapshot);
  /// Ends what goes to other hosts with a key that opens nothing any more.
  void publish(std::shared_ptr<const KeyBook> book);

 private:
  struct Passage;  // what is under way to another host

  Task<void> connect(http::Exchange& exchange, http::Server& server);
  Task<void> intercept(http::Exchange& exchange, http::Server& server, std::string host, Via via);
  Task<void> tunnel_blindly(http::Exchange& exchange, std::string host, std::uint16_t port,
                            std::optional<ProxyKey> key);
  Task<void> forward_plain(http::Exchange& exchange, std::optional<ProxyKey> key);
  /// Does that for as long as the key opens something; then the exchange and it are cut. An error:
  /// it did not begin.
  Task<Result<>> while_open(http::Exchange& exchange, std::string key_id, Task<void> work);
  Task<void> tell(http::Exchange& exchange);
  /// Writes the row of a tunnel or of its refusal.
  Task<Result<>> write_down(http::Exchange& exchange, const ledger::VaultKey& key, std::string run,
                            std::string where, std::string reason);
  /// The key's id.
  Task<Result<std::string>> admit_other(http::Exchange& exchange, std::string host,
                                        std::uint16_t port, std::string where,
                                        const std::optional<ProxyKey>* key);
  [[nodiscard]] const ledger::VaultKey* signer_of(const Shown& shown) const;
  [[nodiscard]] Result<const ledger::VaultKey*> key_of(const http::Exchange& exchange,
                                                       const Shown& shown) const;
  void count(std::string_view kind);

  net::Loop& loop_;
  Shared& shared_;
  Broker& broker_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::shared_ptr<const KeyBook> book_;
  std::shared_ptr<const net::TlsAuthority> authority_;
  const bool enabled_;
  std::optional<net::LeafCache> leaves_;
  Dial dial_;
  std::unique_ptr<http::Client> plain_;
  std::list<Passage*> passages_;
};

}  // namespace octroi::vault
