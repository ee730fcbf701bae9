#include "octroi/app/vault_keys.h"

#include <algorithm>

#include "octroi/audit/journal.h"
#include "octroi/config/units.h"
#include "octroi/json/writer.h"
#include "octroi/vault/pack.h"

namespace octroi::app {

namespace {

constexpr std::size_t kLongestName = 128;
constexpr Millis kLongestOverlap = std::chrono::hours(24 * 30);

Result<> check_word(std::string_view field, std::string_view text) {
  const bool plain =
      text.size() <= kLongestName && std::all_of(text.begin(), text.end(), [](char c) {
        return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
      });
  if (plain) return {};
  return fail(VaultKeyErrc::bad_request,
              fmt::format("{}: at most {} printable characters", field, kLongestName));
}

Result<vault::KeyShape> shape_of(const std::string& text, const vault::VendorSettings& vendor) {
  using vault::KeyShape;
  if (text.empty() || text == "vault") return KeyShape::vault;
  if (text == "vendor") {
    const auto pack = vault::make_pack(vendor);
    return pack == nullptr ? KeyShape::vault : pack->shape();
  }
  if (text == "stripe") return KeyShape::stripe;
  if (text == "restricted") return KeyShape::restricted;
  if (text == "resend") return KeyShape::resend;
  if (text == "openai") return KeyShape::openai;
  if (text == "anthropic") return KeyShape::anthropic;
  if (text == "twilio") return KeyShape::pair;
  if (text == "aws") return KeyShape::aws;
  return fail(VaultKeyErrc::bad_request,
              "shape: use vault, vendor, stripe, restricted, resend, openai, anthropic, "
              "twilio or aws");
}

void write_key(json::Writer& w, const ledger::VaultKey& k) {
  w.begin_object().field("id", k.id).field("vendor", k.vendor).field("policy", k.policy);
  w.field("state", std::string(ledger::to_string(k.state)));
  w.field("mode", k.live ? "live" : "test");
  w.field("name", k.name).field("server", k.server).field("agent", k.agent).field("run", k.run);
  if (!k.parent.empty()) w.field("parent", k.parent);
  if (!k.networks.empty()) w.field("networks", k.networks);
  if (!k.line.empty()) w.field("line", k.line);
  if (k.canary) w.field("canary", true);
  w.field("created_at", to_rfc3339(k.created)).field("changed_at", to_rfc3339(k.changed));
  w.key("expires_at");
  if (k.expires) {
    w.string(to_rfc3339(*k.expires));
  } else {
    w.null();
  }
  w.end_object();
}

/// Keys that sign have a secret that is derived, not drawn.
Task<Result<>> give_signing(vault::IssuedKey* issued, vault::KeyShape shape, ledger::Store* store,
                            const vault::VaultSettings* settings) {
  if (shape != vault::KeyShape::aws) co_return Result<>{};
  OCTROI_CO_TRY(const Secret master, co_await signer_master(*store, *settings));
  issued->signing = vault::signer_secret(master, issued->record.id);
  co_return Result<>{};
}

/// What is told once.
std::string issued_json(const vault::IssuedKey& issued, vault::KeyShape shape,
                        std::string_view replaces) {
  const Secret text = issued.text(shape);
  json::Writer w;
  const ledger::VaultKey& k = issued.record;
  w.begin_object().field("id", k.id).field("key", std::string(text.reveal_text()));
  if (shape == vault::KeyShape::pair) {
    const std::string_view pair = text.reveal_text();
    w.field("account_sid", std::string(pair.substr(0, pair.find(':'))));
    w.field("auth_token", std::string(pair.substr(pair.find(':') + 1)));
  }
  if (shape == vault::KeyShape::aws) {
    const std::string_view pair = text.reveal_text();
    w.field("access_key_id", std::string(pair.substr(0, pair.find(':'))));
    w.field("secret_access_key", std::string(pair.substr(pair.find(':') + 1)));
  }
  w.field("vendor", k.vendor).field("policy", k.policy).field("mode", k.live ? "live" : "test");
  if (!replaces.empty()) w.field("replaces", replaces);
  w.end_object();
  return std::move(w).take();
}

/// A key below another one is of its vendor and mode, and never outlives it.
Task<Result<>> fit_below(ledger::VaultKeys* keys, KeyRequest* request) {
  if (request->parent.empty()) co_return Result<>{};
  OCTROI_CO_TRY(const auto list, co_await keys->list_vault_keys());
  const auto by_id = [&](const std::string& id) -> const ledger::VaultKey* {
    for (const auto& k : list.keys) {
      if (k.id == id) return &k;
    }
    return nullptr;
  };
  const ledger::VaultKey* const parent = by_id(request->parent);
  if (parent == nullptr) co_return fail(VaultKeyErrc::bad_request, "parent: there is no such key");
  if (parent->state == ledger::VaultKeyState::revoked || parent->canary)
    co_return fail(VaultKeyErrc::bad_request, "parent: this key opens nothing");
  if (parent->vendor != request->vendor)
    co_return fail(VaultKeyErrc::bad_request, "parent: is for " + parent->vendor);
  if (parent->live == request->test) {
    co_return fail(VaultKeyErrc::bad_request,
                   "test: a key below another one is of the same mode as it");
  }
  if (!parent->run.empty() && !request->run.empty() && request->run != parent->run)
    co_return fail(VaultKeyErrc::bad_request, "run: the key above is bound to another one");
  if (request->run.empty()) request->run = parent->run;
  if (parent->expires && (!request->expires || *request->expires > *parent->expires))
    request->expires = parent->expires;
  int above = 1;
  for (const auto* up = parent; up != nullptr && !up->parent.empty(); up = by_id(up->parent))
    ++above;
  if (above > vault::kDeepest)
    co_return fail(VaultKeyErrc::bad_request,
                   fmt::format("parent: keys stand at most {} below another", vault::kDeepest));
  co_return Result<>{};
}

}  // namespace

Result<KeyRequest> KeyRequest::from_json(const json::Value& root) {
  KeyRequest r;
  for (const auto& [key, value] : root.members()) {
    if (key == "test") {
      OCTROI_TRY(r.test, value.as_bool());
    } else if (key == "canary") {
      OCTROI_TRY(r.canary, value.as_bool());
    } else if (key == "expires") {
      OCTROI_TRY(const auto text, value.as_string());
      OCTROI_TRY(r.expires, from_rfc3339(text));
    } else {
      std::string* const to = key == "vendor"     ? &r.vendor
                              : key == "policy"   ? &r.policy
                              : key == "name"     ? &r.name
                              : key == "server"   ? &r.server
                              : key == "agent"    ? &r.agent
                              : key == "run"      ? &r.run
                              : key == "shape"    ? &r.shape
                              : key == "parent"   ? &r.parent
                              : key == "networks" ? &r.networks
                                                  : nullptr;
      if (to == nullptr)
        return fail(VaultKeyErrc::bad_request, fmt::format("{}: no such field", key));
      OCTROI_TRY(const auto text, value.as_string());
      *to = std::string(text);
    }
  }
  return r;
}

std::string KeyRequest::to_json() const {
  json::Writer w;
  w.begin_object().field("vendor", vendor).field("policy", policy).field("name", name);
  w.field("server", server).field("agent", agent).field("run", run).field("shape", shape);
  w.field("parent", parent).field("networks", networks);
  w.field("test", test).field("canary", canary);
  if (expires) w.field("expires", to_rfc3339(*expires));
  w.end_object();
  return std::move(w).take();
}

Task<Result<std::string>> issue_key(ledger::Store& store, const vault::VaultSettings& settings,
                                    KeyRequest request, UnixMillis now) {
  ledger::VaultKeys* keys = store.vault_keys();
  if (keys == nullptr) co_return fail(VaultKeyErrc::no_vault, "this store keeps no vault keys");
  const auto vendor = std::find_if(settings.vendors.begin(), settings.vendors.end(),
                                   [&](const auto& v) { return v.name == request.vendor; });
  if (vendor == settings.vendors.end())
    co_return fail(VaultKeyErrc::bad_request,
                   fmt::format("vendor: \"{}\" is not one of vault.vendors", request.vendor));
  const auto policy = std::find_if(settings.policies.begin(), settings.policies.end(),
                                   [&](const auto& p) { return p.name == request.policy; });
  if (policy == settings.policies.end())
    co_return fail(VaultKeyErrc::bad_request,
                   fmt::format("policy: \"{}\" is not one of vault.policies", request.policy));
  if (policy->vendor != request.vendor)
    co_return fail(VaultKeyErrc::bad_request,
                   fmt::format("policy: \"{}\" is for {}", request.policy, policy->vendor));
  for (const auto& [field, text] :
       {std::pair<std::string_view, const std::string&>{"name", request.name},
        {"server", request.server},
        {"agent", request.agent},
        {"run", request.run}})
    OCTROI_CO_CHECK(check_word(field, text));
  if (request.expires && *request.expires <= now)
    co_return fail(VaultKeyErrc::bad_request, "expires: is in the past");
  if (!vault::parse_networks(request.networks))
    co_return fail(VaultKeyErrc::bad_request,
                   "networks: write addresses and ranges with commas, such as 10.0.0.0/8,::1");
  // Whoever waits may find other settings.
  OCTROI_CO_TRY(const vault::KeyShape shape, shape_of(request.shape, *vendor));
  OCTROI_CO_CHECK(co_await fit_below(keys, &request));

  vault::IssuedKey issued = vault::issue_key(!request.test, system_random());
  OCTROI_CO_CHECK(co_await give_signing(&issued, shape, &store, &settings));
  ledger::VaultKey& k = issued.record;
  k.vendor = request.vendor;
  k.policy = request.policy;
  k.name = request.name;
  k.server = request.server;
  k.agent = request.agent;
  k.run = request.run;
  k.expires = request.expires;
  k.parent = request.parent;
  k.networks = request.networks;
  k.canary = request.canary;
  k.created = k.changed = now;
  // Before the key exists: what cannot be told does not happen.
  OCTROI_CO_CHECK(co_await audit_change(store, "key.issue", k.id, request.policy));
  OCTROI_CO_TRY(const bool added, co_await keys->add_vault_key(k));
  if (!added) co_return fail(VaultKeyErrc::bad_request, "this key's id is taken; ask again");
  co_return issued_json(issued, shape, {});
}

Result<RotateRequest> RotateRequest::from_json(std::string_view text) {
  RotateRequest r;
  if (text.empty()) return r;
  OCTROI_TRY(const auto doc, json::parse(text));
  for (const auto& [key, value] : doc.root().members()) {
    OCTROI_TRY(const auto given, value.as_string());
    if (key == "shape") {
      r.shape = std::string(given);
    } else if (key == "overlap") {
      const auto overlap = config::parse_duration(given);
      if (!overlap || *overlap < Millis(0) || *overlap > kLongestOverlap)
        return fail(VaultKeyErrc::bad_request, "overlap: write a time up to 30d, such as 1h");
      r.overlap = *overlap;
    } else {
      return fail(VaultKeyErrc::bad_request, fmt::format("{}: no such field", key));
    }
  }
  return r;
}

std::string RotateRequest::to_json() const {
  json::Writer w;
  w.begin_object().field("shape", shape);
  w.field("overlap", fmt::format("{}ms", overlap.count())).end_object();
  return std::move(w).take();
}

Task<Result<std::string>> rotate_key(ledger::Store& store, const vault::VaultSettings& settings,
                                     std::string id, RotateRequest request, UnixMillis now) {
  ledger::VaultKeys* keys = store.vault_keys();
  if (keys == nullptr) co_return fail(VaultKeyErrc::no_vault, "this store keeps no vault keys");
  OCTROI_CO_TRY(const auto list, co_await keys->list_vault_keys());
  const auto old =
      std::find_if(list.keys.begin(), list.keys.end(), [&](const auto& k) { return k.id == id; });
  if (old == list.keys.end()) co_return fail(VaultKeyErrc::not_found, "there is no such vault key");
  if (old->state == ledger::VaultKeyState::revoked || (old->expires && *old->expires <= now))
    co_return fail(VaultKeyErrc::conflict, "this key is over; issue another one");
  const auto vendor = std::find_if(settings.vendors.begin(), settings.vendors.end(),
                                   [&](const auto& v) { return v.name == old->vendor; });
  if (vendor == settings.vendors.end())
    co_return fail(VaultKeyErrc::conflict, "the vendor of this key is not configured any more");
  OCTROI_CO_TRY(const vault::KeyShape shape, shape_of(request.shape, *vendor));

  vault::IssuedKey issued = vault::issue_key(old->live, system_random());
  OCTROI_CO_CHECK(co_await give_signing(&issued, shape, &store, &settings));
  ledger::VaultKey fresh = *old;
  fresh.id = issued.record.id;
  fresh.pair_id = issued.record.pair_id;
  fresh.secret_hash = issued.record.secret_hash;
  fresh.pair_hash = issued.record.pair_hash;
  fresh.line = ledger::counted_as(*old);
  fresh.created = fresh.changed = now;
  issued.record = std::move(fresh);
  OCTROI_CO_CHECK(co_await audit_change(store, "key.rotate", id, issued.record.id));
  OCTROI_CO_TRY(const bool done,
                co_await keys->rotate_vault_key(issued.record, id, now + request.overlap));
  if (!done)
    co_return fail(VaultKeyErrc::conflict, "this key was revoked meanwhile; nothing was made");
  co_return issued_json(issued, shape, id);
}

std::string key_json(const ledger::VaultKey& key) {
  json::Writer w;
  write_key(w, key);
  return std::move(w).take();
}

std::string keys_json(const ledger::VaultKeyList& list, const ledger::VaultKeyFilter& filter) {
  json::Writer w;
  w.begin_object().key("keys").begin_array();
  for (const auto& k : list.keys) {
    if (filter.matches(k)) write_key(w, k);
  }
  w.end_array().end_object();
  return std::move(w).take();
}

std::string changed_json(const std::vector<std::string>& ids, ledger::VaultKeyState state,
                         UnixMillis now, bool one) {
  std::string_view at = "changed_at";
  switch (state) {
    case ledger::VaultKeyState::active:
      at = "resumed_at";
      break;
    case ledger::VaultKeyState::paused:
      at = "paused_at";
      break;
    case ledger::VaultKeyState::revoked:
      at = "revoked_at";
      break;
  }
  json::Writer w;
  w.begin_object();
  if (one && ids.size() == 1) {
    w.field("id", ids.front());
  } else {
    w.key("ids").begin_array();
    for (const std::string& id : ids) w.string(id);
    w.end_array();
  }
  w.field(at, to_rfc3339(now)).end_object();
  return std::move(w).take();
}

Task<Result<>> audit_change(ledger::Store& store, std::string what, std::string key_id,
                            std::string detail) {
  audit::Journal* journal = store.journal();
  if (journal == nullptr) co_return Result<>{};
  audit::Event e;
  e.kind = std::string(audit::kAdminChange);
  e.operation = std::move(what);
  e.key_id = std::move(key_id);
  if (!detail.empty()) e.details.emplace_back("subject", std::move(detail));
  auto written = co_await journal->append(std::move(e));
  if (!written) co_return fail(std::move(written).error());
  co_return Result<>{};
}

}  // namespace octroi::app
