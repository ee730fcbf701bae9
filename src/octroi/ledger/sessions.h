// octroi/ledger/sessions.h: the part of the store that keeps prepaid sessions: what was deposited,
// what was spent, and what is given back.
//
//   open ──debit, give_back, top_up──▶ open ──close──▶ closed
//   refund:  due ──claim──▶ sending ──▶ succeeded | failed ──retry──▶ due      nothing left:
//   skipped
//
// A balance is deposit − spent and never negative. Money is debited before the upstream sees the
// request and given back when nothing was delivered for it, so a crash between the two costs the
// client one unit and never the seller a response. A refund is written down before it is sent,
// claimed by one process, and sent once: what became of an attempt is asked of the node by the hash
// of the return invoice.
//
// Each operation is one transaction, atomic over threads, processes and replicas; the caller goes
// on once it is durable. Nothing is ever silent: every outcome has a name.
//
// A proof of a session is claimed by the same rule as Store::consume (consumption.h). A session's
// credential replays to the same bytes without an Idempotency-Key: the caller puts the hex of
// `payload` into ConsumeRequest::idempotency_key.
//
// Thread   as Store.
// Errors   Errc::unavailable: nothing happened that may be relied upon. Errc::bad_amount: a caller
//          passed an amount of zero, a first debit over the deposit, or a refund's end that is
//          none.
// Source   Lightning session, "Verification", "Refund", "Idempotency"; architecture 3.6.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/ids.h"
#include "octroi/base/result.h"
#include "octroi/ledger/store.h"
#include "octroi/money/money.h"
#include "octroi/task/task.h"

namespace octroi::ledger {

enum class SessionState : std::uint8_t { open, closed };
[[nodiscard]] std::string_view to_string(SessionState s);
[[nodiscard]] std::optional<SessionState> session_state_from_string(std::string_view text);

/// Who ended it.
enum class CloseReason : std::uint8_t { none, client, idle, operator_ };
[[nodiscard]] std::string_view to_string(CloseReason r);
[[nodiscard]] std::optional<CloseReason> close_reason_from_string(std::string_view text);

enum class RefundStage : std::uint8_t {
  none,       // the session is open
  skipped,    // nothing was left
  due,        // written down, nobody has sent it
  sending,    // claimed by one process; the node may know it
  succeeded,  // the node paid it
  failed,     // the node reported that it did not
};
[[nodiscard]] std::string_view to_string(RefundStage s);
[[nodiscard]] std::optional<RefundStage> refund_stage_from_string(std::string_view text);

struct Refund {
  RefundStage stage = RefundStage::none;
  Msat amount;    // whole satoshis
  Msat rounding;  // what was left below one satoshi; ours
  Msat fee;       // paid by us, once succeeded
  int attempts = 0;
  UnixMillis updated;
  std::string detail;  // why it failed; for the operator, no secret in it
};

struct Session {
  PaymentHash id;  // of the first deposit
  std::string service;
  std::string return_invoice;  // BOLT11 without amount
  PaymentHash return_hash;     // unique over all sessions
  Msat deposit;                // all deposits together
  Msat spent;
  UnixMillis opened;
  UnixMillis last_used;
  Millis idle_timeout{0};
  SessionState state = SessionState::open;
  CloseReason reason = CloseReason::none;
  std::optional<UnixMillis> closed;
  Refund refund;

  [[nodiscard]] Msat balance() const;  // deposit − spent
};

/// The most rows of one answer.
inline constexpr int kMostSessions = 1000;

/// What came of an operation on a session.
enum class SessionOutcome : std::uint8_t {
  applied,
  not_found,     // no such session of this service
  closed,        // it has ended
  insufficient,  // the balance is smaller than what was asked
  replayed,      // it had happened already; nothing was changed
};
[[nodiscard]] std::string_view to_string(SessionOutcome o);

/// The outcome with the session as it is after it; no session where there is none.
struct SessionResult {
  SessionOutcome outcome = SessionOutcome::not_found;
  std::optional<Session> session;
};

struct OpenSession {
  ConsumeRequest
      proof;         // the deposit's; its hash becomes the session's id, its service the session's
  Msat deposit;      // positive
  Msat first_debit;  // for the request that opens it; zero: none. At most the deposit
  std::string return_invoice;
  PaymentHash return_hash;
  Millis idle_timeout{0};
};
struct OpenOutcome {
  ConsumeOutcome proof;  // `fresh`: opened by this call, debited
  /// Another session has or had that return invoice, or it pays the deposit's own hash: nothing
  /// happened, and `proof` says nothing.
  bool return_invoice_taken = false;
  std::optional<Session> session;  // when fresh, replay, pending or unfinished
};

struct TopUp {
  ConsumeRequest proof;  // the further deposit's
  PaymentHash session;
  Msat amount;  // positive
};
/// `applied`: added. `not_found` (no such session of the proof's service), `closed`: nothing was
/// consumed. `replayed`: the proof is not fresh and nothing was added; `proof` says why (also
/// `spent` by another credential, or `unknown_hash`: then there is no session).
struct TopUpOutcome {
  SessionOutcome outcome = SessionOutcome::not_found;
  ConsumeOutcome proof;  // meaningful when applied or replayed
  std::optional<Session> session;
};

struct CloseSession {
  PaymentHash session;
  std::string service;  // empty: of any (the operator's)
  CloseReason reason = CloseReason::client;
  UnixMillis now;
  /// The challenge that the close was shown with: claimed with it, without settling anything.
  std::optional<ConsumeRequest> proof;
  bool only_if_idle = false;  // the reaper's: `replayed` when it was used in the meantime
};
/// `applied`: closed by this call; the refund is `due` or `skipped`.
/// With a proof: `replayed` when it is not fresh, and nothing was changed; `proof` says why, and
/// the session (not for `spent` and `unknown_hash`) how the close ended. `closed`: the proof is
/// fresh, but the session had ended before by another one, the reaper or the operator; nothing was
/// claimed. Without a proof: `replayed` when it had ended before, or is not idle; the session
/// tells.
struct CloseOutcome {
  SessionOutcome outcome = SessionOutcome::not_found;
  ConsumeOutcome proof;  // meaningful when there was one, and the outcome is applied or replayed
  std::optional<Session> session;
};

struct SessionFilter {
  std::string service;  // empty: any
  std::optional<SessionState> state;
  std::optional<RefundStage> refund;
  std::optional<PaymentHash> before;  // cursor: sessions opened before this one (unknown: none)
  int limit = 50;                     // 1…1000
};

/// Sums over all sessions that were ever opened, those that were pruned included: deposits = spent
/// + refunded + rounding + held back in open balances and refunds that are not paid.
struct SessionTotals {
  Msat deposits;
  Msat spent;
  Msat refunded;
  Msat refund_fees;
  Msat rounding;
  Msat open_balances;
  Msat unpaid_refunds;
};

class SessionStore {
 public:
  virtual ~SessionStore() = default;

  /// Claims the deposit's hash and opens the session, or tells what the proof got before (as
  /// Store::consume). finish_consume() keeps the answer.
  virtual Task<Result<OpenOutcome>> open_session(OpenSession request) = 0;
  virtual Task<Result<std::optional<Session>>> find_session(PaymentHash id) = 0;
  /// Takes `amount` (positive) from the balance, whole or not at all, and marks the session used.
  /// `insufficient` changes nothing.
  virtual Task<Result<SessionResult>> debit_session(PaymentHash id, std::string service,
                                                    Msat amount, UnixMillis now) = 0;
  /// Gives back part of what this process debited and did not deliver; `closed` when the session
  /// has ended meanwhile: then it stays spent. `insufficient`: more than was ever spent; nothing
  /// was changed.
  virtual Task<Result<SessionResult>> give_back(PaymentHash id, Msat amount, UnixMillis now) = 0;
  /// Claims the deposit's hash (once over open and top-up of any session) and adds it.
  virtual Task<Result<TopUpOutcome>> top_up_session(TopUp request) = 0;
  /// Ends the session and writes down the refund, before anything is sent.
  virtual Task<Result<CloseOutcome>> close_session(CloseSession request) = 0;

  /// due → sending, by one caller only; the session when it was this one.
  virtual Task<Result<std::optional<Session>>> claim_refund(PaymentHash id, UnixMillis now) = 0;
  /// sending → succeeded | failed. `replayed` when it was not `sending` any more. What the node
  /// paid is paid: `succeeded` is also taken when it was written down as failed or due meanwhile.
  virtual Task<Result<SessionOutcome>> record_refund(PaymentHash id, RefundStage stage, Msat fee,
                                                     std::string detail, UnixMillis now) = 0;
  /// failed → due, for the operator, after the node said that the attempt failed. `replayed`: the
  /// refund is not `failed`.
  virtual Task<Result<SessionOutcome>> retry_refund(PaymentHash id, UnixMillis now) = 0;
  /// Refunds that are due, and those that were being sent by a process that is gone (or, on a
  /// shared database, for longer than `stale`): their outcome is to be asked of the node.
  virtual Task<Result<std::vector<Session>>> unfinished_refunds(UnixMillis now, Millis stale) = 0;

  /// Open sessions whose idle time is over, oldest use first.
  virtual Task<Result<std::vector<Session>>> idle_sessions(UnixMillis now, int limit) = 0;
  virtual Task<Result<std::vector<Session>>> list_sessions(SessionFilter filter) = 0;
  virtual Task<Result<SessionTotals>> session_totals() = 0;
};

// --- for the stores: the rules that do not depend on where the rows are -------------------------

/// Errc::bad_amount unless it can be booked.
[[nodiscard]] Result<> check_booking(Msat amount);
[[nodiscard]] Result<> check_booking(const OpenSession& request);
/// Errc::bad_amount unless it is succeeded or failed.
[[nodiscard]] Result<> check_refund_end(RefundStage stage);
/// Whether a refund may go from `from` to its end.
[[nodiscard]] bool may_end(RefundStage from, RefundStage end);
/// Whether nothing can become of it any more: paid, or nothing to pay. A failed one can be retried.
[[nodiscard]] bool refund_is_over(RefundStage stage);
/// Whether a proof in that state was shown by the one who used it, who may see the session.
[[nodiscard]] bool tells_the_holder(ConsumeState state);

}  // namespace octroi::ledger
