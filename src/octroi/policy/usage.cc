#include "octroi/policy/usage.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "octroi/policy/decide.h"
#include "octroi/policy/text.h"

namespace octroi::policy {

namespace {

/// Takes `part` off the front, when it stands there.
bool take(std::string_view& text, std::string_view part) {
  if (!text.starts_with(part)) return false;
  text.remove_prefix(part.size());
  return true;
}

/// Whose calls this scope counts, when it is one of this cap's: "policy/bot/day@Zone/all/micro_usd"
/// and then nothing, or "/agent:helper". Empty optional: it is another's.
std::optional<std::string> whose(const Policy& policy, const Cap& cap, ledger::SpendUnit unit,
                                 std::string_view scope) {
  if (!take(scope, scopes_of(policy, cap)) || !take(scope, to_string(cap.period)))
    return std::nullopt;
  // The run that is capped, the zone whose days they are: no part of a scope holds a slash.
  const std::string_view which = scope.substr(0, std::min(scope.find('/'), scope.size()));
  const bool zoned = (cap.period == Period::day || cap.period == Period::month) &&
                     policy.time_zone->name() != "UTC";
  if (zoned ? which != "@" + scope_part(policy.time_zone->name()) : which.starts_with('@'))
    return std::nullopt;
  if (which.starts_with(':') != (cap.period == Period::run)) return std::nullopt;
  scope.remove_prefix(which.size());
  const std::string kind =
      fmt::format("/{}/{}", cap.direction ? to_string(*cap.direction) : "all", to_string(unit));
  if (!take(scope, kind)) return std::nullopt;
  std::string who = which.starts_with(':') ? "run" + std::string(which) : std::string();
  if (cap.by == CountedBy::policy) return scope.empty() ? std::optional(who) : std::nullopt;
  if (!scope.starts_with(fmt::format("/{}:", to_string(cap.by)))) return std::nullopt;
  if (!who.empty()) who += ' ';
  return who + std::string(scope.substr(1));
}

void add(std::vector<CapUsage>& out, const Policy& policy, std::size_t index,
         ledger::SpendUnit unit, std::int64_t limit,
         const std::vector<ledger::SpendUsage>& windows) {
  CapUsage one;
  one.cap = index;
  one.unit = unit;
  one.limit = limit;
  bool any = false;
  for (const ledger::SpendUsage& w : windows) {
    if (w.unit != unit) continue;
    auto who = whose(policy, policy.caps[index], unit, w.scope);
    if (!who) continue;
    any = true;
    one.whose = *std::move(who);
    one.held = w.held;
    one.settled = w.settled;
    one.resets_at = w.ends == ledger::kNoEnd ? std::nullopt : std::optional(w.ends);
    out.push_back(one);
  }
  if (!any) out.push_back(std::move(one));
}

}  // namespace

std::string scopes_of(const Policy& policy, const Cap& cap) {
  std::string out = policy.mode == Mode::shadow ? "shadow/" : "";
  return out + (cap.budget.empty() ? scope_prefix(policy.name) : "budget/" + cap.budget + "/");
}

std::int64_t CapUsage::left() const { return std::max<std::int64_t>(0, limit - held - settled); }

std::vector<CapUsage> cap_usage(const Policy& policy,
                                const std::vector<ledger::SpendUsage>& windows) {
  std::vector<CapUsage> out;
  for (std::size_t i = 0; i < policy.caps.size(); ++i) {
    const Cap& cap = policy.caps[i];
    if (cap.usd) {
      add(out, policy, i, ledger::SpendUnit::micro_usd, cap.usd->count(), /* raw: counted */
          windows);
    }
    if (cap.calls) add(out, policy, i, ledger::SpendUnit::calls, *cap.calls, windows);
  }
  return out;
}

}  // namespace octroi::policy
