#include "octroi/base/metric_cells.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <vector>

namespace octroi::detail {

constinit std::array<MetricShard, kMetricShards> metric_shards{};

namespace {
std::mutex numbers_mutex;
std::uint32_t next_number = 0;
std::vector<std::uint32_t>& free_numbers() {
  static auto* numbers = new std::vector<std::uint32_t>();  // outlives every static counter
  return *numbers;
}

template <class Visit>
void each_cell(std::uint32_t number, Visit visit) {
  for (MetricShard& shard : metric_shards) {
    MetricPage* page = shard.pages[number / kCellsAPage].load(std::memory_order_acquire);
    if (page != nullptr) visit(page->cells[number % kCellsAPage]);
  }
}
}  // namespace

MetricShard& metric_shard() noexcept {
  static std::atomic<std::size_t> next{0};
  thread_local MetricShard& mine =
      metric_shards[next.fetch_add(1, std::memory_order_relaxed) % kMetricShards];
  return mine;
}

MetricPage& make_metric_page(std::atomic<MetricPage*>& place) {
  auto made = std::make_unique<MetricPage>();
  MetricPage* there = nullptr;
  // Threads that share the shard may meet here: the first one's page stays.
  if (place.compare_exchange_strong(there, made.get(), std::memory_order_acq_rel))
    return *made.release();
  return *there;
}

std::uint32_t take_metric_number() {
  const std::scoped_lock lock(numbers_mutex);
  if (!free_numbers().empty()) {
    const std::uint32_t number = free_numbers().back();
    free_numbers().pop_back();
    return number;
  }
  if (next_number == kMetricPages * kCellsAPage) {
    std::fputs("octroi: too many metrics\n", stderr);
    std::abort();
  }
  return next_number++;
}

void give_metric_number(std::uint32_t number) noexcept {
  each_cell(number, [](auto& cell) { cell.store(0, std::memory_order_relaxed); });
  const std::scoped_lock lock(numbers_mutex);
  free_numbers().push_back(number);
}

std::int64_t sum_metric_cells(std::uint32_t number) noexcept {
  std::int64_t sum = 0;
  each_cell(number, [&sum](auto& cell) { sum += cell.load(std::memory_order_relaxed); });
  return sum;
}

}  // namespace octroi::detail
