// octroi/admin/api.h: the admin listener: health, readiness, metrics, and the REST API under
// /api/v1.
//
//   GET  /, /dashboard.js, /dashboard.css  no credential; see page.h
//   GET  /healthz                          no credential; "ok" while the process answers
//   GET  /readyz                           no credential; which part fails, or "ok"
//   GET  /metrics                          admin token, unless telemetry.metrics is public
//   GET  /api/v1/info                      version, realm, node
//   GET  /api/v1/transactions              ?service= &scheme= &state= &before= &limit=
//   GET  /api/v1/tokens/revoked
//   POST /api/v1/tokens/{token id}/revoke  returns after every worker has acknowledged
//   GET  /api/v1/sessions                  ?service= &state= &refund= &before= &limit=
//   GET  /api/v1/sessions/totals           the books of all sessions
//   GET  /api/v1/sessions/{session id}
//   POST /api/v1/sessions/{session id}/close, …/retry-refund
//   …    /api/v1/services, …/{name}        see service_api.h
//   GET  /api/v1/audit, …                  see audit_api.h
//   GET  /api/v1/revenue                   ?service= &from= &to=  what was settled, by day
//   POST /api/v1/reload                    reads the configuration again
//   GET  /api/v1/openapi.json
//
// Whatever is no GET is written to the audit first (admin.change); 503 when that cannot be done.
// Authentication: Authorization: Bearer <admin token>, compared in constant time. Errors are
// RFC 9457 problem documents.
// Thread  the control loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "octroi/admin/audit_api.h"
#include "octroi/admin/service_api.h"
#include "octroi/admin/session_api.h"
#include "octroi/admin/vault_api.h"
#include "octroi/base/clock.h"
#include "octroi/base/metrics.h"
#include "octroi/base/secret.h"
#include "octroi/http/server.h"
#include "octroi/ledger/store.h"

namespace octroi::admin {

/// One thing that has to work for new requests to be served.
struct Check {
  std::string name;  // "store", "node"
  std::function<Task<Result<>>()> run;
};

struct Wiring {
  ledger::Store& store;
  MetricRegistry& metrics;
  Clock& clock;
  std::shared_ptr<const Secret> token;
  bool metrics_on = true;  // false: /metrics does not exist
  bool metrics_public = false;
  std::vector<Check> checks;
  /// JSON object text for /api/v1/info.
  std::function<Task<std::string>()> info;
  /// Publishes the new revocation set to every worker; returns when all have it.
  std::function<Task<Result<>>(TokenId)> revoke;
  std::function<Task<Result<std::string>>()> reload;
  SessionActions sessions = {};
  VaultActions vault = {};
  ServiceActions services = {};
  AuditActions audit = {};
};

class Api {
 public:
  explicit Api(Wiring wiring) : wiring_(std::move(wiring)) {}
  Task<void> handle(http::Exchange& exchange);

 private:
  Task<void> ready(http::Exchange& exchange);
  /// Writes down what is about to be changed, and by whom: without that nothing is.
  Task<Result<>> audited(http::Exchange& exchange);
  Task<void> route(http::Exchange& exchange);
  Task<void> transactions(http::Exchange& exchange);
  Task<void> revenue(http::Exchange& exchange);
  Task<void> revoke(http::Exchange& exchange, std::string id);
  Task<void> revoked(http::Exchange& exchange);
  [[nodiscard]] bool authorized(const http::RequestHead& request) const;

  Wiring wiring_;
};

}  // namespace octroi::admin
