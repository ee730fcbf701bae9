#include "octroi/vault/broker.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "octroi/base/log.h"
#include "octroi/crypto/hash.h"
#include "octroi/http/relay.h"
#include "octroi/net/timer.h"
#include "octroi/policy/narrow.h"
#include "octroi/vault/answer_filter.h"
#include "octroi/vault/packs/generic/generic.h"
#include "octroi/vault/questions.h"
#include "octroi/vault/request.h"
#include "octroi/vault/sigv4.h"

namespace octroi::vault {

namespace {

constexpr std::string_view kModule = "vault";
constexpr std::size_t kKeptAnswer = 256 * 1024;  // of an answer, to settle by
constexpr Millis kAnswerMargin{30'000};          // beyond a call's own deadline: its process died
constexpr Millis kGiveUp = std::chrono::hours(24);
constexpr Millis kReplay = std::chrono::hours(24);  // vendors forget idempotency keys then
constexpr std::size_t kLongestIdempotencyKey = 255;
constexpr AskLimits kLookUp{.max_body = 256 * 1024, .deadline = Millis(10'000)};

/// A hash over parts that cannot run into each other.
ledger::Digest digest_of(std::initializer_list<std::string_view> parts) {
  crypto::Sha256 h;
  for (const std::string_view part : parts) {
    const std::string size = fmt::format("{}:", part.size());
    h.update(as_bytes(size));
    h.update(as_bytes(part));
  }
  return h.finish();
}

/// Fields that are this hop's, name the agent, or would change what the answer is.
constexpr std::array<std::string_view, 16> kNotForwarded = {
    "x-agent-run-id",   "accept-encoding",  "range",
    "if-range",         "if-none-match",    "if-modified-since",
    "expect",           "content-length",   "content-type",
    "content-encoding", "content-md5",      "forwarded",
    "x-forwarded-for",  "x-forwarded-host", "x-forwarded-proto",
    "x-real-ip"};

/// "vault.key-revoked" as a policy's reasons are written: "key_revoked".
std::string reason_of(Errc code) {
  const std::string_view text = error_info(code).code;
  std::string out(text.substr(text.find('.') + 1));
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

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

/// A tunnel leads to one host. Whoever asks for another inside it was answered for neither.
Result<> check_tunnel(const Via& via, http::RequestHead& head) {
  if (via.host.empty()) return {};
  if (head.authority.empty()) head.authority = via.host;  // HTTP/1.0
  if (host_of(head.authority) == via.host) return {};
  return fail(Errc::ambiguous, "this tunnel leads to another host than the request names");
}

/// The code of a denial that the policy or the ledger gave.
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

}  // namespace

struct Broker::Visit {
  Visit(Broker& b, http::Exchange& e)
      : broker(b), exchange(e), snapshot(b.snapshot_), book(b.book_), revoked_timer(*this) {
    broker.visits_.insert(this);
  }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;
  ~Visit() { broker.visits_.erase(this); }

  struct Cut : net::Timer {
    explicit Cut(Visit& v)
        : Timer([](Timer& t) { static_cast<Cut&>(t).visit.exchange.abort(); }), visit(v) {}
    Visit& visit;
  };

  Broker& broker;
  http::Exchange& exchange;
  std::shared_ptr<const Snapshot> snapshot;  // as they were when it came
  std::shared_ptr<const KeyBook> book;
  Via via;  // how it came
  UnixMillis started;
  std::optional<SignedClaim> signature;  // of a request that is signed
  bool proven = false;                   // it was made with the key that it names
  std::string id;                        // of the call

  const Vendor* vendor = nullptr;
  const ledger::VaultKey* key = nullptr;
  const policy::Policy* policy = nullptr;
  struct Above {
    const ledger::VaultKey* key;
    const policy::Policy* policy;
  };
  std::vector<Above> above;  // of a key that is narrower than others, the nearest first
  std::string agent_run;     // as the agent says
  Input input;
  Operation operation;
  policy::Call call;
  policy::Decision decision;
  std::string user_agent;
  std::string idempotency_key;  // the agent's
  ledger::Digest body_hash{};
  std::string reservation;  // its id; empty: nothing is held
  ledger::Digest fingerprint{};
  std::optional<ledger::SpendState> before;  // a retry: how the first one stands
  std::string looked_up;       // which object was asked for what the request does not say
  ledger::SpendChange change;  // what became of it; written with the row that tells it
  std::optional<std::int64_t> cap_usage;
  std::optional<MicroUsd> settled;
  bool announced = false;
  bool revoked = false;        // while it was under way
  bool left = false;           // the agent, while it waited for a human
  std::string ticket;          // of a human's approval, which this call has taken
  std::string refused_ticket;  // the one that it may come back with
  std::string reason;          // of a denial
  std::optional<UnixMillis> resets_at;
  int upstream_status = 0;
  Outcome outcome;
  Cut revoked_timer;

  [[nodiscard]] const VendorPack& pack() const {
    static const std::unique_ptr<VendorPack> kNone = make_generic_pack({});
    return vendor != nullptr ? *vendor->pack : *kNone;
  }
};

Broker::Broker(Shared& shared, VendorClients& clients, std::shared_ptr<const Snapshot> snapshot,
               std::shared_ptr<const KeyBook> book)
    : shared_(shared),
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
  for (Visit* visit : visits_) {
    if (visit->revoked || visit->key == nullptr) continue;
    const ledger::VaultKey* now = book_->by_id(visit->key->id);
    if (now != nullptr && book_->check(*now, shared_.clock.now())) continue;
    visit->revoked = true;
    visit->exchange.loop().timers().start(visit->revoked_timer, kStreamGrace);
  }
}

// ------------------------------------------------------------------------------------------------

Task<void> Broker::handle(http::Exchange& exchange, Via via) {
  Visit visit(*this, exchange);
  visit.via = std::move(via);
  visit.started = shared_.clock.now();
  visit.id = "call_" + to_hex(shared_.random.bytes<12>());
  auto passed = co_await pass(visit);
  if (!passed) co_await refuse(visit, std::move(passed).error());
}

/// The whole story. An error is a denial that was not answered yet.
Task<Result<>> Broker::pass(Visit& visit) {
  OCTROI_CO_CHECK(co_await admit(visit));
  OCTROI_CO_CHECK(co_await reserve(visit));
  if (!visit.announced) OCTROI_CO_CHECK(co_await announce(visit));
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

/// Whose key it is, and for which vendor.
Result<> Broker::find_key(Visit& visit) {
  http::RequestHead& head = visit.exchange.request();
  visit.user_agent = std::string(head.headers.get("user-agent").value_or(""));
  OCTROI_CHECK(check_tunnel(visit.via, head));
  OCTROI_TRY(Address address, find_vendor(*visit.snapshot, head));
  visit.vendor = address.vendor;
  const Form::Rules any_query{.max_fields = 512, .free_names = true};
  OCTROI_TRY(Form query, Form::parse(head.query(), address.vendor != nullptr
                                                       ? address.vendor->pack->query_rules()
                                                       : any_query));
  OCTROI_TRY(visit.signature, read_signature(head));
  if (visit.signature) {
    for (const char* name : {"authorization", "proxy-authorization", "cookie", "x-api-key"})
      head.headers.remove(name);
    return open_with(visit, visit.book->by_signer(visit.signature->key_name), std::move(address),
                     std::move(query));
  }
  const auto own = take_key(head, query, address.vendor);
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
  OCTROI_CHECK(check_first(visit));
  if (visit.vendor == nullptr) {
    visit.vendor = visit.snapshot->by_name(key->vendor);
    if (visit.vendor == nullptr)
      return fail(Errc::unknown_vendor, "the vendor of this vault key is not configured any more");
    OCTROI_TRY(query, Form::parse(query.text(), visit.vendor->pack->query_rules()));
  }
  if (visit.vendor->settings.name != key->vendor) {
    return fail(Errc::wrong_vendor, fmt::format("this vault key is for {}, not for {}", key->vendor,
                                                visit.vendor->settings.name));
  }
  if (visit.vendor->real == nullptr)
    return fail(Errc::unavailable, "no real key is registered for this vendor");
  if (visit.vendor->live != key->live) {
    return fail(Errc::wrong_mode, key->live ? "a live vault key cannot open a test account"
                                            : "a test vault key cannot open a live account");
  }
  const auto policy = visit.snapshot->policies.find(key->policy);
  if (policy == visit.snapshot->policies.end())
    return fail(Errc::denied, "the policy of this vault key is not configured any more");
  visit.policy = &policy->second;
  for (const ledger::VaultKey* up = visit.book->above(*key); up != nullptr;
       up = visit.book->above(*up)) {
    const auto outer = visit.snapshot->policies.find(up->policy);
    if (outer == visit.snapshot->policies.end())
      return fail(Errc::denied, "the policy of the key above this one is not configured any more");
    visit.above.push_back({up, &outer->second});
  }
  visit.input.path = std::move(address.path);
  visit.input.query = std::move(query);
  return {};
}

/// What needs no policy: its state and that of the keys above it, and where it comes from.
Result<> Broker::check_first(Visit& visit) const {
  const net::IpAddress& from = visit.exchange.peer().address.address;
  if (visit.key->canary) {
    visit.reason = "canary_used";
    shared_.metrics
        .counter("octroi_vault_alarms_total", "Uses of canary keys.", {{"reason", visit.reason}})
        .add();
    if (shared_.alarm) shared_.alarm(visit.id, visit.key->id, from.str());
  }
  OCTROI_CHECK(visit.book->check(*visit.key, visit.started));
  if (visit.book->allows(*visit.key, from)) return {};
  visit.reason = "network_denied";
  return fail(Errc::denied, "this vault key may not be used from this address");
}

/// By the newest book: a key that was revoked a moment ago opens nothing.
Result<> Broker::check_still_open(const Visit& visit) const {
  if (stale_) return fail(Errc::unavailable, "the state of vault keys cannot be confirmed now");
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
  OCTROI_CHECK(check_signature(*visit.signature, signer_secret(*master, visit.key->id),
                               visit.body_hash, visit.started));
  visit.proven = true;
  visit.input.scope = {visit.signature->region, visit.signature->service};
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
  if (run.empty()) run = field_of(visit.call, "metadata[agent_run_id]").value_or("");
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
  const auto object = co_await ask(&clients_, visit.vendor, std::move(target), kLookUp);
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

/// What the policy says, but for the room in its caps.
Task<Result<>> Broker::decide(Visit& visit) {
  // A capture or confirmation goes on with what was counted when it began.
  const std::string object = visit.vendor->pack->continues(visit.operation, visit.input);
  if (!object.empty()) {
    auto begun = co_await shared_.spends.find_spend_of(visit.call.vendor, object);
    if (!begun) co_return fail(std::move(begun).error());
    if (*begun && (*begun)->state != ledger::SpendState::released &&
        (*begun)->policy == visit.policy->name) {
      visit.call.amount = policy::AmountState::none;
      visit.call.customer_unknown = visit.call.customer_unknown && !visit.policy->customers.empty();
    }
  }
  visit.decision = judge(visit);
  if (visit.decision.verdict == policy::Verdict::lookup) {
    co_await look_up(visit);
    visit.decision = judge(visit);
  }
  if (visit.decision.verdict == policy::Verdict::allow) co_return Result<>{};
  if (visit.decision.verdict == policy::Verdict::approve && shared_.approvals != nullptr)
    co_return co_await ask_human(visit);
  visit.reason = std::string(policy::to_string(visit.decision.reason));
  co_return fail(code_of(visit.decision.reason), visit.decision.message);
}

/// By the key's policy, and by those of the keys above it.
policy::Decision Broker::judge(const Visit& visit) {
  const policy::Context context{visit.started,
                                visit.snapshot->rates ? &*visit.snapshot->rates : nullptr};
  policy::Call call = visit.call;
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

/// What the reservation of this call will be called: the same for all its retries.
std::string Broker::reservation_id(const Visit& visit) {
  if (visit.idempotency_key.empty()) return visit.id;
  return "idem_" + to_hex(digest_of({visit.key->id, visit.idempotency_key}));
}

ApprovalDesk::Question Broker::question_of(Visit& visit) const {
  ApprovalDesk::Question q;
  ledger::Approval& a = q.about;
  a.request = digest_of({visit.key->id, visit.call.operation, visit.input.method, visit.input.path,
                         visit.input.query.text(), visit.input.body});
  a.body = visit.body_hash;
  a.key_id = visit.key->id;
  a.vendor = visit.call.vendor;
  a.operation = visit.call.operation;
  a.method = visit.input.method;
  a.path = visit.input.path;
  if (!visit.call.customers.empty()) a.customer = visit.call.customers.front();
  a.policy = visit.policy->name;
  a.run = visit.call.run;
  a.agent = visit.call.agent;
  a.amount = visit.decision.amount;
  a.reason = visit.decision.message;
  q.used_by = reservation_id(visit);
  q.rules = visit.snapshot->settings.approvals;
  q.gone = [v = &visit] { return v->revoked || v->left; };
  return q;
}

/// Waits for a human, and goes on when one agreed to exactly this request.
Task<Result<>> Broker::ask_human(Visit& visit) {
  visit.exchange.on_gone([](void* v) { static_cast<Visit*>(v)->left = true; }, &visit);
  auto answer = co_await shared_.approvals->ask(visit.exchange.loop(), question_of(visit));
  visit.exchange.on_gone(nullptr, nullptr);
  if (!answer) {
    OCTROI_LOG(error, kModule, "an approval cannot be asked for",
               {{"error", answer.error().message()}});
    co_return fail(Errc::unavailable, "approvals cannot be asked for now; nothing was sent");
  }
  if (!answer->passed) co_return not_approved(visit, *answer);
  visit.ticket = answer->ticket.id;
  // Time went by: windows, rates and the policy's end are judged as they are now.
  visit.started = shared_.clock.now();
  visit.decision = judge(visit);
  if (visit.decision.verdict == policy::Verdict::allow ||
      visit.decision.verdict == policy::Verdict::approve)
    co_return Result<>{};
  co_await give_back_ticket(visit);
  visit.reason = std::string(policy::to_string(visit.decision.reason));
  co_return fail(code_of(visit.decision.reason), visit.decision.message);
}

Result<> Broker::not_approved(Visit& visit, const ApprovalDesk::Answer& answer) {
  using ledger::ApprovalState;
  const std::string& why = visit.decision.message;
  visit.reason = std::string(policy::to_string(policy::Reason::needs_approval));
  if (answer.full) {
    return fail(Errc::denied, why + "; too many of this key's requests wait for one already");
  }
  visit.refused_ticket = answer.ticket.id;
  switch (answer.ticket.state) {
    case ApprovalState::denied:
      visit.reason = "approval_denied";
      return fail(Errc::denied,
                  fmt::format("{}; it was denied (ticket {})", why, answer.ticket.id));
    case ApprovalState::expired:
      visit.reason = "approval_expired";
      return fail(Errc::denied,
                  fmt::format("{}; nobody answered in time (ticket {})", why, answer.ticket.id));
    case ApprovalState::pending:
    case ApprovalState::approved:
    case ApprovalState::used:
      break;
  }
  return fail(Errc::denied,
              fmt::format("{}; ticket {} was opened: once it is approved, send the same request "
                          "again, before {}",
                          why, answer.ticket.id, to_rfc3339(answer.ticket.expires)));
}

/// Nothing was sent: whoever agreed agreed to a call that is still to be made.
Task<void> Broker::give_back_ticket(Visit& visit) {
  if (visit.ticket.empty() || visit.before || shared_.approvals == nullptr) co_return;
  co_await shared_.approvals->give_back(std::exchange(visit.ticket, {}), reservation_id(visit));
}

ledger::Reservation Broker::reservation_of(const Visit& visit) const {
  ledger::Reservation r;
  r.id = reservation_id(visit);
  r.fingerprint = visit.fingerprint;
  r.amount = visit.decision.amount;
  r.holds = visit.decision.holds();
  if (visit.decision.dedupe > Millis(0)) {
    r.dedupe =
        ledger::DedupeClaim{digest_of({visit.policy->name, visit.key->id, visit.call.operation,
                                       visit.input.path, visit.input.body}),
                            visit.started + visit.decision.dedupe};
  }
  r.now = visit.started;
  r.answer_by = visit.started + visit.vendor->settings.timeout + kAnswerMargin;
  r.give_up_at = visit.started + kGiveUp;
  r.replay_until = visit.started + kReplay;
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
    co_await undo(std::move(id), visit.started);
    co_return fail(Errc::unavailable,
                   "the ledger and the audit cannot be written; nothing was sent");
  }
  switch (reserved->state) {
    case ledger::ReserveState::applied:
      visit.reservation = std::move(id);
      visit.announced = true;
      count_money(visit, "reserved", visit.decision.amount);
      if (!reserved->usage.empty()) visit.cap_usage = reserved->usage.front().total();
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
  }
  if (reserved->state == ledger::ReserveState::over_cap && reserved->resets_at != ledger::kNoEnd)
    visit.resets_at = reserved->resets_at;
  visit.decision = policy::after_reserve(std::move(visit.decision), *reserved);
  visit.reason = std::string(policy::to_string(visit.decision.reason));
  co_return fail(code_of(visit.decision.reason), visit.decision.message);
}

/// A retry of a call that was counted: the vendor gives the same answer again, or does it now.
Result<> Broker::after_replay(Visit& visit, const ledger::SpendRecord& seen) {
  visit.before = seen.state;
  switch (seen.state) {
    case ledger::SpendState::settled:
    case ledger::SpendState::unknown:
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
    if (visit.cap_usage) {
      if (auto usage = MicroUsd::from_raw(*visit.cap_usage)) e.cap_usage_after = *usage;
    }
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

std::shared_ptr<const Needles> Broker::needles_for(const Vendor& vendor,
                                                   const ledger::VaultKey& key) {
  std::string name = vendor.settings.name;
  if (vendor.pack->hides_per_key()) name += "/" + key.id;
  std::shared_ptr<const Needles>& kept = needles_[name];
  if (kept == nullptr) {
    auto made = std::make_shared<Needles>();
    for (auto& hidden : vendor.pack->hidden(*vendor.real, key))
      made->add(hidden.text, std::move(hidden.instead));
    kept = std::move(made);
  }
  return kept;
}

/// The head that the vendor gets: what was read, and the real key.
void Broker::swap(Visit& visit) {
  http::RequestHead& head = visit.exchange.request();
  // Before anything is put in: a Connection field names what is taken out.
  http::strip_hop_by_hop(head.headers);
  for (const std::string_view name : kNotForwarded) head.headers.remove(name);
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
  visit.vendor->pack->prepare(
      {head, visit.input, *visit.vendor->real, *visit.key, idempotency_key});
  head.target = visit.vendor->settings.base_path + visit.input.path;
  if (const std::string query = visit.input.query.text(); !query.empty())
    head.target += "?" + query;
  visit.vendor->pack->sign({head, visit.input, *visit.vendor->real, *visit.key, idempotency_key},
                           visit.vendor->authority, shared_.clock.now());
}

/// To the vendor and back.
Task<Result<>> Broker::forward(Visit& visit) {
  const bool spends = visit.call.direction != policy::Direction::read;
  auto needles = needles_for(*visit.vendor, *visit.key);
  const auto reader = visit.vendor->pack->listen(visit.operation, visit.input);
  AnswerFilter filter(needles, kKeptAnswer, reader.get());
  const bool to_the_end = spends && (reader == nullptr || !reader->ends_with_agent());
  GuardedExchange guarded(visit.exchange, needles, filter, to_the_end);
  http::RelayOptions options;
  options.upstream = visit.vendor->origin;
  options.host = visit.vendor->authority;
  options.buffered_body = visit.input.body;
  options.repeat_idempotent = !spends;
  options.timeouts.first_byte = visit.vendor->settings.timeout;
  options.filter = &filter;
  // A new connection to a vendor takes longer than a revocation may.
  options.may_send = [this, &visit] { return check_still_open(visit); };
  const http::RelayResult result =
      co_await http::relay(guarded, clients_.client_for(*visit.vendor), std::move(options));
  visit.revoked_timer.stop();
  visit.upstream_status = filter.status();
  if (filter.found() > 0) {
    OCTROI_LOG(warn, kModule, "a vendor's answer held the real key; it was cut out",
               {{"vendor", visit.vendor->settings.name}, {"call", visit.id}});
  }
  switch (result.state) {
    case http::RelayState::refused:
      release(visit);
      visit.outcome.state = Outcome::State::refused;
      if (result.error && errc_of(*result.error)) co_return fail(*result.error);
      co_return fail(Errc::upstream_failed, "the vendor cannot be reached; nothing was sent");
    case http::RelayState::failed: {
      const bool coded = result.error && result.error->is(Errc::encoded_answer);
      Outcome outcome;
      if (coded) outcome.state = by_status(filter.status());
      settle(visit, outcome);
      co_await tell_outcome(visit, outcome.state == Outcome::State::done ? audit::Verdict::allowed
                                   : outcome.state == Outcome::State::refused
                                       ? audit::Verdict::failed
                                       : audit::Verdict::unknown);
      visit.announced = false;  // its outcome is written
      co_return fail(coded ? Errc::encoded_answer : Errc::unknown_outcome,
                     coded ? "the vendor's answer cannot be searched for secrets and is withheld"
                           : "the vendor did not answer; whether it acted is not known, and what "
                             "it may cost stays reserved: do not send it again under a new "
                             "idempotency key");
    }
    case http::RelayState::torn:
    case http::RelayState::complete:
    case http::RelayState::client_gone:
      break;
  }
  Outcome outcome = reader != nullptr ? reader->outcome(filter.ended())
                                      : visit.vendor->pack->settle(visit.operation, filter.status(),
                                                                   filter.headers(), filter.body(),
                                                                   filter.whole());
  if (filter.status() == 0) outcome.state = Outcome::State::unknown;
  settle(visit, outcome);
  audit::Verdict verdict = audit::Verdict::unknown;
  switch (visit.outcome.state) {
    case Outcome::State::done:
      verdict = visit.revoked ? audit::Verdict::revoked_inflight : audit::Verdict::allowed;
      break;
    case Outcome::State::refused:
      verdict = audit::Verdict::failed;
      break;
    case Outcome::State::unknown:
      break;
  }
  co_await tell_outcome(visit, verdict);
  co_return Result<>{};
}

/// What it cost, to be written with the row that tells it (tell_outcome).
void Broker::settle(Visit& visit, Outcome outcome) {
  visit.outcome = std::move(outcome);
  if (visit.reservation.empty()) return;
  const Outcome& o = visit.outcome;
  using To = ledger::SpendChange::To;
  ledger::SpendChange& change = visit.change;
  change.id = visit.reservation;
  change.object = o.object;
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
      if (!visit.before) change.to = To::unknown;
      return;
  }
}

/// By the vendor's answer; what it does not say is what was held.
MicroUsd Broker::cost_of(const Visit& visit) {
  const Outcome& o = visit.outcome;
  if (o.minor && visit.call.amount != policy::AmountState::none) {
    const policy::Rates dollars;
    const auto usd = policy::to_usd(
        *o.minor, visit.snapshot->rates ? *visit.snapshot->rates : dollars, visit.started);
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

/// Counts what it cost and tells it, in one commit. What the vendor did is done, whatever can be
/// written about it: an error leaves the hold as it is, and the sweep and the reconciliation find
/// it.
Task<void> Broker::tell_outcome(Visit& visit, audit::Verdict verdict) {
  audit::Event e = event_of(visit, audit::kCallOutcome);
  e.verdict = verdict;
  e.reason = visit.reason;
  if (visit.upstream_status != 0) e.upstream_status = visit.upstream_status;
  e.settled = visit.settled;
  ledger::SpendChange change = std::exchange(visit.change, {});
  if (change.to == ledger::SpendChange::To::released) e.released = visit.decision.amount;
  if (e.settled) count_money(visit, "settled", *e.settled);
  if (e.released) count_money(visit, "released", *e.released);
  e.vendor_request_id = visit.outcome.request_id;
  change.now = shared_.clock.now();
  e.latency_ms = (change.now - visit.started).count();
  count(visit, verdict);
  if (change.to == ledger::SpendChange::To::nothing) {
    auto written = co_await shared_.journal.append(std::move(e));
    if (!written) {
      OCTROI_LOG(error, kModule, "an outcome is missing in the audit; its intent is there",
                 {{"call", visit.id}, {"error", written.error().message()}});
    }
    co_return;
  }
  auto told = co_await calls_.end(change, std::move(e));
  if (told) co_return;
  OCTROI_LOG(error, kModule, "an outcome is not written; its intent is there",
             {{"call", visit.id}, {"error", told.error().message()}});
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

void Broker::count(const Visit& visit, audit::Verdict verdict) {
  shared_.metrics
      .counter("octroi_vault_calls_total", "Calls of agents by vendor and verdict.",
               {{"vendor", visit.vendor != nullptr ? visit.vendor->settings.name : ""},
                {"verdict", std::string(audit::to_string(verdict))}})
      .add();
}

/// Of calls of this process, as they were made: what was settled counts what was reserved for it
/// no more.
void Broker::count_money(const Visit& visit, std::string_view what, MicroUsd amount) {
  shared_.metrics
      .counter("octroi_vault_micro_usd_total",
               "Millionths of a dollar that calls reserved, settled and released, by vendor.",
               {{"vendor", visit.vendor->settings.name}, {"what", std::string(what)}})
      .add(amount.count() /* raw: a counter */);
}

/// Says no, in the vendor's words. What a known key was refused is in the audit too; what comes
/// without one is only counted, or anybody could fill the disk.
Task<void> Broker::refuse(Visit& visit, Error error) {
  const Errc code = errc_of(error).value_or(Errc::unavailable);
  Denial denial;
  denial.code = code;
  denial.reason = visit.reason.empty() ? reason_of(code) : visit.reason;
  denial.message = error.is(code) ? std::string(error.message())
                                  : std::string("the vault cannot work now; nothing was sent");
  denial.resets_at = visit.resets_at;
  // With its idempotency key a call is counted once and done once, however often it is sent.
  denial.retry = code == Errc::unavailable || code == Errc::upstream_failed ||
                 (!visit.idempotency_key.empty() &&
                  (code == Errc::unknown_outcome || (code == Errc::in_flight && visit.before)));
  visit.reason = denial.reason;
  // Who only names a key is nobody whose calls are written down.
  if (visit.signature && !visit.proven) visit.key = nullptr;
  if (code != Errc::unknown_outcome && code != Errc::encoded_answer)
    co_await give_back_ticket(visit);
  const bool ours = code == Errc::upstream_failed || code == Errc::unknown_outcome ||
                    code == Errc::encoded_answer;
  if (visit.key != nullptr && (visit.announced || !ours)) {
    if (visit.policy == nullptr) {
      const auto found = visit.snapshot->policies.find(visit.key->policy);
      if (found != visit.snapshot->policies.end()) visit.policy = &found->second;
    }
    co_await tell_outcome(visit, code == Errc::upstream_failed || code == Errc::unavailable
                                     ? audit::Verdict::failed
                                     : audit::Verdict::denied);
  } else if (visit.key == nullptr) {
    count(visit, audit::Verdict::denied);
  }
  Refusal refusal = visit.pack().refusal(denial);
  refusal.head.headers.add("X-Octroi-Call", visit.id);
  if (!visit.refused_ticket.empty()) {
    refusal.head.headers.add("X-Octroi-Approval", visit.refused_ticket);
    if (visit.reason == policy::to_string(policy::Reason::needs_approval))
      refusal.head.headers.add("Retry-After", "15");
  }
  if (code == Errc::no_key || code == Errc::unknown_key)
    refusal.head.headers.add("WWW-Authenticate", "Bearer realm=\"octroi vault\"");
  std::ignore = co_await visit.exchange.respond(std::move(refusal.head), std::move(refusal.body));
}

}  // namespace octroi::vault
