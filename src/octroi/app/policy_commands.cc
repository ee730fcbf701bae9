#include "octroi/app/policy_commands.h"

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <utility>

#include "octroi/app/server_state.h"
#include "octroi/app/stores.h"
#include "octroi/app/vault_policies.h"
#include "octroi/base/file.h"
#include "octroi/cli/config_file.h"
#include "octroi/config/load.h"
#include "octroi/json/writer.h"
#include "octroi/ledger/spend_ledger.h"
#include "octroi/policy/decide.h"
#include "octroi/vault/known_operations.h"
#include "octroi/vault/snapshot.h"

namespace octroi::app {

namespace {

using policy::Policy;

constexpr std::size_t kMaxPolicyFile = 1U << 20;

Result<std::string> read_document(const std::string& file) {
  if (file != "-") return read_file(file, kMaxPolicyFile);
  std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  if (text.size() > kMaxPolicyFile) return fail(StateErrc::bad_argument, "--file: too large");
  return text;
}

Result<Policy> parse_file(const std::string& name, const std::string& file) {
  OCTROI_TRY(const std::string document, read_document(file));
  return policy::parse_policy(name, document);
}

Result<const vault::VaultSettings*> vault_of(const config::Config& config) {
  if (!config.vault) return fail(StateErrc::not_found, "the configuration has no vault section");
  return &*config.vault;
}

Result<std::vector<Policy>> policies_of(const config::Config& config, const std::string& only) {
  OCTROI_TRY(const auto* settings, vault_of(config));
  std::vector<Policy> out;
  for (const vault::PolicySettings& p : settings->policies) {
    if (!only.empty() && p.name != only) continue;
    OCTROI_TRY(Policy parsed, policy::parse_policy(p.name, p.document));
    out.push_back(std::move(parsed));
  }
  if (out.empty() && !only.empty()) {
    return fail(StateErrc::not_found, fmt::format("there is no policy \"{}\"", only));
  }
  return out;
}

// --- check and show

/// What it leaves open, and whether it is over.
std::vector<std::string> advice_now(const Common& common, const Policy& p) {
  std::vector<std::string> out = policy::advice(p);
  if (p.expires && *p.expires <= common.call.host.clock->now())
    out.push_back("expires: was " + to_rfc3339(*p.expires) + ", so nothing is allowed");
  return out;
}

void print_checked(const Common& common, const std::vector<Policy>& policies) {
  if (!common.json) {
    for (const Policy& p : policies) {
      std::printf("%s: ok, for %s, %s\n", p.name.c_str(), p.vendor.c_str(),
                  to_hex(p.hash).substr(0, 8).c_str());
      for (const std::string& line : advice_now(common, p)) std::printf("  %s\n", line.c_str());
    }
    return;
  }
  json::Writer w;
  w.begin_object().key("policies").begin_array();
  for (const Policy& p : policies) {
    w.begin_object().field("name", p.name).field("vendor", p.vendor);
    w.field("hash", to_hex(p.hash)).key("policy").raw(p.text).key("advice").begin_array();
    for (const std::string& line : advice_now(common, p)) w.string(line);
    w.end_array().end_object();
  }
  w.end_array().end_object();
  std::printf("%s\n", std::move(w).take().c_str());
}

/// Every operation that it names is one of its vendor.
Result<> check_names(const vault::VaultSettings& settings, const Policy& p) {
  const auto unknown = vault::unknown_operations(p, settings.vendors);
  return unknown.empty() ? Result<>{} : fail(StateErrc::bad_argument, unknown.front().text);
}

/// A policy in a file of its own names a vendor of the configuration, where there is one.
Result<> check_vendor(const Common& common, const Policy& p) {
  const auto file = cli::find_config(common.call);
  if (!file) return {};
  const auto loaded = cli::try_load_config(common.call, *file, /*secrets=*/false);
  if (!loaded) return fail(config::Errc::invalid_config, config::to_text(loaded.error()));
  if (!loaded->config.vault) return {};
  std::string known;
  for (const vault::VendorSettings& v : loaded->config.vault->vendors) {
    if (v.name == p.vendor) return check_names(*loaded->config.vault, p);
    known += (known.empty() ? "" : ", ") + v.name;
  }
  return fail(StateErrc::bad_argument,
              fmt::format("vendor: \"{}\" is not one of vault.vendors, which are {}", p.vendor,
                          known.empty() ? "none" : known));
}

Task<void> check(Call* call, PolicyQuery query) {
  const auto policies = policies_of(call->config, query.name);
  if (!policies) {
    tell(call, policies.error());
    co_return;
  }
  for (const Policy& p : *policies) {
    if (auto good = check_names(*call->config.vault, p); !good) {
      tell(call, std::move(good).error().within(p.name));
      co_return;
    }
  }
  print_checked(call->common, *policies);
  call->code = kDone;
}

Task<Result<std::string>> shown_in_store(const config::Config* config, std::string name) {
  OCTROI_CO_TRY(const auto* settings, vault_of(*config));
  OCTROI_CO_TRY(auto store, open_store(*config));
  co_return co_await show_policy(*store, *settings, std::move(name));
}

/// That of the file, else that of the store.
Task<Result<Policy>> find_policy(Call* call, std::string name) {
  auto of_file = policies_of(call->config, name);
  if (of_file) co_return std::move(of_file->front());
  if (!of_file.error().is(StateErrc::not_found)) co_return fail(std::move(of_file).error());
  auto answer = co_await ask_admin(&call->loop, &call->config, "GET",
                                   "/api/v1/policies/" + percent_encode(name));
  if (nobody_listens(answer)) answer = co_await shown_in_store(&call->config, name);
  if (!answer) co_return fail(std::move(answer).error());
  OCTROI_CO_TRY(const auto doc, json::parse(*answer));
  OCTROI_CO_TRY(const auto text, doc.root().object("policy"));
  OCTROI_CO_TRY(auto out, policy::parse_policy(name, text.to_json()));
  out.version = doc.root().int64("version").value_or(1);
  co_return out;
}

Task<void> show(Call* call, PolicyQuery query) {
  const auto policy = co_await find_policy(call, query.name);
  if (!policy) {
    tell(call, policy.error());
    co_return;
  }
  std::printf("%s\n", policy->text.c_str());
  call->code = kDone;
}

// --- explain

Result<vault::Input> input_of(const ExplainQuery& query, const vault::VendorPack& pack) {
  vault::Input in;
  const std::size_t space = query.request.find(' ');
  if (space == std::string::npos) {
    return fail(StateErrc::bad_argument, "REQUEST: write a method and a path: 'POST /v1/charges'");
  }
  in.method = query.request.substr(0, space);
  const std::string target = query.request.substr(space + 1);
  const std::size_t mark = target.find('?');
  OCTROI_TRY(in.path, vault::canonical_path(target.substr(0, mark)));
  if (mark != std::string::npos) {
    OCTROI_TRY(in.query, vault::Form::parse(target.substr(mark + 1), pack.query_rules()));
  }
  if (!query.data.empty()) {
    in.body_kind = vault::BodyKind::form;
    OCTROI_TRY(in.form, vault::Form::parse(query.data, pack.form_rules()));
    in.body = in.form.text();
    in.content_type = "application/x-www-form-urlencoded";
  } else if (!query.json.empty()) {
    in.body_kind = vault::BodyKind::json;
    OCTROI_TRY(auto document, json::parse(query.json));
    in.document = std::move(document);
    in.body = query.json;
    in.content_type = "application/json";
  }
  return in;
}

Result<policy::Call> call_of(const ExplainQuery& query, const vault::Vendor& vendor) {
  OCTROI_TRY(vault::Input in, input_of(query, *vendor.pack));
  vault::Operation operation = vendor.pack->route(in.method, in.path);
  OCTROI_TRY(operation, vendor.pack->name(std::move(operation), {}, in));
  if (!operation.name.empty() && !vendor.pack->takes(operation, in)) {
    return fail(StateErrc::bad_argument, "this operation does not take a body of that kind");
  }
  OCTROI_TRY(policy::Call out, vendor.pack->extract(operation, in));
  out.vendor = vendor.settings.name;
  out.run = query.run;
  out.agent = query.agent;
  out.key_id = query.key.empty() ? "any" : query.key;
  return out;
}

/// A store that nobody has made yet holds nothing, and need not be made to say so.
bool is_new(const config::Config& config) {
  std::error_code unreadable;
  return !config::is_postgres(config) &&
         !std::filesystem::exists(config::sqlite_path(config), unreadable) && !unreadable;
}

Task<Result<std::vector<ledger::SpendUsage>>> counted(Call* call, std::string name, UnixMillis at) {
  auto answer =
      co_await ask_admin(&call->loop, &call->config, "GET",
                         fmt::format("/api/v1/policies/{}/windows?at={}", percent_encode(name),
                                     percent_encode(to_rfc3339(at))));
  if (answer) co_return read_windows(*answer);
  if (!nobody_listens(answer)) co_return fail(std::move(answer).error());
  if (is_new(call->config)) co_return std::vector<ledger::SpendUsage>{};
  OCTROI_CO_TRY(const auto store, open_store(call->config));
  co_return co_await windows_of(*store, std::move(name), at);
}

/// What is counted already. Without it the answer would be another one than the door's.
Task<Result<std::vector<ledger::SpendUsage>>> usage_of(Call* call, std::string name,
                                                       UnixMillis at) {
  auto out = co_await counted(call, std::move(name), at);
  if (out) co_return out;
  co_return fail(std::move(out).error().within(
      "what is spent cannot be read (--unused judges as if nothing were)"));
}

void print_explained(const Common& common, const Policy& p, const policy::Call& asked,
                     const policy::Explanation& out, bool unused) {
  const policy::Decision& d = out.decision;
  if (!common.json) {
    for (const policy::Check& c : out.checks) {
      std::printf("%-4s %-14s %s\n", c.passed ? "ok" : "NO", c.name.c_str(), c.detail.c_str());
    }
    std::printf("%s%s%s\n", std::string(to_string(d.verdict)).c_str(),
                d.message.empty() ? "" : ": ", d.message.c_str());
    if (d.shadow) std::printf("in shadow mode; else: %s\n", d.shadow_message.c_str());
    return;
  }
  json::Writer w;
  w.begin_object().field("policy", p.name).field("hash", to_hex(p.hash));
  w.field("operation", asked.operation).field("direction", to_string(asked.direction));
  w.field("verdict", to_string(d.verdict)).field("reason", to_string(d.reason));
  w.field("message", d.message).field("amount", format(d.amount)).field("unused", unused);
  if (d.shadow) w.field("shadow", to_string(*d.shadow)).field("shadow_message", d.shadow_message);
  w.key("checks").begin_array();
  for (const policy::Check& c : out.checks) {
    w.begin_object().field("name", c.name).field("passed", c.passed).field("detail", c.detail);
    w.end_object();
  }
  w.end_array().end_object();
  std::printf("%s\n", std::move(w).take().c_str());
}

int code_of(policy::Verdict verdict) {
  switch (verdict) {
    case policy::Verdict::allow:
      return kDone;
    case policy::Verdict::lookup:
      return kOutcomeUnknown;
    case policy::Verdict::deny:
      return cli::to_int(cli::ExitCode::policy_refused);
    case policy::Verdict::approve:
      return cli::to_int(cli::ExitCode::approval);
  }
  return kFailed;
}

struct Explained {
  Policy policy;
  policy::Call call;
  policy::Explanation explanation;
};

Task<Result<Explained>> explain_one(Call* call, ExplainQuery query) {
  OCTROI_CO_TRY(const auto* settings, vault_of(call->config));
  OCTROI_CO_TRY(const auto snapshot, vault::Snapshot::build(*settings, {}));
  Explained out;
  if (query.file.empty()) {
    OCTROI_CO_TRY(out.policy, co_await find_policy(call, query.policy));
  } else {
    OCTROI_CO_TRY(out.policy, parse_file(query.policy, query.file));
  }
  const vault::Vendor* const vendor = snapshot->by_name(out.policy.vendor);
  if (vendor == nullptr) {
    co_return fail(StateErrc::not_found,
                   fmt::format("\"{}\" is not one of vault.vendors", out.policy.vendor));
  }
  OCTROI_CO_TRY(out.call, call_of(query, *vendor));
  UnixMillis now = call->common.call.host.clock->now();
  if (!query.at.empty()) {
    OCTROI_CO_TRY(now, from_rfc3339(query.at));
  }
  std::vector<ledger::SpendUsage> usage;
  if (!query.unused) {
    OCTROI_CO_TRY(usage, co_await usage_of(call, query.policy, now));
  }
  const policy::Context context{now, snapshot->rates ? &*snapshot->rates : nullptr};
  out.explanation = policy::explain(out.policy, out.call, context, usage);
  co_return out;
}

Task<void> explain(Call* call, ExplainQuery query) {
  const bool unused = query.unused;
  const auto out = co_await explain_one(call, std::move(query));
  if (!out) {
    tell(call, out.error());
    co_return;
  }
  print_explained(call->common, out->policy, out->call, out->explanation, unused);
  call->code = code_of(out->explanation.decision.verdict);
}

}  // namespace

int policy_check_command(const Common& common, const PolicyQuery& query) {
  if (query.file.empty()) {
    return with_server(common, [&](Call* call) { return check(call, query); });
  }
  const auto parsed = parse_file(query.name.empty() ? "policy" : query.name, query.file);
  if (!parsed) return tell_error(common, parsed.error(), kUsage);
  if (const auto known = check_vendor(common, *parsed); !known)
    return tell_error(common, known.error(), kUsage);
  print_checked(common, {*parsed});
  return kDone;
}

int policy_show_command(const Common& common, const PolicyQuery& query) {
  return with_server(common, [&](Call* call) { return show(call, query); });
}

int policy_explain_command(const Common& common, const ExplainQuery& query) {
  return with_server(common, [&](Call* call) { return explain(call, query); });
}

}  // namespace octroi::app
