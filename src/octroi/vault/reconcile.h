// octroi/vault/reconcile.h: the ledger compared with what vendors say: every hold without an
// outcome finds one, and every settled call is what the vendor shows.
//
//   held, unknown   the vendor shows it          → settled at the vendor's amount
//                   shows it as failed           → released
//                   has no price for it yet      → kept
//                   does not show it             → kept for `grace`, then released, if the list
//                                                  covers its time; else counted by the sweep
//   settled         shows another amount         → settled at that
//   assumed         (nobody had found out)       → as if it were unknown
//   released        shows it all the same        → settled
//
// A call that made several things (a batch) is all of them: while only some are shown it is kept;
// after `grace` it is settled at those if it was open, and told as missing if it was settled.
//
// A vendor that has no list is told as such (`unlisted`), and is not complete while a call of it is
// open.
//
// Calls under way are left alone, unless the vendor shows them; a retry of an unknown one is under
// way too, and `grace` is of the last try. Each change and its row of the
// audit
// ("call.reconciled") are one commit; running it again, or twice at once, changes nothing more.
// Thread   one loop; the ledger may be used by others meanwhile.
// Source   issue 6, "Money".
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "octroi/ledger/call_book.h"
#include "octroi/ledger/spend_ledger.h"
#include "octroi/vault/clients.h"
#include "octroi/vault/questions.h"
#include "octroi/vault/snapshot.h"

namespace octroi::vault {

inline constexpr std::string_view kCallReconciled = "call.reconciled";

struct ReconcileRules {
  std::string vendor;  // empty: every one
  UnixMillis since;    // calls before it are looked at only when they are open
  Millis grace{15 * 60'000};
  bool open_only = false;  // nothing that has an outcome is compared
  bool dry_run = false;    // say what would be done
};

enum class Reconciled : std::uint8_t {
  same,       // the vendor shows what the ledger says
  settled,    // it was open, and the vendor shows it
  corrected,  // the ledger had another amount
  released,   // it did not happen
  waiting,    // the vendor has no price yet
  in_flight,  // it is being made
  kept,       // nobody knows yet
  missing,    // the ledger counts it, and the vendor does not show it: for a human
};
[[nodiscard]] std::string_view to_string(Reconciled r);

struct ReconciledCall {
  ledger::SpendRecord record;      // as it was
  std::optional<MicroUsd> vendor;  // what the vendor says
  std::string object;              // and of what
  Reconciled what = Reconciled::same;
  std::string note;
};

struct VendorReport {
  std::string vendor;
  UnixMillis from, to;
  bool complete = true;  // the lists were read to their ends
  std::string error;     // why not
  std::string unlisted;  // why this vendor has no list at all: its calls cannot be compared
  std::vector<ReconciledCall> calls;
  std::int64_t others = 0;  // what the lists show and no call of ours made
  MicroUsd ledger;          // settled, as it is afterwards
  MicroUsd held;            // still held afterwards
  MicroUsd shown;           // of our calls, by the vendor
};

class Reconciler {
 public:
  /// All outlive it.
  Reconciler(ledger::SpendLedger& spends, ledger::CallBook& calls, VendorClients& clients,
             Clock& clock, std::shared_ptr<const Snapshot> snapshot);

  /// An error of the ledger; what a vendor does not answer is in its report.
  Task<Result<std::vector<VendorReport>>> run(ReconcileRules rules);

 private:
  struct Shown;
  Task<Result<VendorReport>> run_for(const Vendor* vendor, const ReconcileRules* rules);
  struct Records;
  Task<Result<Records>> records_of(const Vendor* vendor, const ReconcileRules* rules);
  Task<Result<>> add_records(ledger::SpendFilter filter, Records* to);
  Task<void> read_lists(const Vendor* vendor,
                        const std::vector<const ledger::SpendRecord*>* records,
                        VendorReport* report, Shown* shown);
  Task<Result<>> read_list(const Vendor* vendor, const VendorList* list, Shown* shown);
  [[nodiscard]] static bool covers(const Vendor& vendor, const ledger::SpendRecord& record,
                                   const Shown& shown);
  [[nodiscard]] ReconciledCall judge(const Vendor& vendor, const ledger::SpendRecord& record,
                                     const Shown& shown, const ReconcileRules& rules,
                                     UnixMillis now) const;
  Task<Result<>> apply(const Vendor* vendor, ReconciledCall* call);

  ledger::SpendLedger& spends_;
  ledger::CallBook& calls_;
  VendorClients& clients_;
  Clock& clock_;
  const std::shared_ptr<const Snapshot> snapshot_;
};

/// How long a call of this vendor may be under way: beyond it, its process died.
[[nodiscard]] Millis answer_time(const Vendor& vendor);

/// {"vendors":[{"vendor","from","to","complete","unlisted","ledger","held","shown","others",
/// "calls":[…]}]};
/// calls that are the same are left out unless `all`.
[[nodiscard]] std::string to_json(const std::vector<VendorReport>& reports, bool all);

}  // namespace octroi::vault
