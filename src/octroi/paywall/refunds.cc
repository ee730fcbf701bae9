#include "octroi/paywall/refunds.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "octroi/base/log.h"
#include "octroi/net/deadline.h"
#include "octroi/task/sync.h"

namespace octroi::paywall {

using ledger::RefundStage;
using ledger::Session;
using ledger::SessionOutcome;
using lightning::PaymentState;

namespace {

constexpr std::string_view kModule = "paywall";
constexpr int kReapAtOnce = 100;
constexpr Millis kDrainPoll{20};

/// How an attempt ended, as far as that is known for certain.
struct Ending {
  RefundStage stage = RefundStage::failed;
  Msat fee;
  std::string detail;
};

std::optional<Ending> ending_of(const lightning::Payment& payment) {
  switch (payment.state) {
    case PaymentState::succeeded:
      return Ending{RefundStage::succeeded, payment.fee, {}};
    case PaymentState::failed:
      return Ending{RefundStage::failed, {}, payment.reason};
    case PaymentState::in_flight:
      break;
  }
  return std::nullopt;
}

/// Only what the node says for certain; everything else is asked again by hash.
std::optional<Ending> ending_of_pay(const Result<lightning::Payment>& paid) {
  if (paid) return ending_of(*paid);
  const Error& error = paid.error();
  const bool certain = error.is(lightning::Errc::payment_failed) ||
                       error.is(lightning::Errc::insufficient) ||
                       error.is(lightning::Errc::bad_invoice) ||
                       error.is(lightning::Errc::denied) || error.is(lightning::Errc::unavailable);
  if (certain) return Ending{RefundStage::failed, {}, std::string(error.message())};
  return std::nullopt;
}

std::optional<Ending> ending_of_track(const Result<lightning::Payment>& tracked) {
  if (tracked) return ending_of(*tracked);
  if (tracked.error().is(lightning::Errc::not_found))
    return Ending{RefundStage::failed, {}, "the node was never asked to pay it"};
  return std::nullopt;
}

}  // namespace

struct Refunds::Impl : std::enable_shared_from_this<Refunds::Impl> {
  Impl(net::Loop& control_loop, lightning::Node& the_node, ledger::SessionStore& the_sessions,
       Clock& the_clock, MetricRegistry& the_metrics, RefundOptions the_options)
      : control(control_loop),
        node(the_node),
        sessions(the_sessions),
        clock(the_clock),
        metrics(the_metrics),
        options(the_options),
        slots(the_options.at_once) {}

  /// A refund on its way, and those who wait for its end.
  struct Sending {
    Event done;
    RefundStage stage = RefundStage::due;
  };

  // --- sending --------------------------------------------------------------------------------

  /// One at a time for each session; whoever comes second waits for the first.
  std::shared_ptr<Sending> begin(PaymentHash id) {
    if (const auto found = busy.find(id); found != busy.end()) return found->second;
    auto sending = std::make_shared<Sending>();
    busy.emplace(id, sending);
    tasks.start(run(this, id, sending));
    return sending;
  }

  static Task<void> run(Impl* self, PaymentHash id, std::shared_ptr<Sending> sending) {
    co_await self->slots.acquire();
    {
      const Semaphore::Permit slot(self->slots);
      sending->stage = co_await self->attempt(id);
    }
    self->busy.erase(id);
    sending->done.set();
  }

  Task<RefundStage> attempt(PaymentHash id) {
    // A node that is away would make the one attempt fail for nothing.
    auto up = co_await node.info();
    if (!up) co_return RefundStage::due;
    auto claimed = co_await sessions.claim_refund(id, clock.now());
    if (!claimed) co_return RefundStage::due;
    if (!*claimed) co_return co_await stage_of(id);
    const Session session = **std::move(claimed);
    lightning::PayRequest request;
    request.bolt11 = session.return_invoice;
    request.amount = session.refund.amount;
    request.fee_limit = fee_limit(session);
    request.timeout = options.pay_timeout;
    auto paid = co_await node.pay(std::move(request));
    auto ending = ending_of_pay(paid);
    if (!ending) {
      // That the node does not know it yet means nothing so soon.
      auto tracked = co_await node.track(session.return_hash);
      if (tracked) ending = ending_of(*tracked);
    }
    if (!ending) {
      open_ends[id] = session.return_hash;
      co_return RefundStage::sending;
    }
    co_return co_await record(id, session.return_hash, *std::move(ending));
  }

  Task<RefundStage> stage_of(PaymentHash id) {
    auto session = co_await sessions.find_session(id);
    co_return session && *session ? (*session)->refund.stage : RefundStage::due;
  }

  [[nodiscard]] Msat fee_limit(const Session& session) const {
    const Msat brought_in = std::max(session.spent, to_msat(1_sat));
    return std::min(settings_of(session.service).max_fee, brought_in);
  }

  [[nodiscard]] RefundSettings settings_of(const std::string& service) const {
    const auto found = settings.find(service);
    return found == settings.end() ? RefundSettings{} : found->second;
  }

  /// An end that the store does not take now is asked of the node again later.
  Task<RefundStage> record(PaymentHash id, PaymentHash hash, Ending ending) {
    auto recorded =
        co_await sessions.record_refund(id, ending.stage, ending.fee, ending.detail, clock.now());
    if (!recorded) {
      open_ends[id] = hash;
      OCTROI_LOG(warn, kModule, "the end of a refund cannot be stored; retrying",
                 {{"session", id.hex()}, {"error", recorded.error().message()}});
      co_return RefundStage::sending;
    }
    open_ends.erase(id);
    if (*recorded == SessionOutcome::applied) tell(id, ending);
    co_return ending.stage;
  }

  void tell(const PaymentHash& id, const Ending& ending) {
    metrics
        .counter("octroi_refunds_total", "Refunds of prepaid sessions by how they ended",
                 {{"status", std::string(to_string(ending.stage))}})
        .add();
    if (ending.stage == RefundStage::succeeded) {
      OCTROI_LOG(info, kModule, "refund paid", {{"session", id.hex()}});
    } else {
      OCTROI_LOG(warn, kModule, "refund not paid",
                 {{"session", id.hex()}, {"reason", ending.detail}});
    }
  }

  // --- asking after what nobody saw end ---------------------------------------------------------

  Task<void> ask_for_ever() {
    while (true) {
      co_await ask_once();
      co_await control.sleep(options.ask_every);
    }
  }

  Task<void> ask_once() {
    auto unfinished = co_await sessions.unfinished_refunds(clock.now(), options.stale);
    if (unfinished) {
      for (const Session& s : *unfinished) {
        if (busy.contains(s.id)) continue;
        if (s.refund.stage == RefundStage::due) {
          begin(s.id);
        } else {
          open_ends[s.id] = s.return_hash;
        }
      }
    }
    const auto asked = open_ends;  // changes while we ask
    for (const auto& [id, hash] : asked) {
      if (busy.contains(id)) continue;
      auto ending = ending_of_track(co_await node.track(hash));
      if (ending) co_await record(id, hash, *std::move(ending));
    }
  }

  // --- closing what is idle ---------------------------------------------------------------------

  Task<void> reap_for_ever() {
    while (true) {
      while (co_await reap_once() == kReapAtOnce) {
      }
      co_await control.sleep(options.reap_every);
    }
  }

  /// How many were closed. Lightning session, "Server-Initiated Close". rule: MPP-119
  Task<int> reap_once() {
    auto idle = co_await sessions.idle_sessions(clock.now(), kReapAtOnce);
    if (!idle) co_return 0;
    int closed = 0;
    for (const Session& s : *idle) {
      ledger::CloseSession request;
      request.session = s.id;
      request.reason = ledger::CloseReason::idle;
      request.now = clock.now();
      request.only_if_idle = true;
      auto outcome = co_await sessions.close_session(std::move(request));
      if (!outcome || outcome->outcome != SessionOutcome::applied) continue;
      ++closed;
      count_closed("idle");
      if (outcome->session->refund.stage == RefundStage::due) begin(s.id);
    }
    co_return closed;
  }

  void count_closed(const char* by) {
    metrics
        .counter("octroi_sessions_ended_total", "Prepaid sessions that their client did not close",
                 {{"by", by}})
        .add();
  }

  // --- waiting ----------------------------------------------------------------------------------

  static Task<bool> wait_for(std::shared_ptr<Sending> sending) {
    co_await sending->done.wait();
    co_return true;
  }

  /// Begins it and waits, at most that long.
  Task<RefundStage> send(PaymentHash id, Millis wait) {
    const auto sending = begin(id);
    if (wait > Millis(0)) co_await net::within(control, wait, wait_for(sending));
    co_return sending->done.is_set() ? sending->stage : RefundStage::sending;
  }

  Task<Millis> wait_of(PaymentHash id) {
    auto session = co_await sessions.find_session(id);
    co_return settings_of(session && *session ? (*session)->service : std::string()).wait;
  }

  static Task<void> answer(std::shared_ptr<Impl> self, PaymentHash id,
                           net::Remote<RefundStage>::Giver give) {
    const Millis wait = co_await self->wait_of(id);
    give(co_await self->send(id, wait));
  }

  Task<Result<ledger::SessionResult>> now(SessionOutcome outcome, PaymentHash id) {
    OCTROI_CO_TRY(auto session, co_await sessions.find_session(id));
    co_return ledger::SessionResult{outcome, std::move(session)};
  }

  net::Loop& control;
  lightning::Node& node;
  ledger::SessionStore& sessions;
  Clock& clock;
  MetricRegistry& metrics;
  const RefundOptions options;
  std::map<std::string, RefundSettings> settings;  // by service
  std::map<PaymentHash, std::shared_ptr<Sending>> busy;
  std::map<PaymentHash, PaymentHash> open_ends;  // session → hash of its return invoice
  Semaphore slots;
  TaskGroup tasks;  // goes first: its tasks use what stands above
};

Refunds::Refunds(net::Loop& control, lightning::Node& node, ledger::SessionStore& sessions,
                 Clock& clock, MetricRegistry& metrics, RefundOptions options)
    : impl_(std::make_shared<Impl>(control, node, sessions, clock, metrics, options)) {}

Refunds::~Refunds() { impl_->tasks.cancel(); }

void Refunds::publish(const PaywallSettings& settings) {
  impl_->settings.clear();
  for (const auto& s : settings.services) impl_->settings[s.name.str()] = s.session.refund;
}

void Refunds::start() {
  // Posted: node and store answer on the loop that runs.
  impl_->control.post([weak = std::weak_ptr<Impl>(impl_)] {
    auto impl = weak.lock();
    if (!impl) return;
    impl->tasks.start(impl->ask_for_ever());
    impl->tasks.start(impl->reap_for_ever());
  });
}

Task<void> Refunds::drain(Millis grace) {
  const Millis until = impl_->control.now() + grace;
  while (!impl_->busy.empty() && impl_->control.now() < until)
    co_await impl_->control.sleep(kDrainPoll);
  impl_->tasks.cancel();
}

Task<RefundStage> Refunds::send(PaymentHash session) {
  net::Remote<RefundStage> stage(*net::Loop::current());
  impl_->control.post([weak = std::weak_ptr<Impl>(impl_), session, give = stage.giver()]() mutable {
    if (auto impl = weak.lock()) {
      impl->tasks.start(Impl::answer(impl, session, std::move(give)));
    } else {
      give(RefundStage::due);
    }
  });
  co_return co_await stage.get();
}

Task<Result<ledger::SessionResult>> Refunds::close(PaymentHash id) {
  ledger::CloseSession request;
  request.session = id;
  request.reason = ledger::CloseReason::operator_;
  request.now = impl_->clock.now();
  OCTROI_CO_TRY(auto closed, co_await impl_->sessions.close_session(std::move(request)));
  if (closed.outcome != SessionOutcome::applied)
    co_return ledger::SessionResult{closed.outcome, std::move(closed.session)};
  impl_->count_closed("operator");
  if (closed.session->refund.stage == RefundStage::due)
    co_await impl_->send(id, impl_->settings_of(closed.session->service).wait);
  co_return co_await impl_->now(SessionOutcome::applied, id);
}

// The attempt before may have come to something after all, and then nothing is sent: the node is
// asked first, by the hash that an attempt of this refund always has.
Task<Result<ledger::SessionResult>> Refunds::retry_refund(PaymentHash id) {
  OCTROI_CO_TRY(auto session, co_await impl_->sessions.find_session(id));
  if (!session) co_return ledger::SessionResult{};
  if (session->refund.stage != RefundStage::failed || impl_->busy.contains(id))
    co_return ledger::SessionResult{SessionOutcome::replayed, std::move(session)};
  auto tracked = co_await impl_->node.track(session->return_hash);
  auto ending = ending_of_track(tracked);
  if (!ending) {
    if (!tracked) co_return fail(std::move(tracked).error());
    co_return ledger::SessionResult{SessionOutcome::replayed, std::move(session)};  // on its way
  }
  if (ending->stage == RefundStage::succeeded) {
    co_await impl_->record(id, session->return_hash, *std::move(ending));
    co_return co_await impl_->now(SessionOutcome::replayed, id);
  }
  OCTROI_CO_TRY(auto due, co_await impl_->sessions.retry_refund(id, impl_->clock.now()));
  if (due != SessionOutcome::applied) co_return co_await impl_->now(due, id);
  co_await impl_->send(id, impl_->settings_of(session->service).wait);
  co_return co_await impl_->now(SessionOutcome::applied, id);
}

}  // namespace octroi::paywall
