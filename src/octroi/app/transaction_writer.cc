#include "octroi/app/transaction_writer.h"

#include <utility>

#include "octroi/base/log.h"

namespace octroi::app {

TransactionWriter::TransactionWriter(ledger::Store& store, MetricRegistry& metrics)
    : store_(store),
      dropped_(metrics.counter("octroi_transactions_dropped_total",
                               "Rows of unpaid challenges that the store could not take")) {}

void TransactionWriter::handed_out(ledger::TransactionRecord record) {
  std::lock_guard lock(mutex_);
  if (queue_.size() >= kMaxQueued) {
    dropped_.add();
    return;
  }
  queue_.push_back(std::move(record));
}

std::vector<ledger::TransactionRecord> TransactionWriter::take() {
  std::lock_guard lock(mutex_);
  return std::exchange(queue_, {});
}

Task<void> TransactionWriter::flush() {
  auto rows = take();
  if (rows.empty()) co_return;
  const auto count = static_cast<std::int64_t>(rows.size());
  auto written = co_await store_.record_transactions(std::move(rows));
  if (!written) {
    dropped_.add(count);
    OCTROI_LOG(warn, "app", "transactions not recorded",
               {{"rows", count}, {"error", written.error().message()}});
  }
}

Task<void> TransactionWriter::run(net::Loop& loop) {
  while (true) {
    co_await loop.sleep(kEvery);
    co_await flush();
  }
}

}  // namespace octroi::app
