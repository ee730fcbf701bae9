#include "octroi/vault/broker.h"

#include <algorithm>
#include <array>
#include <utility>

#include "octroi/vault/broker_visit.h"

namespace octroi::vault {

namespace {

/// "vault.key-revoked" as a policy's reasons are written: "key_revoked".
std::string reason_of(Errc code) {
  const std::string_view text = error_info(code).code;
  std::string out(text.substr(text.find('.') + 1));
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

/// Its time and then chance: what is written one after the other lies together in the store, and
/// lists by id are lists by time.
std::string new_call_id(UnixMillis now, Random& random) {
  std::array<std::uint8_t, 12> id = random.bytes<12>();
  auto bits = static_cast<std::uint64_t>(now.value);
  for (std::size_t i = 6; i-- > 0; bits >>= 8U) id[i] = static_cast<std::uint8_t>(bits);
  return "call_" + to_hex(id);
}

}  // namespace

void Shared::canary_used(std::string call, std::string key_id, const http::Peer& by) const {
  metrics
      .counter("octroi_vault_alarms_total",
               "Uses of canary keys, and real keys that vendors refuse.",
               {{"reason", "canary_used"}})
      .add();
  if (alarm) alarm(std::move(call), std::move(key_id), by.address.address.str());
}

Broker::Broker(Shared& shared, VendorClients& clients, std::shared_ptr<const Snapshot> snapshot,
               std::shared_ptr<const KeyBook> book)
    : shared_(shared),
      metrics_(shared.metrics),
      separate_(shared.spends, shared.journal),
      calls_(shared.calls != nullptr ? *shared.calls : separate_),
      clients_(clients),
      snapshot_(std::move(snapshot)),
      book_(std::move(book)) {}
Broker::~Broker() = default;

void Broker::publish(std::shared_ptr<const Snapshot> snapshot) {
  snapshot_ = std::move(snapshot);
  needles_.clear();
}

void Broker::publish(std::shared_ptr<const KeyBook> book) {
  book_ = std::move(book);
  for (Visit* visit : visits_) mind_key(*visit);
}

/// Cuts a call whose key opens nothing any more. One that is forwarded is looked at again when its
/// key ends by itself: no new book tells of that.
void Broker::mind_key(Visit& visit) {
  if (visit.revoked || visit.key == nullptr) return;
  const UnixMillis now = shared_.clock.now();
  const ledger::VaultKey* key = book_->by_id(visit.key->id);
  net::TimerWheel& timers = visit.exchange.loop().timers();
  if (key == nullptr || !book_->check(*key, now)) {
    visit.revoked = true;
    timers.start(visit.revoked_timer, kStreamGrace);
    return;
  }
  if (!visit.forwarding) return;
  if (const auto end = book_->end_of(*key)) timers.start(visit.end_timer, *end - now);
}

// ------------------------------------------------------------------------------------------------

Task<void> Broker::handle(http::Exchange& exchange, Via via) {
  Visit visit(*this, exchange);
  visit.via = std::move(via);
  visit.started = shared_.clock.now();
  visit.trace = begin_trace(shared_.tracer, exchange.request().headers);
  visit.id = new_call_id(visit.started, shared_.random);
  auto passed = co_await pass(visit);
  if (!passed) co_await refuse(visit, std::move(passed).error());
  if (visit.trace) visit.end_trace();
}

/// The whole story. An error is a denial that was not answered yet.
Task<Result<>> Broker::pass(Visit& visit) {
  OCTROI_CO_CHECK(co_await admit(visit));
  std::unique_ptr<Span> step;
  if (visit.trace) step = visit.trace->child(SpanKind::internal, "reserve");
  auto reserved = co_await reserve(visit);
  if (step) visit.trace->finish(std::move(step));
  if (!reserved) co_return reserved;
  if (!visit.announced) OCTROI_CO_CHECK(co_await announce(visit));
  if (visit.vendor->tokens != nullptr) OCTROI_CO_CHECK(co_await get_token(visit));
  // Writing took time, in which the key may have been revoked: nothing was sent so far.
  if (auto open = check_still_open(visit); !open) {
    release(visit);
    co_return open;
  }
  swap(visit);
  co_return co_await forward(visit);
}

/// Everything that needs neither money nor the journal.
Task<Result<>> Broker::admit(Visit& visit) {
  OCTROI_CO_CHECK(find_key(visit));
  OCTROI_CO_CHECK(co_await read_call(visit));
  co_return co_await decide(visit);
}

void Broker::count(const Visit& visit, audit::Verdict verdict) {
  metrics_.call(visit.vendor != nullptr ? std::string_view(visit.vendor->settings.name) : "",
                verdict);
}

/// Says no, in the vendor's words. What a known key was refused is in the audit too; what comes
/// without one is only counted, or anybody could fill the disk.
Task<void> Broker::refuse(Visit& visit, Error error) {
  const Errc code = errc_of(error).value_or(Errc::unavailable);
  Denial denial;
  denial.code = code;
  if (visit.reason.empty()) visit.reason = reason_of(code);
  // Whoever shows a canary is told what every wrong key is told.
  denial.reason = code == Errc::unknown_key ? reason_of(code) : visit.reason;
  denial.message = error.is(code) ? std::string(error.message())
                                  : std::string("the vault cannot work now; nothing was sent");
  denial.resets_at = visit.resets_at;
  // With its idempotency key a call is counted once and done once, however often it is sent.
  denial.retry = code == Errc::unavailable || code == Errc::upstream_failed ||
                 (!visit.idempotency_key.empty() &&
                  (code == Errc::unknown_outcome || (code == Errc::in_flight && visit.before)));
  // Who only names a key is nobody whose calls are written down.
  if (visit.signature && !visit.proven) visit.key = nullptr;
  if (code != Errc::unknown_outcome && code != Errc::encoded_answer)
    co_await give_back_ticket(visit);
  const bool ours = code == Errc::upstream_failed || code == Errc::unknown_outcome ||
                    code == Errc::encoded_answer || code == Errc::token_refused;
  if (visit.key != nullptr && (visit.announced || !ours)) {
    if (visit.policy == nullptr) {
      const auto found = visit.snapshot->policies.find(visit.key->policy);
      if (found != visit.snapshot->policies.end()) visit.policy = &found->second;
    }
    co_await tell_outcome(
        visit,
        code == Errc::upstream_failed || code == Errc::unavailable || code == Errc::token_refused
            ? audit::Verdict::failed
            : audit::Verdict::denied,
        Told::first);
  } else if (visit.key == nullptr) {
    count(visit, audit::Verdict::denied);
    visit.verdict = to_string(audit::Verdict::denied);
  }
  Refusal refusal = visit.pack().refusal_of(denial, visit.input);
  refusal.head.headers.add("X-Octroi-Call", visit.id);
  if (!visit.refused_ticket.empty()) {
    refusal.head.headers.add("X-Octroi-Approval", visit.refused_ticket);
    if (visit.reason == policy::to_string(policy::Reason::needs_approval))
      refusal.head.headers.add("Retry-After", "15");
  }
  if (code == Errc::no_key || code == Errc::unknown_key)
    refusal.head.headers.add("WWW-Authenticate", "Bearer realm=\"octroi vault\"");
  visit.answered = refusal.head.status;
  std::ignore = co_await visit.exchange.respond(std::move(refusal.head), std::move(refusal.body));
}

}  // namespace octroi::vault
