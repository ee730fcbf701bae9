// octroi/vault/settings.h: what the configuration says about the vault door. Plain data.
// Thread: immutable once built.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "octroi/base/clock.h"
#include "octroi/base/secret.h"
#include "octroi/money/money.h"
#include "octroi/net/address.h"

namespace octroi::secrets {
class KeyService;
}

namespace octroi::vault {

/// An operation of a vendor that has no pack of its own.
struct OperationSettings {
  std::string name;           // "orders.create"
  std::string method;         // upper case
  std::string path;           // "/admin/api/*/orders.json": `*` is one segment, `**` the rest
  std::string graphql;        // "mutation refundCreate": its root field; paths are in its arguments
  std::string direction;      // as policy::Direction is written
  std::string amount;         // path of the field: "order.total", "lines[*].price" is the sum;
                              // empty: it spends nothing
  std::string quantity;       // path beside amount: how often that counts; empty: once
  std::string currency;       // path, or "=usd" for a fixed one
  bool major = false;         // the amount is in dollars ("12.34"), not in cents
  std::string customer;       // path
  std::string answer_amount;  // where the answer says what it cost
  std::string answer_currency;     // and in what; empty: as `currency`
  std::string answer_id;           // and what was made
  std::string errors;              // where an answer that is none says why: nothing was done
  std::string mark;                // dotted path of a field that octroi writes its own id into
  std::vector<std::string> query;  // fields of the query that may stand beside a body

  bool operator==(const OperationSettings&) const = default;
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

  bool operator==(const ListSettings&) const = default;
};

/// How a vendor wants its requests signed with a key that both sides have. Templates are those of
/// sign_template.h.
struct HmacSettings {
  std::string hash = "sha256";        // sha1, sha256, sha384, sha512
  std::string key = "text";           // how the stored secret writes the key: text, hex, base64
  std::string sign;                   // template of what is signed
  std::string encoding = "hex";       // of the signature: hex, base64, base64url
  std::string timestamp = "seconds";  // seconds, ms, rfc3339, http
  std::string key_id;  // empty: where a template names it, the stored secret is ID:SECRET
  std::vector<std::pair<std::string, std::string>> headers;  // name, template of the value
  std::vector<std::pair<std::string, std::string>> query;    // those with the signature go last

  bool operator==(const HmacSettings&) const = default;
};

/// How a vendor's tokens are come by (RFC 6749 section 4.4, RFC 7523 section 2.1).
struct OauthSettings {
  std::string grant = "client_credentials";  // or jwt_bearer
  std::string scheme, host, target;          // of the token endpoint
  std::uint16_t port = 0;
  std::string client_id;              // empty: the stored secret is ID:SECRET
  std::string client_auth = "basic";  // or post
  std::string scope;                  // words
  std::string audience;               // of the token; with jwt_bearer, of the assertion
  std::string algorithm = "RS256";    // of the assertion; or ES256
  std::string issuer, subject, key_id;
  Millis lifetime{5 * 60'000};  // of the assertion
  std::string ca_pem;           // empty: the vendor's

  bool operator==(const OauthSettings&) const = default;
};

/// A tool of an MCP server. Pointers are JSON Pointers: "/order/total".
struct ToolSettings {
  std::string tool;               // its name; one that ends in "*" is every tool that begins so
  std::string direction;          // as policy::Direction is written
  std::string amount;             // in the arguments; empty: it spends nothing
  std::string currency;           // in the arguments and in results, or "=usd" for a fixed one
  bool major = false;             // the amount is in dollars ("12.34"), not in cents
  std::string customer;           // in the arguments
  std::string answer_amount;      // in the result: what it cost
  std::string answer_id;          // and what was made
  bool error_is_refusal = false;  // a result that is an error: nothing was done

  bool operator==(const ToolSettings&) const = default;
};

/// The MCP server of a vendor's account, beside its API.
struct DoorSettings {
  std::string scheme, host;
  std::uint16_t port = 0;
  std::string endpoint = "/";  // its path

  bool operator==(const DoorSettings&) const = default;
};

/// A harmless question that says whether a real key works, where the pack knows none or another one
/// suits the key better.
struct VerifySettings {
  std::string method = "GET";  // or HEAD
  std::string path;            // below `upstream`, with its query

  bool operator==(const VerifySettings&) const = default;
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

  bool operator==(const ModelPriceSettings&) const = default;
};

struct VendorSettings {
  std::string name;
  std::string pack;  // "stripe", …; "generic"
  std::string scheme, host, base_path;
  std::uint16_t port = 0;
  std::string ca_pem;
  std::string auth = "bearer";       // generic: bearer, basic, header:NAME, query:NAME, cookie:NAME
  std::optional<HmacSettings> hmac;  // generic: instead of auth
  std::optional<OauthSettings> oauth;        // generic: auth says where the token goes
  std::shared_ptr<const Secret> credential;  // null: what `octroi vault register` sealed
  std::optional<bool> live;                  // empty: what the credential looks like
  std::string credential_env;                // the variable that the real key was read from
  std::vector<std::string> hosts;            // by which agents may address it
  std::vector<OperationSettings> operations;
  std::vector<ListSettings> lists;
  std::string endpoint = "/mcp";                     // of an MCP server: where it takes messages
  std::vector<ToolSettings> tools;                   // of an MCP server
  std::optional<DoorSettings> door;                  // the vendor's own MCP server
  Millis timeout{80'000};                            // of one call
  std::map<std::string, ModelPriceSettings> prices;  // of models, before those of the pack
  std::optional<VerifySettings> verify;              // before the pack's own question

  bool operator==(const VendorSettings&) const = default;
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
  std::vector<std::string> events;       // types of what is told
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
  // What credentials are sealed with is one of these four.
  std::string key_file;                           // of 32 bytes, made when missing
  std::shared_ptr<const Secret> seal_key;         // 32 bytes in some form, or a longer text
  std::shared_ptr<const Secret> seal_passphrase;  // is stretched
  std::string key_transit;                        // "mount/name", a key that stays where it is
  std::shared_ptr<const secrets::KeyService> seal_service;  // that key; whoever loads sets it
  ProxySettings proxy;
  ApprovalSettings approvals;
  WebhookSettings webhook;
};

}  // namespace octroi::vault
