#include "octroi/app/vault_simulate.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "octroi/app/vault_keys.h"
#include "octroi/app/vault_policies.h"
#include "octroi/audit/journal.h"
#include "octroi/crypto/hash.h"
#include "octroi/json/writer.h"
#include "octroi/ledger/memory_spends.h"
#include "octroi/policy/decide.h"
#include "octroi/vault/snapshot.h"

namespace octroi::app {

namespace {

constexpr int kPage = 1000;
constexpr std::size_t kMostRows = 200'000;

/// One call as its two rows tell of it.
struct Told {
  UnixMillis at;
  std::int64_t order = 0;  // rows of one moment, as they were written
  audit::Event event;      // the intent, or the denial
  std::optional<audit::Event> outcome;
};

struct Change {
  const Told* call = nullptr;
  policy::Verdict was = policy::Verdict::allow;
  policy::Decision would;
};

struct Report {
  std::size_t calls = 0, allowed = 0, denied = 0, approval = 0;
  std::size_t left_out = 0;  // no policy judged them
  std::vector<Change> changed;
};

Task<Result<std::vector<Told>>> calls_of(audit::Journal* journal, const SimulateRequest* request) {
  audit::Filter filter;
  filter.policy = request->name;
  filter.from = request->from;
  filter.to = request->to;
  filter.limit = kPage;
  std::map<std::string, Told> by_id;
  std::size_t rows = 0;
  do {
    OCTROI_CO_TRY(auto page, co_await journal->query(filter));
    rows += page.rows.size();
    if (rows > kMostRows)
      co_return fail(VaultKeyErrc::bad_request, "too many calls: narrow the time with from and to");
    for (audit::Row& row : page.rows) {
      const bool intent = row.event.kind == audit::kCallIntent;
      if (!intent && row.event.kind != audit::kCallOutcome) continue;
      Told& told = by_id[row.event.id];
      told.at = row.at;
      told.order = row.id.seq;
      if (!intent) told.outcome = row.event;
      if (intent || told.event.kind.empty()) told.event = std::move(row.event);
    }
    filter.cursor = std::move(page.next);
  } while (!filter.cursor.empty());
  std::vector<Told> out;
  out.reserve(by_id.size());
  for (auto& [id, told] : by_id) out.push_back(std::move(told));
  std::sort(out.begin(), out.end(), [](const Told& a, const Told& b) {
    return std::tie(a.at, a.order) < std::tie(b.at, b.order);
  });
  co_return out;
}

policy::Call call_of(const audit::Event& e) {
  policy::Call c;
  c.vendor = e.vendor;
  c.operation = e.operation;
  c.method = e.method;
  c.path = e.path;
  c.direction = policy::direction_from_string(e.direction).value_or(policy::Direction::write);
  c.looked_up = true;
  if (e.reserved && *e.reserved > MicroUsd{}) {
    c.amount = policy::AmountState::known;
    c.usd = e.reserved;
  } else if (e.amount) {
    c.amount = policy::AmountState::known;
    c.minor = policy::MinorAmount{
        *e.amount, e.currency,
        e.vendor == "stripe" ? policy::MinorUnits::stripe : policy::MinorUnits::iso};
  }
  if (!e.customer.empty()) c.customers.push_back(e.customer);
  c.run = e.run;
  c.agent = e.agent;
  c.key_id = e.key_id;
  return c;
}

ledger::Reservation reservation_of(const Told& told, const policy::Decision& decision) {
  ledger::Reservation r;
  r.id = told.event.id;
  r.amount = decision.amount;
  r.holds = decision.holds();
  r.now = told.at;
  r.answer_by = r.give_up_at = r.replay_until = told.at + std::chrono::hours(24);
  if (decision.dedupe > Millis(0) && told.event.body_sha256) {
    const std::string what = told.event.key_id + "\n" + told.event.operation + "\n" +
                             told.event.path + "\n" + to_hex(*told.event.body_sha256);
    r.dedupe = ledger::DedupeClaim{crypto::sha256(as_bytes(what)), told.at + decision.dedupe};
  }
  return r;
}

bool has_ticket(const audit::Event& e) {
  return std::any_of(e.details.begin(), e.details.end(),
                     [](const auto& detail) { return detail.first == "approval"; });
}

bool is_reason_of_policies(std::string_view reason) {
  using policy::Reason;
  for (int i = 0; i <= static_cast<int>(Reason::clock_went_back); ++i) {
    if (reason == policy::to_string(static_cast<Reason>(i))) return true;
  }
  return false;
}

/// What the policy of then said; empty where none was asked: the key was refused, or the call
/// failed before it was forwarded.
std::optional<policy::Verdict> verdict_of(const Told& told) {
  const audit::Event& end = told.outcome ? *told.outcome : told.event;
  if (has_ticket(told.event) || has_ticket(end)) return policy::Verdict::approve;
  const bool forwarded = told.event.kind == audit::kCallIntent;
  if (end.verdict == audit::Verdict::denied) {
    if (end.reason == policy::to_string(policy::Reason::needs_approval))
      return policy::Verdict::approve;
    if (is_reason_of_policies(end.reason)) return policy::Verdict::deny;
    return std::nullopt;
  }
  if (end.verdict == audit::Verdict::failed && !forwarded) return std::nullopt;
  return policy::Verdict::allow;
}

Task<Result<policy::Decision>> judge(ledger::MemorySpends* spends, const policy::Policy* policy,
                                     const policy::Rates* rates, const Told* told) {
  using policy::Verdict;
  policy::Decision decision = policy::decide(*policy, call_of(told->event), {told->at, rates});
  // What a human let pass is spent like anything else.
  const bool passed =
      decision.verdict == Verdict::approve && told->event.kind == audit::kCallIntent;
  if (decision.verdict != Verdict::allow && !passed) co_return decision;
  if (decision.counted.empty()) co_return decision;
  OCTROI_CO_TRY(const auto reserved, co_await spends->reserve(reservation_of(*told, decision)));
  decision = policy::after_reserve(std::move(decision), reserved);
  if (decision.verdict == Verdict::deny) co_return decision;
  const bool failed = told->outcome && told->outcome->verdict == audit::Verdict::failed;
  if (failed) {
    OCTROI_CO_CHECK(co_await spends->release(told->event.id, told->at));
  } else {
    const auto cost = told->outcome ? told->outcome->settled : std::nullopt;
    OCTROI_CO_CHECK(
        co_await spends->settle(told->event.id, cost.value_or(decision.amount), "", told->at));
  }
  co_return decision;
}

Task<Result<Report>> replay(const std::vector<Told>* calls, const policy::Policy* policy,
                            const policy::Rates* rates) {
  ledger::MemorySpends spends;
  Report out;
  for (const Told& told : *calls) {
    if (!told.event.retry_of.empty()) continue;  // counted with the call that it repeats
    const auto was = verdict_of(told);
    if (!was) {
      ++out.left_out;
      continue;
    }
    ++out.calls;
    OCTROI_CO_TRY(auto decision, co_await judge(&spends, policy, rates, &told));
    if (decision.verdict == policy::Verdict::allow) {
      ++out.allowed;
    } else if (decision.verdict == policy::Verdict::approve) {
      ++out.approval;
    } else {
      ++out.denied;
    }
    if (decision.verdict != *was) out.changed.push_back({&told, *was, std::move(decision)});
  }
  co_return out;
}

/// Takes out what the audit cannot tell; the names of it.
std::vector<std::string> without_unseen(policy::Policy& p) {
  std::vector<std::string> out;
  const auto drop = [&](auto& list, const char* name) {
    if (list.empty()) return;
    list.clear();
    out.emplace_back(name);
  };
  drop(p.fields, "fields");
  drop(p.recipients, "recipients");
  drop(p.countries, "countries");
  drop(p.senders, "senders");
  return out;
}

std::string_view was_word(policy::Verdict was) {
  switch (was) {
    case policy::Verdict::allow:
    case policy::Verdict::lookup:
      return "allowed";
    case policy::Verdict::deny:
      return "denied";
    case policy::Verdict::approve:
      return "approval";
  }
  return "";
}

void write_change(json::Writer& w, const Change& change) {
  const audit::Event& e = change.call->event;
  w.begin_object().field("at", to_rfc3339(change.call->at)).field("call", e.id);
  w.field("operation", e.operation).field("amount", format(change.would.amount));
  w.field("agent", e.agent).field("run", e.run).field("key_id", e.key_id);
  w.field("was", was_word(change.was));
  if (change.was != policy::Verdict::allow && change.call->outcome)
    w.field("was_reason", change.call->outcome->reason);
  w.field("would_be", policy::to_string(change.would.verdict));
  w.field("reason", policy::to_string(change.would.reason));
  w.field("message", change.would.message).end_object();
}

}  // namespace

Task<Result<std::string>> simulate_policy(ledger::Store& store, const vault::VaultSettings& file,
                                          SimulateRequest request) {
  if (store.journal() == nullptr) co_return fail(VaultKeyErrc::no_vault, "there is no audit here");
  OCTROI_CO_TRY(auto in_force, co_await policies_in_force(store, file));
  if (request.document.empty()) {
    for (const auto& p : in_force.settings.policies) {
      if (p.name == request.name) request.document = p.document;
    }
    if (request.document.empty())
      co_return fail(VaultKeyErrc::not_found, "there is no policy \"" + request.name + "\"");
  }
  auto parsed = policy::parse_policy(request.name, request.document);
  if (!parsed) co_return fail(VaultKeyErrc::bad_request, std::string(parsed.error().message()));
  parsed->mode = policy::Mode::enforce;  // what it would refuse is the question
  const std::string hash = to_hex(parsed->hash);
  const auto unseen = without_unseen(*parsed);
  OCTROI_CO_TRY(const auto snapshot, vault::Snapshot::build(std::move(in_force.settings), {}));
  OCTROI_CO_TRY(const auto calls, co_await calls_of(store.journal(), &request));
  OCTROI_CO_TRY(const auto report,
                co_await replay(&calls, &*parsed, snapshot->rates ? &*snapshot->rates : nullptr));
  json::Writer w;
  w.begin_object().field("policy", request.name).field("hash", hash);
  w.field("calls", report.calls).field("allowed", report.allowed).field("denied", report.denied);
  w.field("approval", report.approval)
      .field("left_out", report.left_out)
      .key("changed")
      .begin_array();
  for (const Change& change : report.changed) write_change(w, change);
  w.end_array().key("not_judged").begin_array();
  for (const std::string& name : unseen) w.string(name);
  w.end_array().end_object();
  co_return std::move(w).take();
}

}  // namespace octroi::app
