// octroi/ledger/approvals.h: the part of the store that keeps what waits for a human: one ticket
// for each exact request of a vault key that its policy lets nobody make alone.
//
// Bound    to the hash of the request and its key: a ticket opens this request and no other.
// Once     take() makes an approved ticket used, in one statement: of two that try at once one gets
//          it. The one that has it may take it again under the same name, so that a retry with the
//          same idempotency key, which is counted once, is also asked for once.
// Back     only whoever took it first gives it back, and only while nobody took it again: an
//          attempt that was sent may stand beside one of the same call that was not.
// Time     whatever is not decided, or not used, until `expires` is over. Nobody's answer means no.
// Kept     for good, or as long as Retention::approvals says after the last of `expires`, `decided`
//          and its use; never while it can be decided or used, nor before it was told as expired.
// Thread   as Store.
// Errors   Errc::unavailable: nothing happened that may be relied upon.
// Source   issue 6, "Approvals".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/result.h"
#include "octroi/ledger/store.h"
#include "octroi/money/money.h"
#include "octroi/task/task.h"

namespace octroi::ledger {

enum class ApprovalState : std::uint8_t { pending, approved, denied, used, expired };
/// "pending", "approved", "denied", "used", "expired".
[[nodiscard]] std::string_view to_string(ApprovalState s);
[[nodiscard]] std::optional<ApprovalState> approval_state_from_string(std::string_view text);

struct Approval {
  std::string id;
  Digest request{};  // of key, operation, path, query and canonical body
  Digest body{};     // SHA-256 of the body alone, as it stands in the audit
  std::string key_id, vendor, operation, method, path, customer, policy, run, agent;
  MicroUsd amount;
  std::string reason;  // why it was asked, for people
  ApprovalState state = ApprovalState::pending;
  UnixMillis asked;
  UnixMillis expires;  // pending: may be decided until then; approved: may be used until then
  std::optional<UnixMillis> decided;
  std::string decided_by;
  std::string used_by;  // the reservation that it let pass
};

/// What became of a question.
struct AskOutcome {
  bool made = false;  // a new ticket; else one that was there
  bool full = false;  // this key has as many open ones as it may: nothing was made
  Approval ticket;
};

struct DecideOutcome {
  bool applied = false;            // false: too late, or decided before; `ticket` says which
  std::optional<Approval> ticket;  // empty: there is no such ticket
};

/// Whether a ticket lets a request pass.
enum class TakeOutcome : std::uint8_t {
  refused,
  taken,  // nobody had it: give it back when nothing was sent
  again,  // an earlier attempt of the same call has taken it, and may have been sent
};

class Approvals {
 public:
  virtual ~Approvals() = default;
  /// The ticket of the same request that `used_by` has used within kUsedFor, or the open one
  /// (pending, approved, or denied and not yet over); else `wanted` is written.
  virtual Task<Result<AskOutcome>> ask_approval(Approval wanted, int most_pending) = 0;
  /// Pending only. An approval may be used until `use_until`.
  virtual Task<Result<DecideOutcome>> decide_approval(std::string id, bool approved, std::string by,
                                                      UnixMillis now, UnixMillis use_until) = 0;
  /// Whether this ticket lets this request of this key pass, now and as `used_by` alone.
  virtual Task<Result<TakeOutcome>> take_approval(std::string id, Digest request,
                                                  std::string used_by, UnixMillis now) = 0;
  /// Nothing was sent by the attempt that has taken it at `taken`: it may be used again. No effect
  /// when somebody else has it, or took it again since.
  virtual Task<Result<>> give_back_approval(std::string id, std::string used_by,
                                            UnixMillis taken) = 0;
  virtual Task<Result<std::optional<Approval>>> find_approval(std::string id) = 0;
  /// Newest first; `state` empty: all.
  virtual Task<Result<std::vector<Approval>>> list_approvals(std::optional<ApprovalState> state,
                                                             int limit) = 0;
  /// Those that time has run out for; each is returned once, whoever asks.
  virtual Task<Result<std::vector<Approval>>> expire_approvals(UnixMillis now, int limit) = 0;
  /// Another one after each change.
  virtual Task<Result<std::int64_t>> approvals_version() = 0;

  /// A retry may take a used ticket again this long: less than idempotency keys are remembered.
  static constexpr Millis kUsedFor = std::chrono::hours(23);
};

}  // namespace octroi::ledger
