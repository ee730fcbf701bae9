// What the doors get from a configuration, what a reload would change, units, tidying, and that the
// committed reference and example are current. What a person sees is in tests/config/*.case.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "octroi/config/check.h"
#include "octroi/config/load.h"
#include "octroi/config/print.h"

namespace octroi::config {
namespace {

std::filesystem::path source_dir() {
  const char* dir = std::getenv("OCTROI_SOURCE");
  return dir == nullptr ? std::filesystem::current_path() : std::filesystem::path(dir);
}
std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

struct World {
  std::map<std::string, std::string> secrets;
  ManualClock clock{from_rfc3339("2026-11-21T12:00:00Z").value()};
  std::map<std::string, std::string> env{{"HOME", "/home/test"}};

  LoadResult load(const std::string& text) {
    LoadOptions options;
    options.env = env;
    options.clock = &clock;
    options.resolve = [this](std::string_view reference) -> Result<Secret> {
      const auto it = secrets.find(std::string(reference));
      if (it == secrets.end())
        return fail(Errc::unreadable, std::string(reference) + " does not exist");
      return Secret(std::string_view(it->second));
    };
    return config::load(text, "octroi.yaml", options);
  }
  Loaded must(const std::string& text) {
    auto loaded = load(text);
    EXPECT_TRUE(loaded) << to_text(loaded.error());
    return loaded ? std::move(*loaded) : Loaded{};
  }
};

constexpr std::string_view kFull = R"(
listen: [127.0.0.1:8402, "[::1]:8402"]
trusted_proxies: 10.0.0.0/8
store: sqlite:///tmp/x.db
lightning: { backend: sim, sim: { file: /tmp/sim.db, account: shop, initial: 5 sat, fee_ppm: 7 } }
paywall:
  realm: api.example.com
  secret: [env://A, env://B]
  l402_keys: env://C
  challenge_ttl: 5m
  max_unpaid: 3
  invoice_pool: 0
  block: [192.0.2.0/24]
  services:
    - name: weather
      description: Rain
      match: { host: "api\\.example\\.com", path: "^/v1/" }
      methods: [get, POST]
      upstream: { url: "https://Up.Example:9443/base/", server_name: other.example, protocol: h2 }
      price: 10 sat
      prices: [ { path: ^/v1/dear, methods: post, price: 5 sat } ]
      schemes: l402+mpp
      lsat: off
      token: { valid_for: never, capabilities: [read, write], constraints: { tier: gold } }
      payment: { opaque: on, header: on }
      free: { requests: 5, per: 1h, by: token }
      rate_limits: [ { path: ^/v1/x, requests: 100, per: 10s, burst: 20, by: ip } ]
      headers: { Authorization: "Bearer ${env://KEY}!", X-Plain: value }
      rewrite: { strip: /v1, prefix: /api }
      timeouts: { connect: 1s, first_byte: 2s, idle: 3s }
      max_body: 2MiB
      digest_limit: 64KiB
      scope: rule
      cors: { origins: ["https://a.example"], credentials: on, max_age: 1h }
      block: 203.0.113.7
      free_paths: ["^/v1/free"]
      no_invoice_paths: ["^/v1/none"]
      strict: on
      forward: identity
      discovery: { shadow: on }
rates: { btc_usd: 65000 usd, as_of: 2026-11-20, max_age: 7d }
wallet: { lightning: { backend: sim }, store: ~/w, limits: { per_payment: 7 sat, max_fee: 2 sat } }
admin: { listen: 127.0.0.1:9999, auth: { token: file:///nowhere/t } }
log: { level: debug, format: json, file: /tmp/l, rotation: { size: 1MiB, keep: 2 }, modules: { mpp: trace } }
telemetry: { metrics: public, access_log: off }
workers: 3
shutdown_grace: 5s
)";

/// A world in which kFull's references exist.
struct FullWorld : World {
  FullWorld() {
    secrets = {{"env://A", std::string(32, 'a')},
               {"env://B", std::string(32, 'b')},
               {"env://C", std::string(40, 'c')},
               {"env://KEY", "sk-123"}};
  }
};

TEST(Bind, top_level) {
  FullWorld world;
  const Config c = world.must(std::string(kFull)).config;
  EXPECT_EQ(c.store, "sqlite:///tmp/x.db");
  EXPECT_EQ(sqlite_path(c), "/tmp/x.db");
  EXPECT_EQ(c.environment, Environment::development);
  EXPECT_EQ(c.lightning->backend, "sim");
  EXPECT_EQ(c.lightning->sim.account, "shop");
  EXPECT_EQ(c.lightning->sim.initial, 5000_msat);
  EXPECT_EQ(c.lightning->sim.fee_ppm, 7);
  EXPECT_EQ(c.wallet->lightning.sim.account, "agent");
  EXPECT_EQ(c.wallet->settings.store, "/home/test/w");
  EXPECT_EQ(c.wallet->settings.limits.per_payment, 7000_msat);
  EXPECT_EQ(c.wallet->settings.limits.max_fee, 2000_msat);
  EXPECT_EQ(c.admin.listen->str(), "127.0.0.1:9999");
  EXPECT_EQ(c.admin.token, nullptr);
  EXPECT_EQ(c.admin.token_file, "/nowhere/t");
  EXPECT_EQ(c.log.level, LogLevel::debug);
  EXPECT_TRUE(c.log.json);
  EXPECT_EQ(c.log.rotate_bytes, 1U << 20);
  EXPECT_EQ(c.log.rotate_keep, 2);
  ASSERT_EQ(c.log.modules.size(), 1U);
  EXPECT_EQ(c.log.modules[0].second, LogLevel::trace);
  EXPECT_TRUE(c.telemetry.metrics_public);
  EXPECT_EQ(c.telemetry.access_log, "off");
  EXPECT_EQ(c.workers, 3);
  EXPECT_EQ(c.shutdown_grace, Seconds(5));
  EXPECT_EQ(c.rate->per_btc, 65000_usd);
}

TEST(Bind, paywall) {
  FullWorld world;
  const paywall::PaywallSettings p = *world.must(std::string(kFull)).config.paywall;
  ASSERT_EQ(p.listen.size(), 2U);
  EXPECT_EQ(p.listen[1].str(), "[::1]:8402");
  EXPECT_FALSE(p.tls);
  EXPECT_EQ(p.trusted_proxies.size(), 1U);
  EXPECT_EQ(p.realm, "api.example.com");
  ASSERT_EQ(p.secret.size(), 2U);
  EXPECT_TRUE(p.secret[0]->equals(std::string(32, 'a')));
  EXPECT_TRUE(p.secret[1]->equals(std::string(32, 'b')));
  EXPECT_EQ(p.l402_keys.size(), 1U);
  EXPECT_EQ(p.challenge_ttl, Seconds(300));
  EXPECT_EQ(p.max_unpaid, 3);
  EXPECT_EQ(p.invoice_pool, 0);
  EXPECT_EQ(p.block.size(), 1U);
  EXPECT_EQ(p.rate->max_age, Seconds(7 * 24 * 3600));
}

TEST(Bind, service) {
  FullWorld world;
  const paywall::PaywallSettings p = *world.must(std::string(kFull)).config.paywall;
  const paywall::ServiceSettings& s = p.services.at(0);
  EXPECT_EQ(s.name.str(), "weather");
  EXPECT_EQ(s.host, "api\\.example\\.com");
  EXPECT_EQ(s.path, "^/v1/");
  EXPECT_EQ(s.methods, (std::vector<std::string>{"GET", "POST"}));
  EXPECT_EQ(s.upstream.scheme, "https");
  EXPECT_EQ(s.upstream.addresses, (std::vector<upstream::Address>{{"up.example", 9443}}));
  EXPECT_EQ(s.upstream.base_path, "/base");
  EXPECT_EQ(s.upstream.server_name, "other.example");
  EXPECT_EQ(s.upstream.protocol, paywall::UpstreamProtocol::h2);
  EXPECT_EQ(s.price.msat, 10000_msat);
  ASSERT_EQ(s.prices.size(), 1U);
  EXPECT_EQ(s.prices[0].methods, (std::vector<std::string>{"POST"}));
  EXPECT_EQ(s.prices[0].price.msat, 5000_msat);
  EXPECT_EQ(s.schemes, (std::vector<paywall::OfferScheme>{paywall::OfferScheme::l402,
                                                          paywall::OfferScheme::payment}));
  EXPECT_FALSE(s.lsat);
  EXPECT_FALSE(s.token.valid_for);
  EXPECT_EQ(s.token.capabilities, (std::vector<std::string>{"read", "write"}));
  EXPECT_EQ(s.token.constraints.at("tier"), "gold");
  EXPECT_TRUE(s.opaque);
  EXPECT_TRUE(s.payment_header);
  EXPECT_EQ(s.free.requests, 5);
  EXPECT_EQ(s.free.by, paywall::CountBy::token);
  EXPECT_EQ(s.rate_limits.at(0).burst, 20);
  EXPECT_EQ(s.rate_limits.at(0).by, paywall::CountBy::ip);
  ASSERT_EQ(s.headers.size(), 2U);
  EXPECT_TRUE(s.headers[0].value->equals("Bearer sk-123!"));
  EXPECT_TRUE(s.headers[1].value->equals("value"));
  EXPECT_EQ(s.rewrite_strip, "/v1");
  EXPECT_EQ(s.rewrite_prefix, "/api");
  EXPECT_EQ(s.timeouts.idle, Seconds(3));
  EXPECT_EQ(s.max_body, 2U << 20);
  EXPECT_EQ(s.digest_limit, 64U << 10);
  EXPECT_EQ(s.digest, paywall::DigestMode::on);
  EXPECT_EQ(s.scope, paywall::Scope::rule);
  EXPECT_TRUE(s.cors.credentials);
  EXPECT_EQ(s.cors.max_age, Seconds(3600));
  EXPECT_EQ(s.block.size(), 1U);
  EXPECT_EQ(s.free_paths.size(), 1U);
  EXPECT_EQ(s.no_invoice_paths.size(), 1U);
  EXPECT_TRUE(s.strict);
  EXPECT_EQ(s.forward, paywall::Forward::identity);
  EXPECT_TRUE(s.discovery);
  EXPECT_TRUE(s.discovery_shadow);
}

/// The defaults of the schema and those of the settings that tests build by hand must not drift
/// apart.
TEST(Bind, defaults_are_those_of_the_settings) {
  World world;
  const Config c = world
                       .must(
                           "lightning: {backend: sim}\npaywall: {services: [{name: a, upstream: "
                           "'http://127.0.0.1:9', price: 1 sat}]}\nadmin:\n"
                           "wallet: {lightning: {backend: sim}}\n")
                       .config;
  const paywall::ServiceSettings& s = c.paywall->services.at(0);
  const paywall::ServiceSettings d;
  EXPECT_EQ(s.schemes, d.schemes);
  EXPECT_EQ(s.auth, d.auth);
  EXPECT_EQ(s.lsat, d.lsat);
  EXPECT_EQ(s.token.valid_for, d.token.valid_for);
  EXPECT_EQ(s.timeouts.connect, d.timeouts.connect);
  EXPECT_EQ(s.timeouts.first_byte, d.timeouts.first_byte);
  EXPECT_EQ(s.timeouts.idle, d.timeouts.idle);
  EXPECT_EQ(s.free.requests, d.free.requests);
  EXPECT_EQ(s.free.per, d.free.per);
  EXPECT_EQ(s.max_body, d.max_body);
  EXPECT_EQ(s.digest, d.digest);
  EXPECT_EQ(s.digest_limit, d.digest_limit);
  EXPECT_EQ(s.scope, d.scope);
  EXPECT_EQ(s.cors.enabled, d.cors.enabled);
  EXPECT_EQ(s.cors.origins, d.cors.origins);
  EXPECT_EQ(s.cors.methods, d.cors.methods);
  EXPECT_EQ(s.cors.allow_headers, d.cors.allow_headers);
  EXPECT_EQ(s.cors.expose_headers, d.cors.expose_headers);
  EXPECT_EQ(s.cors.max_age, d.cors.max_age);
  EXPECT_EQ(s.forward, d.forward);
  EXPECT_EQ(s.strict, d.strict);
  EXPECT_EQ(s.opaque, d.opaque);
  EXPECT_EQ(s.payment_header, d.payment_header);
  EXPECT_EQ(s.discovery, d.discovery);
  EXPECT_EQ(s.discovery_shadow, d.discovery_shadow);
  const paywall::PaywallSettings p;
  EXPECT_EQ(c.paywall->challenge_ttl, p.challenge_ttl);
  EXPECT_EQ(c.paywall->max_unpaid, p.max_unpaid);
  EXPECT_EQ(c.paywall->invoice_pool, p.invoice_pool);
  EXPECT_EQ(c.paywall->realm, "127.0.0.1:8402");
  const wallet::Limits w;
  EXPECT_EQ(c.wallet->settings.limits.per_payment, w.per_payment);
  EXPECT_EQ(c.wallet->settings.limits.per_minute, w.per_minute);
  EXPECT_EQ(c.wallet->settings.limits.per_day, w.per_day);
  EXPECT_EQ(c.wallet->settings.limits.max_fee, w.max_fee);
  EXPECT_EQ(c.store, Config{}.store);
  EXPECT_EQ(c.shutdown_grace, Config{}.shutdown_grace);
  EXPECT_EQ(c.lightning->sim.initial, SimSettings{}.initial);
  EXPECT_EQ(c.admin.token_file, "/var/lib/octroi/admin.token");
  EXPECT_EQ(c.log.rotate_bytes, LogConfig{}.rotate_bytes);
  EXPECT_EQ(c.log.rotate_keep, LogConfig{}.rotate_keep);
  EXPECT_EQ(c.telemetry.access_log, TelemetrySettings{}.access_log);
}

TEST(Bind, only_the_doors_that_are_named) {
  World world;
  const Config c = world.must("wallet: {lightning: {backend: sim}}\n").config;
  EXPECT_FALSE(c.paywall);
  EXPECT_TRUE(c.wallet);
  EXPECT_FALSE(c.admin.listen);
  EXPECT_FALSE(c.lightning);
}

TEST(Bind, macaroon_of_lnd_in_either_form) {
  std::string raw =
      std::string("\x02\x01\x03lnd", 6) + std::string(12, 'x') + std::string("\0\0\x06\x20", 4);
  raw += std::string(31, 's');
  const std::string hex = to_hex(as_bytes(raw + "\n"));
  EXPECT_EQ(macaroon_hex(Secret(std::string_view(raw + "\n"))), hex);
  EXPECT_EQ(macaroon_hex(Secret(std::string_view(raw))), hex)
      << "a file whose last byte is a line break loses it on the way";
  EXPECT_EQ(macaroon_hex(Secret(std::string_view(raw + "t"))), to_hex(as_bytes(raw + "t")));
  EXPECT_EQ(macaroon_hex(Secret(std::string_view("0201AB"))), "0201ab");
  EXPECT_EQ(macaroon_hex(Secret(std::string_view("not a macaroon"))), "");
  EXPECT_EQ(macaroon_hex(Secret()), "");
}

/// A macaroon as lnd makes it, with one operation.
std::string lnd_macaroon(const std::string& entity, const std::string& action) {
  const auto block = [](char tag, const std::string& text) {
    return std::string(1, tag) + static_cast<char>(text.size()) + text;
  };
  const std::string identifier =
      "\x03" + block('\x0a', std::string(16, 'n')) + block('\x12', "0") +
      block('\x1a', block('\x0a', entity) + block('\x12', "read") + block('\x12', action));
  return "\x02" + block('\x01', "lnd") + block('\x02', identifier) + std::string("\0\0", 2) +
         block('\x06', std::string(32, 's'));
}

TEST(Bind, rights_of_a_macaroon) {
  const auto rights = [](const std::string& bytes) {
    return macaroon_can_pay(Secret(std::string_view(bytes)));
  };
  EXPECT_EQ(rights(lnd_macaroon("offchain", "write")), true);
  EXPECT_EQ(rights(lnd_macaroon("uri", "/routerrpc.Router/SendPaymentV2")), true);
  EXPECT_EQ(rights(lnd_macaroon("offchain", "list")), false);
  EXPECT_EQ(rights(lnd_macaroon("invoices", "write")), false);
  EXPECT_EQ(rights(to_hex(as_bytes(lnd_macaroon("invoices", "write")))), false);
  EXPECT_EQ(rights("0201036c6e64"), std::nullopt);
  EXPECT_EQ(rights("nothing"), std::nullopt);
  const std::string whole = to_hex(as_bytes(lnd_macaroon("offchain", "write")));
  for (std::size_t n = 0; n < whole.size(); ++n)
    (void)rights(whole.substr(0, n));  // no length reads past the end
}

TEST(Bind, a_wallet_that_may_not_pay_is_told) {
  World world;
  world.secrets["env://M"] = lnd_macaroon("invoices", "write");
  world.secrets["env://P"] = lnd_macaroon("offchain", "write");
  const std::string text =
      "wallet: {lightning: {backend: lnd, lnd: {url: 'https://127.0.0.1:8080', macaroon: env://M";
  const Loaded without = world.must(text + "}}}\n");
  ASSERT_EQ(without.warnings.size(), 1U);
  EXPECT_EQ(without.warnings[0].path, "wallet.lightning.lnd.macaroon");
  EXPECT_TRUE(world.must(text + ", pay_macaroon: env://P}}}\n").warnings.empty());
}

TEST(Load, without_a_resolver_references_stay_unresolved) {
  LoadOptions options;
  const auto loaded = load(kFull, "octroi.yaml", options);
  ASSERT_TRUE(loaded) << to_text(loaded.error());
  EXPECT_TRUE(loaded->config.paywall->secret.empty());
}

TEST(Load, each_reference_is_fetched_once) {
  int calls = 0;
  LoadOptions options;
  options.resolve = [&](std::string_view) -> Result<Secret> {
    ++calls;
    return Secret(std::string_view("0123456789abcdef0123456789abcdef"));
  };
  ASSERT_TRUE(
      load("lightning: {backend: sim}\npaywall: {secret: env://K, services: [{name: a, upstream: "
           "'http://127.0.0.1:9', price: 1 sat, headers: {A: 'env://K'}}]}\n",
           "f", options));
  EXPECT_EQ(calls, 1);
}

TEST(Load, a_missing_file_is_a_problem_with_a_fix) {
  const auto loaded = load_file("/nowhere/octroi.yaml", {});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().at(0).file, "/nowhere/octroi.yaml");
  EXPECT_FALSE(loaded.error().at(0).fix.empty());
  EXPECT_FALSE(load_file("/tmp", {}));
}

TEST(Load, too_large_or_not_text) {
  LoadOptions options;
  EXPECT_FALSE(load(std::string(kMaxConfigBytes + 1, ' '), "f", options));
  const auto bad = load("log:\n  file: \xff\xfe\n", "f", options);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().at(0).line, 2);
  EXPECT_FALSE(load(std::string_view("a\0b: 1\n", 7), "f", options));
  std::string deep;
  for (int i = 0; i < 200; ++i) deep += "[";
  EXPECT_FALSE(load("listen: " + deep, "f", options));
  EXPECT_FALSE(load("listen: " + deep + std::string(200, ']'), "f", options));
}

// --- reload ---

struct DiffRow {
  const char* name;
  const char* from;
  const char* to;
  const char* path;  // "" : nothing changes
  bool reloadable;
};
class Diff : public testing::TestWithParam<DiffRow> {};
TEST_P(Diff, says_what_changes_and_whether_it_takes_a_restart) {
  FullWorld world;
  const Loaded before = world.must(std::string(kFull));
  std::string text(kFull);
  const std::size_t at = text.find(GetParam().from);
  ASSERT_NE(at, std::string::npos);
  text.replace(at, std::string(GetParam().from).size(), GetParam().to);
  const Loaded after = world.must(text);
  const std::vector<Change> changes = diff(before, after);
  if (std::string(GetParam().path).empty()) {
    EXPECT_TRUE(changes.empty());
    return;
  }
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].path, GetParam().path);
  EXPECT_EQ(changes[0].reloadable, GetParam().reloadable);
}
INSTANTIATE_TEST_SUITE_P(
    rows, Diff,
    testing::Values(
        DiffRow{"nothing", "price: 10 sat", "price: 10000 msat", "", false},
        DiffRow{"price", "price: 10 sat", "price: 11 sat", "paywall.services[0].price", true},
        DiffRow{"nested", "idle: 3s", "idle: 4s", "paywall.services[0].timeouts.idle", true},
        DiffRow{"listen", "127.0.0.1:8402, ", "127.0.0.1:8409, ", "listen", false},
        DiffRow{"node", "account: shop", "account: store", "lightning.sim.account", false},
        DiffRow{"blocklist", "block: [192.0.2.0/24]", "block: [192.0.2.0/25]", "paywall.block",
                true},
        DiffRow{"ring", "[env://A, env://B]", "[env://C, env://A]", "paywall.secret", true},
        DiffRow{"map", "{ tier: gold }", "{ tier: iron }", "paywall.services[0].token.constraints",
                true},
        DiffRow{"log", "level: debug", "level: info", "log.level", true},
        DiffRow{"rates_gone", "rates: { btc_usd: 65000 usd, as_of: 2026-11-20, max_age: 7d }", "",
                "rates", true},
        DiffRow{"door_gone",
                "\nadmin: { listen: 127.0.0.1:9999, auth: { token: file:///nowhere/t } }", "",
                "admin", false}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(DiffSecret, a_rotated_value_behind_the_same_reference_is_a_change) {
  FullWorld world;
  const Loaded before = world.must(std::string(kFull));
  world.secrets["env://A"] = std::string(32, 'z');
  const std::vector<Change> changes = diff(before, world.must(std::string(kFull)));
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].path, "paywall.secret");
  EXPECT_TRUE(changes[0].reloadable);
}

TEST(DiffSecret, an_added_service_is_a_change_of_the_list) {
  FullWorld world;
  const Loaded before = world.must(std::string(kFull));
  std::string text(kFull);
  text.insert(
      text.find("rates:"),
      "    - { name: b, match: { path: ^/b }, upstream: 'http://127.0.0.1:9', price: 1 sat }\n");
  const std::vector<Change> changes = diff(before, world.must(text));
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].path, "paywall.services");
}

// --- units ---

TEST(Units, durations) {
  EXPECT_EQ(parse_duration("1h30m").value(), Seconds(5400));
  EXPECT_EQ(parse_duration("30 s").value(), Seconds(30));
  EXPECT_EQ(parse_duration("0s").value(), Millis(0));
  for (const char* bad : {"", "5", "s", "5x", "-5s", "5s5m", "5m5m", "1.5h", "5s ", " 5s", "5S",
                          "99999999999999999999d", "999999999999d", "5s5"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
  for (const char* same : {"0s", "250ms", "1m30s", "15m", "1d", "30d", "1h30m"})
    EXPECT_EQ(format_duration(parse_duration(same).value()), same);
}

TEST(Units, sizes) {
  EXPECT_EQ(parse_size("64KiB").value(), 65536U);
  EXPECT_EQ(parse_size("10 MB").value(), 10'000'000U);
  for (const char* bad :
       {"", "5", "KiB", "5k", "5kib", "-5B", "5KiB ", "5KiB5B", "99999999999GiB", "1.5MiB"})
    EXPECT_FALSE(parse_size(bad)) << bad;
  for (const char* same : {"0B", "1B", "64KiB", "10MiB", "1GiB", "1KB", "1500B", "2GB"}) {
    EXPECT_EQ(parse_size(format_size(parse_size(same).value())).value(), parse_size(same).value())
        << same;
  }
}

TEST(Units, shares) {
  EXPECT_EQ(parse_share("100%").value(), 1'000'000U);
  EXPECT_EQ(parse_share("5%").value(), 50'000U);
  EXPECT_EQ(parse_share("0.1%").value(), 1'000U);
  EXPECT_EQ(parse_share("0.0001%").value(), 1U);
  EXPECT_EQ(parse_share("12.3456%").value(), 123'456U);
  EXPECT_EQ(parse_share("0%").value(), 0U);
  for (const char* bad : {"", "%", "5", "0.05", "-5%", "5 %", "5%%", "101%", "100.1%", "1000%",
                          ".5%", "5.%", "5.00001%", "5,5%", "5x%", "5.x%", "99999999999%"})
    EXPECT_FALSE(parse_share(bad)) << bad;
}

TEST(Units, urls) {
  const Url u = parse_url("HTTPS://user:pw@[2001:DB8::1]:8443/a/b").value();
  EXPECT_EQ(u.scheme, "https");
  EXPECT_EQ(u.host, "2001:db8::1");
  EXPECT_EQ(u.port, 8443);
  EXPECT_EQ(u.path, "/a/b");
  EXPECT_EQ(u.shown(), "https://***@[2001:db8::1]:8443/a/b");
  EXPECT_EQ(parse_url("http://h").value().port_or_default(), 80);
  for (const char* bad :
       {"", "h", "//h", "http://", "http://h:0", "http://h:65536", "http://h:", "http://h:8x",
        "http://h/?q", "http://h/#f", "http://h /", "http://h\\x", "http://[::1", "http://[::1]x",
        "http://[xyz]", "http://a b", "http://\xc3\xa4"}) {
    EXPECT_FALSE(parse_url(bad)) << bad;
  }
}

// --- names ---

TEST(Schema, nearest_key) {
  const auto keys = keys_of(schema());
  EXPECT_EQ(nearest("lisen", keys), "listen");
  EXPECT_EQ(nearest("trustedProxies", keys), "trusted_proxies");
  EXPECT_EQ(nearest("Paywall", keys), "paywall");
  EXPECT_EQ(nearest("zebra", keys), "");
  EXPECT_EQ(nearest(std::string(100, 'a'), keys), "");
}

/// Everything the reference says comes from the table; so must be said well there.
void check_field(const Field& f, const std::string& path) {
  EXPECT_FALSE(f.doc.empty()) << path;
  EXPECT_TRUE(f.doc.ends_with('.') || f.doc.ends_with('`')) << path;
  EXPECT_FALSE(f.required && !f.fallback.empty()) << path << " is required and has a default";
  EXPECT_EQ(f.type == Type::choice, f.type == Type::choice && !f.choices.empty()) << path;
  for (const std::string_view later : f.later_choices)
    EXPECT_NE(std::find(f.choices.begin(), f.choices.end(), later), f.choices.end()) << path;
  for (const Field& child : f.fields) check_field(child, path + "." + std::string(child.key));
}
TEST(Schema, every_key_is_documented) {
  for (const Field& f : schema().fields) check_field(f, std::string(f.key));
}

TEST(Schema, every_default_is_valid) {
  // A default that does not parse would be a problem in every load.
  World world;
  EXPECT_TRUE(world.load("admin: {}\n"));
}

// --- committed files ---

TEST(Committed, reference_is_current) {
  const auto path = source_dir() / "docs" / "configuration.md";
  if (std::getenv("OCTROI_TEST_UPDATE") != nullptr)
    std::ofstream(path, std::ios::binary) << reference_markdown();
  EXPECT_EQ(read(path), reference_markdown()) << "run: octroi config docs > docs/configuration.md";
}

TEST(Committed, example_passes_check_without_a_warning) {
  World world;
  const std::string text = read(source_dir() / "examples" / "octroi.yaml");
  ASSERT_FALSE(text.empty());
  const auto loaded = world.load(text);
  ASSERT_TRUE(loaded) << to_text(loaded.error());
  EXPECT_TRUE(loaded->warnings.empty()) << to_text(loaded->warnings);
  EXPECT_EQ(format_yaml(text, "octroi.yaml").value(), text);
}

TEST(Committed, example_shows_every_section_and_service_key) {
  const std::string text = read(source_dir() / "examples" / "octroi.yaml");
  for (const Field& f : schema().fields)
    EXPECT_NE(text.find(std::string(f.key) + ":"), std::string::npos) << f.key;
  const Field* services = find_field("paywall.services");
  ASSERT_NE(services, nullptr);
  for (const Field& f : services->fields)
    EXPECT_NE(text.find(std::string(f.key) + ":"), std::string::npos) << f.key;
}

// --- fmt ---

TEST(Format, keeps_comments_and_content) {
  const std::string untidy =
      "# top\n"
      "log:\n"
      "     # inside\n"
      "     level: info   # why\n"
      "     # format: json\n"
      "\n\n\n"
      "paywall:\n"
      "  services:\n"
      "  - name: a\n"
      "    match:\n"
      "        path: ^/x\n"
      "  # the second\n"
      "  - name: b\r\n"
      "    description: |\n"
      "       two\n"
      "         lines\n";
  const std::string tidy =
      "# top\n"
      "log:\n"
      "  # inside\n"
      "  level: info   # why\n"
      "  # format: json\n"
      "\n"
      "paywall:\n"
      "  services:\n"
      "    - name: a\n"
      "      match:\n"
      "        path: ^/x\n"
      "    # the second\n"
      "    - name: b\n"
      "      description: |\n"
      "         two\n"
      "           lines\n";
  EXPECT_EQ(format_yaml(untidy, "f").value(), tidy);
  EXPECT_EQ(format_yaml(tidy, "f").value(), tidy);
  EXPECT_FALSE(format_yaml("a: [", "f"));
  EXPECT_EQ(format_yaml("", "f").value(), "");
}

// --- print ---

TEST(Print, reads_back_as_the_same_configuration) {
  FullWorld world;
  const Loaded loaded = world.must(std::string(kFull));
  for (const bool defaults : {false, true}) {
    PrintOptions options;
    options.defaults = defaults;
    const std::string text = print(*loaded.values, options).value();
    const Loaded again = world.must(text);
    EXPECT_TRUE(diff(loaded, again).empty()) << text;
  }
}

TEST(Problems, are_told_with_place_and_fix) {
  Problem p{"octroi.yaml", 3, 7, "a.b", "is wrong", "write it right", Severity::error};
  EXPECT_EQ(to_text(p), "octroi.yaml:3:7: error: a.b: is wrong\n    fix: write it right");
  Problem w{"octroi.yaml", 0, 0, "", "is odd", "", Severity::warning};
  EXPECT_EQ(to_text(Problems{p, w}),
            to_text(p) + "\noctroi.yaml: warning: is odd\n1 error, 1 warning\n");
  Problems list{w, p, {"f", 1, 1, "", "", "", Severity::error}};
  sort_by_place(list);
  EXPECT_EQ(list[0].line, 1);
  EXPECT_EQ(list[2].line, 0);
}

}  // namespace
}  // namespace octroi::config
