// octroi/upstream/address_state.h: what the process knows about one address of one service.
//
// Three things speak against an address: the active check, which is right until it says otherwise;
// an ejection after failures in a row, which ends by itself; and a connection that could not be
// made, which is believed for a second. None of them closes an address for good: the balancer asks
// the others first.
//
// There is one state for all workers: what one of them learns the others need not pay for, a change
// is logged once, and the metric tells the truth. It is a few atomics that are only written when
// something fails or recovers, so a request reads them from its own cache.
//
// Thread  any. The clock may jump: no verdict outlasts the longest that could have been meant.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "octroi/base/clock.h"
#include "octroi/base/metrics.h"
#include "octroi/http/client.h"
#include "octroi/upstream/settings.h"

namespace octroi::upstream {

/// How long a connection that could not be made is believed.
inline constexpr Millis kRefusedFor{1'000};
/// Ejections grow to this many times the first.
inline constexpr std::int64_t kMaxBackOff = 32;

enum class Standing : std::uint8_t {
  good,
  doubtful,  // the check says no, or it is ejected: asked when no other is good
  refused,   // a connection failed within the last second: asked last
};

class AddressState {
 public:
  AddressState(MetricRegistry& metrics, std::string service, http::Origin origin);
  AddressState(const AddressState&) = delete;
  AddressState& operator=(const AddressState&) = delete;

  [[nodiscard]] const http::Origin& origin() const noexcept { return origin_; }
  [[nodiscard]] const std::string& service() const noexcept { return service_; }
  /// "http://10.0.0.1:8080", as in logs and metrics.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  [[nodiscard]] Standing standing(UnixMillis now) noexcept;

  // --- what requests learn ---

  void asked() noexcept { requests_.add(); }
  /// No connection: nothing was sent.
  void unreachable(const PassiveSettings& passive, UnixMillis now);
  /// The connection broke before the answer, was late, or the answer was 502, 503 or 504.
  void failed(const PassiveSettings& passive, UnixMillis now);
  /// `doubted`: the address was asked although its standing was not good, and answered: it is back.
  void succeeded(bool doubted) noexcept;

  // --- what the active check learns ---

  void set_checked(bool healthy, std::string_view why);

  // --- bound on requests under way ---

  /// False when `most` are under way; 0 is no bound, and then nothing is counted.
  [[nodiscard]] bool enter(std::int64_t most) noexcept;
  void leave(std::int64_t most) noexcept;

  /// Ends an ejection whose time is over though no request asks; for a tick of the control thread.
  void tick(UnixMillis now) noexcept { std::ignore = standing(now); }

 private:
  void eject(const PassiveSettings& passive, UnixMillis now);
  void end_ejection(std::int64_t until, bool answered) noexcept;
  void show() noexcept;

  const std::string service_;
  const http::Origin origin_;
  const std::string name_;
  Counter& requests_;
  Counter& failures_total_;
  Counter& ejections_total_;
  Gauge& healthy_;

  std::atomic<bool> checked_{true};
  std::atomic<std::int64_t> refused_until_{0};
  std::atomic<std::int64_t> ejected_until_{0};  // 0: not ejected
  std::atomic<std::int64_t> ejected_for_{0};    // how long the running or the last one was
  std::atomic<std::int64_t> failures_{0};       // in a row
  std::atomic<std::int64_t> under_way_{0};
};

/// The metrics of an address: they can be taken from view when it is gone.
inline constexpr std::array<std::string_view, 4> kAddressMetrics = {
    "octroi_upstream_healthy", "octroi_upstream_requests_total", "octroi_upstream_failures_total",
    "octroi_upstream_ejections_total"};
[[nodiscard]] Labels labels_of(const std::string& service, const std::string& address);

/// "http://[::1]:80".
[[nodiscard]] std::string name_of(const http::Origin& origin);

}  // namespace octroi::upstream
