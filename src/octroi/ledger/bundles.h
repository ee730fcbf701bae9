// octroi/ledger/bundles.h: L402 tokens that carry a count: how many units each opens in all, and
// how many of them were used.
//
// A bundle is opened by the first sight of its paid token, in one step with the claim of its
// payment hash, and debited before a request is relayed. All copies of a token that were attenuated
// from it share its id, and so its count; a copy may be bounded further (`bound`).
//
// Outcomes   one of applied, not_found, exhausted; never a silent nothing.
// Errors     Errc::unavailable; Errc::bad_amount for a number of units that cannot be counted.
// Thread     as Store.
// Source     issue 5, "Metered L402 tokens".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/ledger/store.h"

namespace octroi::ledger {

/// Units that a token may carry.
inline constexpr std::int64_t kMostUnits = 10'000'000'000'000;
/// Rows of one list.
inline constexpr int kMostBundles = 1000;

struct Bundle {
  TokenId id;
  PaymentHash hash;  // of the payment
  std::string service;
  std::string unit;
  std::int64_t granted = 0;
  std::int64_t used = 0;
  Msat sold;  // what was paid for it
  UnixMillis opened;
  UnixMillis last_used;
  UnixMillis keep_until;
  [[nodiscard]] std::int64_t left() const { return granted - used; }
};

enum class BundleOutcome : std::uint8_t {
  applied,
  not_found,  // never opened, or forgotten
  exhausted,  // less is left (or was used) than was asked for: nothing changed
};
[[nodiscard]] std::string_view to_string(BundleOutcome o);

struct BundleResult {
  BundleOutcome outcome = BundleOutcome::not_found;
  std::optional<Bundle> bundle = std::nullopt;  // as it is after
};

struct OpenBundle {
  ConsumeRequest proof;  // with its token_id
  std::string unit;
  std::int64_t granted = 0;
  UnixMillis keep_until;
};
struct OpenBundleOutcome {
  ConsumeOutcome proof;
  std::optional<Bundle> bundle;  // for its holder
};

struct BundleFilter {
  std::string service;            // empty: any
  std::optional<TokenId> before;  // cursor: those opened before it
  int limit = 50;                 // 1…kMostBundles
};

struct BundleTotals {
  std::string service;
  std::string unit;
  std::int64_t bundles = 0;
  std::int64_t granted = 0;
  std::int64_t used = 0;
  Msat sold;
};

/// Errc::bad_amount unless that many can be counted.
[[nodiscard]] Result<> check_units(std::int64_t units);

class BundleStore {
 public:
  virtual ~BundleStore() = default;
  /// Claims the payment's hash as Store::consume does and opens the token's bundle, in one step. A
  /// token that was seen before gets the bundle that it has.
  virtual Task<Result<OpenBundleOutcome>> open_bundle(OpenBundle request) = 0;
  virtual Task<Result<std::optional<Bundle>>> find_bundle(TokenId id) = 0;
  /// Takes `units` if they are left, and no more than `bound` are used in all then.
  virtual Task<Result<BundleResult>> debit_bundle(TokenId id, std::int64_t units,
                                                  std::int64_t bound, UnixMillis now) = 0;
  /// What was debited and not delivered.
  virtual Task<Result<BundleResult>> return_units(TokenId id, std::int64_t units,
                                                  UnixMillis now) = 0;
  /// Newest first.
  virtual Task<Result<std::vector<Bundle>>> list_bundles(BundleFilter filter) = 0;
  virtual Task<Result<std::vector<BundleTotals>>> bundle_totals() = 0;
};

}  // namespace octroi::ledger
