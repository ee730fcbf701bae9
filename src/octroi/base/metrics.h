// octroi/base/metrics.h: counters, gauges and histograms that cost a relaxed add on a cell of the
// calling thread's own, and are summed only when /metrics is read.
//
// Names are `octroi_…`; labels are fixed when the cell is made and never hold what a client sent.
// Thread: add and set from any thread; collect from any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "octroi/base/metric_cells.h"

namespace octroi {

class Counter {
 public:
  Counter() : number_(detail::take_metric_number()) {}
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;
  ~Counter() { detail::give_metric_number(number_); }
  void add(std::int64_t n = 1) noexcept { detail::add_to_metric_cell(number_, n); }
  [[nodiscard]] std::int64_t value() const noexcept { return detail::sum_metric_cells(number_); }

 private:
  std::uint32_t number_;
};

class Gauge {
 public:
  void set(std::int64_t v) noexcept { value_.store(v, std::memory_order_relaxed); }
  void add(std::int64_t n) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  [[nodiscard]] std::int64_t value() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<std::int64_t> value_{0};
};

/// Latency in microseconds over fixed buckets, exposed in seconds.
class Histogram {
 public:
  static constexpr std::array<std::int64_t, 14> kBoundsMicros = {
      100,   250,   500,    1000,   2500,    5000,    10000,
      25000, 50000, 100000, 250000, 1000000, 5000000, 30000000};
  void observe_micros(std::int64_t micros) noexcept;
  struct Snapshot {
    std::array<std::int64_t, kBoundsMicros.size() + 1> buckets{};  // not cumulative; last is +Inf
    std::int64_t sum_micros = 0;
    std::int64_t count = 0;
  };
  [[nodiscard]] Snapshot snapshot() const noexcept;

 private:
  std::array<Counter, kBoundsMicros.size() + 1> buckets_;
  Counter sum_;
};

using Labels = std::vector<std::pair<std::string, std::string>>;

enum class MetricType : std::uint8_t { counter, gauge, histogram };
struct MetricPoint {
  Labels labels;           // ascending
  std::int64_t value = 0;  // of counters and gauges
  Histogram::Snapshot histogram;
};
struct MetricFamily {
  MetricType type = MetricType::counter;
  std::string name;
  std::string help;
  std::vector<MetricPoint> points;
};

/// Holds every metric of the process. Look cells up once and keep the reference: it lives as long
/// as the registry.
class MetricRegistry {
 public:
  Counter& counter(std::string_view name, std::string_view help, Labels labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, Labels labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, Labels labels = {});
  /// Leaves one cell out of the exposition until it is asked for again: what it counted is gone.
  void hide(std::string_view name, Labels labels);
  /// Prometheus text exposition format 0.0.4.
  [[nodiscard]] std::string exposition() const;
  /// The same as values, by name.
  [[nodiscard]] std::vector<MetricFamily> snapshot() const;

 private:
  struct Family;
  using Type = MetricType;
  template <class T>
  T& cell(Type type, std::string_view name, std::string_view help, Labels labels);

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Family>, std::less<>> families_;
};

}  // namespace octroi
