// What a call holds, what it cost, and the rows that tell it.
#include <utility>

#include <fmt/format.h>

#include "octroi/base/log.h"
#include "octroi/crypto/hash.h"
#include "octroi/vault/broker_visit.h"
#include "octroi/vault/questions.h"
#include "octroi/vault/reconcile.h"

namespace octroi::vault {

namespace {

constexpr Millis kLongestStream = std::chrono::hours(1);
constexpr Millis kGiveUp = std::chrono::hours(24);
constexpr Millis kReplay = std::chrono::hours(24);  // vendors forget idempotency keys then

}  // namespace

ledger::Digest digest_of(std::initializer_list<std::string_view> parts) {
  crypto::Sha256 h;
  for (const std::string_view part : parts) {
    const std::string size = fmt::format("{}:", part.size());
    h.update(as_bytes(size));
    h.update(as_bytes(part));
  }
  return h.finish();
}

/// What the reservation of this call will be called: the same for all its retries, also with the
/// key that its own was rotated to, because only then is a retry done once.
std::string Broker::reservation_id(const Visit& visit) {
  if (visit.idempotency_key.empty()) return visit.id;
  return "idem_" + to_hex(digest_of({ledger::counted_as(*visit.key), visit.idempotency_key}));
}

/// The path, the same for all keys of one line: Twilio's names the account that a key pretends to
/// be.
std::string Broker::path_of_line(const Visit& visit) {
  std::string path = visit.input.path;
  const std::string& account = visit.key->pair_id;
  const std::size_t at = account.empty() ? std::string::npos : path.find(account);
  if (at != std::string::npos)
    path.replace(at, account.size(), pair_name(ledger::counted_as(*visit.key)));
  return path;
}

ledger::Reservation Broker::reservation_of(const Visit& visit) const {
  ledger::Reservation r;
  r.id = reservation_id(visit);
  r.fingerprint = visit.fingerprint;
  r.amount = visit.decision.amount;
  r.holds = visit.decision.holds();
  if (visit.decision.dedupe > Millis(0)) {
    r.dedupe = ledger::DedupeClaim{
        digest_of({visit.policy->name, ledger::counted_as(*visit.key), visit.call.operation,
                   path_of_line(visit), visit.vendor->pack->same_as(visit.operation, visit.input)}),
        visit.judged + visit.decision.dedupe};
  }
  r.now = visit.judged;
  r.answer_by = visit.judged + answer_time(*visit.vendor);
  // A stream has that long to begin.
  if (visit.vendor->pack->listen(visit.operation, visit.input) != nullptr)
    r.answer_by = r.answer_by + kLongestStream;
  r.give_up_at = visit.judged + kGiveUp;
  r.replay_until = visit.judged + kReplay;
  r.vendor = visit.call.vendor;
  r.operation = visit.call.operation;
  r.policy = visit.policy->name;
  r.key_id = visit.key->id;
  r.run = visit.call.run;
  if (const VendorQuestions* questions = visit.vendor->pack->questions()) {
    const std::string match = questions->match(visit.operation, visit.input);
    if (!match.empty()) r.object = std::string(kMatch) + match;
  }
  return r;
}

/// Sets aside what it may cost, once for all its retries, and announces it in the same commit.
Task<Result<>> Broker::reserve(Visit& visit) {
  const bool reads = visit.call.direction == policy::Direction::read;
  if (reads && visit.decision.counted.empty()) co_return Result<>{};
  visit.fingerprint =
      digest_of({visit.input.method, visit.input.path, visit.input.query.text(), visit.input.body});
  ledger::Reservation r = reservation_of(visit);
  std::string id = r.id;
  audit::Event intent = intent_of(visit);
  intent.reserved = visit.decision.amount;
  // What the ledger's answer adds: in shadow mode, that a cap would have refused it.
  ledger::AnnounceWith with;
  if (visit.policy->mode == policy::Mode::shadow) {
    with = [decision = visit.decision](const ledger::ReserveOutcome& outcome, audit::Event& e) {
      const policy::Decision after = policy::after_reserve(decision, outcome);
      if (after.shadow) e.reason = std::string(policy::to_string(*after.shadow));
    };
  }
  auto reserved = co_await calls_.begin(std::move(r), std::move(intent), std::move(with));
  if (!reserved) {
    OCTROI_LOG(error, kModule, "no hold and no audit row, no call",
               {{"error", reserved.error().message()}});
    co_await undo(std::move(id), visit.judged);
    co_return fail(Errc::unavailable,
                   "the ledger and the audit cannot be written; nothing was sent");
  }
  switch (reserved->state) {
    case ledger::ReserveState::applied:
      visit.reservation = std::move(id);
      visit.announced = true;
      metrics_.money(visit.vendor->settings.name, CallMetrics::Money::reserved,
                     visit.decision.amount);
      visit.cap_usage = ledger::money_used(reserved->usage);
      visit.decision = policy::after_reserve(std::move(visit.decision), *reserved);
      co_return Result<>{};
    case ledger::ReserveState::replayed:
      visit.reservation = std::move(id);
      co_return after_replay(visit, *reserved->seen);
    case ledger::ReserveState::mismatch:
      co_return fail(Errc::idempotency_reuse,
                     "this idempotency key was used for another request: use a new one");
    case ledger::ReserveState::over_cap:
    case ledger::ReserveState::duplicate:
    case ledger::ReserveState::clock_went_back:
      break;
  }
  if (reserved->state == ledger::ReserveState::over_cap && reserved->refused) {
    const policy::Counted& cap = visit.decision.counted[*reserved->refused];
    if (cap.brake && cap.then == policy::BrakeAction::pause && shared_.pause_key)
      shared_.pause_key(visit.key->id);
    if (!cap.brake && shared_.notice) tell_of_cap(visit, cap, reserved->resets_at);
  }
  if (reserved->state == ledger::ReserveState::over_cap && reserved->resets_at != ledger::kNoEnd)
    visit.resets_at = reserved->resets_at;
  visit.decision = policy::after_reserve(std::move(visit.decision), *reserved);
  visit.reason = std::string(policy::to_string(visit.decision.reason));
  co_return fail(code_of(visit.decision.reason), visit.decision.message);
}

Notice Broker::notice_of(const Visit& visit, Notice::Kind kind) {
  Notice n;
  n.kind = kind;
  n.call = visit.id;
  n.key_id = visit.key->id;
  n.agent = visit.key->agent;
  n.run = visit.call.run;
  n.policy = visit.policy->name;
  n.vendor = visit.call.vendor;
  n.operation = visit.call.operation;
  n.amount = visit.decision.amount;
  return n;
}

void Broker::tell_of_cap(const Visit& visit, const policy::Counted& cap, UnixMillis resets_at) {
  Notice n = notice_of(visit, Notice::Kind::cap_reached);
  const bool dollars = cap.hold.unit == ledger::SpendUnit::micro_usd;
  const auto limit = MicroUsd::from_raw(cap.limit);
  n.limit = dollars && limit ? format(*limit)
                             : fmt::format("{} call{}", cap.limit, cap.limit == 1 ? "" : "s");
  n.period = std::string(policy::to_string(cap.period));
  n.window =
      fmt::format("{}/{}/{}", dollars ? "usd" : "calls", cap.hold.starts.value, cap.hold.scope);
  if (resets_at != ledger::kNoEnd) n.resets_at = resets_at;
  shared_.notice(std::move(n));
}

/// A retry of a call that was counted: the vendor gives the same answer again, or does it now.
Result<> Broker::after_replay(Visit& visit, const ledger::SpendRecord& seen) {
  visit.before = seen.state;
  switch (seen.state) {
    case ledger::SpendState::unknown:
      // What the vendor may have done was judged then. Since it has, an object that is looked up
      // may have nothing left to pay.
      visit.decision.amount = seen.amount;
      return {};
    case ledger::SpendState::settled:
    case ledger::SpendState::released:
      return {};
    case ledger::SpendState::held:
      visit.reservation.clear();  // it is another call's to settle
      return fail(Errc::in_flight, "the same request is under way; ask again in a moment");
  }
  return {};
}

audit::Event Broker::event_of(const Visit& visit, std::string_view kind) const {
  audit::Event e;
  e.kind = std::string(kind);
  e.id = visit.id;
  e.run = visit.call.run;
  e.method = visit.call.method;
  e.path = visit.call.path;
  e.operation = visit.call.operation;
  if (!visit.call.method.empty())
    e.direction = std::string(policy::to_string(visit.call.direction));
  if (visit.vendor != nullptr) {
    e.vendor = visit.vendor->settings.name;
    e.mode = visit.vendor->live ? "live" : "test";
  }
  if (visit.key != nullptr) {
    e.agent = visit.key->agent;
    e.key_id = visit.key->id;
    e.key_name = visit.key->name;
    e.server = visit.key->server;
  }
  if (visit.policy != nullptr) {
    e.policy = visit.policy->name;
    e.policy_version = visit.policy->version;
    e.policy_hash = visit.policy->hash;
    if (visit.policy->mode == policy::Mode::shadow) e.mode = "shadow";
  }
  if (visit.call.minor) {
    e.amount = visit.call.minor->minor;
    e.currency = visit.call.minor->currency;
  }
  if (!visit.call.customers.empty()) e.customer = visit.call.customers.front();
  if (!visit.idempotency_key.empty())
    e.idempotency_key_hash = crypto::sha256(as_bytes(visit.idempotency_key));
  if (visit.body_hash != ledger::Digest{}) e.body_sha256 = visit.body_hash;
  if (!visit.reservation.empty()) {
    e.reserved = visit.decision.amount;
    if (visit.before) e.retry_of = visit.reservation;
    e.cap_usage_after = visit.cap_usage;
  }
  if (!visit.looked_up.empty()) e.details.emplace_back("looked_up", visit.looked_up);
  e.client = visit.exchange.peer().address.str();
  e.user_agent = visit.user_agent;
  if (!visit.ticket.empty()) e.details.emplace_back("approval", visit.ticket);
  if (!visit.refused_ticket.empty()) e.details.emplace_back("approval", visit.refused_ticket);
  return e;
}

audit::Event Broker::intent_of(const Visit& visit) const {
  audit::Event e = event_of(visit, audit::kCallIntent);
  e.verdict = audit::Verdict::allowed;
  if (visit.decision.shadow) e.reason = std::string(policy::to_string(*visit.decision.shadow));
  return e;
}

/// The commit of a reservation was lost, and nothing was sent.
Task<void> Broker::undo(std::string id, UnixMillis reserved_at) {
  if (shared_.not_sent) {
    shared_.not_sent(std::move(id), reserved_at);
    co_return;
  }
  std::ignore = co_await calls_.undo(std::move(id), reserved_at, shared_.clock.now());
}

/// No audit row, no call. For what holds nothing of its own: a read, or a retry.
Task<Result<>> Broker::announce(Visit& visit) {
  auto written = co_await shared_.journal.append(intent_of(visit));
  if (written) {
    visit.announced = true;
    co_return Result<>{};
  }
  OCTROI_LOG(error, kModule, "no audit row, no call", {{"error", written.error().message()}});
  co_return fail(Errc::unavailable, "the audit journal cannot be written; nothing was sent");
}

/// The name under which the call is found again: that of what it made. A call that reads or changes
/// what was there keeps it only when it counted all of it, because what goes on with an object is
/// judged by the newest call that bears its name (was_counted).
std::string Broker::object_of(const Visit& visit, const Outcome& outcome) {
  if (visit.call.direction == policy::Direction::read) return {};
  const bool was_there = visit.input.path.find("/" + outcome.object) != std::string::npos;
  if (!was_there) return outcome.object;
  const VendorQuestions* questions = visit.vendor->pack->questions();
  const bool whole = visit.call.amount != policy::AmountState::none && questions != nullptr &&
                     questions->counts_whole(visit.operation.name);
  return whole ? outcome.object : std::string();
}

/// What it cost, to be written with the row that tells it (tell_outcome).
void Broker::settle(Visit& visit, Outcome outcome) {
  visit.outcome = std::move(outcome);
  if (visit.reservation.empty()) return;
  const Outcome& o = visit.outcome;
  using To = ledger::SpendChange::To;
  ledger::SpendChange& change = visit.change;
  change.id = visit.reservation;
  change.object = object_of(visit, o);
  switch (o.state) {
    case Outcome::State::done:
      if (visit.before == ledger::SpendState::settled) return;  // counted when it was done
      if (o.price_due) {
        // It stays held, under the name of what was made, until its price is known.
        if (!visit.before) change.to = To::unknown;
        return;
      }
      visit.settled = change.actual = cost_of(visit);
      change.to = To::settled;
      return;
    case Outcome::State::refused:
      // What became of the first attempt is not said by a refusal of the second.
      if (!visit.before || o.replayed) change.to = To::released;
      return;
    case Outcome::State::unknown:
      if (visit.before) return;
      change.to = To::unknown;
      if (visit.call.direction == policy::Direction::read && visit.decision.amount == MicroUsd{}) {
        // Whatever became of it, it was a call, and it moves nothing that anybody could look for.
        visit.settled = change.actual = MicroUsd{};
        change.to = To::settled;
      }
      return;
  }
}

/// By the vendor's answer; what it does not say is what was held.
MicroUsd Broker::cost_of(const Visit& visit) {
  const Outcome& o = visit.outcome;
  if (o.minor && visit.call.amount != policy::AmountState::none) {
    const policy::Rates dollars;
    const auto usd = policy::to_usd(
        *o.minor, visit.snapshot->rates ? *visit.snapshot->rates : dollars, visit.judged);
    if (usd) return *usd;
  }
  return o.usd.value_or(visit.decision.amount);
}

/// Nothing was sent.
void Broker::release(Visit& visit) {
  if (visit.reservation.empty() || visit.before) return;
  visit.change.to = ledger::SpendChange::To::released;
  visit.change.id = visit.reservation;
}

audit::Event Broker::outcome_of(const Visit& visit, audit::Verdict verdict, UnixMillis now) const {
  audit::Event e = event_of(visit, audit::kCallOutcome);
  e.verdict = verdict;
  e.reason = visit.reason;
  if (visit.upstream_status != 0) e.upstream_status = visit.upstream_status;
  e.settled = visit.settled;
  if (visit.change.to == ledger::SpendChange::To::released) e.released = visit.decision.amount;
  e.vendor_request_id = visit.outcome.request_id;
  e.latency_ms = (now - visit.started).count();
  return e;
}

/// Counts what it cost and tells it, in one commit. What the vendor did is done, whatever can be
/// written about it: an error leaves the hold as it is, and the sweep and the reconciliation find
/// it.
Task<void> Broker::tell_outcome(Visit& visit, audit::Verdict verdict, Told told) {
  const UnixMillis now = shared_.clock.now();
  audit::Event e = outcome_of(visit, verdict, now);
  ledger::SpendChange change = std::exchange(visit.change, {});
  change.now = now;
  visit.verdict = to_string(verdict);
  count(visit, verdict);
  if (e.settled) metrics_.money(e.vendor, CallMetrics::Money::settled, *e.settled);
  if (e.released) metrics_.money(e.vendor, CallMetrics::Money::released, *e.released);
  if (change.to == ledger::SpendChange::To::unknown && !visit.outcome.price_due && shared_.notice)
    shared_.notice(notice_of(visit, Notice::Kind::spend_unknown));
  if (told == Told::later && calls_.end_later(change, e)) co_return;
  if (change.to == ledger::SpendChange::To::nothing) {
    auto written = co_await shared_.journal.append(std::move(e));
    if (!written) {
      OCTROI_LOG(error, kModule, "an outcome is missing in the audit; its intent is there",
                 {{"call", visit.id}, {"error", written.error().message()}});
    }
    co_return;
  }
  auto ended = co_await calls_.end(change, std::move(e));
  if (ended) co_return;
  OCTROI_LOG(error, kModule, "an outcome is not written; its intent is there",
             {{"call", visit.id}, {"error", ended.error().message()}});
  co_await change_alone(std::move(change));
}

/// A row that cannot be written is no reason to keep money held.
Task<void> Broker::change_alone(ledger::SpendChange change) {
  Result<ledger::ChangeOutcome> changed;
  switch (change.to) {
    case ledger::SpendChange::To::nothing:
      co_return;
    case ledger::SpendChange::To::settled:
      changed = co_await shared_.spends.settle(change.id, change.actual, change.object, change.now);
      break;
    case ledger::SpendChange::To::released:
      changed = co_await shared_.spends.release(change.id, change.now);
      break;
    case ledger::SpendChange::To::unknown:
      changed = co_await shared_.spends.mark_unknown(change.id, change.object, change.now);
      break;
  }
  if (!changed) {
    OCTROI_LOG(error, kModule, "an outcome could not be counted; its hold stays",
               {{"reservation", change.id}, {"error", changed.error().message()}});
  }
}

}  // namespace octroi::vault
