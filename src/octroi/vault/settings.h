// octroi/vault/settings.h: what the configuration says about the vault door. Plain data.
// Thread: immutable once built.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/secret.h"
#include "octroi/money/money.h"
#include "octroi/net/address.h"

namespace octroi::vault {

/// An operation of a vendor that has no pack of its own.
struct OperationSettings {
  std::string name;           // "orders.create"
  std::string method;         // upper case
  std::string path;           // "/admin/api/*/orders.json": `*` is one segment, `**` the rest
  std::string direction;      // as policy::Direction is written
  std::string amount;         // dotted path of the field: "order.total"; empty: it spends nothing
  std::string currency;       // dotted path, or "=usd" for a fixed one
  bool major = false;         // the amount is in dollars ("12.34"), not in cents
  std::string customer;       // dotted path
  std::string answer_amount;  // where the answer says what it cost
  std::string answer_id;      // and what was made
};

/// What a language model costs: dollars for a million tokens of each kind.
struct ModelPriceSettings {
  MicroUsd input;
  MicroUsd output;
  std::optional<MicroUsd> cached_input;  // empty: as input
  std::optional<MicroUsd> cache_write;   // empty: as input
  std::int64_t context = 0;              // most tokens that may go in
  std::int64_t max_output = 0;           // most that may come out
  bool reasoning = false;                // it thinks in tokens that are not in the answer
};

struct VendorSettings {
  std::string name;
  std::string pack;  // "stripe", …; "generic"
  std::string scheme, host, base_path;
  std::uint16_t port = 0;
  std::string ca_pem;
  std::string auth = "bearer";               // generic: bearer, basic, header:NAME, query:NAME
  std::shared_ptr<const Secret> credential;  // null: what `octroi vault register` sealed
  std::optional<bool> live;                  // empty: what the credential looks like
  std::string credential_env;                // the variable that the real key was read from
  std::vector<std::string> hosts;            // by which agents may address it
  std::vector<OperationSettings> operations;
  Millis timeout{80'000};                            // of one call
  std::map<std::string, ModelPriceSettings> prices;  // of models, before those of the pack
};

struct PolicySettings {
  std::string name;
  std::string vendor;
  std::string document;  // JSON, the rest of it
};

/// Requests that come as to a proxy.
struct ProxySettings {
  bool enabled = true;
  bool tunnels_others = false;  // hosts that are no vendor's; else they are refused
  std::string ca_file;          // of our own authority; empty: none
};

struct VaultSettings {
  std::vector<net::Endpoint> listen;
  std::vector<VendorSettings> vendors;
  std::vector<PolicySettings> policies;
  std::map<std::string, std::string> rates;  // currency to "1.085 usd"
  UnixMillis rates_as_of;
  Millis rates_max_age{};
  int haircut_percent = 0;
  std::uint64_t max_body = 1U << 20;
  std::string key_file;  // of 32 bytes, for sealed credentials; empty: beside the store
  ProxySettings proxy;
};

}  // namespace octroi::vault
