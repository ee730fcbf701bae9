// To the vendor with the real key, and back without it.
#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "octroi/base/log.h"
#include "octroi/http/relay.h"
#include "octroi/vault/answer_filter.h"
#include "octroi/vault/broker_visit.h"
#include "octroi/vault/questions.h"

namespace octroi::vault {

namespace {

constexpr std::size_t kKeptAnswer = 256 * 1024;  // of an answer, to settle by

/// Not for third parties, unless the configuration says so: who calls, and why, is in them.
constexpr std::array<std::string_view, 3> kTraceFields = {"traceparent", "tracestate", "baggage"};

/// Fields that are this hop's, name the agent, or would change what the answer is.
constexpr std::array<std::string_view, 16> kNotForwarded = {
    "x-agent-run-id",   "accept-encoding",  "range",
    "if-range",         "if-none-match",    "if-modified-since",
    "expect",           "content-length",   "content-type",
    "content-encoding", "content-md5",      "forwarded",
    "x-forwarded-for",  "x-forwarded-host", "x-forwarded-proto",
    "x-real-ip"};

audit::Verdict verdict_of(Outcome::State state) {
  switch (state) {
    case Outcome::State::done:
      return audit::Verdict::allowed;
    case Outcome::State::refused:
      return audit::Verdict::failed;
    case Outcome::State::unknown:
      break;
  }
  return audit::Verdict::unknown;
}

/// How long the vendor may be silent: before its answer, and within it, where models think and
/// tools work as well. Who only listens does so until the agent has enough.
http::ClientTimeouts patience_with(const Vendor& vendor, const Operation& operation) {
  http::ClientTimeouts out;
  out.first_byte = vendor.settings.timeout;
  out.idle = vendor.pack->only_listens(operation) ? Millis(0) : std::max(out.idle, out.first_byte);
  return out;
}

}  // namespace

std::shared_ptr<const Needles> Broker::needles_for(const Vendor& vendor,
                                                   const ledger::VaultKey& key,
                                                   std::shared_ptr<const Snapshot> of) {
  std::string name = vendor.settings.name;
  if (vendor.pack->hides_per_key()) name += "/" + key.id;
  KeptNeedles& kept = needles_[name];
  std::uint64_t version = vendor.tokens != nullptr ? vendor.tokens->version() : 0;
  for (const auto& tokens : vendor.other_tokens) version += tokens->version();
  if (kept.needles == nullptr || kept.of != of || kept.tokens != version) {
    auto made = std::make_shared<Needles>();
    for (auto& hidden : vendor.pack->hidden(*vendor.real, key))
      made->add(hidden.text, std::move(hidden.instead));
    for (const auto& other : vendor.others.real) {
      for (auto& hidden : vendor.pack->hidden(*other, key))
        made->add(hidden.text, std::move(hidden.instead));
    }
    std::vector<std::shared_ptr<TokenCell>> cells = vendor.other_tokens;
    if (vendor.tokens != nullptr) cells.push_back(vendor.tokens);
    for (const auto& cell : cells) {
      for (const TokenPtr& token : cell->known(shared_.clock.now()))
        made->add(token->text, "vault_redacted");
    }
    kept = {std::move(made), std::move(of), version};
  }
  return kept.needles;
}

/// A new real key that stops working is nothing to fall back from in silence: people should know.
void Broker::watch_for_refusal(const Visit& visit, int status, std::string_view body) const {
  const Vendor& vendor = *visit.vendor;
  if (!vendor.others.lately || !shared_.real_key_refused) return;
  const bool refused =
      vendor.key_check != nullptr ? vendor.key_check->refuses(status, body) : status == 401;
  if (refused) shared_.real_key_refused(vendor.settings.name, vendor.others.version, visit.id);
}

/// What the real key is exchanged for. Nothing of the call was sent when that fails, and what it
/// held is released.
Task<Result<>> Broker::get_token(Visit& visit) {
  const std::uint64_t after = visit.token != nullptr ? visit.token->number : 0;
  auto got = co_await token_for(&clients_, visit.vendor, &shared_.clock, &shared_.random, after);
  if (got) {
    visit.token = std::move(*got);
    co_return Result<>{};
  }
  release(visit);
  const bool refused = got.error().is(Errc::token_refused);
  visit.reason = refused ? "token_refused" : "token_unavailable";
  co_return fail(refused ? Errc::token_refused : Errc::upstream_failed,
                 fmt::format("{}; nothing was done", got.error().message()));
}

/// The head that the vendor gets: what was read, and the real key.
void Broker::swap(Visit& visit) {
  http::RequestHead& head = visit.exchange.request();
  // Before anything is put in: a Connection field names what is taken out.
  http::strip_hop_by_hop(head.headers);
  for (const std::string_view name : kNotForwarded) head.headers.remove(name);
  if (!shared_.propagate) {
    for (const std::string_view name : kTraceFields) head.headers.remove(name);
  }
  if (visit.trace) visit.begin_hop();
  if (const VendorQuestions* questions = visit.vendor->pack->questions();
      questions != nullptr && !visit.reservation.empty())
    questions->mark(visit.operation, visit.input, visit.reservation);
  if (!visit.input.body.empty()) head.headers.set("Content-Type", visit.input.content_type);
  head.headers.set("Accept-Encoding", "identity");
  std::string idempotency_key;
  if (!visit.vendor->pack->idempotency_header().empty() &&
      visit.call.direction != policy::Direction::read) {
    // Keys of two agents of one account do not meet; and a call without one gets its own, so that
    // its outcome can be asked for.
    idempotency_key = "octroi_" + (visit.reservation.empty() ? visit.id : visit.reservation);
  }
  if (visit.call.direction == policy::Direction::read &&
      !visit.vendor->pack->idempotency_header().empty())
    head.headers.remove(visit.vendor->pack->idempotency_header());
  const VendorPack::Sending sending{head,       visit.input,     visit.shown(),
                                    *visit.key, idempotency_key, visit.id};
  visit.vendor->pack->prepare(sending);
  head.target = visit.vendor->settings.base_path + visit.input.path;
  if (const std::string query = visit.input.query.text(); !query.empty())
    head.target += "?" + query;
  visit.vendor->pack->sign(sending, visit.vendor->authority, shared_.clock.now());
}

/// To the vendor and back. A 401 has no effect: what was refused because of its token is sent
/// again, once, with a new one.
Task<Result<>> Broker::forward(Visit& visit) {
  OCTROI_CO_TRY(const bool answered, co_await attempt(visit, visit.token != nullptr));
  if (answered) co_return Result<>{};
  OCTROI_CO_CHECK(co_await get_token(visit));
  swap(visit);
  OCTROI_CO_CHECK(co_await attempt(visit, false));
  co_return Result<>{};
}

/// False: the vendor says that the token is bad, and the agent was told nothing so far.
Task<Result<bool>> Broker::attempt(Visit& visit, bool may_renew) {
  const bool spends = visit.call.direction != policy::Direction::read;
  auto needles = needles_for(*visit.vendor, *visit.key, visit.snapshot);
  const auto reader = visit.vendor->pack->listen(visit.operation, visit.input);
  AnswerFilter filter(needles, kKeptAnswer, reader.get());
  const bool to_the_end = spends && (reader == nullptr || !reader->ends_with_agent());
  GuardedExchange guarded(visit.exchange, needles, filter, to_the_end);
  if (may_renew) guarded.withhold_bad_token();
  http::RelayOptions options;
  options.upstream = visit.vendor->origin;
  options.host = visit.vendor->authority;
  options.buffered_body = visit.input.body;
  options.repeat_idempotent = !spends;
  options.timeouts = patience_with(*visit.vendor, visit.operation);
  options.filter = &filter;
  // A new connection to a vendor takes longer than a revocation may.
  options.may_send = [this, &visit] { return check_still_open(visit); };
  visit.forwarding = true;
  mind_key(visit);
  const http::RelayResult result =
      co_await http::relay(guarded, clients_.client_for(*visit.vendor), std::move(options));
  if (visit.hop) visit.end_hop(result);
  visit.forwarding = false;
  visit.revoked_timer.stop();
  visit.end_timer.stop();
  visit.upstream_status = filter.status();
  if (filter.found() > 0) {
    OCTROI_LOG(warn, kModule, "a vendor's answer held the real key; it was cut out",
               {{"vendor", visit.vendor->settings.name}, {"call", visit.id}});
  }
  if (guarded.withheld() && !result.client_left) co_return false;
  watch_for_refusal(visit, filter.status(), filter.body());
  if (visit.token != nullptr && filter.status() == 401)
    visit.vendor->tokens->doubt(visit.token->number, shared_.clock.now());
  if (result.state == http::RelayState::refused) {
    OCTROI_CO_CHECK(not_sent(visit, result));
    co_return true;
  }
  if (result.state == http::RelayState::failed) {
    OCTROI_CO_CHECK(co_await not_answered(visit, result));
    co_return true;
  }
  Outcome outcome = reader != nullptr ? reader->outcome(filter.ended())
                                      : visit.vendor->pack->settle(visit.operation, filter.status(),
                                                                   filter.headers(), filter.body(),
                                                                   filter.whole());
  if (filter.status() == 0) outcome.state = Outcome::State::unknown;
  // These are kept, and shown to people: a vendor may write the real key where an id stands.
  outcome.object = scrub(*needles, outcome.object);
  outcome.request_id = scrub(*needles, outcome.request_id);
  settle(visit, outcome);
  const bool cut_off = visit.revoked && visit.outcome.state == Outcome::State::done;
  co_await tell_outcome(
      visit, cut_off ? audit::Verdict::revoked_inflight : verdict_of(visit.outcome.state),
      Told::later);
  co_return true;
}

Result<> Broker::not_sent(Visit& visit, const http::RelayResult& result) {
  release(visit);
  visit.outcome.state = Outcome::State::refused;
  if (result.error && errc_of(*result.error)) return fail(*result.error);
  return fail(Errc::upstream_failed, "the vendor cannot be reached; nothing was sent");
}

/// The vendor has the request, and the agent has nothing of an answer.
Task<Result<>> Broker::not_answered(Visit& visit, const http::RelayResult& result) {
  const bool coded = result.error && result.error->is(Errc::encoded_answer);
  Outcome outcome;
  if (coded) outcome.state = by_status(visit.upstream_status);
  settle(visit, outcome);
  co_await tell_outcome(visit, verdict_of(outcome.state), Told::first);
  visit.announced = false;  // its outcome is written
  co_return fail(coded ? Errc::encoded_answer : Errc::unknown_outcome,
                 coded ? "the vendor's answer cannot be searched for secrets and is withheld"
                       : "the vendor did not answer; whether it acted is not known, and what "
                         "it may cost stays reserved: do not send it again under a new "
                         "idempotency key");
}

}  // namespace octroi::vault
