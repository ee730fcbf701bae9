// octroi vault rotate, rollback, show: the real key of a vendor gives way to a new one.
//
// The key is sealed here, so that it is in no request; a running server tries it and switches,
// because its workers have to learn of it. Without one the store is opened here.

#include <cstdio>
#include <memory>

#include "octroi/app/commands.h"
#include "octroi/app/real_key.h"
#include "octroi/app/server_state.h"
#include "octroi/app/vault_clients.h"
#include "octroi/app/vault_keys.h"
#include "octroi/app/vault_rotation.h"
#include "octroi/config/units.h"

namespace octroi::app {

using cli::Invocation;
using cli::OptionSet;

namespace {

/// Vendors may be slow to answer.
constexpr Millis kLongest{3 * 60'000};
constexpr std::string_view kCredentials = "/api/v1/vault/credentials";

struct Wanted {
  std::string vendor, from, overlap;
  bool no_verify = false;
};

Result<std::unique_ptr<ledger::Store>> open_keys(const config::Config& config) {
  if (!config.vault) return fail(VaultKeyErrc::no_vault, "the configuration has no vault section");
  OCTROI_TRY(auto store, open_store(config));
  if (store->vault_keys() == nullptr)
    return fail(VaultKeyErrc::no_vault, "this store keeps no vault keys");
  return store;
}

Result<RealKeyRotation> rotation_of(const Call& call, const Wanted& wanted) {
  RealKeyRotation out;
  out.verify = !wanted.no_verify;
  if (wanted.overlap == "0") {
    out.overlap = Millis(0);
  } else if (!wanted.overlap.empty()) {
    const auto overlap = config::parse_duration(wanted.overlap);
    if (!overlap) return fail(StateErrc::bad_argument, "--overlap: write a time, as 1h, or 0");
    out.overlap = *overlap;
  }
  auto real = wanted.from.empty() ? read_real_key() : call.common.call.host.resolve(wanted.from);
  if (!real) return fail(std::move(real).error());
  redactor().add(*real);
  OCTROI_TRY(out.sealed, seal_for(call.config, wanted.vendor, *real));
  return out;
}

Task<Result<std::string>> rotate_in_store(net::Loop* loop, const config::Config* config,
                                          std::string vendor, RealKeyRotation wanted) {
  OCTROI_CO_TRY(auto store, open_keys(*config));
  VaultClients clients(*loop);
  co_return co_await rotate_real_key({store.get(), &clients, *config->vault}, std::move(vendor),
                                     std::move(wanted));
}

void print_rotated(const json::Value& root) {
  std::printf("%s: calls are made with %s, which replaces %s\n", text_of(root, "vendor").c_str(),
              text_of(root, "label").c_str(), text_of(root, "replaces").c_str());
  if (const std::string until = text_of(root, "until"); !until.empty())
    std::printf("octroi vault rollback %s goes back until %s\n", text_of(root, "vendor").c_str(),
                until.c_str());
}

Task<void> rotate(Call* call, Wanted wanted) {
  auto rotation = rotation_of(*call, wanted);
  if (!rotation) {
    tell(call, rotation.error());
    co_return;
  }
  AdminAsk ask;
  ask.method = "POST";
  ask.target = fmt::format("{}/{}/rotate", kCredentials, percent_encode(wanted.vendor));
  ask.body = rotation->to_json();
  ask.timeout = kLongest;
  auto answer = co_await ask_admin(&call->loop, &call->config, std::move(ask));
  if (nobody_listens(answer)) {
    answer =
        co_await rotate_in_store(&call->loop, &call->config, wanted.vendor, std::move(*rotation));
  }
  finish(call, answer, print_rotated);
}

Task<Result<std::string>> roll_back_in_store(const Common* common, std::string vendor) {
  OCTROI_CO_TRY(const auto whole, load_whole(*common));
  OCTROI_CO_TRY(auto store, open_keys(whole.config));
  co_return co_await roll_back_real_key(store.get(), *whole.config.vault, std::move(vendor),
                                        system_clock().now());
}

Task<void> roll_back(Call* call, std::string vendor) {
  const std::string target = fmt::format("{}/{}/rollback", kCredentials, percent_encode(vendor));
  auto answer = co_await ask_admin(&call->loop, &call->config, "POST", target);
  if (nobody_listens(answer)) answer = co_await roll_back_in_store(&call->common, vendor);
  finish(call, answer, print_rotated);
}

void print_vendor(const json::Value& v) {
  const auto versions = v.array("versions");
  if (!versions || versions->size() == 0) {
    std::printf("%-14s %-9s\n", text_of(v, "vendor").c_str(), "none");
    return;
  }
  for (const json::Value one : versions->elements()) {
    std::printf("%-14s %-9s %-9s %-25s %-25s %s\n", text_of(v, "vendor").c_str(),
                text_of(one, "state").c_str(), text_of(one, "label").c_str(),
                text_of(one, "since").c_str(), text_of(one, "until").c_str(),
                text_of(one, "verified_at").c_str());
  }
}

void print_vendors(const json::Value& root) {
  std::printf("%-14s %-9s %-9s %-25s %-25s %s\n", "VENDOR", "STATE", "LABEL", "SINCE", "UNTIL",
              "VERIFIED");
  const auto vendors = root.array("vendors");
  if (!vendors) {
    print_vendor(root);
    return;
  }
  for (const json::Value v : vendors->elements()) print_vendor(v);
}

Task<Result<std::string>> show_in_store(const Common* common, std::string vendor) {
  OCTROI_CO_TRY(const auto whole, load_whole(*common));
  OCTROI_CO_TRY(auto store, open_keys(whole.config));
  co_return co_await show_real_keys(store.get(), *whole.config.vault, std::move(vendor));
}

Task<void> show(Call* call, std::string vendor) {
  std::string target(kCredentials);
  if (!vendor.empty()) target += "/" + percent_encode(vendor);
  auto answer = co_await ask_admin(&call->loop, &call->config, "GET", target);
  if (nobody_listens(answer)) answer = co_await show_in_store(&call->common, std::move(vendor));
  finish(call, answer, print_vendors);
}

template <class Work>
cli::ExitCode run_with(const Invocation& call, Work work) {
  const Common common{call, call.json};
  return static_cast<cli::ExitCode>(with_server(common, work));
}

void add_rotate(cli::CommandLine& line) {
  auto wanted = std::make_shared<Wanted>();
  line.add({.name = "vault rotate",
            .summary = "Tries a vendor's new real key and puts it in the place of the one in use.",
            .examples = {{"octroi vault rotate stripe", "asks for the key without showing it"},
                         {"octroi vault rotate stripe --from file:///run/new.key --overlap 24h",
                          "a day in which octroi vault rollback goes back"}},
            .options =
                [wanted](OptionSet& set) {
                  set.positional("VENDOR", wanted->vendor, "One of vault.vendors.");
                  set.option("--from", wanted->from,
                             "Where the new key is: env://NAME, file:///PATH, cred://NAME.");
                  set.option("--overlap", wanted->overlap,
                             "How long there is a way back; 1h when left out, 0 for none.");
                  set.flag("--no-verify", wanted->no_verify,
                           "Switches without asking the vendor whether it takes the key.");
                },
            .run =
                [wanted](const Invocation& call) {
                  // What is sealed here needs the key of sealing.
                  return static_cast<cli::ExitCode>(
                      with_config({call, call.json}, [&](Call* c) { return rotate(c, *wanted); }));
                },
            .json_when_piped = true});
}

void add_roll_back(cli::CommandLine& line) {
  auto vendor = std::make_shared<std::string>();
  line.add(
      {.name = "vault rollback",
       .summary = "Goes back to the real key before the last rotation, while it is kept.",
       .examples = {{"octroi vault rollback stripe", "the next call is made with the old key"}},
       .options =
           [vendor](OptionSet& set) { set.positional("VENDOR", *vendor, "One of vault.vendors."); },
       .run =
           [vendor](const Invocation& call) {
             return run_with(call, [&](Call* c) { return roll_back(c, *vendor); });
           },
       .json_when_piped = true});
}

void add_show(cli::CommandLine& line) {
  auto vendor = std::make_shared<std::string>();
  line.add({.name = "vault show",
            .summary = "Shows which real keys there are: labels and times, never a key.",
            .examples = {{"octroi vault show stripe", "the one in use, and the one before"}},
            .options =
                [vendor](OptionSet& set) {
                  set.positional("VENDOR", *vendor, "One of vault.vendors; all when left out.",
                                 false);
                },
            .run =
                [vendor](const Invocation& call) {
                  return run_with(call, [&](Call* c) { return show(c, *vendor); });
                },
            .json_when_piped = true});
}

}  // namespace

void add_vault_rotation(cli::CommandLine& line) {
  add_rotate(line);
  add_roll_back(line);
  add_show(line);
}

}  // namespace octroi::app
