// octroi/adapters/otlp/queue.h: spans that are over and not sent yet.
//
// Bounded: beyond `most` a span is dropped and counted, whoever is slow. What was taken out counts
// until forget() says that it is gone, so that the bound holds for everything in memory.
// Thread  take: any, without a lock and without waiting. The rest: the exporter's.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "octroi/base/metrics.h"
#include "octroi/base/trace.h"

namespace octroi::otlp {

class SpanQueue final : public SpanSink {
 public:
  SpanQueue(std::size_t most, Counter& dropped) : most_(most), dropped_(dropped) {}
  SpanQueue(const SpanQueue&) = delete;
  SpanQueue& operator=(const SpanQueue&) = delete;
  ~SpanQueue() override;

  void take(std::unique_ptr<Span> span) noexcept override;

  /// Appends what has come, the oldest first.
  void drain(std::vector<std::unique_ptr<Span>>& into);
  /// So many that were drained are sent, or given up.
  void forget(std::size_t count) noexcept { held_.fetch_sub(count, std::memory_order_relaxed); }
  /// Those that came, were drained or not, and are not forgotten.
  [[nodiscard]] std::size_t held() const noexcept { return held_.load(std::memory_order_relaxed); }

 private:
  const std::size_t most_;
  Counter& dropped_;
  std::atomic<std::size_t> held_{0};
  std::atomic<Span*> newest_{nullptr};
};

}  // namespace octroi::otlp
