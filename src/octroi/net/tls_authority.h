// octroi/net/tls_authority.h: a certificate authority of our own, for the names that a proxy speaks
// for: it signs a certificate for a host at the moment somebody asks for it.
//
// Keys     ECDSA P-256 throughout; every leaf has a key of its own, which never leaves its context.
// Leaves   one DNS name or address each, server authentication only, short-lived; they begin an
//          hour ago, because clocks differ. Authority and leaves carry what strict verifiers ask
//          for (key identifiers, key usage, basic constraints with a path of none).
// Errors   net::Errc::tls_certificate.   Thread: an Authority is immutable; LeafCache is a loop's.
// Source   RFC 5280 sections 4.1 and 4.2; RFC 6125 section 6.4.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "octroi/base/clock.h"
#include "octroi/base/result.h"
#include "octroi/base/secret.h"
#include "octroi/net/tls.h"

namespace octroi::net {

class TlsAuthority {
 public:
  virtual ~TlsAuthority() = default;

  /// A new one, which signs itself. `name` is what people see in their list of authorities.
  struct Made {
    std::string certificate_pem;
    Secret key_pem;
  };
  [[nodiscard]] static Result<Made> make(std::string_view name, UnixMillis now, Millis valid_for);
  [[nodiscard]] static Result<std::shared_ptr<const TlsAuthority>> open(
      std::string_view certificate_pem, const Secret& key_pem);

  /// What answers as `host` for so long. `alpn` in order of preference.
  [[nodiscard]] virtual Result<std::shared_ptr<const TlsServerContext>> issue(
      std::string_view host, UnixMillis now, Millis valid_for,
      std::vector<std::string> alpn) const = 0;
  [[nodiscard]] virtual const std::string& certificate_pem() const = 0;
  [[nodiscard]] virtual UnixMillis valid_until() const = 0;
};

/// Leaves by host, at most `most` of them: the one that was not asked for the longest goes first,
/// and each is made anew when half of its life is over.
class LeafCache {
 public:
  LeafCache(std::shared_ptr<const TlsAuthority> authority, std::size_t most, Millis life,
            std::vector<std::string> alpn)
      : authority_(std::move(authority)), most_(most), life_(life), alpn_(std::move(alpn)) {}

  [[nodiscard]] Result<std::shared_ptr<const TlsServerContext>> context_for(std::string_view host,
                                                                            UnixMillis now);
  [[nodiscard]] std::size_t size() const { return leaves_.size(); }
  [[nodiscard]] std::uint64_t minted() const { return minted_; }

 private:
  struct Leaf {
    std::string host;
    std::shared_ptr<const TlsServerContext> context;
    UnixMillis made;
  };
  std::shared_ptr<const TlsAuthority> authority_;
  std::size_t most_;
  Millis life_;
  std::vector<std::string> alpn_;
  std::list<Leaf> leaves_;                                                   // newest use first
  std::unordered_map<std::string_view, std::list<Leaf>::iterator> by_host_;  // views into leaves_
  std::uint64_t minted_ = 0;
};

}  // namespace octroi::net
