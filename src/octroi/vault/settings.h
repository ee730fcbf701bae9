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
  std::string mark;           // dotted path of a field that octroi writes its own id into
};

/// A list in which a vendor that has no pack of its own shows what was made.
struct ListSettings {
  std::string
      path;  // with its query; {from} and {to} are moments, {from_unix} and {to_unix} seconds
  std::vector<std::string> operations;  // whose results it shows
  std::string items;                    // dotted path of the array; empty: the answer itself
  std::string id, amount, currency, mark, created;  // of an item; currency as in OperationSettings
  bool major = false;
  std::string next;            // dotted path of the next page's path in the answer
  std::int64_t page_size = 0;  // most items of a page
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
  std::vector<ListSettings> lists;
  Millis timeout{80'000};                            // of one call
  std::map<std::string, ModelPriceSettings> prices;  // of models, before those of the pack
};

struct PolicySettings {
  std::string name;
  std::string vendor;
  std::string document;      // JSON, the rest of it
  std::int64_t version = 1;  // of the store; the file's are always the first
};

/// Requests that come as to a proxy.
struct ProxySettings {
  bool enabled = true;
  bool tunnels_others = false;  // hosts that are no vendor's; else they are refused
  std::string ca_file;          // of our own authority; empty: none
};

/// Calls that wait for a human.
struct ApprovalSettings {
  Millis wait{0};               // how long a call waits for the answer; 0: it is refused at once
  Millis expires{15 * 60'000};  // how long a ticket may be decided, and then used
};

/// Whom to tell what people should look at: tickets, alarms.
struct WebhookSettings {
  std::string url;                       // empty: nobody
  std::shared_ptr<const Secret> secret;  // signs what is sent
  bool allow_private = false;            // addresses of this machine and its network
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
  Millis reconcile_every{5 * 60'000};   // holds without an outcome; 0: only when asked to
  Millis reconcile_grace{15 * 60'000};  // before what a vendor does not show is released
  Millis keep_spends = std::chrono::hours(24 * 400);  // what was settled or released
  std::shared_ptr<const Secret> signer_master;        // of keys that sign; null: there are none
  std::string key_file;  // of 32 bytes, for sealed credentials; empty: beside the store
  ProxySettings proxy;
  ApprovalSettings approvals;
  WebhookSettings webhook;
};

}  // namespace octroi::vault
