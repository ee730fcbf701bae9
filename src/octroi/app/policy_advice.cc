#include "octroi/app/policy_advice.h"

#include "octroi/config/value.h"
#include "octroi/policy/policy.h"
#include "octroi/vault/known_operations.h"

namespace octroi::app {

config::Problems check_operations(const config::Loaded& loaded) {
  config::Problems out;
  if (!loaded.config.vault) return out;
  for (const vault::PolicySettings& p : loaded.config.vault->policies) {
    const auto policy = policy::parse_policy(p.name, p.document);
    if (!policy) continue;
    const config::Value& at = loaded.values->at("vault.policies").at(p.name);
    for (const vault::UnknownOperation& unknown :
         vault::unknown_operations(*policy, loaded.config.vault->vendors)) {
      config::Problem problem;
      problem.line = at.mark.line;
      problem.column = at.mark.column;
      problem.path = "vault.policies." + p.name;
      problem.message = unknown.text;
      problem.fix =
          "write it as docs/vault.md does, or allow a method and a path: POST /v1/charges";
      out.push_back(std::move(problem));
    }
  }
  return out;
}

}  // namespace octroi::app
