#include "octroi/ledger/spend_ledger.h"

#include <algorithm>
#include <numeric>
#include <set>

namespace octroi::ledger {

ErrorInfo error_info(HoldErrc e) {
  switch (e) {
    case HoldErrc::bad_reservation:
      return {"ledger.bad_reservation", ErrorKind::internal};
    case HoldErrc::bad_amount:
      return {"ledger.bad_spend", ErrorKind::invalid};
  }
  return {"ledger.unknown", ErrorKind::internal};
}

std::string_view to_string(SpendUnit u) {
  switch (u) {
    case SpendUnit::micro_usd:
      return "micro_usd";
    case SpendUnit::calls:
      return "calls";
  }
  return "unknown";
}

std::string_view to_string(SpendState s) {
  switch (s) {
    case SpendState::held:
      return "held";
    case SpendState::unknown:
      return "unknown";
    case SpendState::settled:
      return "settled";
    case SpendState::released:
      return "released";
  }
  return "unknown";
}

std::optional<SpendState> spend_state_from_string(std::string_view text) {
  for (const SpendState s :
       {SpendState::held, SpendState::unknown, SpendState::settled, SpendState::released}) {
    if (text == to_string(s)) return s;
  }
  return std::nullopt;
}

std::string_view to_string(ReserveState s) {
  switch (s) {
    case ReserveState::applied:
      return "applied";
    case ReserveState::replayed:
      return "replayed";
    case ReserveState::over_cap:
      return "over_cap";
    case ReserveState::mismatch:
      return "mismatch";
    case ReserveState::duplicate:
      return "duplicate";
    case ReserveState::clock_went_back:
      return "clock_went_back";
  }
  return "unknown";
}

Counted counted(SpendState state, SpendUnit unit, std::int64_t amount, bool returns,
                MicroUsd settled) {
  switch (state) {
    case SpendState::held:
    case SpendState::unknown:
      return {amount, 0};
    case SpendState::settled:
      return {0, unit == SpendUnit::micro_usd ? settled.count() /* raw: counted */ : amount};
    case SpendState::released:
      return {0, returns ? 0 : amount};
  }
  return {amount, 0};
}

bool is_tried_again(const SpendRecord& now, const Reservation& r) {
  return now.state == SpendState::unknown && now.fingerprint == r.fingerprint &&
         now.answer_by < r.answer_by;
}

void try_again(SpendRecord& now, const Reservation& r) {
  now.answer_by = r.answer_by;
  ++now.attempt;
}

ChangeState settling(const SpendRecord& now, MicroUsd actual, std::string_view object) {
  const bool known_object = object.empty() || object == now.object;
  const bool same = now.state == SpendState::settled && now.settled == actual && !now.assumed;
  return same && known_object ? ChangeState::unchanged : ChangeState::applied;
}

ChangeState releasing(const SpendRecord& now) {
  if (now.state == SpendState::released) return ChangeState::unchanged;
  return now.state == SpendState::settled ? ChangeState::refused : ChangeState::applied;
}

ChangeState doubting(const SpendRecord& now) {
  if (now.state == SpendState::held) return ChangeState::applied;
  return now.state == SpendState::unknown ? ChangeState::unchanged : ChangeState::refused;
}

namespace {

constexpr std::size_t kMaxHolds = 64;

bool is_printable(std::string_view text, std::size_t least, std::size_t most) {
  return text.size() >= least && text.size() <= most && std::ranges::none_of(text, [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
         });
}

Result<> check_hold(const Reservation& r, const Hold& h) {
  if (!is_printable(h.scope, 1, 512)) {
    return fail(HoldErrc::bad_reservation, "scope: 1 to 512 printable bytes");
  }
  if (h.amount < 0 || h.amount > kMaxSpend) return fail(HoldErrc::bad_amount);
  if (h.limit < 0) return fail(HoldErrc::bad_amount, "limit: below zero");
  const bool dollars = h.unit == SpendUnit::micro_usd;
  if (dollars && h.amount != r.amount.count() /* raw: counted */) {
    return fail(HoldErrc::bad_reservation, "a hold in dollars counts the call's whole amount");
  }
  if (r.now < h.starts || h.ends <= r.now) {
    return fail(HoldErrc::bad_reservation, "the window of a hold contains the moment of the call");
  }
  return {};
}

}  // namespace

Result<> check_reservation(const Reservation& r) {
  if (!is_printable(r.id, 1, 128)) {
    return fail(HoldErrc::bad_reservation, "id: 1 to 128 printable bytes");
  }
  for (const std::string* text :
       {&r.vendor, &r.operation, &r.policy, &r.key_id, &r.run, &r.object}) {
    if (!is_printable(*text, 0, 512)) {
      return fail(HoldErrc::bad_reservation, "at most 512 printable bytes in each text");
    }
  }
  if (r.amount.count() > kMaxSpend) return fail(HoldErrc::bad_amount); /* raw: bounded */
  if (r.holds.size() > kMaxHolds) return fail(HoldErrc::bad_reservation, "at most 64 holds");
  std::set<std::string_view> scopes;
  for (const Hold& h : r.holds) {
    OCTROI_CHECK(check_hold(r, h));
    if (!scopes.insert(h.scope).second) {
      return fail(HoldErrc::bad_reservation, "two holds in one scope");
    }
  }
  return {};
}

Result<> check_settlement(MicroUsd actual, std::string_view object) {
  if (actual.count() > kMaxSpend) return fail(HoldErrc::bad_amount); /* raw: bounded */
  if (!is_printable(object, 0, 512)) {
    return fail(HoldErrc::bad_reservation, "object: at most 512 printable bytes");
  }
  return {};
}

std::vector<std::size_t> in_scope_order(const std::vector<Hold>& holds) {
  std::vector<std::size_t> order(holds.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::string_view(holds[i].scope); });
  return order;
}

std::string past_spend_id(std::string_view id, UnixMillis created) {
  return fmt::format("{}~{}", id, created.value);
}

SpendRecord new_spend_record(const Reservation& r, UnixMillis created, std::int64_t attempt) {
  SpendRecord out;
  out.id = r.id;
  out.fingerprint = r.fingerprint;
  out.amount = r.amount;
  out.attempt = attempt;
  out.created = created;
  out.changed = r.now;
  out.answer_by = r.answer_by;
  out.give_up_at = r.give_up_at;
  out.replay_until = r.replay_until;
  out.vendor = r.vendor;
  out.operation = r.operation;
  out.policy = r.policy;
  out.key_id = r.key_id;
  out.run = r.run;
  out.object = r.object;
  return out;
}

bool matches(const SpendFilter& filter, const SpendRecord& record) {
  const auto is = [](std::string_view wanted, std::string_view value) {
    return wanted.empty() || wanted == value;
  };
  return (!filter.state || *filter.state == record.state) && is(filter.vendor, record.vendor) &&
         is(filter.policy, record.policy) && is(filter.key_id, record.key_id) &&
         is(filter.run, record.run) && is(filter.object, record.object) &&
         (!filter.from || *filter.from <= record.created) &&
         (!filter.to || record.created < *filter.to);
}

}  // namespace octroi::ledger
