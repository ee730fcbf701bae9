#include "octroi/upstream/checker.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "octroi/net/deadline.h"
#include "octroi/task/group.h"

namespace octroi::upstream {

bool contains(const std::vector<StatusRange>& ranges, int status) noexcept {
  return std::ranges::any_of(
      ranges, [status](const StatusRange& r) { return r.first <= status && status <= r.last; });
}

/// One address under watch.
class HealthChecker::Probe {
 public:
  Probe(HealthChecker& checker, std::shared_ptr<AddressState> state, HealthSettings settings,
        http::Client& client, http::Protocol protocol)
      : checker_(checker),
        state_(std::move(state)),
        settings_(std::move(settings)),
        client_(client),
        origin_(state_->origin()) {
    origin_.protocol = protocol;
    task_.start(run(this));
  }
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  [[nodiscard]] bool same(const HealthSettings& settings, const Watched& watched) const {
    return settings_ == settings && &client_ == watched.client &&
           origin_.protocol == watched.protocol;
  }

 private:
  static Task<void> run(Probe* self) {
    for (;;) {
      std::optional<Error> bad;
      {
        co_await self->checker_.slots_.acquire();
        const Semaphore::Permit permit(self->checker_.slots_);
        auto asked = co_await net::within(self->checker_.loop_, self->settings_.timeout, ask(self));
        if (!asked) {
          bad = Error(http::Errc::timeout, "no answer in time");
        } else if (!*asked) {
          bad = std::move(*asked).error();
        }
      }
      self->judge(bad);
      co_await self->checker_.loop_.sleep(self->pause());
    }
  }

  static Task<Result<>> ask(Probe* self) {
    const Millis time = self->settings_.timeout;
    OCTROI_CO_TRY(auto exchange, co_await self->client_.open_with(self->origin_, {time, time, time},
                                                                  /*fresh=*/true));
    if (self->settings_.path.empty()) co_return Result<>{};
    http::RequestHead head;
    head.method = "GET";
    head.target = self->settings_.path;
    head.scheme = self->origin_.scheme;
    head.headers.set("User-Agent", "octroi-health");
    head.headers.set("Accept", "*/*");
    OCTROI_CO_CHECK(co_await exchange->send_head(head, 0));
    OCTROI_CO_CHECK(co_await exchange->finish({}));
    for (;;) {
      OCTROI_CO_TRY(const auto answer, co_await exchange->head());
      if (answer.status < 200) continue;
      if (contains(self->settings_.status, answer.status)) co_return Result<>{};
      co_return fail(http::Errc::upstream_invalid, fmt::format("status {}", answer.status));
    }
  }

  void judge(const std::optional<Error>& bad) {
    good_ = bad ? 0 : good_ + 1;
    bad_ = bad ? bad_ + 1 : 0;
    const bool first = std::exchange(first_, false);
    if (bad && (first || bad_ >= settings_.unhealthy)) state_->set_checked(false, bad->message());
    if (!bad && (first || good_ >= settings_.healthy)) state_->set_checked(true, {});
  }

  /// The interval give or take a tenth, so that many addresses do not come due together.
  [[nodiscard]] Millis pause() const {
    const auto bytes = checker_.random_.bytes<2>();
    const std::int64_t dice = (bytes[0] << 8 | bytes[1]) % 201 - 100;  // -100 … 100
    return settings_.interval + settings_.interval * dice / 1000;
  }

  HealthChecker& checker_;
  std::shared_ptr<AddressState> state_;
  HealthSettings settings_;
  http::Client& client_;
  http::Origin origin_;
  std::int64_t good_ = 0;  // in a row
  std::int64_t bad_ = 0;
  bool first_ = true;
  TaskGroup task_;  // destroyed first: it uses all of the above
};

HealthChecker::HealthChecker(net::Loop& loop, Random& random) : loop_(loop), random_(random) {}
HealthChecker::~HealthChecker() = default;

void HealthChecker::watch(const std::vector<Watched>& groups) {
  std::map<const AddressState*, std::unique_ptr<Probe>> next;
  for (const Watched& watched : groups) {
    const auto& health = watched.group->policy.health;
    if (!health) continue;
    for (const auto& state : watched.group->addresses) {
      auto running = probes_.extract(state.get());
      if (!running.empty() && running.mapped()->same(*health, watched)) {
        next.insert(std::move(running));
      } else {
        running = {};  // ends before its successor begins
        next.emplace(state.get(), std::make_unique<Probe>(*this, state, *health, *watched.client,
                                                          watched.protocol));
      }
    }
  }
  probes_ = std::move(next);
}

}  // namespace octroi::upstream
