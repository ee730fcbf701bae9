// octroi/paywall/shared.h: what every worker's gate shares. Each member is safe to use from any
// worker's loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/metrics.h"
#include "octroi/base/random.h"
#include "octroi/ledger/shared_state.h"
#include "octroi/ledger/store.h"
#include "octroi/paywall/freshness.h"
#include "octroi/paywall/limits.h"
#include "octroi/paywall/ports.h"
#include "octroi/paywall/session_bell.h"
#include "octroi/paywall/session_returns.h"

namespace octroi {
class Tracer;
}  // namespace octroi

namespace octroi::paywall {

/// Takes rows of challenges that were handed out; writes them soon, off the request path.
class TransactionSink {
 public:
  virtual ~TransactionSink() = default;
  virtual void handed_out(ledger::TransactionRecord record) = 0;
};

/// One line of the access log. Nothing in it is a credential.
struct AccessRecord {
  UnixMillis when;
  std::string request_id;
  std::string client;
  std::string method;
  std::string host;
  std::string path;  // without query: queries carry keys
  std::string service;
  std::string scheme;
  std::string intent;
  std::string challenge_id;
  int status = 0;
  std::string_view outcome;
  std::int64_t duration_micros = 0;
  std::uint64_t sent_bytes = 0;
};
class AccessLog {
 public:
  virtual ~AccessLog() = default;
  virtual void write(const AccessRecord& record) = 0;
};

struct Shared {
  ledger::Store& store;
  InvoiceSource& invoices;
  SettlementCheck* settlement = nullptr;  // null: `strict` cannot be answered and refuses
  UnpaidBound& unpaid;
  RateLimiter& rates;
  TransactionSink& transactions;
  AccessLog* access = nullptr;
  MetricRegistry& metrics;
  Clock& clock;
  Random& random;
  RefundDesk* refunds = nullptr;  // null: no service sells sessions
  std::unique_ptr<SessionBell> bell = std::make_unique<SessionBell>();
  std::unique_ptr<SessionReturns> returns = std::make_unique<SessionReturns>();
  ledger::SharedState* state = nullptr;  // null: rates are counted in `rates`, by this process
  const Freshness* fresh = nullptr;      // null: nobody else changes the ledger
  UsageBell* usage = nullptr;            // null: reports wait for whoever looks for them
  Tracer* tracer = nullptr;              // null: no request is traced
};

}  // namespace octroi::paywall
