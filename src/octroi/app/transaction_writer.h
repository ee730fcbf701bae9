// octroi/app/transaction_writer.h: writes the rows of handed-out challenges in batches, off the
// request path. A row that a crash loses is written again when its proof is consumed. Thread:
// handed_out from any worker; the rest on the control loop.
#pragma once

#include <mutex>
#include <vector>

#include "octroi/ledger/store.h"
#include "octroi/net/loop.h"
#include "octroi/paywall/shared.h"

namespace octroi::app {

class TransactionWriter final : public paywall::TransactionSink {
 public:
  TransactionWriter(ledger::Store& store, MetricRegistry& metrics);

  void handed_out(ledger::TransactionRecord record) override;
  /// Runs until the loop ends: a batch every 200 ms, when there is one.
  Task<void> run(net::Loop& loop);
  /// What is left, at the end.
  Task<void> flush();

 private:
  static constexpr std::size_t kMaxQueued = 100'000;
  /// Long enough that rows share the pages of the index of hashes, which are random: each page that
  /// a commit touches is written twice. Short enough for whoever looks at the list.
  static constexpr Millis kEvery{200};
  std::vector<ledger::TransactionRecord> take();

  ledger::Store& store_;
  Counter& dropped_;
  std::mutex mutex_;
  std::vector<ledger::TransactionRecord> queue_;
};

}  // namespace octroi::app
