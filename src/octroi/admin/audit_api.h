// octroi/admin/audit_api.h: the audit on the admin listener. Nothing here changes a row.
//
//   GET /api/v1/audit              ?run= &agent= &key= &vendor= &operation= &policy= &kind= &call=
//                                  &verdict= &from= &to= &limit= &cursor=      newest first
//   GET /api/v1/audit/writers      the chains, how far each has come, and the key of checkpoints
//   GET /api/v1/audit/rows         ?writer= &from= &limit=   as lines of an export
//   GET /api/v1/audit/checkpoints  ?writer= &after= &limit=  as lines of an export
//   GET /api/v1/audit/verify       the whole store, and the checkpoints outside it
//
// /writers signs a checkpoint first when rows came since the last one, so that an export ends with
// one.
// Thread  the control loop.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "octroi/audit/journal.h"
#include "octroi/audit/verify.h"
#include "octroi/http/server.h"

namespace octroi::admin {

inline constexpr std::string_view kAudit = "/api/v1/audit";

/// What the process does for the audit; empty functions where it keeps none.
struct AuditActions {
  /// Signs how far the chain has come; returns the public key, in hex.
  std::function<Task<Result<std::string>>()> checkpoint;
  std::function<Task<Result<audit::Report>>()> verify;
};

class AuditApi {
 public:
  /// `journal`: null when the store keeps none; outlives it, as `actions` does.
  AuditApi(audit::Journal* journal, const AuditActions& actions)
      : journal_(journal), actions_(actions) {}
  /// A GET whose path is kAudit or below it.
  Task<void> route(http::Exchange& exchange);

 private:
  Task<void> query(http::Exchange& exchange);
  Task<void> writers(http::Exchange& exchange);
  Task<void> rows(http::Exchange& exchange);
  Task<void> checkpoints(http::Exchange& exchange);
  Task<void> verify(http::Exchange& exchange);

  audit::Journal* journal_;
  const AuditActions& actions_;
};

}  // namespace octroi::admin
