// octroi/ledger/allowances.h: what the holders of tokens have bought ahead, for the reference price
// server: a bundle of money a token, drawn down by what its requests cost.
//
// A request sets its estimate aside (hold) and is settled once by the id of its report. Each of
// these is one statement or one transaction, right under READ COMMITTED with other processes at
// work.
//
//   left = funds - spent - held, never negative
//
// Cost     beyond what is left is the seller's: a bundle never owes.
// Errors   ledger::Errc::unavailable, ledger::Errc::bad_amount.  Thread  as Store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/money/money.h"
#include "octroi/task/task.h"

namespace octroi::ledger {

struct Allowance {
  TokenId token;
  std::string service;
  std::string model;
  Msat funds;
  Msat spent;
  Msat held;
  UnixMillis created;
  std::optional<UnixMillis> first_used;  // empty: perhaps never paid
  [[nodiscard]] Msat left() const;
};

struct SettledAllowance {
  bool applied = false;  // false: this report was settled before, or there is no such bundle
  Msat debited;
  std::optional<Allowance> allowance;
};

/// Errc::bad_amount for nothing.
[[nodiscard]] Result<> check_allowance(Msat funds);
/// Lets `held` go and takes `cost`, or what is left of the funds beside what others hold. What was
/// taken.
[[nodiscard]] Result<Msat> settle(Allowance& allowance, Msat held, Msat cost);

class Allowances {
 public:
  virtual ~Allowances() = default;
  /// Once a token; false: it has one, which stays as it is.
  virtual Task<Result<bool>> book_allowance(TokenId token, std::string service, std::string model,
                                            Msat funds, UnixMillis now) = 0;
  virtual Task<Result<std::optional<Allowance>>> find_allowance(TokenId token) = 0;
  /// Sets `amount` aside if that much is left; the bundle as it is then, empty: nothing was done.
  virtual Task<Result<std::optional<Allowance>>> hold_allowance(TokenId token, Msat amount,
                                                                UnixMillis now) = 0;
  /// Lets `held` go and debits `cost`, once for each id of a report.
  virtual Task<Result<SettledAllowance>> settle_allowance(std::string report, TokenId token,
                                                          Msat held, Msat cost, UnixMillis now) = 0;
  /// Bundles that were never used and made before that; report ids settled before that. At most
  /// `limit` of each.
  virtual Task<Result<std::int64_t>> prune_allowances(UnixMillis unused_before,
                                                      UnixMillis settled_before, int limit) = 0;
};

}  // namespace octroi::ledger
