// Commands about policies in the store: policy list, add, set, remove, versions, rollback, usage,
// simulate.
//
// A running server makes the change, so that it judges by it at once; when none listens the change
// is judged and written here, under the store's lock.

#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>

#include "octroi/app/policy_commands.h"
#include "octroi/app/server_state.h"
#include "octroi/app/vault_keys.h"
#include "octroi/app/vault_policies.h"
#include "octroi/app/vault_simulate.h"
#include "octroi/base/file.h"

namespace octroi::app {

using cli::Invocation;
using cli::OptionSet;

namespace {

constexpr std::size_t kMaxPolicyFile = 1U << 20;
constexpr const char* kPath = "/api/v1/policies";

struct Wanted {
  std::string name, file, from, to;
  std::int64_t version = 0;
};

/// What a command does in the store when no server has it.
using InStore = std::function<Task<Result<std::string>>(ledger::Store*, const vault::VaultSettings*,
                                                        UnixMillis)>;

Task<Result<std::string>> in_store(const config::Config* config, InStore work) {
  if (!config->vault) co_return fail(VaultKeyErrc::no_vault, "there is no vault section");
  OCTROI_CO_TRY(auto store, open_store(*config));
  co_return co_await work(store.get(), &*config->vault, system_clock().now());
}

using Print = void (*)(const json::Value&);

Task<void> ask(Call* call, AdminAsk what, InStore work, Print print) {
  auto answer = co_await ask_admin(&call->loop, &call->config, std::move(what));
  if (nobody_listens(answer)) answer = co_await in_store(&call->config, std::move(work));
  if (!answer) {
    tell(call, answer.error());
    co_return;
  }
  call->code = kDone;
  if (call->common.json) {
    std::printf("%s\n", answer->c_str());
  } else if (const auto doc = json::parse(*answer, {64, 64U << 20, false})) {
    print(doc->root());
  }
}

std::string path_of(const std::string& name, const char* below = "") {
  return std::string(kPath) + "/" + percent_encode(name) + below;
}

Result<std::string> document_of(const std::string& file) {
  if (file.empty()) return fail(StateErrc::bad_argument, "--file: name a policy as JSON, or -");
  if (file != "-") return read_file(file, kMaxPolicyFile);
  std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  if (text.size() > kMaxPolicyFile) return fail(StateErrc::bad_argument, "--file: too large");
  return text;
}

Task<void> refused(Call* call, Error error) {
  tell(call, error);
  co_return;
}

// --- what is printed

void print_policy(const json::Value& p) {
  std::printf("%s: version %lld of the %s, for %s, %s\n", text_of(p, "name").c_str(),
              static_cast<long long>(p.int64("version").value_or(0)), text_of(p, "source").c_str(),
              text_of(p, "vendor").c_str(), text_of(p, "hash").substr(0, 8).c_str());
  if (const auto advice = p.array("advice")) {
    for (const json::Value line : advice->elements())
      std::printf("  %s\n", std::string(line.as_string().value_or("")).c_str());
  }
}

void print_policies(const json::Value& root) {
  const auto rows = root.array("policies");
  if (!rows) return;
  for (const json::Value p : rows->elements()) print_policy(p);
}

void print_removed(const json::Value& root) {
  std::printf("removed %s\n", text_of(root, "name").c_str());
}

void print_versions(const json::Value& root) {
  const auto rows = root.array("versions");
  if (!rows) return;
  for (const json::Value v : rows->elements()) {
    const auto policy = v.find("policy");
    std::printf("%4lld  %s  %s\n", static_cast<long long>(v.int64("version").value_or(0)),
                text_of(v, "at").c_str(), policy ? policy->to_json().c_str() : "removed");
  }
}

void print_usage(const json::Value& root) {
  const auto rows = root.array("caps");
  if (!rows) return;
  std::printf("%-9s %-8s %-14s %-14s %-14s %-14s %s\n", "PER", "OF", "LIMIT", "HELD", "SETTLED",
              "LEFT", "RESETS");
  for (const json::Value c : rows->elements()) {
    std::printf("%-9s %-8s %-14s %-14s %-14s %-14s %s %s\n", text_of(c, "per").c_str(),
                text_of(c, "direction").c_str(), text_of(c, "limit").c_str(),
                text_of(c, "held").c_str(), text_of(c, "settled").c_str(),
                text_of(c, "left").c_str(), text_of(c, "resets_at").c_str(),
                text_of(c, "whose").c_str());
  }
}

void print_simulated(const json::Value& root) {
  const auto n = [&](const char* name) {
    return static_cast<long long>(root.int64(name).value_or(0));
  };
  if (const auto rows = root.array("changed")) {
    for (const json::Value c : rows->elements()) {
      std::printf("%s  %-24s %-14s %s -> %s  %s\n", text_of(c, "at").c_str(),
                  text_of(c, "operation").c_str(), text_of(c, "amount").c_str(),
                  text_of(c, "was").c_str(), text_of(c, "would_be").c_str(),
                  text_of(c, "reason").c_str());
    }
  }
  std::printf("%lld calls: %lld allowed, %lld denied, %lld need approval\n", n("calls"),
              n("allowed"), n("denied"), n("approval"));
  if (n("left_out") > 0) {
    std::printf(
        "%lld calls left out, which no policy judged: their key was refused, or they failed\n",
        n("left_out"));
  }
  if (const auto unseen = root.array("not_judged")) {
    for (const json::Value name : unseen->elements())
      std::printf("not judged, because the audit does not hold it: %s\n",
                  std::string(name.as_string().value_or("")).c_str());
  }
}

// --- the commands

Task<void> list(Call* call) {
  AdminAsk what;
  what.target = kPath;
  return ask(
      call, std::move(what),
      [](ledger::Store* s, const vault::VaultSettings* v, UnixMillis) {
        return list_policies(*s, *v);
      },
      print_policies);
}

Task<void> put(Call* call, Wanted w, bool fresh) {
  auto document = document_of(w.file);
  if (!document) return refused(call, std::move(document).error());
  PolicyPut change{w.name, *std::move(document), std::nullopt};
  AdminAsk what;
  what.method = "PUT";
  what.target = path_of(w.name);
  what.body = change.document;
  if (fresh) {
    change.expected = 0;
    what.if_none_match = "*";
  } else if (w.version > 0) {
    change.expected = w.version;
    what.if_match = fmt::format("\"{}\"", w.version);
  } else {
    change.expected = kAnyVersion;
    what.if_match = "*";
  }
  return ask(
      call, std::move(what),
      [c = std::move(change)](ledger::Store* s, const vault::VaultSettings* v, UnixMillis now) {
        return put_policy(*s, *v, c, now);
      },
      print_policy);
}

Task<void> remove(Call* call, Wanted w) {
  AdminAsk what;
  what.method = "DELETE";
  what.target = path_of(w.name);
  std::optional<std::int64_t> expected;
  if (w.version > 0) {
    expected = w.version;
    what.if_match = fmt::format("\"{}\"", w.version);
  }
  return ask(
      call, std::move(what),
      [n = w.name, expected](ledger::Store* s, const vault::VaultSettings* v, UnixMillis now) {
        return remove_policy(*s, *v, n, expected, now);
      },
      print_removed);
}

Task<void> versions(Call* call, Wanted w) {
  AdminAsk what;
  what.target = path_of(w.name, "/versions");
  return ask(
      call, std::move(what),
      [n = w.name](ledger::Store* s, const vault::VaultSettings*, UnixMillis) {
        return policy_versions(*s, n);
      },
      print_versions);
}

Task<void> roll_back(Call* call, Wanted w) {
  AdminAsk what;
  what.method = "POST";
  what.target = path_of(w.name, "/rollback") + fmt::format("?version={}", w.version);
  return ask(
      call, std::move(what),
      [n = w.name, to = w.version](ledger::Store* s, const vault::VaultSettings* v,
                                   UnixMillis now) { return roll_back_policy(*s, *v, n, to, now); },
      print_policy);
}

Task<void> usage(Call* call, Wanted w) {
  AdminAsk what;
  what.target = path_of(w.name, "/usage");
  return ask(
      call, std::move(what),
      [n = w.name](ledger::Store* s, const vault::VaultSettings* v, UnixMillis now) {
        return policy_usage(*s, *v, n, now);
      },
      print_usage);
}

Task<void> simulate(Call* call, Wanted w) {
  SimulateRequest request;
  request.name = w.name;
  if (!w.file.empty()) {
    auto document = document_of(w.file);
    if (!document) return refused(call, std::move(document).error());
    request.document = *std::move(document);
  }
  AdminAsk what;
  what.method = "POST";
  what.target = path_of(w.name, "/simulate");
  what.body = request.document;
  char separator = '?';
  for (const auto& [name, text, to] :
       {std::tuple<const char*, const std::string&, std::optional<UnixMillis>*>{"from", w.from,
                                                                                &request.from},
        {"to", w.to, &request.to}}) {
    if (text.empty()) continue;
    auto when = from_rfc3339(text);
    if (!when) {
      return refused(call,
                     Error(StateErrc::bad_argument,
                           fmt::format("--{}: write a moment such as 2026-12-31T00:00:00Z", name)));
    }
    *to = *when;
    what.target += fmt::format("{}{}={}", separator, name, percent_encode(text));
    separator = '&';
  }
  return ask(
      call, std::move(what),
      [r = std::move(request)](ledger::Store* s, const vault::VaultSettings* v, UnixMillis) {
        return simulate_policy(*s, *v, r);
      },
      print_simulated);
}

// --- words

struct Word {
  const char* name;
  const char* summary;
  const char* example;
  const char* example_about;
  bool file = false, version = false, period = false;
  std::function<Task<void>(Call*, Wanted)> work;
};

void add(cli::CommandLine& line, Word word) {
  auto w = std::make_shared<Wanted>();
  const bool needs_version = std::string_view(word.name) == "policy rollback";
  line.add({.name = word.name,
            .summary = word.summary,
            .examples = {{word.example, word.example_about}},
            .options =
                [w, word, needs_version](OptionSet& set) {
                  set.positional("NAME", w->name, "Its name.");
                  if (word.file) set.option("--file", w->file, "It as JSON; - is standard input.");
                  if (word.version) {
                    set.option("--version", w->version,
                               needs_version ? "Which one becomes the newest."
                                             : "The version that there must be.");
                  }
                  if (word.period) {
                    set.option("--from", w->from, "Calls from this moment on.");
                    set.option("--to", w->to, "Calls before this moment.");
                  }
                },
            .run =
                [w, word](const Invocation& call) {
                  const Common common{call, call.json};
                  return static_cast<cli::ExitCode>(
                      with_server(common, [&](Call* c) { return word.work(c, *w); }));
                },
            .json_when_piped = true});
}

}  // namespace

void add_stored_policy_commands(cli::CommandLine& line) {
  line.add({.name = "policy list",
            .summary = "Lists the policies in force: those of the file and of the store.",
            .examples = {{"octroi policy list", "with their versions"}},
            .options = [](OptionSet&) {},
            .run =
                [](const Invocation& call) {
                  const Common common{call, call.json};
                  return static_cast<cli::ExitCode>(
                      with_server(common, [](Call* c) { return list(c); }));
                },
            .json_when_piped = true});
  add(line, {.name = "policy add",
             .summary = "Adds a policy to the store; keys can be issued under it at once.",
             .example = "octroi policy add bot --file bot.json",
             .example_about = "as docs/policy.md has it, in JSON",
             .file = true,
             .work = [](Call* c, Wanted w) { return put(c, std::move(w), true); }});
  add(line, {.name = "policy set",
             .summary = "Replaces a policy of the store; the next call is judged by it.",
             .example = "octroi policy set bot --file bot.json --version 3",
             .example_about = "only if it is of version 3 still",
             .file = true,
             .version = true,
             .work = [](Call* c, Wanted w) { return put(c, std::move(w), false); }});
  add(line, {.name = "policy remove",
             .summary = "Removes a policy of the store; its keys open nothing then.",
             .example = "octroi policy remove bot",
             .example_about = "its versions stay",
             .version = true,
             .work = [](Call* c, Wanted w) { return remove(c, std::move(w)); }});
  add(line, {.name = "policy versions",
             .summary = "Lists every version of a policy of the store.",
             .example = "octroi policy versions bot",
             .example_about = "newest first",
             .work = [](Call* c, Wanted w) { return versions(c, std::move(w)); }});
  add(line, {.name = "policy rollback",
             .summary = "Makes the text of an earlier version the newest.",
             .example = "octroi policy rollback bot --version 2",
             .example_about = "what was counted stays counted",
             .version = true,
             .work = [](Call* c, Wanted w) { return roll_back(c, std::move(w)); }});
  add(line, {.name = "policy usage",
             .summary = "Says what the caps of a policy hold, have settled and have left.",
             .example = "octroi policy usage support-bot",
             .example_about = "and when they begin anew",
             .work = [](Call* c, Wanted w) { return usage(c, std::move(w)); }});
  add(line, {.name = "policy simulate",
             .summary = "Judges the calls of the audit again, and says which would go otherwise.",
             .example = "octroi policy simulate bot --file new.json --from 2026-11-01T00:00:00Z",
             .example_about = "before it is set",
             .file = true,
             .period = true,
             .work = [](Call* c, Wanted w) { return simulate(c, std::move(w)); }});
}

}  // namespace octroi::app
