// octroi/config/model.h: the whole configuration after parsing, validation and resolving of secret
// references. What each door needs is defined by the door; this only puts the parts together.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "octroi/base/log.h"
#include "octroi/base/secret.h"
#include "octroi/config/units.h"
#include "octroi/money/money.h"
#include "octroi/net/address.h"
#include "octroi/paywall/settings.h"
#include "octroi/vault/settings.h"
#include "octroi/wallet/settings.h"

namespace octroi::config {

enum class Environment : std::uint8_t { development, staging, production };

struct SimSettings {
  std::string file;
  std::string account = "merchant";
  Msat initial = Msat::from_raw_unchecked(10'000'000'000);  // 10,000,000 sat
  std::int64_t fee_ppm = 0;
};
struct LndSettings {
  std::string url;
  std::shared_ptr<const Secret>
      macaroon;  // hex; from a file of raw bytes or a reference to hex text
  std::shared_ptr<const Secret> pay_macaroon;  // null: same as macaroon
  std::string tls_cert_pem;                    // pinned; empty: the system's store
};
struct LightningSettings {
  std::string backend;  // "sim", "lnd"
  SimSettings sim;
  LndSettings lnd;
};

struct AdminSettings {
  std::optional<net::Endpoint> listen;
  std::shared_ptr<const Secret> token;  // null: made on first start, in token_file
  std::string token_file;
};

/// As ledger::Retention.
struct RetentionSettings {
  std::optional<Millis> transactions;  // empty: for good
  std::optional<Millis> sessions;
  std::optional<Millis> approvals;
  Millis expired{24LL * 3600 * 1000};
};

/// The Redis that replicas count in.
struct SharedSettings {
  RedisPlace place;
  std::shared_ptr<const Secret> password;  // null: none is sent
  std::string ca_pem;                      // empty: the system's store
};

struct TelemetrySettings {
  bool metrics = true;
  bool metrics_public = false;
  std::string access_log = "stdout";  // "stdout", "off" or a file
  std::string otlp;                   // the collector's URL; empty: none
  std::vector<std::pair<std::string, std::shared_ptr<const Secret>>> otlp_headers;
  std::string otlp_ca_pem;                // empty: the system's store
  std::uint32_t otlp_sample = 1'000'000;  // of a million requests
  Millis otlp_interval{60'000};
  std::string otlp_service = "octroi";
  bool propagate = false;  // traces to vendors
};

/// `octroi price-server`.
struct PriceServerSettings {
  struct Model {
    std::string name;
    Msat input;  // of a thousand tokens
    Msat output;
  };
  net::Endpoint listen;
  std::shared_ptr<const Secret> token;  // that a gate must show; null: none
  Msat bundle;
  std::string default_model;
  std::vector<Model> models;
  Millis keep_unused{};
};

struct Config {
  std::string file;  // where it was read from
  Environment environment = Environment::development;
  std::string store = "sqlite:///var/lib/octroi/octroi.db";
  std::shared_ptr<const Secret> store_password;  // of a postgresql:// store; may be null
  std::optional<SharedSettings> shared;          // empty: each process counts by itself
  std::string audit_checkpoints;                 // a file; empty: the usual place, if there is one
  std::optional<LightningSettings> lightning;
  std::optional<paywall::PaywallSettings> paywall;  // empty: this door is not started
  std::optional<vault::VaultSettings> vault;        // likewise
  struct Wallet {
    LightningSettings lightning;
    wallet::WalletSettings settings;
  };
  std::optional<Wallet> wallet;
  std::optional<PriceServerSettings> price_server;
  AdminSettings admin;
  LogConfig log;
  RetentionSettings retention;
  TelemetrySettings telemetry;
  std::optional<Rate> rate;
  int workers = 0;  // 0: one a core
  Millis shutdown_grace{30'000};
};

}  // namespace octroi::config
