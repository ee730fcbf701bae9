#include "octroi/policy/judge.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "octroi/crypto/hash.h"
#include "octroi/policy/text.h"

namespace octroi::policy {
namespace {

bool contains(const std::vector<std::string>& list, std::string_view value) {
  return std::ranges::find(list, value) != list.end();
}

std::string joined(const std::vector<std::string>& list) {
  constexpr std::size_t kShown = 5;
  std::string out;
  for (std::size_t i = 0; i < std::min(list.size(), kShown); ++i) {
    out += (i == 0 ? "" : ", ") + list[i];
  }
  return list.size() > kShown ? fmt::format("{} and {} more", out, list.size() - kShown) : out;
}

std::string joined(const std::vector<Endpoint>& list) {
  std::vector<std::string> texts;
  for (const Endpoint& endpoint : list) texts.push_back(format(endpoint));
  return texts.empty() ? "nothing" : joined(texts);
}

/// Values come from an agent: cut, and without control characters.
std::string shown(std::string_view value) {
  std::string out(value.substr(0, 64));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return value.size() > 64 ? out + "…" : out;
}

bool domain_matches(std::string_view pattern, std::string_view domain) {
  if (!pattern.starts_with("*.")) return pattern == domain;
  return domain.size() > pattern.size() - 1 && domain.ends_with(pattern.substr(1));
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return n;
}

bool value_passes(const FieldRule& rule, std::string_view value) {
  switch (rule.test) {
    case FieldTest::one_of:
      return contains(rule.values, value);
    case FieldTest::none_of:
      return !contains(rule.values, value);
    case FieldTest::like:
      return std::ranges::any_of(
          rule.values, [&](const std::string& pattern) { return glob_matches(pattern, value); });
    case FieldTest::at_most: {
      const auto n = whole_number(value);
      return n && *n <= rule.bound;
    }
    case FieldTest::at_least: {
      const auto n = whole_number(value);
      return n && *n >= rule.bound;
    }
    case FieldTest::present:
      return true;
    case FieldTest::absent:
      return false;
  }
  return false;
}

bool passes_when_absent(FieldTest test) {
  return test == FieldTest::absent || test == FieldTest::none_of;
}

std::string wanted(const FieldRule& rule) {
  switch (rule.test) {
    case FieldTest::one_of:
    case FieldTest::none_of:
    case FieldTest::like:
      return fmt::format("{} {}", to_string(rule.test), joined(rule.values));
    case FieldTest::at_most:
    case FieldTest::at_least:
      return fmt::format("{} {}", to_string(rule.test), rule.bound);
    case FieldTest::present:
    case FieldTest::absent:
      return std::string(to_string(rule.test));
  }
  return {};
}

bool names_any(const std::vector<Endpoint>& endpoints, const Call& call) {
  return std::ranges::any_of(endpoints, [&](const Endpoint& e) { return matches(e, call); });
}

}  // namespace

Decision Judge::run() {
  decision_.verdict = Verdict::allow;
  using Step = void (Judge::*)();
  // What the caller could fix comes in the order in which a person would check it; money comes
  // last, because what is refused before it is not counted.
  for (const Step step :
       {&Judge::expiry, &Judge::vendor, &Judge::endpoints, &Judge::fields, &Judge::senders,
        &Judge::recipients, &Judge::countries, &Judge::customers, &Judge::amount,
        &Judge::max_amount, &Judge::caps, &Judge::brake, &Judge::approval}) {
    (this->*step)();
    if (done()) break;
  }
  decision_.dedupe = is_read() ? Millis{} : policy_.dedupe;
  if (policy_.mode == Mode::shadow) return shadowed();
  if (decision_.verdict == Verdict::deny || decision_.verdict == Verdict::lookup) {
    forget_counted();
  }
  return std::move(decision_);
}

/// Nothing is reserved for what does not pass; who explains it looks at the caps all the same.
void Judge::forget_counted() {
  if (trace_ == nullptr) decision_.counted.clear();
}

/// What a policy that is only tried out says. A key that has ended and a call that nobody
/// understands are refused all the same.
Decision Judge::shadowed() {
  const bool hard = decision_.reason == Reason::expired ||
                    decision_.reason == Reason::wrong_vendor ||
                    decision_.reason == Reason::operation_unknown;
  if (decision_.verdict == Verdict::lookup || (decision_.verdict == Verdict::deny && hard)) {
    forget_counted();
    return std::move(decision_);
  }
  if (decision_.verdict != Verdict::allow) {
    decision_.shadow = decision_.reason;
    decision_.shadow_message = std::exchange(decision_.message, {});
    if (decision_.verdict == Verdict::deny) forget_counted();
    decision_.verdict = Verdict::allow;
    decision_.reason = Reason::none;
  }
  for (Counted& c : decision_.counted) {
    c.hold.scope = "shadow/" + c.hold.scope;
    c.hold.limit = std::numeric_limits<std::int64_t>::max();
  }
  decision_.dedupe = {};
  return std::move(decision_);
}

void Judge::passed(std::string_view name, std::string detail) {
  if (trace_ != nullptr) trace_->push_back({std::string(name), true, std::move(detail)});
}

void Judge::refused(std::string_view name, Reason reason, std::string detail) {
  if (!decided_) {
    decided_ = true;
    decision_.verdict = Verdict::deny;
    decision_.reason = reason;
    decision_.message =
        fmt::format("Policy {} does not allow {}: {}", policy_.name, what(), detail);
  }
  if (trace_ != nullptr) trace_->push_back({std::string(name), false, std::move(detail)});
}

void Judge::ask(std::string_view name, std::string detail) {
  if (!decided_) decision_.verdict = Verdict::lookup;
  passed(name, std::move(detail));
}

std::string Judge::what() const {
  if (!call_.operation.empty()) return shown(call_.operation);
  return fmt::format("{} {}", shown(call_.method), shown(call_.path));
}

// --- who and what ---

void Judge::expiry() {
  if (!policy_.expires) return;
  if (context_.now >= *policy_.expires) {
    return refused("expires", Reason::expired,
                   fmt::format("it ended at {}", to_rfc3339(*policy_.expires)));
  }
  if (trace_ != nullptr) passed("expires", "not before " + to_rfc3339(*policy_.expires));
}

void Judge::vendor() {
  if (call_.vendor == policy_.vendor) return;
  refused("vendor", Reason::wrong_vendor,
          fmt::format("it is for {}, not {}", policy_.vendor, shown(call_.vendor)));
}

void Judge::endpoints() {
  for (const Endpoint& endpoint : policy_.endpoints) {
    if (!matches(endpoint, call_)) continue;
    if (trace_ != nullptr) passed("endpoints", "named by " + format(endpoint));
    return;
  }
  if (call_.operation.empty()) {
    return refused("endpoints", Reason::operation_unknown,
                   "no operation of this vendor is known at this method and path");
  }
  refused("endpoints", Reason::operation_denied, "it allows " + joined(policy_.endpoints));
}

void Judge::fields() {
  for (std::size_t i = 0; i < policy_.fields.size(); ++i) {
    field(policy_.fields[i], i);
    if (done()) return;
  }
}

void Judge::field(const FieldRule& rule, std::size_t index) {
  const bool applies = rule.endpoints.empty() ? !is_read() : names_any(rule.endpoints, call_);
  if (!applies) return;
  const std::string name = fmt::format("fields[{}]", index);
  if (call_.unread) {
    return refused(name, Reason::field_denied,
                   fmt::format("{} must be {}, and the fields of this body cannot be read",
                               rule.field, wanted(rule)));
  }
  bool there = false;
  const std::string any_case = folded(rule.field);
  for (const auto& [field, value] : call_.fields) {
    // Some servers do not look at case: what they may take for the field must pass as it.
    const bool exact = glob_matches(rule.field, field);
    if (!exact && !glob_matches(any_case, folded(field))) continue;
    there = there || exact;
    if (value_passes(rule, value)) continue;
    return refused(name, Reason::field_denied,
                   fmt::format("{} must be {}", shown(field), wanted(rule)));
  }
  if (!there && !passes_when_absent(rule.test)) {
    return refused(name, Reason::field_denied,
                   fmt::format("{} must be {}, and is not there", rule.field, wanted(rule)));
  }
  if (trace_ != nullptr) passed(name, fmt::format("{} is {}", rule.field, wanted(rule)));
}

void Judge::senders() {
  if (policy_.senders.empty() || is_read()) return;
  if (call_.sender_domains.empty()) {
    if (call_.direction != Direction::message) return;
    return refused("senders", Reason::sender_denied, "it does not say who sends it");
  }
  for (const std::string& domain : call_.sender_domains) {
    const std::string lower = folded(domain);
    const bool allowed = std::ranges::any_of(
        policy_.senders, [&](const std::string& p) { return domain_matches(p, lower); });
    if (!allowed) {
      return refused(
          "senders", Reason::sender_denied,
          fmt::format("{} may not send; {} may", shown(domain), joined(policy_.senders)));
    }
  }
  passed("senders", "all of them may send");
}

namespace {
/// Directions that reach somebody or send money to somebody.
bool has_recipients(Direction d) { return d == Direction::message || d == Direction::payout; }
}  // namespace

void Judge::recipients() {
  if (policy_.recipients.empty() || is_read()) return;
  if (call_.recipients.empty()) {
    if (!has_recipients(call_.direction)) return;
    return refused("recipients", Reason::recipient_denied, "it does not say whom it reaches");
  }
  for (const std::string& recipient : call_.recipients) {
    const std::string lower = folded(recipient);
    const bool allowed = is_plain_address(recipient) &&
                         std::ranges::any_of(policy_.recipients, [&](const std::string& p) {
                           return glob_matches(p, lower);
                         });
    if (!allowed) {
      return refused("recipients", Reason::recipient_denied,
                     fmt::format("{} is not a recipient that it allows", shown(recipient)));
    }
  }
  passed("recipients", "all of them are allowed");
}

void Judge::countries() {
  if (policy_.countries.empty() || is_read()) return;
  if (call_.countries.empty()) {
    if (!has_recipients(call_.direction)) return;
    return refused("countries", Reason::country_denied, "nobody can say which country it reaches");
  }
  for (const std::string& country : call_.countries) {
    if (contains(policy_.countries, country)) continue;
    return refused("countries", Reason::country_denied,
                   fmt::format("it allows {}, not {}", joined(policy_.countries), shown(country)));
  }
  passed("countries", "all of them are allowed");
}

void Judge::customers() {
  if (policy_.customers.empty()) return;
  for (const std::string& customer : call_.customers) {
    if (contains(policy_.customers, customer)) continue;
    return refused("customers", Reason::customer_denied,
                   fmt::format("it is for the customers {}, not {}", joined(policy_.customers),
                               shown(customer)));
  }
  if (call_.customer_unknown && policy_.unknown_customer == WhenUnknown::lookup &&
      !call_.looked_up) {
    decision_.needs_customer = true;
    return ask("customers", "the vendor is asked which customer it is");
  }
  // A read without a customer (a list) is for the endpoints to allow.
  const bool needed = !is_read() && call_.customers.empty();
  if (needed || call_.customer_unknown) {
    return refused("customers", Reason::customer_unknown,
                   fmt::format("it is for the customers {}, and this call does not say which",
                               joined(policy_.customers)));
  }
  passed("customers", "all of them are allowed");
}

// --- money ---

void Judge::amount() {
  switch (call_.amount) {
    case AmountState::none:
      return;
    case AmountState::unknown:
      return unknown_amount();
    case AmountState::known:
      break;
  }
  if (call_.usd) {
    decision_.amount = *call_.usd;
    priced_ = true;
    return passed("amount", octroi::format(decision_.amount));
  }
  static const Rates kNoRates;
  const Rates& rates = context_.rates == nullptr ? kNoRates : *context_.rates;
  if (!call_.minor) {
    return refused("amount", Reason::amount_unknown, "nobody can say how much it moves");
  }
  const auto usd = to_usd(*call_.minor, rates, context_.now);
  if (!usd) {
    return refused("amount", Reason::currency_refused, std::string(usd.error().message()));
  }
  decision_.amount = *usd;
  priced_ = true;
  if (trace_ != nullptr) {
    passed("amount",
           fmt::format("{} count as {}", format(*call_.minor), octroi::format(decision_.amount)));
  }
}

void Judge::unknown_amount() {
  switch (policy_.unknown_amount) {
    case WhenUnknown::assume_max:
      decision_.amount = policy_.max_amount.value_or(MicroUsd{});
      for (const DirectionLimit& limit : policy_.max_amounts) {
        if (limit.direction == call_.direction) decision_.amount = limit.usd;
      }
      priced_ = true;
      return passed("amount", "unknown; counts as " + octroi::format(decision_.amount));
    case WhenUnknown::lookup:
      if (call_.looked_up) break;
      decision_.needs_amount = true;
      return ask("amount", "the vendor is asked how much it moves");
    case WhenUnknown::deny:
      break;
  }
  refused("amount", Reason::amount_unknown,
          "how much it moves is not in the request, and could not be found out");
}

void Judge::max_amount() {
  if (call_.amount == AmountState::none || is_read() || !priced_) return;
  std::optional<MicroUsd> most = policy_.max_amount;
  std::string_view name = "max_amount";
  for (const DirectionLimit& limit : policy_.max_amounts) {
    if (limit.direction != call_.direction) continue;
    most = limit.usd;
    name = "max_amounts";
  }
  if (!most) return;
  if (decision_.amount > *most) {
    return refused(name, Reason::amount_over_max,
                   fmt::format("{} is more than one call may move, {}",
                               octroi::format(decision_.amount), octroi::format(*most)));
  }
  if (trace_ != nullptr) passed(name, "at most " + octroi::format(*most));
}

std::vector<std::string> Judge::counted(CountedBy by) const {
  const auto one = [](std::string_view kind, const std::string& value) {
    return value.empty() ? std::vector<std::string>{}
                         : std::vector<std::string>{fmt::format("/{}:{}", kind, scope_part(value))};
  };
  switch (by) {
    case CountedBy::policy:
      return {""};
    case CountedBy::key:
      return one("key", call_.key_id);
    case CountedBy::agent:
      return one("agent", call_.agent);
    case CountedBy::run:
      return one("run", call_.run);
    case CountedBy::customer: {
      std::vector<std::string> out;
      for (const std::string& customer : call_.customers) {
        std::string part = one("customer", customer).front();
        if (!customer.empty() && !contains(out, part)) out.push_back(std::move(part));
      }
      return out;
    }
  }
  return {};
}

void Judge::count(const Count& what, std::string_view name) {
  const std::vector<std::string> whom = counted(what.by);
  if (whom.empty()) {
    return refused(
        name, Reason::run_missing,
        fmt::format("its {} counts by {}, and this call names none", name, to_string(what.by)));
  }
  const auto add = [&](ledger::SpendUnit unit, std::int64_t limit, std::int64_t amount) {
    for (const std::string& who : whom) {
      Counted c;
      c.hold = {fmt::format("{}/{}{}", what.base, to_string(unit), who),
                unit,
                what.window.starts,
                what.window.ends,
                limit,
                amount,
                !what.brake};
      c.limit = limit;
      c.period = what.period;
      c.direction = what.direction;
      c.brake = what.brake;
      if (what.brake) c.then = policy_.velocity->then;
      decision_.counted.push_back(std::move(c));
    }
  };
  if (what.usd && call_.amount != AmountState::none) {
    add(ledger::SpendUnit::micro_usd, what.usd->count() /* raw: counted */,
        decision_.amount.count() /* raw: counted */);
  }
  if (what.calls)
    add(ledger::SpendUnit::calls, *what.calls, std::max<std::int64_t>(1, call_.count));
}

void Judge::caps() {
  for (std::size_t i = 0; i < policy_.caps.size(); ++i) {
    cap(policy_.caps[i], i);
    if (done()) return;
  }
}

void Judge::cap(const Cap& cap, std::size_t index) {
  if (cap.direction && *cap.direction != call_.direction) return;
  if (!cap.calls && call_.amount == AmountState::none) return;
  Count what;
  what.period = cap.period;
  what.direction = cap.direction;
  what.by = cap.by;
  what.usd = cap.usd;
  what.calls = cap.calls;
  what.window = {{0}, ledger::kNoEnd};
  std::string period(to_string(cap.period));
  const std::string name = fmt::format("caps[{}]", index);
  switch (cap.period) {
    case Period::hour:
      what.window = fixed_window(context_.now, std::chrono::hours(1));
      break;
    case Period::day:
      what.window = policy_.time_zone->day(context_.now);
      break;
    case Period::month:
      what.window = policy_.time_zone->month(context_.now);
      break;
    case Period::run:
      if (call_.run.empty()) {
        return refused(name, Reason::run_missing, "it caps a run, and this call names none");
      }
      period += ":" + scope_part(call_.run);
      break;
    case Period::lifetime:
      break;
  }
  // Days of another zone are other days.
  if ((cap.period == Period::day || cap.period == Period::month) &&
      policy_.time_zone->name() != "UTC") {
    period += "@" + scope_part(policy_.time_zone->name());
  }
  what.base = fmt::format(
      "{}{}/{}",
      cap.budget.empty() ? scope_prefix(policy_.name) : fmt::format("budget/{}/", cap.budget),
      period, cap.direction ? to_string(*cap.direction) : "all");
  count(what, name);
}

void Judge::brake() {
  if (!policy_.velocity || is_read()) return;
  const Brake& brake = *policy_.velocity;
  Count what;
  what.base = fmt::format("{}velocity:{}", scope_prefix(policy_.name), format_duration(brake.per));
  what.window = fixed_window(context_.now, brake.per);
  what.by = brake.by;
  what.usd = brake.usd;
  what.calls = brake.calls;
  what.brake = true;
  count(what, "velocity");
}

void Judge::approval() {
  if (decided_ || decision_.verdict == Verdict::lookup) return;
  std::string why;
  if (policy_.approve_over && decision_.amount > *policy_.approve_over) {
    why = fmt::format("{} is more than {}", octroi::format(decision_.amount),
                      octroi::format(*policy_.approve_over));
  } else if (names_any(policy_.approve, call_)) {
    why = "it is one that always does";
  } else {
    return;
  }
  decision_.verdict = Verdict::approve;
  decision_.reason = Reason::needs_approval;
  decision_.message =
      fmt::format("Policy {}: {} needs the approval of a human: {}", policy_.name, what(), why);
  passed("approval", "needed: " + why);
}

}  // namespace octroi::policy
