#include <memory>

#include "octroi/app/commands.h"

namespace octroi::app {

using cli::Invocation;
using cli::OptionSet;

namespace {

void add_list(cli::CommandLine& line) {
  struct List {
    SessionQuery query;
    std::int64_t limit = 50;
  };
  auto q = std::make_shared<List>();
  line.add(
      {.name = "session list",
       .summary = "Lists prepaid sessions, newest first: what was deposited, spent and given back.",
       .examples = {{"octroi session list --refund failed", "refunds that need somebody"}},
       .options =
           [q](OptionSet& set) {
             set.option("--service", q->query.service, "Only this service.");
             set.choice("--state", q->query.state, {"open", "closed"}, "Only this state.");
             set.choice("--refund", q->query.refund,
                        {"none", "skipped", "due", "sending", "succeeded", "failed"},
                        "Only with a refund at this stage.");
             set.option("--before", q->query.before, "Only opened before this session.");
             set.option("--limit", q->limit, "How many, at most 1000.");
           },
       .run =
           [q](const Invocation& call) {
             q->query.limit = static_cast<int>(q->limit);
             return static_cast<cli::ExitCode>(session_list_command({call, call.json}, q->query));
           },
       .json_when_piped = true});
}

void add_one(cli::CommandLine& line, SessionAction action, const char* name, const char* summary,
             const char* example, const char* says) {
  auto id = std::make_shared<std::string>();
  line.add(
      {.name = name,
       .summary = summary,
       .examples = {{example, says}},
       .options = [id](OptionSet& set) { set.positional("ID", *id, "64 hexadecimal digits."); },
       .run =
           [id, action](const Invocation& call) {
             return static_cast<cli::ExitCode>(session_command({call, call.json}, action, *id));
           },
       .json_when_piped = true});
}

}  // namespace

void add_session_commands(cli::CommandLine& line) {
  line.describe_group("session", "Prepaid sessions that the paywall sold.");
  add_list(line);
  add_one(line, SessionAction::show, "session show", "Shows one session and its refund.",
          "octroi session show 5f3c…", "the id as session list shows it");
  add_one(line, SessionAction::close, "session close",
          "Ends a session and sends what is left to its return invoice.",
          "octroi session close 5f3c…", "as its client could");
  add_one(line, SessionAction::retry_refund, "session retry-refund",
          "Sends a failed refund again, when the node says that the attempt before it failed.",
          "octroi session retry-refund 5f3c…", "it is never sent twice");
  line.add({.name = "session totals",
            .summary =
                "Adds up all sessions: deposits are what was spent, given back, rounded and held.",
            .examples = {{"octroi session totals --json", "to the millisatoshi"}},
            .options = nullptr,
            .run =
                [](const Invocation& call) {
                  return static_cast<cli::ExitCode>(session_totals_command({call, call.json}));
                },
            .json_when_piped = true});
}

}  // namespace octroi::app
