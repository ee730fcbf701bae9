#include "octroi/adapters/otlp/queue.h"

#include <algorithm>

namespace octroi::otlp {

// A stack that is only ever emptied whole: a span that is read cannot have been freed and pushed
// again meanwhile.

SpanQueue::~SpanQueue() {
  std::vector<std::unique_ptr<Span>> rest;
  drain(rest);
}

void SpanQueue::take(std::unique_ptr<Span> span) noexcept {
  if (held_.fetch_add(1, std::memory_order_relaxed) >= most_) {
    held_.fetch_sub(1, std::memory_order_relaxed);
    dropped_.add();
    return;
  }
  Span* mine = span.release();
  Span* top = newest_.load(std::memory_order_relaxed);
  do {
    mine->next = top;
  } while (!newest_.compare_exchange_weak(top, mine, std::memory_order_release,
                                          std::memory_order_relaxed));
}

void SpanQueue::drain(std::vector<std::unique_ptr<Span>>& into) {
  const auto before = static_cast<std::ptrdiff_t>(into.size());
  for (Span* at = newest_.exchange(nullptr, std::memory_order_acquire); at != nullptr;) {
    Span* next = at->next;
    at->next = nullptr;
    into.emplace_back(at);
    at = next;
  }
  std::reverse(into.begin() + before, into.end());
}

}  // namespace octroi::otlp
