// octroi vault rekey: everything that is sealed, sealed again under the key that the configuration
// names now. The store changes in one step; running it again goes on where it was cut.

#include <cstdio>
#include <memory>

#include "octroi/app/commands.h"
#include "octroi/app/server_state.h"
#include "octroi/app/vault_ca.h"
#include "octroi/app/vault_keys.h"
#include "octroi/json/writer.h"

namespace octroi::app {

namespace {

/// What it was sealed with; one of them is given.
struct Before {
  std::string file, key, passphrase, transit;
};

Result<std::shared_ptr<const Secret>> resolved(const Common& common, const std::string& reference) {
  auto secret = common.call.host.resolve(reference);
  if (!secret) return fail(std::move(secret).error());
  return std::make_shared<const Secret>(*std::move(secret));
}

Result<CredentialSeal> seal_of(const Common& common, const Before& before) {
  const int given = (before.file.empty() ? 0 : 1) + (before.key.empty() ? 0 : 1) +
                    (before.passphrase.empty() ? 0 : 1) + (before.transit.empty() ? 0 : 1);
  if (given != 1) {
    return fail(StateErrc::bad_argument,
                "name what it is sealed with now: --from-file, --from-key, --from-passphrase or "
                "--from-transit");
  }
  if (!before.file.empty()) return CredentialSeal::of_file(before.file, /*make=*/false);
  if (!before.key.empty()) {
    OCTROI_TRY(const auto key, resolved(common, before.key));
    return CredentialSeal::of_key(*key);
  }
  if (!before.transit.empty()) {
    const auto& ask = common.call.host.key_service;
    return CredentialSeal::of_service(ask ? ask(before.transit) : nullptr);
  }
  OCTROI_TRY(auto passphrase, resolved(common, before.passphrase));
  return CredentialSeal::of_passphrase(std::move(passphrase));
}

struct Plan {
  std::vector<ledger::Resealed> rows;
  int changed = 0;
};

/// What a store is to hold: what was sealed before under the new key, the rest as it is.
Result<Plan> plan_of(const std::vector<ledger::Credential>& all, const CredentialSeal& from,
                     const CredentialSeal& to) {
  Plan plan;
  for (const auto& c : all) {
    ledger::Resealed row{c.vendor, c.version, c.sealed, c.sealed};
    if (!to.keeps(c.sealed, c.vendor)) {
      OCTROI_TRY(const Secret real, from.unseal(c.sealed, c.vendor));
      OCTROI_TRY(row.after, to.seal(real, c.vendor));
      ++plan.changed;
    }
    plan.rows.push_back(std::move(row));
  }
  return plan;
}

bool has_signer(const std::vector<ledger::Credential>& all) {
  for (const auto& c : all) {
    if (c.vendor == kSignerFor) return true;
  }
  return false;
}

Task<Result<std::string>> rekey(const config::Config* config, CredentialSeal from) {
  if (!config->vault)
    co_return fail(VaultKeyErrc::no_vault, "the configuration has no vault section");
  OCTROI_CO_TRY(const auto to, CredentialSeal::open(*config->vault));
  OCTROI_CO_TRY(auto store, open_store(*config));
  if (store->vault_keys() == nullptr)
    co_return fail(VaultKeyErrc::no_vault, "this store keeps no vault keys");
  OCTROI_CO_TRY(const auto all, co_await store->vault_keys()->list_credentials());
  OCTROI_CO_TRY(Plan plan, plan_of(all, from, to));
  if (!has_signer(all)) {
    // Secrets of keys that sign were handed out; they stay what they are under any key.
    OCTROI_CO_TRY(const Secret master, co_await signer_master(*store, from));
    OCTROI_CO_TRY(std::string sealed, to.seal(master, kSignerFor));
    plan.rows.push_back({kSignerFor, 0, "", std::move(sealed)});
  }
  OCTROI_CO_CHECK(co_await audit_change(*store, "vault.rekey", "", std::to_string(plan.changed)));
  OCTROI_CO_TRY(const bool done, co_await store->vault_keys()->reseal_credentials(
                                     std::move(plan.rows), system_clock().now()));
  if (!done)
    co_return fail(VaultKeyErrc::conflict, "a credential was changed meanwhile; run it again");
  // After the store: cut here, the next run finds the store done and goes on with this.
  bool authority = false;
  if (const std::string& file = config->vault->proxy.ca_file; !file.empty()) {
    OCTROI_CO_TRY(authority, reseal_vault_ca(file, from, to));
  }
  json::Writer w;
  w.begin_object().field("resealed", plan.changed).field("authority", authority).end_object();
  co_return std::move(w).take();
}

Task<void> run(Call* call, Before before) {
  auto from = seal_of(call->common, before);
  if (!from) {
    tell(call, from.error());
    co_return;
  }
  const auto answer = co_await rekey(&call->config, *std::move(from));
  finish(call, answer, [](const json::Value& root) {
    const auto count = root.find("resealed");
    std::printf("%s real keys are sealed under the key of the configuration\n",
                count ? count->to_json().c_str() : "0");
    std::printf("a server that runs keeps what it has read: reload it\n");
  });
}

}  // namespace

void add_vault_rekey(cli::CommandLine& line) {
  auto before = std::make_shared<Before>();
  line.add(
      {.name = "vault rekey",
       .summary = "Seals all real keys again, under the key that the configuration names now.",
       .examples = {{"octroi vault rekey --from-file /var/lib/octroi/vault.key",
                     "after vault.key, vault.key_passphrase or vault.key_transit was written"}},
       .options =
           [before](cli::OptionSet& set) {
             set.option("--from-file", before->file, "The key file that it is sealed with now.");
             set.option("--from-key", before->key, "A reference to that key: env://OLD.");
             set.option("--from-passphrase", before->passphrase, "A reference to that passphrase.");
             set.option("--from-transit", before->transit,
                        "Mount and name of that key in a transit engine.");
           },
       .run =
           [before](const cli::Invocation& call) {
             const Common common{call, call.json};
             return static_cast<cli::ExitCode>(
                 with_config(common, [&](Call* c) { return run(c, *before); }));
           },
       .json_when_piped = true});
}

}  // namespace octroi::app
