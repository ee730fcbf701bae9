// Commands about the vault door: key issue, list, show, pause, resume, revoke; vault register.
//
// A running server is asked, because it alone may write its store and its workers have to learn of
// the change; without one the store is opened here.

#include <cstdio>
#include <memory>

#include "octroi/app/approval_commands.h"
#include "octroi/app/commands.h"
#include "octroi/app/real_key.h"
#include "octroi/app/server_state.h"
#include "octroi/app/vault_keys.h"
#include "octroi/app/vault_policies.h"
#include "octroi/config/units.h"

namespace octroi::app {

using cli::Invocation;
using cli::OptionSet;

namespace {

Result<const vault::VaultSettings*> settings_of(const config::Config& config) {
  if (!config.vault) return fail(VaultKeyErrc::no_vault, "the configuration has no vault section");
  return &*config.vault;
}

/// Where no vault is configured, no store may come into being by a look at its keys.
Result<std::unique_ptr<ledger::Store>> open_keys(const config::Config& config) {
  OCTROI_CHECK(settings_of(config));
  OCTROI_TRY(auto store, open_store(config));
  if (store->vault_keys() == nullptr)
    return fail(VaultKeyErrc::no_vault, "this store keeps no vault keys");
  return store;
}

// --- key issue

/// Keys that sign are made with the key of sealing.
Task<Result<std::string>> issue_in_store(const Common* common, KeyRequest request) {
  OCTROI_CO_TRY(const auto whole, load_whole(*common));
  OCTROI_CO_TRY(const auto* settings, settings_of(whole.config));
  OCTROI_CO_TRY(auto store, open_keys(whole.config));
  OCTROI_CO_TRY(const auto now, co_await policies_in_force(*store, *settings));
  co_return co_await issue_key(*store, now.settings, std::move(request), system_clock().now());
}

Task<void> issue(Call* call, KeyRequest request) {
  AdminAsk ask;
  ask.method = "POST";
  ask.target = "/api/v1/vault/keys";
  ask.body = request.to_json();
  auto answer = co_await ask_admin(&call->loop, &call->config, std::move(ask));
  if (nobody_listens(answer)) answer = co_await issue_in_store(&call->common, std::move(request));
  finish(call, answer, [](const json::Value& root) {
    std::printf("%s\n", text_of(root, "key").c_str());
    std::fprintf(stderr, "key %s; its text is not shown again\n", text_of(root, "id").c_str());
  });
}

// --- key list, show

/// What a reader has to know of it first: one that is over, or opens nothing by its nature, is not
/// "active" to anybody.
std::string state_of(const json::Value& k) {
  std::string state = text_of(k, "state");
  if (state == "revoked") return state;
  const auto ends = from_rfc3339(text_of(k, "expires_at"));
  if (ends && *ends <= system_clock().now()) return "expired";
  if (k.boolean("canary").value_or(false)) return "canary";
  return state;
}

void print_keys(const json::Value& root) {
  const auto rows = root.array("keys");
  if (!rows) return;
  constexpr const char* kLine = "%-13s %-8s %-5s %-14s %-18s %-14s %-24s %s\n";
  std::printf(kLine, "ID", "STATE", "MODE", "VENDOR", "POLICY", "AGENT", "EXPIRES", "NAME");
  for (const json::Value k : rows->elements()) {
    std::printf(kLine, text_of(k, "id").c_str(), state_of(k).c_str(), text_of(k, "mode").c_str(),
                text_of(k, "vendor").c_str(), text_of(k, "policy").c_str(),
                text_of(k, "agent").c_str(), text_of(k, "expires_at").c_str(),
                text_of(k, "name").c_str());
  }
}

void print_key(const json::Value& k) {
  std::printf("%-11s %s\n", "id", text_of(k, "id").c_str());
  std::printf("%-11s %s\n", "state", state_of(k).c_str());
  for (const char* name : {"mode", "vendor", "policy", "name", "server", "agent", "run", "parent",
                           "networks", "line", "created_at", "changed_at", "expires_at"}) {
    if (!k.find(name)) continue;
    std::printf("%-11s %s\n", name, text_of(k, name).c_str());
  }
  if (k.boolean("canary").value_or(false)) std::printf("%-11s %s\n", "canary", "yes");
}

Task<Result<std::string>> list_in_store(const config::Config* config,
                                        ledger::VaultKeyFilter filter) {
  OCTROI_CO_TRY(auto store, open_keys(*config));
  OCTROI_CO_TRY(const auto list, co_await store->vault_keys()->list_vault_keys());
  if (filter.id.empty()) co_return keys_json(list, filter);
  for (const auto& key : list.keys) {
    if (key.id == filter.id) co_return key_json(key);
  }
  co_return fail(StateErrc::not_found, "there is no such vault key");
}

std::string query_of(const ledger::VaultKeyFilter& filter) {
  std::string out;
  for (const auto& [name, value] :
       {std::pair<std::string_view, const std::string&>{"vendor", filter.vendor},
        {"policy", filter.policy},
        {"agent", filter.agent},
        {"run", filter.run}}) {
    if (value.empty()) continue;
    out += out.empty() ? '?' : '&';
    out += std::string(name) + "=" + percent_encode(value);
  }
  return out;
}

Task<void> list(Call* call, ledger::VaultKeyFilter filter) {
  const bool one = !filter.id.empty();
  const std::string target =
      "/api/v1/vault/keys" + (one ? "/" + percent_encode(filter.id) : query_of(filter));
  auto answer = co_await ask_admin(&call->loop, &call->config, "GET", target);
  if (nobody_listens(answer)) answer = co_await list_in_store(&call->config, std::move(filter));
  finish(call, answer, one ? print_key : print_keys);
}

// --- key pause, resume, revoke

std::string_view verb_of(ledger::VaultKeyState state) {
  switch (state) {
    case ledger::VaultKeyState::active:
      return "resume";
    case ledger::VaultKeyState::paused:
      return "pause";
    case ledger::VaultKeyState::revoked:
      return "revoke";
  }
  return "";
}

/// Why a key was left as it is, as a server says it: what was revoked before is revoked.
Task<Result<std::string>> not_changed(ledger::Store* store, std::string id,
                                      ledger::VaultKeyState state) {
  OCTROI_CO_TRY(const auto list, co_await store->vault_keys()->list_vault_keys());
  for (const auto& key : list.keys) {
    if (key.id != id) continue;
    if (state == ledger::VaultKeyState::revoked)
      co_return changed_json({id}, state, key.changed, /*one=*/true);
    co_return fail(VaultKeyErrc::bad_request, "this key was revoked, which is final");
  }
  co_return fail(VaultKeyErrc::not_found, "there is no such vault key");
}

Task<Result<std::string>> change_in_store(const config::Config* config,
                                          ledger::VaultKeyFilter which,
                                          ledger::VaultKeyState state) {
  OCTROI_CO_TRY(auto store, open_keys(*config));
  const UnixMillis now = system_clock().now();
  const bool one = !which.id.empty();
  const std::string id = which.id;
  OCTROI_CO_TRY(const auto ids,
                co_await store->vault_keys()->change_vault_keys(std::move(which), state, now));
  if (one && ids.empty()) co_return co_await not_changed(store.get(), id, state);
  for (const std::string& changed : ids)
    OCTROI_CO_CHECK(
        co_await audit_change(*store, "key." + std::string(ledger::to_string(state)), changed, ""));
  co_return changed_json(ids, state, now, one);
}

struct Change {
  ledger::VaultKeyFilter which;
  ledger::VaultKeyState state = ledger::VaultKeyState::revoked;
  bool all = false;
};

Task<void> change(Call* call, Change wanted) {
  const ledger::VaultKeyFilter& w = wanted.which;
  const bool group = !w.run.empty() || !w.agent.empty() || !w.policy.empty() || !w.vendor.empty();
  if ((w.id.empty() ? 0 : 1) + (group ? 1 : 0) + (wanted.all ? 1 : 0) != 1) {
    tell(call, Error(StateErrc::bad_argument,
                     "name one key, or --run, --agent, --policy or --vendor, or --all"));
    co_return;
  }
  std::string target = "/api/v1/vault/revoke" + (wanted.all ? "?all=yes" : query_of(w));
  if (!w.id.empty())
    target = fmt::format("/api/v1/vault/keys/{}/{}", percent_encode(w.id), verb_of(wanted.state));
  auto answer = co_await ask_admin(&call->loop, &call->config, "POST", target);
  if (nobody_listens(answer))
    answer = co_await change_in_store(&call->config, wanted.which, wanted.state);
  finish(call, answer, [](const json::Value& root) {
    if (const auto ids = root.array("ids")) {
      bool any = false;
      for (const json::Value id : ids->elements()) {
        any = true;
        std::printf("%s\n", std::string(id.as_string().value_or("")).c_str());
      }
      if (!any) std::fprintf(stderr, "no key matched: nothing was changed\n");
    } else {
      std::printf("%s\n", text_of(root, "id").c_str());
    }
  });
}

// --- vault register

Task<Result<std::string>> register_in_store(const config::Config* config, std::string vendor,
                                            std::string sealed) {
  OCTROI_CO_TRY(auto store, open_keys(*config));
  OCTROI_CO_CHECK(co_await audit_change(*store, "credential.register", "", vendor));
  OCTROI_CO_CHECK(co_await store->vault_keys()->put_credential(vendor, std::move(sealed),
                                                               system_clock().now()));
  co_return "{\"vendor\":\"" + vendor + "\",\"registered\":true}";
}

Task<void> register_credential(Call* call, std::string vendor) {
  auto real = read_real_key();
  if (!real) {
    tell(call, real.error());
    co_return;
  }
  redactor().add(*real);
  auto sealed = seal_for(call->config, vendor, *real);
  if (!sealed) {
    tell(call, sealed.error());
    co_return;
  }
  AdminAsk ask;
  ask.method = "POST";
  ask.target = "/api/v1/vault/credentials/" + percent_encode(vendor);
  ask.body = *sealed;
  auto answer = co_await ask_admin(&call->loop, &call->config, std::move(ask));
  if (nobody_listens(answer))
    answer = co_await register_in_store(&call->config, vendor, std::move(*sealed));
  finish(call, answer, [](const json::Value& root) {
    std::printf("the key of %s is sealed\n", text_of(root, "vendor").c_str());
  });
}

// --- words

template <class Work>
cli::ExitCode run_with(const Invocation& call, Work work) {
  const Common common{call, call.json};
  return static_cast<cli::ExitCode>(with_server(common, work));
}

void add_issue(cli::CommandLine& line) {
  struct Wanted {
    KeyRequest request;
    std::string expires;
  };
  auto w = std::make_shared<Wanted>();
  line.add({.name = "key issue",
            .summary = "Makes a vault key: an agent spends with it under a policy. Shown once.",
            .examples = {{"octroi key issue --vendor stripe --policy support-bot --agent helper",
                          "one for an agent"},
                         {"octroi key issue --vendor stripe --policy support-bot --shape vendor",
                          "one that looks like the vendor's own"}},
            .options =
                [w](OptionSet& set) {
                  set.option("--vendor", w->request.vendor, "One of vault.vendors.");
                  set.option("--policy", w->request.policy, "One of vault.policies.");
                  set.option("--name", w->request.name, "What it is for.");
                  set.option("--server", w->request.server, "The MCP server that holds it.");
                  set.option("--agent", w->request.agent, "The agent that uses it.");
                  set.option("--run", w->request.run, "Bind it to this run.");
                  set.option("--expires", w->expires, "RFC 3339: when it ends.");
                  set.option("--parent", w->request.parent,
                             "The id of a key that it is narrower than: both policies hold.");
                  set.option("--networks", w->request.networks,
                             "Where it may be used from: 10.0.0.0/8,::1.");
                  set.flag("--canary", w->request.canary,
                           "Opens nothing; whoever uses it raises an alarm.");
                  set.flag("--test", w->request.test, "Opens test accounts only.");
                  set.choice("--shape", w->request.shape,
                             {"vault", "vendor", "stripe", "restricted", "resend", "openai",
                              "anthropic", "twilio", "aws"},
                             "What it looks like.");
                },
            .run =
                [w](const Invocation& call) {
                  return run_with(call, [&](Call* c) -> Task<void> {
                    struct Bad {
                      static Task<void> expires(Call* to) {
                        tell(to, Error(StateErrc::bad_argument,
                                       "--expires: write a moment such as 2026-12-31T00:00:00Z"));
                        co_return;
                      }
                    };
                    KeyRequest request = w->request;
                    if (!w->expires.empty()) {
                      const auto when = from_rfc3339(w->expires);
                      if (!when) return Bad::expires(c);
                      request.expires = *when;
                    }
                    return issue(c, std::move(request));
                  });
                },
            .json_when_piped = true});
}

void group_options(OptionSet& set, ledger::VaultKeyFilter& filter) {
  set.option("--vendor", filter.vendor, "Only keys for this vendor.");
  set.option("--policy", filter.policy, "Only keys of this policy.");
  set.option("--agent", filter.agent, "Only keys of this agent.");
  set.option("--run", filter.run, "Only keys bound to this run.");
}

void add_list(cli::CommandLine& line) {
  auto filter = std::make_shared<ledger::VaultKeyFilter>();
  line.add({.name = "key list",
            .summary = "Lists vault keys, without what opens.",
            .examples = {{"octroi key list --agent helper", "those of one agent"}},
            .options = [filter](OptionSet& set) { group_options(set, *filter); },
            .run =
                [filter](const Invocation& call) {
                  return run_with(call, [&](Call* c) { return list(c, *filter); });
                },
            .json_when_piped = true});
}

void add_show(cli::CommandLine& line) {
  auto filter = std::make_shared<ledger::VaultKeyFilter>();
  line.add({.name = "key show",
            .summary = "Shows one vault key, without what opens.",
            .examples = {{"octroi key show lAbc123xyz45", "the id as key list shows it"}},
            .options = [filter](OptionSet& set) { set.positional("ID", filter->id, "Its id."); },
            .run =
                [filter](const Invocation& call) {
                  return run_with(call, [&](Call* c) { return list(c, *filter); });
                },
            .json_when_piped = true});
}

void add_change(cli::CommandLine& line, ledger::VaultKeyState state, const char* name,
                const char* summary, const char* example) {
  auto wanted = std::make_shared<Change>();
  wanted->state = state;
  const bool revokes = state == ledger::VaultKeyState::revoked;
  line.add({.name = name,
            .summary = summary,
            .examples = {{example, "the id as key list shows it"}},
            .options =
                [wanted, revokes](OptionSet& set) {
                  set.positional("ID", wanted->which.id, "Its id.", !revokes);
                  if (!revokes) return;
                  group_options(set, wanted->which);
                  set.flag("--all", wanted->all, "Every key there is.");
                },
            .run =
                [wanted](const Invocation& call) {
                  return run_with(call, [&](Call* c) { return change(c, *wanted); });
                },
            .json_when_piped = true});
}

// --- key rotate

Task<Result<std::string>> rotate_in_store(const Common* common, std::string id,
                                          RotateRequest request) {
  OCTROI_CO_TRY(const auto whole, load_whole(*common));
  OCTROI_CO_TRY(const auto* settings, settings_of(whole.config));
  OCTROI_CO_TRY(auto store, open_keys(whole.config));
  co_return co_await rotate_key(*store, *settings, std::move(id), std::move(request),
                                system_clock().now());
}

Task<void> rotate(Call* call, std::string id, RotateRequest request) {
  AdminAsk ask;
  ask.method = "POST";
  ask.target = fmt::format("/api/v1/vault/keys/{}/rotate", percent_encode(id));
  ask.body = request.to_json();
  auto answer = co_await ask_admin(&call->loop, &call->config, std::move(ask));
  if (nobody_listens(answer))
    answer = co_await rotate_in_store(&call->common, std::move(id), std::move(request));
  finish(call, answer, [](const json::Value& root) {
    std::printf("%s\n", text_of(root, "key").c_str());
    std::fprintf(stderr, "key %s replaces %s; its text is not shown again\n",
                 text_of(root, "id").c_str(), text_of(root, "replaces").c_str());
  });
}

void add_rotate(cli::CommandLine& line) {
  struct Wanted {
    std::string id, overlap;
    RotateRequest request;
  };
  auto w = std::make_shared<Wanted>();
  line.add({.name = "key rotate",
            .summary = "Makes a new key in the place of one, which ends after an overlap.",
            .examples = {{"octroi key rotate lAbc123xyz45 --overlap 10m",
                          "both work for ten minutes; caps go on as they are"}},
            .options =
                [w](OptionSet& set) {
                  set.positional("ID", w->id, "Its id.");
                  set.option("--overlap", w->overlap,
                             "How long the old one still works; 1h when left out.");
                  set.choice("--shape", w->request.shape,
                             {"vault", "vendor", "stripe", "restricted", "resend", "openai",
                              "anthropic", "twilio", "aws"},
                             "What it looks like.");
                },
            .run =
                [w](const Invocation& call) {
                  return run_with(call, [&](Call* c) -> Task<void> {
                    struct Bad {
                      static Task<void> overlap(Call* to) {
                        tell(to, Error(StateErrc::bad_argument, "--overlap: write a time, as 1h"));
                        co_return;
                      }
                    };
                    RotateRequest request = w->request;
                    if (!w->overlap.empty()) {
                      const auto overlap = config::parse_duration(w->overlap);
                      if (!overlap) return Bad::overlap(c);
                      request.overlap = *overlap;
                    }
                    return rotate(c, w->id, std::move(request));
                  });
                },
            .json_when_piped = true});
}

void add_register(cli::CommandLine& line) {
  auto vendor = std::make_shared<std::string>();
  line.add(
      {.name = "vault register",
       .summary = "Reads a vendor's real key from the terminal or standard input and seals it.",
       .examples = {{"octroi vault register stripe", "asks for the key without showing it"}},
       .options =
           [vendor](OptionSet& set) { set.positional("VENDOR", *vendor, "One of vault.vendors."); },
       .run =
           [vendor](const Invocation& call) {
             // Sealing needs the key of sealing, which is a secret of the configuration.
             return static_cast<cli::ExitCode>(with_config(
                 {call, call.json}, [&](Call* c) { return register_credential(c, *vendor); }));
           },
       .json_when_piped = true});
}

}  // namespace

void add_vault_commands(cli::CommandLine& line) {
  line.describe_group("key", "Vault keys: what agents have instead of real keys.");
  line.describe_group("vault", "The vault door.");
  add_issue(line);
  add_list(line);
  add_show(line);
  add_change(line, ledger::VaultKeyState::paused, "key pause",
             "Makes a vault key open nothing until it is resumed.",
             "octroi key pause lAbc123xyz45");
  add_change(line, ledger::VaultKeyState::active, "key resume", "Ends a pause.",
             "octroi key resume lAbc123xyz45");
  add_change(line, ledger::VaultKeyState::revoked, "key revoke",
             "Ends vault keys for good; when it returns, no further call is forwarded.",
             "octroi key revoke lAbc123xyz45");
  add_register(line);
  add_vault_rotation(line);
  add_rotate(line);
  add_approval_commands(line);
  add_vault_reconcile(line);
}

}  // namespace octroi::app
