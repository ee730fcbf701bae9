// octroi/admin/governance_api.h: what people decide about the vault door, on the admin listener:
// calls that wait for approval, and the policies of the store.
//
//   GET    /api/v1/approvals                 ?state=pending|approved|denied|used|expired|all
//   GET    /api/v1/approvals/{id}
//   POST   /api/v1/approvals/{id}/approve    ?by=NAME; also deny; 409 when it is decided or over
//   GET    /api/v1/policies                  those of the file and of the store
//   GET    /api/v1/policies/{name}
//   PUT    /api/v1/policies/{name}           a policy as JSON; If-Match: "version", If-None-Match:
//   * DELETE /api/v1/policies/{name}           If-Match GET    /api/v1/policies/{name}/versions
//   POST   /api/v1/policies/{name}/rollback  ?version=N: its text becomes the newest version
//   POST   /api/v1/policies/{name}/simulate  ?from= &to=; body: another text of it, or nothing
//   GET    /api/v1/policies/{name}/usage     what its caps hold, have settled and have left
//   GET    /api/v1/policies/{name}/windows   what is counted under this name and for budgets; ?at=
//
// Thread  the control loop.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "octroi/base/clock.h"
#include "octroi/base/result.h"
#include "octroi/http/server.h"

namespace octroi::admin {

inline constexpr std::string_view kApprovals = "/api/v1/approvals";
inline constexpr std::string_view kPolicies = "/api/v1/policies";

/// If-Match: *
inline constexpr std::int64_t kWhicheverVersion = -1;

/// Each answers with the JSON to send. Empty: this server runs no vault door.
struct GovernanceActions {
  using Answer = Task<Result<std::string>>;
  std::function<Answer(std::string state)> list_approvals;
  std::function<Answer(std::string id)> show_approval;
  std::function<Answer(std::string id, bool approved, std::string by)> decide_approval;
  std::function<Answer()> list_policies;
  std::function<Answer(std::string name)> show_policy;
  std::function<Answer(std::string name)> policy_versions;
  std::function<Answer(std::string name)> policy_usage;
  std::function<Answer(std::string name, std::optional<UnixMillis> at)> policy_windows;
  /// The version that there must be: 0 none, kWhicheverVersion any one, empty any or none.
  std::function<Answer(std::string name, std::string document, std::optional<std::int64_t>)>
      put_policy;
  std::function<Answer(std::string name, std::optional<std::int64_t>)> remove_policy;
  std::function<Answer(std::string name, std::int64_t version)> roll_back_policy;
  std::function<Answer(std::string name, std::string document, std::optional<UnixMillis> from,
                       std::optional<UnixMillis> to)>
      simulate_policy;
};

class GovernanceApi {
 public:
  explicit GovernanceApi(const GovernanceActions& actions) : actions_(actions) {}
  /// Whether it answers requests for this path.
  [[nodiscard]] static bool takes(std::string_view path);
  Task<void> route(http::Exchange& exchange);

 private:
  Task<Result<std::string>> answer(http::Exchange& exchange);
  Task<Result<std::string>> approvals(http::Exchange& exchange, std::string below);
  Task<Result<std::string>> policies(http::Exchange& exchange, std::string below);
  Task<Result<std::string>> simulate(http::Exchange& exchange, std::string name);
  const GovernanceActions& actions_;
};

}  // namespace octroi::admin
