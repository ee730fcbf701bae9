// octroi/policy/decide.h: whether a policy lets a call pass, and what it is then counted against.
//
// decide() is the whole judgement but for two things that need the ledger: whether the caps still
// have room, and whether the same was done a moment ago. For these it says what to reserve.
//
//   allow    reserve `holds` (ledger::SpendLedger), and forward if they are applied
//   approve  the same once a human has agreed to exactly this request
//   lookup   ask the vendor for the amount or customer, fill the Call, set looked_up, ask again
//   deny     refuse; `reason` is stable, `message` is for the agent
//
// Shadow   a policy in shadow mode answers allow, with what it would have said in `shadow`. Its
//          holds count under scopes of their own, without a limit; after_reserve() says which cap
//          would have refused. What would have been refused before that is not counted.
// Thread   pure.
// Source   issue 6 "Policy", "Answers".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/ledger/spend_ledger.h"
#include "octroi/policy/call.h"
#include "octroi/policy/currency.h"
#include "octroi/policy/policy.h"

namespace octroi::policy {

enum class Verdict : std::uint8_t { allow, deny, approve, lookup };
[[nodiscard]] std::string_view to_string(Verdict v);

/// Why. Stable words: they stand in audit rows and answers.
enum class Reason : std::uint8_t {
  none,
  expired,            // policy_expired
  wrong_vendor,       // the key is for another vendor
  operation_unknown,  // the pack does not know it, and no path names it
  operation_denied,   // not in endpoints
  customer_denied,    // not in customers
  customer_unknown,   // nobody could say which customer
  recipient_denied,
  country_denied,
  sender_denied,
  field_denied,
  amount_unknown,
  amount_over_max,
  currency_refused,  // unknown currency, no rate, stale rate
  run_missing,       // a cap counts by run, agent or customer, and the call names none
  needs_approval,
  cap_exceeded,  // the ledger's: usd or calls
  velocity_exceeded,
  duplicate,
  clock_went_back,
};
/// "operation_denied" and so on.
[[nodiscard]] std::string_view to_string(Reason r);

/// One hold and the cap that it belongs to.
struct Counted {
  ledger::Hold hold;
  std::int64_t limit = 0;  // of the cap; that of the hold is without one in shadow mode
  Period period = Period::day;
  std::optional<Direction> direction;
  bool brake = false;
  BrakeAction then = BrakeAction::deny;
};

struct Decision {
  Verdict verdict = Verdict::deny;
  Reason reason = Reason::none;
  std::string message;           // a sentence for an agent: what was refused, and what would pass
  MicroUsd amount;               // what the call counts as
  std::vector<Counted> counted;  // what to reserve; in the order of the policy's caps
  Millis dedupe{};               // zero: off
  bool needs_amount = false, needs_customer = false;  // lookup: what for
  std::optional<Reason> shadow;  // shadow mode: what it would have been refused for
  std::string shadow_message;

  [[nodiscard]] std::vector<ledger::Hold> holds() const;
};

/// What a judgement rests on beside the policy and the call.
struct Context {
  UnixMillis now;
  const Rates* rates = nullptr;  // null: only dollars
};

[[nodiscard]] Decision decide(const Policy& policy, const Call& call, const Context& context);

/// A decision over what the ledger answered: allow when it was applied or replayed, else the
/// denial.
[[nodiscard]] Decision after_reserve(Decision decision, const ledger::ReserveOutcome& outcome);

/// One step of a judgement.
struct Check {
  std::string name;  // "endpoints", "max_amount", "caps[0]"
  bool passed = true;
  std::string detail;  // "charges.create is allowed by charges.*"
};
struct Explanation {
  Decision decision;
  std::vector<Check> checks;  // all of them, also after the first that failed
  // `decision.counted` is what the call would count, also when it is refused.
};
/// As decide, and why. `usage` (of ledger::SpendLedger::usage) tells what the caps have left.
[[nodiscard]] Explanation explain(const Policy& policy, const Call& call, const Context& context,
                                  const std::vector<ledger::SpendUsage>& usage = {});

/// What every scope of a policy's caps begins with: "policy/<name>/".
[[nodiscard]] std::string scope_prefix(std::string_view policy_name);

}  // namespace octroi::policy
