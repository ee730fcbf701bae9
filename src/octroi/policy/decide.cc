#include "octroi/policy/decide.h"

#include <algorithm>
#include <utility>

#include "octroi/policy/judge.h"

namespace octroi::policy {

std::string scope_prefix(std::string_view policy_name) {
  return fmt::format("policy/{}/", policy_name);
}

std::vector<ledger::Hold> Decision::holds() const {
  std::vector<ledger::Hold> out;
  out.reserve(counted.size());
  for (const Counted& c : counted) out.push_back(c.hold);
  return out;
}

Decision decide(const Policy& policy, const Call& call, const Context& context) {
  return Judge(policy, call, context, nullptr).run();
}

namespace {

std::string amount_text(ledger::SpendUnit unit, std::int64_t n) {
  if (unit == ledger::SpendUnit::calls) return fmt::format("{} call{}", n, n == 1 ? "" : "s");
  return octroi::format(MicroUsd::from_raw(n).value_or(MicroUsd{}));
}

std::string cap_name(const Counted& c) {
  if (c.brake) return "brake on bursts";
  return fmt::format("cap a {}{}", to_string(c.period),
                     c.direction ? fmt::format(" on {}s", to_string(*c.direction)) : "");
}

std::string over_cap_message(const Counted& c, std::int64_t left, UnixMillis resets_at) {
  const ledger::SpendUnit unit = c.hold.unit;
  std::string out = fmt::format("This call counts {} and would pass the {} of {}: {} left",
                                amount_text(unit, c.hold.amount), cap_name(c),
                                amount_text(unit, c.limit), amount_text(unit, left));
  return out +
         (resets_at == ledger::kNoEnd
              ? "; it never resets. Do not retry."
              : fmt::format("; resets at {}. Do not retry before that.", to_rfc3339(resets_at)));
}

/// What the caps of a policy that is only tried out would have said.
void look_at_shadow(Decision& d, const std::vector<ledger::SpendUsage>& usage) {
  for (std::size_t i = 0; i < std::min(usage.size(), d.counted.size()); ++i) {
    const Counted& c = d.counted[i];
    if (d.shadow || c.hold.limit == c.limit || usage[i].total() <= c.limit) continue;
    const std::int64_t before = usage[i].total() - c.hold.amount;
    d.shadow = c.brake ? Reason::velocity_exceeded : Reason::cap_exceeded;
    d.shadow_message =
        over_cap_message(c, std::max<std::int64_t>(0, c.limit - before), usage[i].ends);
  }
}

void deny(Decision& d, Reason reason, std::string message) {
  d.verdict = Verdict::deny;
  d.reason = reason;
  d.message = std::move(message);
}

}  // namespace

Decision after_reserve(Decision d, const ledger::ReserveOutcome& outcome) {
  using ledger::ReserveState;
  switch (outcome.state) {
    case ReserveState::applied:
      look_at_shadow(d, outcome.usage);
      return d;
    case ReserveState::replayed:
      return d;
    case ReserveState::over_cap: {
      if (!outcome.refused || *outcome.refused >= d.counted.size()) {
        deny(d, Reason::cap_exceeded, "A cap is used up.");
        return d;
      }
      const Counted& c = d.counted[*outcome.refused];
      deny(d, c.brake ? Reason::velocity_exceeded : Reason::cap_exceeded,
           over_cap_message(c, outcome.left, outcome.resets_at));
      return d;
    }
    case ReserveState::mismatch:
      deny(d, Reason::duplicate,
           "The idempotency key was used for another request. Use a new key for a new request.");
      return d;
    case ReserveState::duplicate:
      deny(d, Reason::duplicate,
           fmt::format("The same was done a moment ago, as {}. If it is meant twice, wait.",
                       outcome.duplicate_of));
      return d;
    case ReserveState::clock_went_back:
      deny(d, Reason::clock_went_back,
           "The clock of this machine is behind what the ledger has seen. Tell an operator.");
      return d;
  }
  deny(d, Reason::cap_exceeded, "A cap is used up.");
  return d;
}

namespace {

std::string usage_text(const Counted& c, const std::vector<ledger::SpendUsage>& usage) {
  const auto it = std::ranges::find_if(usage, [&](const ledger::SpendUsage& u) {
    return u.scope == c.hold.scope && u.starts == c.hold.starts;
  });
  const std::int64_t used = it == usage.end() ? 0 : it->total();
  const auto text = [&](std::int64_t n) { return amount_text(c.hold.unit, n); };
  std::string until =
      c.hold.ends == ledger::kNoEnd ? "for good" : "until " + to_rfc3339(c.hold.ends);
  return fmt::format("{} of {} used {}; this call counts {}", text(used), text(c.limit), until,
                     text(c.hold.amount));
}

bool fits(const Counted& c, const std::vector<ledger::SpendUsage>& usage) {
  for (const ledger::SpendUsage& u : usage) {
    if (u.scope != c.hold.scope || u.starts != c.hold.starts) continue;
    return u.total() <= c.limit && c.hold.amount <= c.limit - u.total();
  }
  return c.hold.amount <= c.limit;
}

}  // namespace

Explanation explain(const Policy& policy, const Call& call, const Context& context,
                    const std::vector<ledger::SpendUsage>& usage) {
  Explanation out;
  out.decision = Judge(policy, call, context, &out.checks).run();
  for (std::size_t i = 0; i < out.decision.counted.size(); ++i) {
    const Counted& c = out.decision.counted[i];
    const bool room = fits(c, usage);
    out.checks.push_back({c.hold.scope, room, usage_text(c, usage)});
    if (room || out.decision.verdict == Verdict::deny || policy.mode == Mode::shadow) continue;
    ledger::ReserveOutcome over;
    over.refused = i;
    over.left = c.limit;
    over.resets_at = c.hold.ends;
    for (const ledger::SpendUsage& u : usage) {
      if (u.scope == c.hold.scope && u.starts == c.hold.starts) {
        over.left = std::max<std::int64_t>(0, c.limit - u.total());
      }
    }
    const std::vector<Counted> counted = out.decision.counted;
    out.decision = after_reserve(std::move(out.decision), over);
    out.decision.counted = counted;
  }
  return out;
}

}  // namespace octroi::policy
