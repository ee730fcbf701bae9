// octroi/ledger/spend_journal.h: the port behind which the wallet remembers what it spends, before
// it spends it.
//
//   reserved → submitted → settled | failed | unknown
//
// One journal a profile, shared by every process of it: the limits are checked and the money is
// held in one transaction, so two processes cannot both pass. `unknown` keeps its money held until
// the node tells what became of the payment. Thread   one at a time; calls block for a file write.
// Errors   SpendErrc; a journal that cannot be written refuses the payment.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/money/money.h"

namespace octroi::ledger {

enum class SpendErrc : std::uint8_t {
  over_limit,    // a limit would be exceeded; the message says which, and what is left
  already_seen,  // this invoice was paid, or its outcome is not known
  no_entry,      // advance() of a hash that was never reserved
  unavailable,   // the journal cannot be read or written
};
ErrorInfo error_info(SpendErrc e);

struct SpendLimits {
  Msat per_payment = Msat::from_raw_unchecked(1'000'000);  // 1000 sat
  std::optional<Msat> per_minute =
      Msat::from_raw_unchecked(10'000'000);                            // rolling; empty: no limit
  std::optional<Msat> per_day = Msat::from_raw_unchecked(50'000'000);  // rolling 24 h
  Msat max_fee = Msat::from_raw_unchecked(10'000);                     // routing, a payment
};

enum class SpendStage : std::uint8_t { reserved, submitted, settled, failed, unknown };
[[nodiscard]] std::string_view to_string(SpendStage s);

/// Who has it paid, as far as the payer was told.
struct Spender {
  std::string run;
  std::string agent;
  std::string name;
  bool operator==(const Spender&) const = default;
};

struct Spend {
  PaymentHash hash;
  std::string host;    // of the service; empty for a bare invoice
  std::string scheme;  // "l402", "payment", "invoice"
  Msat amount;
  Msat fee_limit;
  UnixMillis when;
  Spender by = {};
};
struct SpendEntry {
  Spend spend;
  SpendStage stage = SpendStage::reserved;
  Msat fee;
  Msat refunded = {};  // by the payee, later
};

class SpendJournal {
 public:
  virtual ~SpendJournal() = default;
  /// Holds amount and fee limit under every limit, or refuses. A hash whose payment failed may be
  /// reserved again.
  virtual Result<> reserve(const Spend& spend, const SpendLimits& limits) = 0;
  /// A settled entry never changes again.
  virtual Result<> advance(const PaymentHash& hash, SpendStage stage, Msat fee) = 0;
  virtual Result<std::optional<SpendEntry>> find(const PaymentHash& hash) = 0;
  /// What came back of a settled payment (the rest of a session's deposit). For the books only: it
  /// was spent when it was spent, and no limit rises. no_entry when nothing was paid under the
  /// hash.
  virtual Result<> note_refund(const PaymentHash& hash, Msat amount, UnixMillis when) = 0;
  /// Reserved, submitted and unknown ones, oldest first.
  virtual Result<std::vector<SpendEntry>> open_entries() = 0;
};

}  // namespace octroi::ledger
