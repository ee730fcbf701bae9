// Whose key it is, which call that is, and what the policy says of it.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "octroi/base/log.h"
#include "octroi/crypto/hash.h"
#include "octroi/policy/narrow.h"
#include "octroi/vault/broker_visit.h"
#include "octroi/vault/questions.h"

namespace octroi::vault {

namespace {

constexpr std::size_t kLongestIdempotencyKey = 255;
constexpr AskLimits kLookUp{.max_body = 256 * 1024, .deadline = Millis(10'000)};

Result<std::string> idempotency_key_of(const http::Headers& headers, std::string_view name) {
  if (name.empty()) return std::string();
  if (headers.count(name) > 1)
    return fail(Errc::ambiguous, fmt::format("{} stands there twice", name));
  const std::string_view key = headers.get(name).value_or("");
  if (key.size() > kLongestIdempotencyKey)
    return fail(Errc::ambiguous, fmt::format("{} is longer than 255 characters", name));
  return std::string(key);
}

std::optional<std::string> field_of(const policy::Call& call, std::string_view name) {
  for (const auto& [n, v] : call.fields) {
    if (n == name) return v;
  }
  return std::nullopt;
}

/// Stripe's place for it. As strict as the header: it is shown to whoever approves the call.
Result<std::string> run_of_metadata(const policy::Call& call) {
  constexpr const char* kField = "metadata[agent_run_id]";
  const std::string text = field_of(call, kField).value_or("");
  auto run = run_of({}, text);
  if (run && *run == text) return run;
  return fail(Errc::ambiguous, fmt::format("{} must be one word of at most 128 letters", kField));
}

/// A tunnel leads to one host. Whoever asks for another inside it was answered for neither.
Result<> check_tunnel(const Via& via, http::RequestHead& head) {
  if (via.host.empty()) return {};
  if (head.authority.empty()) head.authority = via.host;  // HTTP/1.0
  if (host_of(head.authority) == via.host) return {};
  return fail(Errc::ambiguous, "this tunnel leads to another host than the request names");
}

/// The vendor that a request is for which does not say it but by its key.
const Vendor* meant_by(const Snapshot& snapshot, const Address& address,
                       const ledger::VaultKey& key) {
  if (address.among.empty()) return snapshot.by_name(key.vendor);
  for (const Vendor* vendor : address.among) {
    if (vendor->settings.name == key.vendor) return vendor;
  }
  return address.among.front();
}

}  // namespace

Errc code_of(policy::Reason reason) {
  switch (reason) {
    case policy::Reason::cap_exceeded:
    case policy::Reason::velocity_exceeded:
      return Errc::over_cap;
    case policy::Reason::operation_unknown:
      return Errc::unknown_operation;
    case policy::Reason::wrong_vendor:
      return Errc::wrong_vendor;
    case policy::Reason::duplicate:
      return Errc::in_flight;
    case policy::Reason::clock_went_back:
      return Errc::unavailable;
    case policy::Reason::none:
    case policy::Reason::expired:
    case policy::Reason::operation_denied:
    case policy::Reason::customer_denied:
    case policy::Reason::customer_unknown:
    case policy::Reason::recipient_denied:
    case policy::Reason::country_denied:
    case policy::Reason::sender_denied:
    case policy::Reason::field_denied:
    case policy::Reason::amount_unknown:
    case policy::Reason::amount_over_max:
    case policy::Reason::currency_refused:
    case policy::Reason::run_missing:
    case policy::Reason::needs_approval:
      return Errc::denied;
  }
  return Errc::denied;
}

/// Whose key it is, and for which vendor.
Result<> Broker::find_key(Visit& visit) {
  http::RequestHead& head = visit.exchange.request();
  visit.user_agent = std::string(head.headers.get("user-agent").value_or(""));
  OCTROI_CHECK(check_tunnel(visit.via, head));
  OCTROI_TRY(Address address, find_vendor(*visit.snapshot, head));
  // Accounts of one vendor speak alike, until the key says which one it is.
  visit.vendor = address.among.empty() ? address.vendor : address.among.front();
  const Form::Rules any_query{.max_fields = 512, .free_names = true};
  OCTROI_TRY(Form query, Form::parse(head.query(), address.vendor != nullptr
                                                       ? address.vendor->pack->query_rules()
                                                       : any_query));
  OCTROI_TRY(visit.signature, read_signature(head));
  if (visit.signature) {
    for (const char* name : {"authorization", "proxy-authorization", "cookie", "x-api-key"})
      head.headers.remove(name);
    if (visit.signature->chunks.is != Chunks::Is::none) remove_chunk_fields(head.headers);
    return open_with(visit, visit.book->by_signer(visit.signature->key_name), std::move(address),
                     std::move(query));
  }
  const auto own = take_key(head, query, visit.vendor);
  const bool other =
      visit.via.key != nullptr && (own ? !own->read() : own.error().is(Errc::no_key));
  if (!own && !other) return fail(own.error());
  OCTROI_TRY(const PresentedKey presented, other ? visit.via.key->shown.read() : own->read());
  return open_with(visit, visit.book->find(presented), std::move(address), std::move(query));
}

/// What that key opens.
Result<> Broker::open_with(Visit& visit, const ledger::VaultKey* key, Address address, Form query) {
  if (key == nullptr) return fail(Errc::unknown_key, "this vault key is not known here");
  visit.key = key;
  const bool addressed = address.vendor != nullptr;
  // Its holder understands the words of its vendor, also when it is refused. A canary is answered
  // like a key that nobody was given.
  if (!addressed && !key->canary) visit.vendor = meant_by(*visit.snapshot, address, *key);
  OCTROI_CHECK(check_first(visit));
  if (!addressed) {
    if (visit.vendor == nullptr)
      return fail(Errc::unknown_vendor, "the vendor of this vault key is not configured any more");
    OCTROI_TRY(query, Form::parse(query.text(), visit.vendor->pack->query_rules()));
  }
  if (visit.vendor->settings.name != key->vendor) {
    return fail(Errc::wrong_vendor, fmt::format("this vault key is for {}, not for {}", key->vendor,
                                                visit.vendor->settings.name));
  }
  OCTROI_CHECK(find_rules(visit));
  visit.input.path = std::move(address.path);
  visit.input.query = std::move(query);
  return {};
}

/// Whether the key opens the vendor's account, and the policies that its calls are judged by.
Result<> Broker::find_rules(Visit& visit) {
  const ledger::VaultKey& key = *visit.key;
  visit.policy = nullptr;
  visit.above.clear();
  if (visit.vendor->real == nullptr)
    return fail(Errc::unavailable, "no real key is registered for this vendor");
  if (visit.vendor->live != key.live) {
    return fail(Errc::wrong_mode, key.live ? "a live vault key cannot open a test account"
                                           : "a test vault key cannot open a live account");
  }
  const auto policy = visit.snapshot->policies.find(key.policy);
  if (policy == visit.snapshot->policies.end())
    return fail(Errc::denied, "the policy of this vault key is not configured any more");
  visit.policy = &policy->second;
  for (const ledger::VaultKey* up = visit.book->above(key); up != nullptr;
       up = visit.book->above(*up)) {
    const auto outer = visit.snapshot->policies.find(up->policy);
    if (outer == visit.snapshot->policies.end())
      return fail(Errc::denied, "the policy of the key above this one is not configured any more");
    visit.above.push_back({up, &outer->second});
  }
  return {};
}

/// Time went by, with a slow body, a question or a human: what the call stands on may have been
/// replaced, and it goes on with what is in force now. It was read by the words of its vendor as
/// that was configured then; where that changed, it has to be read again from its first byte.
Result<> Broker::renew(Visit& visit) const {
  if (visit.snapshot == snapshot_ && visit.book == book_) return {};
  OCTROI_CHECK(check_still_open(visit));
  const Vendor* vendor = snapshot_->now_of(*visit.vendor);
  if (vendor == nullptr)
    return fail(Errc::unknown_vendor, "the vendor of this vault key is not configured any more");
  if (!read_alike(*visit.vendor, *vendor)) {
    return fail(Errc::unavailable,
                "the configuration of this vendor changed while the call waited; nothing was "
                "sent: send it again");
  }
  visit.vendor = vendor;
  visit.key = book_->by_id(visit.key->id);
  visit.snapshot = snapshot_;
  visit.book = book_;
  OCTROI_CHECK(find_rules(visit));
  return check_network(visit);
}

/// What needs no policy: its state and that of the keys above it, and where it comes from.
Result<> Broker::check_first(Visit& visit) const {
  if (visit.key->canary) {
    visit.reason = "canary_used";
    shared_.canary_used(visit.id, visit.key->id, visit.exchange.peer());
  }
  OCTROI_CHECK(visit.book->check(*visit.key, visit.started));
  return check_network(visit);
}

Result<> Broker::check_network(Visit& visit) {
  if (visit.book->allows(*visit.key, visit.exchange.peer().address.address)) return {};
  visit.reason = "network_denied";
  return fail(Errc::denied, "this vault key may not be used from this address");
}

/// By the newest book: a key that was revoked a moment ago opens nothing.
Result<> Broker::check_still_open(const Visit& visit) const {
  if (shared_.is_stale(visit.exchange.loop().now()))
    return fail(Errc::unavailable, "the state of vault keys cannot be confirmed now");
  const ledger::VaultKey* now = book_->by_id(visit.key->id);
  if (now == nullptr) return fail(Errc::unknown_key, "this vault key is not known here any more");
  return book_->check(*now, shared_.clock.now());
}

/// Whether a request that is signed was signed by the key that it names; and that only such a
/// request comes to a vendor that wants it signed.
Result<> Broker::check_signed(Visit& visit) const {
  const bool wants = visit.vendor->pack->shape() == KeyShape::aws;
  if (!visit.signature) {
    if (wants) return fail(Errc::no_key, "sign the request with the vault key (AWS Signature V4)");
    return {};
  }
  const auto& master = visit.snapshot->settings.signer_master;
  if (!wants || master == nullptr)
    return fail(Errc::no_key, "show the vault key as Authorization: Bearer <key>");
  const Secret secret = signer_secret(*master, visit.key->id);
  OCTROI_CHECK(check_signature(*visit.signature, secret, visit.body_hash, visit.started));
  visit.proven = true;
  visit.input.scope = {visit.signature->region, visit.signature->service};
  return visit.signature->chunks.is == Chunks::Is::none ? Result<>() : join_body(visit, secret);
}

/// From here on the request is one with a plain body, and the checksum that followed it in front.
Result<> Broker::join_body(Visit& visit, const Secret& secret) {
  ChunkSigner signer = chunk_signer(*visit.signature, secret);
  const Chunks& chunks = visit.signature->chunks;
  OCTROI_TRY(JoinedBody joined, join_chunks(chunks, signer, visit.input.body));
  visit.input.body = std::move(joined.body);
  if (visit.input.body.empty()) visit.input.body_kind = BodyKind::none;
  visit.body_hash = crypto::sha256(as_bytes(visit.input.body));
  if (!chunks.trailer.empty())
    visit.exchange.request().headers.set(chunks.trailer, joined.checksum);
  return {};
}

/// Which operation it is, on whom, for how much.
Task<Result<>> Broker::read_call(Visit& visit) {
  const http::Headers& headers = visit.exchange.request().headers;
  OCTROI_CO_TRY(visit.agent_run, run_of(headers, visit.via.key != nullptr ? visit.via.key->run
                                                                          : std::string_view()));
  const VendorPack& pack = *visit.vendor->pack;
  OCTROI_CO_TRY(visit.idempotency_key, idempotency_key_of(headers, pack.idempotency_header()));
  std::string path = std::move(visit.input.path);
  Form query = std::move(visit.input.query);
  // For the audit, should the rest be refused.
  visit.call.method = visit.exchange.request().method;
  visit.call.path = path;
  visit.operation = pack.route(visit.call.method, path);
  visit.call.operation = visit.operation.name;
  visit.call.direction = visit.operation.direction;
  const std::string& bound = visit.key->run;
  visit.call.run = bound.empty() ? visit.agent_run : bound;
  OCTROI_CO_TRY(visit.input,
                co_await read_input(visit.exchange, *visit.vendor, std::move(path),
                                    std::move(query), visit.snapshot->settings.max_body));
  visit.body_hash = crypto::sha256(as_bytes(visit.input.body));
  OCTROI_CO_CHECK(check_signed(visit));
  OCTROI_CO_TRY(visit.operation, pack.name(std::move(visit.operation), headers, visit.input));
  visit.call.operation = visit.operation.name;
  visit.call.direction = visit.operation.direction;
  // Vendors do every read, whatever key it has: each is a call of its own.
  if (visit.operation.direction == policy::Direction::read) visit.idempotency_key.clear();
  if (!pack.takes(visit.operation, visit.input)) {
    co_return fail(visit.operation.name.empty() ? Errc::unknown_operation : Errc::unsupported_body,
                   visit.operation.name.empty()
                       ? fmt::format("{} {} is no operation that this door knows",
                                     visit.input.method, visit.input.path)
                       : fmt::format("{} does not take this content type", visit.operation.name));
  }
  OCTROI_CO_CHECK(pack.check_account(visit.input, *visit.key));
  OCTROI_CO_TRY(visit.call, pack.extract(visit.operation, visit.input));
  // What was not looked at cannot be judged.
  if (visit.call.fields.size() >= kMostFields)
    co_return fail(Errc::ambiguous, "the request has more fields than can be judged");
  visit.call.vendor = visit.vendor->settings.name;
  visit.call.agent = visit.key->agent;
  visit.call.key_id = ledger::counted_as(*visit.key);
  std::string run = visit.agent_run;
  if (run.empty()) run = visit.call.run;
  if (run.empty()) {
    OCTROI_CO_TRY(run, run_of_metadata(visit.call));
  }
  if (!bound.empty() && !run.empty() && run != bound) {
    visit.call.run = bound;
    co_return fail(Errc::wrong_run, "this vault key is bound to another run");
  }
  visit.call.run = bound.empty() ? std::move(run) : bound;
  co_return Result<>{};
}

/// Asks the vendor what is not in the request. What it does not say stays unknown, and refuses; no
/// answer is kept, because the next call may find another one.
Task<void> Broker::look_up(Visit& visit) {
  if (visit.call.looked_up) {
    visit.call = visit.as_sent;
  } else {
    visit.as_sent = visit.call;
  }
  visit.call.looked_up = true;
  const VendorQuestions* questions = visit.vendor->pack->questions();
  if (questions == nullptr) co_return;
  std::string target = questions->subject(visit.operation, visit.input);
  if (target.empty()) co_return;
  visit.looked_up = target;
  shared_.metrics
      .counter("octroi_vault_questions_total", "What octroi itself asked vendors.",
               {{"vendor", visit.vendor->settings.name}, {"what", "lookup"}})
      .add();
  const auto object = co_await ask(&clients_, &visit.vendor->asked(), std::move(target), kLookUp);
  Result<> learned;
  if (object) {
    learned = questions->learn(visit.operation, visit.input, object->root(), visit.call);
  } else {
    learned = fail(object.error());
  }
  if (!learned) {
    OCTROI_LOG(warn, kModule, "a call's object could not be looked up",
               {{"call", visit.id}, {"error", learned.error().message()}});
  }
}

/// The newest call that bears this name. What became of a call is written after its answer went
/// out, and the agent's next one may be here before that: on another thread, or at another replica.
Task<Result<std::optional<ledger::SpendRecord>>> Broker::find_begun(const Visit& visit,
                                                                    std::string object) {
  for (const Millis pause : {Millis(0), Millis(10), Millis(30), Millis(100)}) {
    if (pause > Millis(0)) co_await visit.exchange.loop().sleep(pause);
    OCTROI_CO_TRY(auto begun, co_await shared_.spends.find_spend_of(visit.call.vendor, object));
    if (begun) co_return begun;
  }
  co_return std::optional<ledger::SpendRecord>{};
}

/// Whether all that this call can take was counted by an earlier one, under the same rules: those
/// of the key's policy, and of the keys above it.
bool Broker::was_counted(const Visit& visit, const ledger::SpendRecord& begun) {
  const VendorQuestions* questions = visit.vendor->pack->questions();
  if (questions == nullptr || !questions->counts_whole(begun.operation)) return false;
  if (begun.state == ledger::SpendState::released || begun.amount == MicroUsd{}) return false;
  if (begun.policy != visit.policy->name) return false;
  if (visit.above.empty() || begun.key_id == visit.key->id) return true;
  const ledger::VaultKey* by = visit.book->by_id(begun.key_id);
  return by != nullptr && ledger::counted_as(*by) == ledger::counted_as(*visit.key);
}

/// What the policy says, but for the room in its caps.
Task<Result<>> Broker::decide(Visit& visit) {
  OCTROI_CO_CHECK(renew(visit));
  // A capture or confirmation goes on with what was counted when it began.
  const std::string object = visit.vendor->pack->continues(visit.operation, visit.input);
  if (!object.empty()) {
    OCTROI_CO_TRY(const auto begun, co_await find_begun(visit, object));
    if (begun && was_counted(visit, *begun)) {
      visit.call.amount = policy::AmountState::none;
      visit.goes_on = true;
    }
  }
  OCTROI_CO_CHECK(co_await judge_whole(visit));
  if (visit.decision.verdict == policy::Verdict::allow) co_return Result<>{};
  if (visit.decision.verdict == policy::Verdict::approve && shared_.approvals != nullptr)
    co_return co_await ask_human(visit);
  visit.reason = std::string(policy::to_string(visit.decision.reason));
  co_return fail(code_of(visit.decision.reason), visit.decision.message);
}

/// With what the vendor is asked for it.
Task<Result<>> Broker::judge_whole(Visit& visit) {
  OCTROI_CO_CHECK(judge_now(visit));
  if (visit.decision.verdict != policy::Verdict::lookup) co_return Result<>{};
  co_await look_up(visit);
  co_return judge_now(visit);
}

/// By what is in force now: the policies, and windows, rates and ends of this moment, or others
/// would have begun windows that this call is too old for.
Result<> Broker::judge_now(Visit& visit) const {
  OCTROI_CHECK(renew(visit));
  visit.judged = shared_.clock.now();
  visit.decision = judge(visit);
  return {};
}

/// By the key's policy, and by those of the keys above it.
policy::Decision Broker::judge(const Visit& visit) {
  const policy::Context context{visit.judged,
                                visit.snapshot->rates ? &*visit.snapshot->rates : nullptr};
  policy::Call call = visit.call;
  if (visit.goes_on && visit.policy->customers.empty()) call.customer_unknown = false;
  policy::Decision out = policy::decide(*visit.policy, call, context);
  for (const Visit::Above& up : visit.above) {
    // What counts by key, agent or run counts there as what is above, whatever is below it.
    call.key_id = ledger::counted_as(*up.key);
    if (!up.key->agent.empty()) call.agent = up.key->agent;
    if (!up.key->run.empty()) call.run = up.key->run;
    out = policy::narrow(std::move(out), policy::decide(*up.policy, call, context));
  }
  return out;
}

}  // namespace octroi::vault
