// octroi/vault/tokens.h: the access token of a vendor whose credential is exchanged for one: minted
// when it is first needed, kept in memory until shortly before it ends, and minted anew when the
// vendor says that it is bad.
//
// One      who needs a token while another call of the same credential mints one waits for it, on
//          whatever thread. What fails is told to all who waited, and is not asked for again for a
//          moment.
// Secret   a token is one: it is in no log and in no message, and answers are searched for it like
//          for the real key, also for those before it that have not ended yet.
// Lives    as long as a snapshot knows its credential. Never on disk.
// Errors   as oauth.h.
// Thread   any.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/random.h"
#include "octroi/base/secret.h"
#include "octroi/task/task.h"
#include "octroi/vault/oauth.h"

namespace octroi::vault {

class VendorClients;
struct Vendor;

struct Token {
  Secret text;
  std::uint64_t number = 0;  // of its credential, from 1
  UnixMillis minted, renew_at, ends;
};
using TokenPtr = std::shared_ptr<const Token>;

class TokenCell {
 public:
  /// The same one for the same credential, as long as anybody holds it.
  [[nodiscard]] static std::shared_ptr<TokenCell> of(const std::string& identity);

  /// The token that can be used now, or whose turn it is to mint one.
  struct Look {
    TokenPtr token;
    std::optional<Error> failed;  // a moment ago
    bool mint = false;            // the caller's turn: it must call end() in any case
    std::uint64_t rounds = 0;     // mints that have ended by now
  };
  /// `after`: a token with this number, or an earlier one, will not do. `since`: the rounds that
  /// had ended when the caller began to wait; what came out of a later one is its own.
  [[nodiscard]] Look look(UnixMillis now, std::uint64_t after, std::optional<std::uint64_t> since);
  void end(Result<MintedToken> minted, UnixMillis now);

  /// A 401 that does not say why: a token of some age is not used again.
  void doubt(std::uint64_t number, UnixMillis now);
  /// Changes when known() does.
  [[nodiscard]] std::uint64_t version() const;
  /// Tokens that may still open something.
  [[nodiscard]] std::vector<TokenPtr> known(UnixMillis now) const;

 private:
  [[nodiscard]] bool failed_lately(UnixMillis now) const;

  mutable std::mutex mutex_;
  TokenPtr current_;
  std::vector<TokenPtr> before_;
  bool doubted_ = false;
  bool minting_ = false;
  std::uint64_t rounds_ = 0;
  std::uint64_t numbers_ = 0;
  std::optional<Error> failed_;
  UnixMillis failed_at_;
};

/// The token to show, minted if need be. Waits ten seconds for the token endpoint at most.
/// REQUIRES vendor->tokens.
Task<Result<TokenPtr>> token_for(VendorClients* clients, const Vendor* vendor, Clock* clock,
                                 Random* random, std::uint64_t after = 0);

}  // namespace octroi::vault
