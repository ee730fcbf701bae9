// octroi/vault/late_prices.h: what a vendor did and had no price for yet is asked for again, until
// it has one. The list of what is due is the ledger's own (unknown, with the vendor's name of what
// was made), so it outlives a restart; how often it was asked does not, and needs not.
//
// Backoff  from kFirst, twice as long each time, up to kLongest. It gives up with the ledger: what
//          has no price when the hold's own time ends counts as spent at what was held.
// Thread   one loop.
// Source   issue 6, "Money": late prices.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "octroi/base/metrics.h"
#include "octroi/ledger/call_book.h"
#include "octroi/ledger/spend_ledger.h"
#include "octroi/vault/clients.h"
#include "octroi/vault/questions.h"
#include "octroi/vault/snapshot.h"

namespace octroi::vault {

class LatePrices {
 public:
  static constexpr Millis kFirst{2'000};
  static constexpr Millis kLongest{15 * 60'000};

  /// All outlive it.
  LatePrices(ledger::SpendLedger& spends, ledger::CallBook& calls, VendorClients& clients,
             MetricRegistry& metrics, Clock& clock)
      : spends_(spends), calls_(calls), clients_(clients), metrics_(metrics), clock_(clock) {}

  /// Asks for what is due; an error of the ledger. `snapshot` is today's.
  Task<Result<>> look(std::shared_ptr<const Snapshot> snapshot);
  [[nodiscard]] std::size_t waiting() const { return due_.size(); }

 private:
  struct Due {
    UnixMillis at;
    Millis pause{};
  };
  Task<Result<>> look_at(const Vendor* vendor, std::shared_ptr<const Snapshot> snapshot,
                         std::map<std::string, Due>* seen);
  Task<bool> settle(const Vendor* vendor, const ledger::SpendRecord* record,
                    const Snapshot* snapshot);

  ledger::SpendLedger& spends_;
  ledger::CallBook& calls_;
  VendorClients& clients_;
  MetricRegistry& metrics_;
  Clock& clock_;
  std::map<std::string, Due> due_;
};

/// The change and the row with which the vendor's word about a record is written down. Every
/// replica asks; the row is of the one whose change was applied. Used by LatePrices and Reconciler.
struct Correction {
  ledger::SpendChange change;
  audit::Event row;
};
[[nodiscard]] Correction correction_of(const Vendor& vendor, const ledger::SpendRecord& record,
                                       std::optional<MicroUsd> spent, std::string object,
                                       std::string_view reason, UnixMillis now);
/// In dollars, as far as the rates know.
[[nodiscard]] std::optional<MicroUsd> dollars_of(const VendorItem& item, const Snapshot& snapshot,
                                                 UnixMillis now);

}  // namespace octroi::vault
