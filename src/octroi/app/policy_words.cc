#include <memory>

#include "octroi/app/policy_commands.h"

namespace octroi::app {

using cli::Invocation;
using cli::OptionSet;

namespace {

void add_check(cli::CommandLine& line) {
  auto q = std::make_shared<PolicyQuery>();
  line.add({.name = "policy check",
            .summary = "Checks policies, and says what they leave open.",
            .examples = {{"octroi policy check", "those of the configuration"},
                         {"octroi policy check bot --file bot.json", "one as JSON"}},
            .options =
                [q](OptionSet& set) {
                  set.positional("NAME", q->name, "Only this one.", false);
                  set.option("--file", q->file, "A policy as JSON instead; - is standard input.");
                },
            .run =
                [q](const Invocation& call) {
                  return static_cast<cli::ExitCode>(policy_check_command({call, call.json}, *q));
                },
            .json_when_piped = true});
}

void add_show(cli::CommandLine& line) {
  auto q = std::make_shared<PolicyQuery>();
  line.add({.name = "policy show",
            .summary = "Prints the one text of a policy, whose SHA-256 stands in the audit.",
            .examples = {{"octroi policy show support-bot", "as it is hashed"}},
            .options = [q](OptionSet& set) { set.positional("NAME", q->name, "Which one."); },
            .run =
                [q](const Invocation& call) {
                  return static_cast<cli::ExitCode>(policy_show_command({call, call.json}, *q));
                }});
}

void add_explain(cli::CommandLine& line) {
  auto q = std::make_shared<ExplainQuery>();
  line.add(
      {.name = "policy explain",
       .summary = "Says what a policy makes of one request, and why. Nothing is sent or counted.",
       .examples =
           {{"octroi policy explain support-bot 'POST /v1/charges' --data "
             "'amount=5000&currency=usd&customer=cus_123'",
             "exit code 0 allowed, 7 refused, 8 needs approval, 9 the vendor must be asked"}},
       .options =
           [q](OptionSet& set) {
             set.positional("POLICY", q->policy, "Its name.");
             set.positional("REQUEST", q->request, "Method and path, as the vendor sees them.");
             set.option("--data", q->data, "An urlencoded body.");
             set.option("--body", q->json, "A JSON body.");
             set.option("--run", q->run, "The run that sends it.");
             set.option("--agent", q->agent, "The agent that sends it.");
             set.option("--key", q->key, "The id of the vault key.");
             set.option("--at", q->at, "When, like 2026-12-31T00:00:00Z; otherwise now.");
             set.option("--file", q->file,
                        "Another text of the policy, as JSON; - is standard "
                        "input.");
             set.flag("--unused", q->unused, "As if nothing were spent yet: without the store.");
             set.excludes("--data", "--body");
           },
       .run =
           [q](const Invocation& call) {
             return static_cast<cli::ExitCode>(policy_explain_command({call, call.json}, *q));
           },
       .json_when_piped = true});
}

}  // namespace

void add_policy_commands(cli::CommandLine& line) {
  line.describe_group("policy", "What vault keys may do.");
  add_check(line);
  add_show(line);
  add_explain(line);
  add_stored_policy_commands(line);
}

}  // namespace octroi::app
