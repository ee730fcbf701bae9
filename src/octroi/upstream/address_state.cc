#include "octroi/upstream/address_state.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "octroi/base/log.h"

namespace octroi::upstream {

namespace {
constexpr std::string_view kModule = "upstream";
constexpr auto kRelaxed = std::memory_order_relaxed;
}  // namespace

std::string name_of(const http::Origin& origin) {
  const bool v6 = origin.host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", origin.scheme, v6 ? "[" : "", origin.host, v6 ? "]" : "",
                     origin.port);
}

Labels labels_of(const std::string& service, const std::string& address) {
  return {{"service", service}, {"address", address}};
}

AddressState::AddressState(MetricRegistry& metrics, std::string service, http::Origin origin)
    : service_(std::move(service)),
      origin_(std::move(origin)),
      name_(name_of(origin_)),
      requests_(metrics.counter("octroi_upstream_requests_total",
                                "Requests sent to an address of a service",
                                labels_of(service_, name_))),
      failures_total_(metrics.counter(
          "octroi_upstream_failures_total",
          "Requests that an address did not answer, or answered with 502, 503 or 504",
          labels_of(service_, name_))),
      ejections_total_(metrics.counter("octroi_upstream_ejections_total",
                                       "Times that an address was left alone for its failures",
                                       labels_of(service_, name_))),
      healthy_(metrics.gauge("octroi_upstream_healthy",
                             "1 when neither the check nor failures speak against an address",
                             labels_of(service_, name_))) {
  show();
}

Standing AddressState::standing(UnixMillis now) noexcept {
  const std::int64_t ejected = ejected_until_.load(kRelaxed);
  if (ejected != 0 && (now.value >= ejected || ejected - now.value > ejected_for_.load(kRelaxed))) {
    end_ejection(ejected, /*answered=*/false);
  }
  const std::int64_t refused = refused_until_.load(kRelaxed);
  if (now.value < refused && refused - now.value <= kRefusedFor.count()) return Standing::refused;
  const bool good = checked_.load(kRelaxed) && ejected_until_.load(kRelaxed) == 0;
  return good ? Standing::good : Standing::doubtful;
}

void AddressState::unreachable(const PassiveSettings& passive, UnixMillis now) {
  refused_until_.store((now + kRefusedFor).value, kRelaxed);
  failed(passive, now);
}

void AddressState::failed(const PassiveSettings& passive, UnixMillis now) {
  failures_total_.add();
  const std::int64_t in_a_row = failures_.fetch_add(1, kRelaxed) + 1;
  if (passive.failures > 0 && in_a_row >= passive.failures) eject(passive, now);
}

void AddressState::eject(const PassiveSettings& passive, UnixMillis now) {
  if (ejected_until_.load(kRelaxed) != 0) return;
  const std::int64_t first = passive.ejection.count();
  const std::int64_t before = ejected_for_.load(kRelaxed);
  // Twice as long as the last time, when nothing good came in between.
  const std::int64_t time =
      before == 0 ? first : std::clamp(before * 2, first, first * kMaxBackOff);
  std::int64_t none = 0;
  ejected_for_.store(time, kRelaxed);
  if (!ejected_until_.compare_exchange_strong(none, now.value + time, kRelaxed)) return;
  // Back on probation: the next failure is enough.
  failures_.store(passive.failures - 1, kRelaxed);
  ejections_total_.add();
  show();
  OCTROI_LOG(warn, kModule, "address ejected",
             {{"service", service_},
              {"address", name_},
              {"failures", passive.failures},
              {"seconds", (time + 999) / 1000}});
}

void AddressState::end_ejection(std::int64_t until, bool answered) noexcept {
  if (!ejected_until_.compare_exchange_strong(until, 0, kRelaxed)) return;
  show();
  OCTROI_LOG(info, kModule, answered ? "address answers again" : "address tried again",
             {{"service", service_}, {"address", name_}});
}

void AddressState::succeeded(bool doubted) noexcept {
  if (doubted) {
    refused_until_.store(0, kRelaxed);
    if (const std::int64_t until = ejected_until_.load(kRelaxed); until != 0) {
      end_ejection(until, /*answered=*/true);
    }
  }
  // Read before written: in good times the line stays in every worker's cache.
  if (ejected_until_.load(kRelaxed) != 0) return;
  if (failures_.load(kRelaxed) != 0) failures_.store(0, kRelaxed);
  if (ejected_for_.load(kRelaxed) != 0) ejected_for_.store(0, kRelaxed);
}

void AddressState::set_checked(bool healthy, std::string_view why) {
  if (checked_.exchange(healthy, kRelaxed) == healthy) return;
  show();
  if (healthy) {
    OCTROI_LOG(info, kModule, "address healthy", {{"service", service_}, {"address", name_}});
  } else {
    OCTROI_LOG(warn, kModule, "address unhealthy",
               {{"service", service_}, {"address", name_}, {"reason", why}});
  }
}

bool AddressState::enter(std::int64_t most) noexcept {
  if (most <= 0) return true;
  if (under_way_.fetch_add(1, kRelaxed) < most) return true;
  under_way_.fetch_sub(1, kRelaxed);
  return false;
}

void AddressState::leave(std::int64_t most) noexcept {
  if (most > 0) under_way_.fetch_sub(1, kRelaxed);
}

void AddressState::show() noexcept {
  healthy_.set(checked_.load(kRelaxed) && ejected_until_.load(kRelaxed) == 0 ? 1 : 0);
}

}  // namespace octroi::upstream
