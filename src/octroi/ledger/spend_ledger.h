// octroi/ledger/spend_ledger.h: what agents spent with their vault keys, counted against caps
// before a call is forwarded, so that no interleaving of calls, processes and crashes exceeds one.
//
//   held --settle--> settled          the vendor said what it cost
//   held --release--> released        the vendor refused, or it was never sent
//   held --mark_unknown--> unknown    nobody knows; the money stays held until somebody finds out
//
// Reserve  is one atomic operation over all its holds: all of them are counted or none is. Each
//          hold counts in one window of one scope; `settled + held + amount <= limit` is the
//          condition, so a call that meets a limit exactly passes. The limit is that of whoever
//          asks now: a policy that is changed keeps what was counted.
// Window   is that of the reservation for good: settling never moves it. The vendor's truth may be
//          more than was held; then the window is over its limit, and closed to others.
// Id       says what is the same call: the caller derives it from the idempotency key, so that a
//          retry finds `replayed` and is counted once. A released call may be tried again under its
//          id and holds anew. After `replay_until` the id is free for a new call (vendors forget
//          their idempotency keys as well); what was open then counts as spent. A retry of an
//          unknown call is under way until the `answer_by` that it brings.
// Clock    the newest window of a scope remembers the latest time that it saw. A call that is more
//          than kClockSkew older is refused. One that is a little late for a window that others
//          have begun, because clocks differ, counts in the new one.
// Amounts  raw integers of the hold's unit, since a scope may count dollars or calls.
// Thread   callable from any loop's thread; resumes on the caller's loop.
// Errors   Errc::unavailable (nothing happened that may be relied upon), and HoldErrc for what
//          could never be counted.
// Source   issue 6 "Money"; architecture 3.6, guarantee 3.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/result.h"
#include "octroi/ledger/store.h"
#include "octroi/money/money.h"
#include "octroi/task/task.h"

namespace octroi::ledger {

enum class HoldErrc : std::uint8_t {
  bad_reservation,  // an id, scope or window that cannot be stored: a fault of the caller
  bad_amount,       // an amount below zero or beyond kMaxSpend
};
ErrorInfo error_info(HoldErrc e);

/// Most that one hold may count: a billion dollars, or as many calls.
inline constexpr std::int64_t kMaxSpend = 1'000'000'000'000'000;
/// How much the clocks of two replicas may differ.
inline constexpr Millis kClockSkew = std::chrono::seconds(5);
/// The end of a window that never ends (a run, a lifetime).
inline constexpr UnixMillis kNoEnd{std::numeric_limits<std::int64_t>::max()};

enum class SpendUnit : std::uint8_t { micro_usd, calls };
[[nodiscard]] std::string_view to_string(SpendUnit u);

/// One thing that a call is counted against.
struct Hold {
  std::string scope;  // what is counted: 1 to 512 bytes, no control characters
  SpendUnit unit = SpendUnit::micro_usd;
  UnixMillis starts;         // the window, which contains the reservation's `now`
  UnixMillis ends = kNoEnd;  // exclusive
  std::int64_t limit = 0;
  std::int64_t amount = 0;  // in `unit`; that of the reservation for micro_usd
  bool returns = true;      // false: a released call stays counted (a brake counts attempts)
  bool operator==(const Hold&) const = default;
};

/// Calls of the same content within a time are one (the `dedupe` of a policy).
struct DedupeClaim {
  Digest content{};  // with its policy and key, so that only the same caller's calls are the same
  UnixMillis until;
};

struct Reservation {
  std::string id;        // 1 to 128 bytes
  Digest fingerprint{};  // of the request: the same id with another one is a mismatch
  MicroUsd amount;       // zero where nothing is spent
  std::vector<Hold> holds;
  std::optional<DedupeClaim> dedupe;
  UnixMillis now;
  // Still `held` after it: whoever held it died; sweep() makes it unknown. A retry under way: until
  // then nobody gives back what it may spend.
  UnixMillis answer_by;
  UnixMillis give_up_at;    // still `unknown` after it: sweep() counts it as spent
  UnixMillis replay_until;  // until then the id stands for this call
  // For lists and reconciliation; nothing is decided by them.
  std::string vendor, operation, policy, key_id, run, object;
};

enum class SpendState : std::uint8_t { held, unknown, settled, released };
[[nodiscard]] std::string_view to_string(SpendState s);
[[nodiscard]] std::optional<SpendState> spend_state_from_string(std::string_view text);

/// A reservation as it is remembered.
struct SpendRecord {
  std::string id;
  Digest fingerprint{};
  SpendState state = SpendState::held;
  MicroUsd amount;           // what was held
  MicroUsd settled;          // what it cost, once it is settled
  bool assumed = false;      // settled at its hold because nobody found out
  std::int64_t attempt = 1;  // how often it was tried under this id, as far as it is known
  UnixMillis created, changed, answer_by, give_up_at, replay_until;
  std::string vendor, operation, policy, key_id, run;
  std::string object;  // the vendor's id of what was made (ch_…, SM…), once it is known
};

/// One window of one scope.
struct SpendUsage {
  std::string scope;
  SpendUnit unit = SpendUnit::micro_usd;
  UnixMillis starts;
  UnixMillis ends;
  std::int64_t held = 0;
  std::int64_t settled = 0;
  [[nodiscard]] std::int64_t total() const { return held + settled; }
};

enum class ReserveState : std::uint8_t {
  applied,          // held; forward it
  replayed,         // the same call was reserved before: `seen` says how it stands; counted once
  over_cap,         // `refused` says which hold, `left` and `resets_at` how much there is
  mismatch,         // the id was used for another request
  duplicate,        // the same content was reserved a moment ago, under `duplicate_of`
  clock_went_back,  // this machine's clock is behind what the ledger has seen
};
[[nodiscard]] std::string_view to_string(ReserveState s);

struct ReserveOutcome {
  ReserveState state = ReserveState::over_cap;
  std::vector<SpendUsage> usage;       // applied: after it, in the order of the holds
  std::optional<std::size_t> refused;  // over_cap, clock_went_back: the index of the hold
  std::int64_t left = 0;               // over_cap: what still fits into that window
  UnixMillis resets_at;                // over_cap: when it ends; kNoEnd: never
  std::string duplicate_of;            // the first one's id
  std::optional<SpendRecord> seen;     // replayed, mismatch
  std::int64_t attempt = 1;            // applied: > 1 when a released call was reserved again
};

/// What a change found.
enum class ChangeState : std::uint8_t {
  applied,
  unchanged,  // it is so already
  refused,    // its state does not allow it (releasing what is settled)
  not_found,
};
struct ChangeOutcome {
  ChangeState state = ChangeState::not_found;
  std::optional<SpendRecord> record;  // as it is now
  std::vector<SpendUsage> usage;      // its windows as they are now (applied)
};

struct SpendFilter {
  std::optional<SpendState> state;
  std::string vendor, policy, key_id, run, object;  // empty: any
  std::optional<UnixMillis> from, to;               // created
  std::string after_id;                             // cursor: what is listed after this one
  int limit = 100;                                  // 1 to 1000
};

struct SweepReport {
  std::int64_t orphaned = 0;  // held → unknown
  std::int64_t assumed = 0;   // unknown → settled at its hold
};

class SpendLedger {
 public:
  virtual ~SpendLedger() = default;

  virtual Task<Result<ReserveOutcome>> reserve(Reservation reservation) = 0;
  /// The vendor's truth, whatever was known before: from held, unknown and released, and again with
  /// another amount (a price that came late). `object` may be empty.
  virtual Task<Result<ChangeOutcome>> settle(std::string id, MicroUsd actual, std::string object,
                                             UnixMillis now) = 0;
  /// The call did not happen. From held and unknown; what is settled stays so.
  virtual Task<Result<ChangeOutcome>> release(std::string id, UnixMillis now) = 0;
  /// Nobody knows. From held only. `object` may be empty.
  virtual Task<Result<ChangeOutcome>> mark_unknown(std::string id, std::string object,
                                                   UnixMillis now) = 0;

  virtual Task<Result<std::optional<SpendRecord>>> find_spend(std::string id) = 0;
  /// The newest record over a vendor's object: what a capture or confirmation was counted as.
  virtual Task<Result<std::optional<SpendRecord>>> find_spend_of(std::string vendor,
                                                                 std::string object) = 0;
  /// In the order of their ids.
  virtual Task<Result<std::vector<SpendRecord>>> list_spends(SpendFilter filter) = 0;
  /// The windows that contain `at`, of the scopes that begin with `prefix`.
  virtual Task<Result<std::vector<SpendUsage>>> usage(std::string prefix, UnixMillis at) = 0;

  /// Held beyond answer_by becomes unknown, unknown beyond give_up_at counts as spent. At most
  /// `limit` of each.
  virtual Task<Result<SweepReport>> sweep(UnixMillis now, int limit) = 0;
  /// Forgets settled and released records whose id is free, and windows that ended, both before
  /// `before`. At most `limit` of each; the number of records.
  virtual Task<Result<std::int64_t>> prune_spends(UnixMillis before, int limit) = 0;
};

/// What a call counts in a window in this state; changes are the differences between two of these.
struct Counted {
  std::int64_t held = 0;
  std::int64_t settled = 0;
};
[[nodiscard]] Counted counted(SpendState state, SpendUnit unit, std::int64_t amount, bool returns,
                              MicroUsd settled);
/// Whether a replay of this one is an attempt of its own, whose time counts from now on.
[[nodiscard]] bool is_tried_again(const SpendRecord& now, const Reservation& r);
void try_again(SpendRecord& now, const Reservation& r);
/// Whether a change applies to a reservation as it stands: applied, unchanged or refused. Every
/// implementation asks.
[[nodiscard]] ChangeState settling(const SpendRecord& now, MicroUsd actual,
                                   std::string_view object);
[[nodiscard]] ChangeState releasing(const SpendRecord& now);
[[nodiscard]] ChangeState doubting(const SpendRecord& now);
/// Refuses what could never be counted. Every adapter asks first.
[[nodiscard]] Result<> check_reservation(const Reservation& r);
[[nodiscard]] Result<> check_settlement(MicroUsd actual, std::string_view object);
/// Windows are always locked in the order of their scopes, whatever the order of the holds.
[[nodiscard]] std::vector<std::size_t> in_scope_order(const std::vector<Hold>& holds);
/// What a call is called once its id stands for a new one.
[[nodiscard]] std::string past_spend_id(std::string_view id, UnixMillis created);
[[nodiscard]] SpendRecord new_spend_record(const Reservation& r, UnixMillis created,
                                           std::int64_t attempt);
[[nodiscard]] bool matches(const SpendFilter& filter, const SpendRecord& record);

}  // namespace octroi::ledger
