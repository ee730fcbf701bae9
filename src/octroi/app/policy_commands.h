// octroi/app/policy_commands.h: policy check, show, explain.
//
// check and show judge what is written; explain judges one request as the vault door would, by the
// vendor's own pack, and tells every step.
//
// Thread   the main thread only.
#pragma once

#include <string>
#include <vector>

#include "octroi/app/commands.h"

namespace octroi::app {

struct PolicyQuery {
  std::string name;  // empty: all of the configuration
  std::string file;  // a policy as JSON; "-": standard input
};
int policy_check_command(const Common& common, const PolicyQuery& query);
int policy_show_command(const Common& common, const PolicyQuery& query);

/// A request as an agent would send it.
struct ExplainQuery {
  std::string policy;
  std::string request;  // "POST /v1/charges?expand=x"
  std::string data;     // an urlencoded body
  std::string json;     // a JSON body
  std::string run, agent, key;
  std::string at;       // RFC 3339; empty: now
  bool unused = false;  // as if nothing were spent
  std::string file;     // another text of the policy, as JSON
};
int policy_explain_command(const Common& common, const ExplainQuery& query);

void add_policy_commands(cli::CommandLine& line);
/// Those about policies of the store: list, add, set, remove, versions, rollback, usage, simulate.
void add_stored_policy_commands(cli::CommandLine& line);

}  // namespace octroi::app
