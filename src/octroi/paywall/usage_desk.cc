#include "octroi/paywall/usage_desk.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "octroi/base/log.h"
#include "octroi/net/deadline.h"
#include "octroi/pricing/currency.h"
#include "octroi/pricing/pricer.h"
#include "octroi/task/group.h"
#include "octroi/task/sync.h"

namespace octroi::paywall {

using ledger::ReportKind;
using ledger::UsageReport;

namespace {

constexpr std::string_view kModule = "paywall";
constexpr int kClaimAtOnce = 32;
constexpr Millis kDefaultKeep{7LL * 24 * 3600 * 1000};
constexpr Millis kDrainPoll{20};
/// A source that is asked on the control loop must not hold it up.
constexpr Millis kCall{20'000};

pricing::Usage usage_of(UsageReport r) {
  pricing::Usage u;
  u.id = std::move(r.id);
  u.subject = std::move(r.subject);
  u.service = ServiceName(std::move(r.service));
  u.path = std::move(r.path);
  u.status = r.answer.status;
  u.content_type = std::move(r.answer.content_type);
  u.content_encoding = std::move(r.answer.content_encoding);
  u.complete = r.answer.complete;
  u.tail = std::move(r.answer.tail);
  u.reserved = r.reserved;
  u.estimate = r.estimate;
  u.request_text = std::move(r.request_text);
  return u;
}

tl::unexpected<Error> silent() {
  return fail(pricing::Errc::unavailable, "the price source did not answer");
}

}  // namespace

struct UsageDesk::Impl : std::enable_shared_from_this<UsageDesk::Impl> {
  Impl(net::Loop& control_loop, ledger::UsageReports& the_reports, PriceSources& the_sources,
       Clock& the_clock, MetricRegistry& metrics, UsageDeskOptions the_options)
      : control(control_loop),
        reports(the_reports),
        sources(the_sources),
        clock(the_clock),
        options(the_options),
        taken(result(metrics, "taken")),
        retried(result(metrics, "retried")),
        dropped(result(metrics, "dropped")),
        due(waiting(metrics, "due")),
        open(waiting(metrics, "open")),
        oldest(metrics.gauge("octroi_usage_reports_oldest_seconds",
                             "How long the oldest report to a price source has been waiting")) {}

  static Counter& result(MetricRegistry& metrics, const char* what) {
    return metrics.counter("octroi_usage_reports_total", "Reports to price sources",
                           {{"result", what}});
  }
  static Gauge& waiting(MetricRegistry& metrics, const char* what) {
    return metrics.gauge("octroi_usage_reports", "Reports to price sources that are not taken yet",
                         {{"state", what}});
  }

  // --- one report

  static Task<void> send(std::shared_ptr<Impl> self, UsageReport report) {
    const std::string id = report.id;
    const std::string source = report.source;
    const UnixMillis created = report.created;
    const std::int64_t attempts = report.attempts;
    auto told = co_await self->tell(std::move(report));
    // Others were held up while this many were on their way.
    if (self->sending-- >= self->options.at_once) self->wake->set();
    if (told) {
      self->taken.add();
      co_return;
    }
    const UnixMillis now = self->clock.now();
    if (created + self->keep_of(source) <= now) {
      auto ended = co_await self->reports.end_report(id);
      if (!ended || !*ended) co_return;
      self->dropped.add();
      OCTROI_LOG(error, kModule, "a usage report is dropped: its price source never took it",
                 {{"source", source}, {"report", id}, {"error", told.error().message()}});
      co_return;
    }
    self->retried.add();
    OCTROI_LOG(warn, kModule, "a usage report was not taken",
               {{"source", source}, {"report", id}, {"error", told.error().message()}});
    auto later = co_await self->reports.retry_report(id, now + self->pause_after(attempts));
    std::ignore = later;  // its claim runs out by itself
  }

  /// Taken, and what follows from it is booked; or why not.
  Task<Result<>> tell(UsageReport report) {
    pricing::PriceSource* source = sources.find(report.source);
    pricing::Pricer* pricer = source == nullptr ? nullptr : source->pricer();
    if (pricer == nullptr) co_return fail(pricing::Errc::unavailable, "no such source of prices");
    const std::string id = report.id;
    if (report.kind == ReportKind::token) {
      auto took =
          co_await net::within(control, kCall, pricer->report_usage(usage_of(std::move(report))));
      if (!took) co_return silent();
      OCTROI_CO_CHECK(std::move(*took));
      OCTROI_CO_TRY(const bool ended, co_await reports.end_report(id));
      std::ignore = ended;
      co_return Result<>{};
    }
    OCTROI_CO_TRY(const PaymentHash session, PaymentHash::from_hex(report.subject));
    const Msat estimate = report.estimate;
    if (report.answer.status == ledger::kNoAnswer) {
      OCTROI_CO_TRY(const bool booked, co_await reports.end_session_report(id, session, estimate,
                                                                           Msat(), clock.now()));
      std::ignore = booked;
      co_return Result<>{};
    }
    auto cost =
        co_await net::within(control, kCall, pricer->settle_session(usage_of(std::move(report))));
    if (!cost) co_return silent();
    if (!*cost) co_return fail(std::move(*cost).error());
    OCTROI_CO_TRY(const bool booked,
                  co_await reports.end_session_report(id, session, estimate, **cost, clock.now()));
    std::ignore = booked;
    co_return Result<>{};
  }

  [[nodiscard]] Millis pause_after(std::int64_t attempts) const {
    Millis pause = options.first_pause;
    for (std::int64_t i = 1; i < attempts && pause < options.longest_pause; ++i) pause *= 2;
    return std::min(pause, options.longest_pause);
  }
  [[nodiscard]] Millis keep_of(const std::string& source) const {
    const auto found = keep.find(source);
    return found == keep.end() ? kDefaultKeep : found->second;
  }

  // --- all of them

  /// True when there may be more.
  Task<bool> look() {
    const int room = options.at_once - sending;
    if (room <= 0) co_return false;
    ledger::ReportedAnswer unseen;
    unseen.status = pricing::kUnseen;
    const UnixMillis now = clock.now();
    const int limit = std::min(room, kClaimAtOnce);
    auto claimed = co_await reports.claim_reports(now, now + options.lease, limit, unseen);
    if (!claimed) {
      OCTROI_LOG(warn, kModule, "usage reports cannot be read",
                 {{"error", claimed.error().message()}});
      co_return false;
    }
    for (auto& report : *claimed) {
      ++sending;
      tasks.start(send(shared_from_this(), std::move(report)));
    }
    co_return std::cmp_equal(claimed->size(), limit);
  }

  static Task<bool> wait(Event* event) {
    co_await event->wait();
    co_return true;
  }

  Task<void> work() {
    for (;;) {
      wake = std::make_unique<Event>();
      rung = false;
      const bool more = co_await look();
      if (more && sending < options.at_once) continue;
      auto woken = co_await net::within(control, options.look_every, wait(wake.get()));
      std::ignore = woken;
    }
  }

  Task<void> keep_open() {
    for (;;) {
      auto kept = co_await reports.keep_reports_open(clock.now() + options.keep_for);
      if (!kept) {
        OCTROI_LOG(warn, kModule, "open usage reports cannot be kept open",
                   {{"error", kept.error().message()}});
      }
      co_await control.sleep(options.keep_every);
    }
  }

  Task<void> count() {
    for (;;) {
      auto counts = co_await reports.report_counts();
      if (counts) {
        due.set(counts->due);
        open.set(counts->open);
        const Millis age =
            counts->oldest ? std::max(clock.now() - *counts->oldest, Millis(0)) : Millis(0);
        oldest.set(age.count() / 1000 /* raw: time */);
      }
      co_await control.sleep(options.count_every);
    }
  }

  net::Loop& control;
  ledger::UsageReports& reports;
  PriceSources& sources;
  Clock& clock;
  const UsageDeskOptions options;
  Counter& taken;
  Counter& retried;
  Counter& dropped;
  Gauge& due;
  Gauge& open;
  Gauge& oldest;
  std::map<std::string, Millis> keep;  // by source
  std::atomic<bool> rung{false};       // since the last look
  std::unique_ptr<Event> wake = std::make_unique<Event>();
  int sending = 0;
  TaskGroup tasks;  // destroyed first
};

UsageDesk::UsageDesk(net::Loop& control, ledger::UsageReports& reports, PriceSources& sources,
                     Clock& clock, MetricRegistry& metrics, UsageDeskOptions options)
    : impl_(std::make_shared<Impl>(control, reports, sources, clock, metrics, options)) {}

UsageDesk::~UsageDesk() { impl_->tasks.cancel(); }

void UsageDesk::publish(const PaywallSettings& settings) {
  impl_->keep.clear();
  for (const auto& s : settings.price_sources) impl_->keep[s.name] = s.keep_reports;
}

void UsageDesk::start() {
  impl_->tasks.start(impl_->work());
  impl_->tasks.start(impl_->keep_open());
  impl_->tasks.start(impl_->count());
}

void UsageDesk::ring() {
  if (impl_->rung.exchange(true)) return;
  impl_->control.post([weak = std::weak_ptr<Impl>(impl_)] {
    if (const auto impl = weak.lock()) impl->wake->set();
  });
}

Task<void> UsageDesk::drain(Millis grace) {
  // What is due now is claimed at once; a source that is away is not waited for.
  const Millis until = impl_->control.now() + grace;
  bool more = co_await impl_->look();
  while ((more || impl_->sending > 0) && impl_->control.now() < until) {
    co_await impl_->control.sleep(kDrainPoll);
    if (more) more = co_await impl_->look();
  }
}

}  // namespace octroi::paywall
