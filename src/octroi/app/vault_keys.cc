#include "octroi/app/vault_keys.h"

#include <algorithm>

#include "octroi/audit/journal.h"
#include "octroi/base/file.h"
#include "octroi/json/writer.h"
#include "octroi/vault/pack.h"

namespace octroi::app {

ErrorInfo error_info(VaultKeyErrc e) {
  switch (e) {
    case VaultKeyErrc::bad_request:
      return {"vault.bad-request", ErrorKind::invalid};
    case VaultKeyErrc::no_vault:
      return {"vault.not-configured", ErrorKind::invalid};
    case VaultKeyErrc::not_found:
      return {"vault.no-such-key", ErrorKind::not_found};
    case VaultKeyErrc::bad_key_file:
      return {"vault.bad-key-file", ErrorKind::invalid};
  }
  return {"vault.unknown", ErrorKind::internal};
}

namespace {

constexpr std::size_t kLongestName = 128;

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
  return fail(VaultKeyErrc::bad_request,
              "shape: use vault, vendor, stripe, restricted, resend, openai, anthropic or twilio");
}

void write_key(json::Writer& w, const ledger::VaultKey& k) {
  w.begin_object().field("id", k.id).field("vendor", k.vendor).field("policy", k.policy);
  w.field("state", std::string(ledger::to_string(k.state)));
  w.field("mode", k.live ? "live" : "test");
  w.field("name", k.name).field("server", k.server).field("agent", k.agent).field("run", k.run);
  w.field("created_at", to_rfc3339(k.created)).field("changed_at", to_rfc3339(k.changed));
  w.key("expires_at");
  if (k.expires) {
    w.string(to_rfc3339(*k.expires));
  } else {
    w.null();
  }
  w.end_object();
}

std::string associated(const std::string& vendor) { return "octroi vault credential\n" + vendor; }

}  // namespace

Result<KeyRequest> KeyRequest::from_json(const json::Value& root) {
  KeyRequest r;
  for (const auto& [key, value] : root.members()) {
    if (key == "test") {
      OCTROI_TRY(r.test, value.as_bool());
    } else if (key == "expires") {
      OCTROI_TRY(const auto text, value.as_string());
      OCTROI_TRY(r.expires, from_rfc3339(text));
    } else {
      std::string* const to = key == "vendor"   ? &r.vendor
                              : key == "policy" ? &r.policy
                              : key == "name"   ? &r.name
                              : key == "server" ? &r.server
                              : key == "agent"  ? &r.agent
                              : key == "run"    ? &r.run
                              : key == "shape"  ? &r.shape
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
  w.field("test", test);
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
  OCTROI_CO_TRY(const vault::KeyShape shape, shape_of(request.shape, *vendor));

  vault::IssuedKey issued = vault::issue_key(!request.test, system_random());
  ledger::VaultKey& k = issued.record;
  k.vendor = request.vendor;
  k.policy = request.policy;
  k.name = request.name;
  k.server = request.server;
  k.agent = request.agent;
  k.run = request.run;
  k.expires = request.expires;
  k.created = k.changed = now;
  // Before the key exists: what cannot be told does not happen.
  OCTROI_CO_CHECK(co_await audit_change(store, "key.issue", k.id, request.policy));
  OCTROI_CO_TRY(const bool added, co_await keys->add_vault_key(k));
  if (!added) co_return fail(VaultKeyErrc::bad_request, "this key's id is taken; ask again");
  const Secret text = issued.text(shape);
  json::Writer w;
  w.begin_object().field("id", k.id).field("key", std::string(text.reveal_text()));
  if (shape == vault::KeyShape::pair) {
    const std::string_view pair = text.reveal_text();
    w.field("account_sid", std::string(pair.substr(0, pair.find(':'))));
    w.field("auth_token", std::string(pair.substr(pair.find(':') + 1)));
  }
  w.field("vendor", k.vendor).field("policy", k.policy).field("mode", k.live ? "live" : "test");
  w.end_object();
  co_return std::move(w).take();
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

Result<CredentialSeal> CredentialSeal::open(const std::string& key_file) {
  if (key_file.empty())
    return fail(VaultKeyErrc::bad_key_file,
                "vault.key_file: name the file of the key that credentials are sealed with");
  OCTROI_TRY(const Secret text, load_or_create_secret_file(key_file, {64, 65}, [] {
               const Secret raw = system_random().secret(crypto::kAeadKeySize);
               return Secret::take(to_hex(raw.reveal()));
             }));
  std::string_view hex = text.reveal_text();
  if (hex.ends_with('\n')) hex.remove_suffix(1);
  auto raw = from_hex(hex);
  if (!raw || raw->size() != crypto::kAeadKeySize)
    return fail(VaultKeyErrc::bad_key_file, key_file + ": must hold 64 hexadecimal digits");
  OCTROI_TRY(auto key, crypto::AeadKey::from_secret(Secret::take(std::move(*raw))));
  return CredentialSeal(std::move(key));
}

Result<std::string> CredentialSeal::seal(const Secret& real, const std::string& vendor) const {
  const std::string name = associated(vendor);
  OCTROI_TRY(const Bytes sealed, key_.seal(real, as_bytes(name), system_random()));
  return to_base64(sealed);
}

Result<Secret> CredentialSeal::unseal(const std::string& sealed, const std::string& vendor) const {
  const std::string name = associated(vendor);
  const auto raw = from_base64(sealed);
  if (!raw) return fail(VaultKeyErrc::bad_key_file, "a sealed credential is damaged");
  auto opened = key_.open(*raw, as_bytes(name));
  if (!opened)
    return fail(VaultKeyErrc::bad_key_file,
                "the credential of " + vendor + " was sealed with another key file");
  return opened;
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
