// octroi/base/metric_cells.h: where counters count. Internal to base/metrics.h.
//
// A counter is a number; each thread's shard has a cell for every number, in pages that exist once
// that thread has counted something in them. So a count touches memory of its own thread only, and
// ten thousand services whose counters stand still cost eight bytes each, not a cache line a
// thread. Thread: any.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace octroi::detail {

inline constexpr std::size_t kMetricShards = 16;  // threads beyond share them
inline constexpr std::size_t kCellsAPage = 512;
inline constexpr std::size_t kMetricPages = 32'768;  // sixteen million counters

struct MetricPage {
  std::array<std::atomic<std::int64_t>, kCellsAPage> cells{};
};
struct alignas(64) MetricShard {
  std::array<std::atomic<MetricPage*>, kMetricPages> pages{};
};
/// Pages are never freed: a thread may be counting at any time.
extern std::array<MetricShard, kMetricShards> metric_shards;

/// The calling thread's.
[[nodiscard]] MetricShard& metric_shard() noexcept;
[[nodiscard]] MetricPage& make_metric_page(std::atomic<MetricPage*>& place);

/// A number that no living counter has, its cells at zero.
[[nodiscard]] std::uint32_t take_metric_number();
void give_metric_number(std::uint32_t number) noexcept;
[[nodiscard]] std::int64_t sum_metric_cells(std::uint32_t number) noexcept;

inline void add_to_metric_cell(std::uint32_t number, std::int64_t n) {
  std::atomic<MetricPage*>& place = metric_shard().pages[number / kCellsAPage];
  MetricPage* page = place.load(std::memory_order_acquire);
  if (page == nullptr) page = &make_metric_page(place);
  page->cells[number % kCellsAPage].fetch_add(n, std::memory_order_relaxed);
}

}  // namespace octroi::detail
