// `octroi run -- CMD`: starts a program behind the vault; and `octroi vault ca`.

#include <cstdio>
#include <memory>

#include "octroi/app/commands.h"
#include "octroi/app/context.h"
#include "octroi/app/run_plan.h"
#include "octroi/app/server_state.h"
#include "octroi/app/vault_ca.h"
#include "octroi/app/vault_keys.h"
#include "octroi/base/file.h"
#include "octroi/cli/config_file.h"
#include "octroi/http/client.h"
#include "octroi/json/value.h"

namespace octroi::app {

using cli::Invocation;
using cli::OptionSet;

namespace {

constexpr std::string_view kUsualProxy = "http://127.0.0.1:8403";
constexpr std::string_view kKeyVariable = "OCTROI_VAULT_KEY";
constexpr Millis kAskTime{10'000};
constexpr std::size_t kLongestKeyFile = 4096;

struct RunFlags {
  std::vector<std::string> keys;  // --vault
  std::string proxy;              // --proxy
  std::string run;                // --run
};

Error wrong(std::string message) { return {StateErrc::bad_argument, std::move(message)}; }

/// Where the vault listens: as told, as configured, or as usual.
Result<std::string> door_of(const Invocation& call, const RunFlags& flags) {
  std::string text = flags.proxy;
  if (text.empty()) {
    text = std::string(kUsualProxy);
    if (const auto file = cli::find_config(call)) {
      auto loaded = cli::try_load_config(call, *file, /*secrets=*/false);
      if (!loaded) {
        if (!call.global.config.empty())
          return fail(config::Errc::invalid_config, config::to_text(loaded.error()));
      } else if (loaded->config.vault && !loaded->config.vault->listen.empty()) {
        net::Endpoint at = loaded->config.vault->listen.front();
        const std::string address = at.address.str();
        if (address == "0.0.0.0" || address == "::")
          at.address = *net::IpAddress::parse("127.0.0.1");
        text = "http://" + at.str();
      }
    }
  }
  while (text.ends_with('/')) text.pop_back();
  const auto url = http::Url::parse(text);
  if (!url || url->scheme != "http" || url->target != "/")
    return fail(wrong("--proxy: write the address of vault.listen, such as http://127.0.0.1:8403"));
  return text;
}

/// The key alone on the first line, or what `octroi key issue` printed.
Secret key_in(const Secret& file) {
  const std::string_view text = file.reveal_text();
  if (text.starts_with('{')) {
    if (const auto issued = json::parse(text)) {
      if (const auto key = issued->root().string("key")) return Secret(*key);
    }
  }
  return Secret(text.substr(0, text.find_first_of("\r\n")));
}

Result<std::vector<Secret>> keys_of(const Invocation& call, const RunFlags& flags) {
  std::vector<Secret> out;
  for (const std::string& text : flags.keys) {
    if (!text.starts_with('@')) {
      out.emplace_back(std::string_view(text));
      continue;
    }
    const auto file = read_secret_file(text.substr(1), kLongestKeyFile);
    if (!file) return fail(wrong("--vault: " + std::string(file.error().message())));
    out.push_back(key_in(*file));
  }
  const auto found = call.host.env.find(std::string(kKeyVariable));
  if (out.empty() && found != call.host.env.end())
    out.emplace_back(std::string_view(found->second));
  if (out.empty())
    return fail(
        wrong("--vault: give a key that `octroi key issue` made, @FILE with one, or "
              "OCTROI_VAULT_KEY"));
  for (const Secret& key : out) redactor().add(key);
  return out;
}

std::vector<std::string> texts_of(const json::Value& root, std::string_view name) {
  std::vector<std::string> out;
  const auto list = root.array(name);
  if (!list) return out;
  for (const json::Value v : list->elements()) {
    if (const auto text = v.as_string()) out.emplace_back(*text);
  }
  return out;
}

/// Asks the door what this key opens.
Task<Result<VaultGrant>> ask_for(http::Client* client, std::string door, Secret key) {
  http::Request request;
  OCTROI_CO_TRY(request.url, http::Url::parse(door + "/.well-known/octroi/vault"));
  const std::string_view text = key.reveal_text();
  const bool pair = text.find(':') != std::string_view::npos;
  request.headers.set("Authorization",
                      pair ? "Basic " + to_base64(as_bytes(text)) : "Bearer " + std::string(text));
  auto answer = co_await client->fetch(std::move(request), 1U << 20, kAskTime);
  if (!answer) {
    if (!answer.error().is(http::Errc::connect_failed)) co_return fail(std::move(answer).error());
    co_return fail(StateErrc::needs_server, "no vault listens at " + door +
                                                "; start it with `octroi serve`, or name it "
                                                "with --proxy");
  }
  const auto doc = json::parse(answer->body);
  if (answer->status != 200 || !doc) {
    std::string message = fmt::format("{} answered {}", door, answer->status);
    if (doc) {
      if (const auto error = doc->root().object("error")) {
        if (const auto said = error->string("message")) message = std::string(*said);
      }
    }
    co_return fail(StateErrc::admin_said_no, "the vault: " + message);
  }
  const json::Value root = doc->root();
  VaultGrant grant;
  grant.key = std::move(key);
  grant.id = std::string(root.string("id").value_or(""));
  grant.vendor = std::string(root.string("vendor").value_or(""));
  grant.pack = std::string(root.string("pack").value_or(""));
  grant.hosts = texts_of(root, "hosts");
  grant.unset = texts_of(root, "unset");
  grant.ca_pem = std::string(root.string("ca").value_or(""));
  co_return grant;
}

Task<void> ask_for_all(net::Loop* loop, VaultShare* share, std::vector<Secret> keys,
                       Result<>* outcome) {
  auto client = http::make_client(*loop, {});
  for (Secret& key : keys) {
    auto grant = co_await ask_for(client.get(), share->url, std::move(key));
    if (!grant) {
      *outcome = fail(std::move(grant).error());
      co_return;
    }
    share->grants.push_back(std::move(*grant));
  }
}

Result<VaultShare> share_of(const Invocation& call, const RunFlags& flags) {
  VaultShare share;
  share.run = flags.run;
  OCTROI_TRY(share.url, door_of(call, flags));
  OCTROI_TRY(auto keys, keys_of(call, flags));
  net::Loop loop;
  Result<> outcome;
  run_on_loop(loop, ask_for_all(&loop, &share, std::move(keys), &outcome));
  if (!outcome) return fail(std::move(outcome).error());
  return share;
}

int exit_for(const Error& error) {
  if (error.is(StateErrc::admin_said_no)) return kPolicyRefused;
  return cli::to_int(cli::exit_code_for(error.kind()));
}

int run_command(const Invocation& call, const RunFlags& flags) {
  const Common common{call, call.json};
  if (call.rest.empty())
    return tell_error(common, wrong("name the program after --: octroi run -- CMD ARGS"), kUsage);
  hold_signals();  // before the loop's threads are there
  const auto share = share_of(call, flags);
  if (!share) return tell_error(common, share.error(), exit_for(share.error()));
  if (auto distinct = check_distinct(*share); !distinct)
    return tell_error(common, distinct.error(), kUsage);
  if (auto carried = check_run(*share); !carried)
    return tell_error(common, carried.error(), kUsage);
  const auto folder = RunFolder::make(call.host.env);
  if (!folder) return tell_error(common, folder.error(), kFailed);
  RunPlan plan;
  plan.unset.emplace(kKeyVariable);
  if (auto added = add_vault(plan, *share, *folder, call.host.env); !added)
    return tell_error(common, added.error(), kFailed);
  return run_child(call.rest, plan.over(call.host.env));
}

Task<void> print_ca(Call* call) {
  call->code = kDone;
  if (!call->config.vault) {
    tell(call, Error(VaultKeyErrc::no_vault, "the configuration has no vault section"));
    co_return;
  }
  const auto authority = open_vault_ca(*call->config.vault, system_clock().now());
  if (!authority) {
    tell(call, authority.error());
  } else if (*authority == nullptr) {
    tell(call, Error(VaultKeyErrc::no_vault,
                     "this vault has no authority: set vault.proxy.ca_file and a key of sealing, "
                     "and leave vault.proxy.enabled on"));
  } else {
    std::fputs((*authority)->certificate_pem().c_str(), stdout);
  }
}

}  // namespace

void add_run_commands(cli::CommandLine& line) {
  auto flags = std::make_shared<RunFlags>();
  line.add({.name = "run",
            .summary = "Starts a program behind the vault: proxy, trust, base URLs and keys in its "
                       "environment.",
            .examples = {{"octroi run --vault @agent.key -- npx -y @stripe/mcp",
                          "an MCP server that spends with a vault key"},
                         {"octroi run --vault vault_test_… --run ticket-7 -- python agent.py",
                          "its calls are written down as those of a run"}},
            .options =
                [flags](OptionSet& set) {
                  set.repeated("--vault", flags->keys,
                               "A vault key, or @FILE with one or with what `octroi key issue` "
                               "printed; $OCTROI_VAULT_KEY otherwise.");
                  set.option("--proxy", flags->proxy,
                             "Where the vault listens; otherwise as configured.");
                  set.option("--run", flags->run,
                             "What this run is called in the audit; calls come by the proxy then.");
                },
            .run =
                [flags](const Invocation& call) {
                  return static_cast<cli::ExitCode>(run_command(call, *flags));
                },
            .takes_rest = true});
  line.add({.name = "vault ca",
            .summary = "Prints the certificate that clients of the vault's proxy have to trust.",
            .examples = {{"octroi vault ca > octroi-ca.pem", "for --cacert and the like"}},
            .options = [](OptionSet&) {},
            .run =
                [](const Invocation& call) {
                  const Common common{call, call.json};
                  return static_cast<cli::ExitCode>(with_config(common, print_ca));
                }});
}

}  // namespace octroi::app
