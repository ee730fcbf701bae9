#include "octroi/paywall/route.h"

#include <chrono>
#include <random>

#include <gtest/gtest.h>

namespace octroi::paywall {
namespace {

ServiceSettings at(std::string name, std::string host, std::string path) {
  ServiceSettings s;
  s.name = ServiceName(std::move(name));
  s.host = std::move(host);
  s.path = std::move(path);
  s.price.msat = 1000_msat;
  return s;
}

std::string found(const RouteTable& table, std::string_view host, std::string_view path) {
  const Service* s = table.find(host, path);
  return s == nullptr ? "" : s->settings.name.str();
}

TEST(Route, FirstMatchWinsInTheOrderOfTheConfiguration) {
  struct Row {
    const char* name;
    const char* host;
    const char* path;
    const char* service;
  };
  const auto table = *RouteTable::build({
      at("special", "api\\.example", "^/v1/special"),
      at("wide", "", "^/v1/"),
      at("hidden", "api\\.example", "^/v1/special/deeper"),
      at("host", "other\\.example", ""),
      at("pattern", ".*\\.wild\\.example", "/(a|b)/"),
      at("numbers", "", "^/n/[0-9]+$"),
      at("exact", "", "^/only$"),
  });
  const Row rows[] = {
      {"the earlier of two that match", "api.example", "/v1/special", "special"},
      {"a longer prefix later does not win", "api.example", "/v1/special/deeper/x", "special"},
      {"another host falls to the wide one", "x.example", "/v1/special", "wide"},
      {"a host literal is no prefix", "api.example.evil", "/v1/special", "wide"},
      {"host alone", "other.example", "/whatever", "host"},
      {"earlier path before host", "other.example", "/v1/x", "wide"},
      {"host expression", "a.b.wild.example", "/b/c", "pattern"},
      {"host expression, other path", "a.wild.example", "/c/", ""},
      {"host expression needs its end", "a.wild.example.org", "/a/", ""},
      {"digits", "h", "/n/12", "numbers"},
      {"not only digits", "h", "/n/12x", ""},
      {"exact", "h", "/only", "exact"},
      {"exact is no prefix", "h", "/only/more", ""},
      {"nothing", "h", "/none", ""},
      {"the empty path", "h", "", ""},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(found(table, row.host, row.path), row.service) << row.name;
  }
}

TEST(Route, HostsAreLiteralsExpressionsOrAny) {
  const auto table = *RouteTable::build({
      at("literal", "a\\.example", "/"),
      at("v6", "::1", "/"),
      at("upper", "Shop\\.Example", "/"),
      at("any", "", "/any"),
  });
  EXPECT_EQ(found(table, "a.example", "/any"), "literal");
  EXPECT_EQ(found(table, "aXexample", "/any"), "any");
  EXPECT_EQ(found(table, "::1", "/"), "v6");
  EXPECT_EQ(found(table, "", "/any"), "any");
  // Hosts have no case: how the configuration spells one cannot make a service unreachable.
  EXPECT_EQ(found(table, "shop.example", "/any"), "upper");
}

TEST(Route, AgreesWithTryingEveryServiceInOrder) {
  std::mt19937 rng(11);
  const std::vector<std::string> hosts = {"", "", "a\\.x", "b\\.x", ".*\\.x", "(a|c)\\.x"};
  const std::vector<std::string> paths = {"",       "/",      "^/a",      "^/a/b", "/a/.*",
                                          "^/a/b$", "/(a|b)", "^/[ab]/c", "/a?b",  "/\xC3\xA9?"};
  const std::vector<std::string> ask_hosts = {"a.x", "b.x", "c.x", "d.y"};
  const std::vector<std::string> ask_paths = {"/",    "/a",  "/a/b", "/a/b/c",   "/b",
                                              "/b/c", "/ab", "/b?",  "/\xC3\xA9"};
  for (int round = 0; round < 300; ++round) {
    std::vector<ServiceSettings> services;
    for (std::size_t i = 0; i < 1 + rng() % 8; ++i) {
      services.push_back(
          at(fmt::format("s{}", i), hosts[rng() % hosts.size()], paths[rng() % paths.size()]));
    }
    const auto table = *RouteTable::build(services);
    for (const auto& host : ask_hosts) {
      for (const auto& path : ask_paths) {
        std::string expected;
        for (const auto& s : table.services()) {
          if (!s.host.matches(host) || !s.path.matches(path)) continue;
          expected = s.settings.name.str();
          break;
        }
        ASSERT_EQ(found(table, host, path), expected) << host << " " << path;
      }
    }
  }
}

TEST(Route, TenThousandServicesCostWhatTenCost) {
  std::vector<ServiceSettings> services;
  for (int i = 0; i < 10'000; ++i) {
    services.push_back(i % 2 == 0 ? at(fmt::format("s{}", i), fmt::format("h{}\\.example", i), "/")
                                  : at(fmt::format("s{}", i), "", fmt::format("^/p{}/", i)));
  }
  const auto table = *RouteTable::build(services);
  EXPECT_EQ(found(table, "h9998.example", "/x"), "s9998");
  EXPECT_EQ(found(table, "nobody", "/p9999/x"), "s9999");
  EXPECT_EQ(found(table, "h4.example", "/p3/x"), "s3");
  EXPECT_EQ(found(table, "nobody", "/p10000/x"), "");
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 10'000; ++i) ASSERT_NE(table.find("nobody", "/p9999/deep/below"), nullptr);
  // Trying them one by one would take about 50 million comparisons here.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
}

TEST(Route, MethodsAndPriceRules) {
  auto s = at("api", "", "/");
  s.methods = {"GET", "POST"};
  s.prices = {{"^/dear$", {"POST"}, {5000_msat, {}}},
              {"^/dear", {}, {3000_msat, {}}},
              {"", {"POST"}, {2000_msat, {}}}};
  const auto table = *RouteTable::build({s});
  const Service& service = table.services().front();
  EXPECT_TRUE(service.method_allowed("GET"));
  EXPECT_TRUE(service.method_allowed("HEAD"));  // asks what GET would answer
  EXPECT_FALSE(service.method_allowed("PUT"));
  EXPECT_FALSE(service.method_allowed("get"));
  const auto price = [&](const char* method, const char* path) {
    return service.rule_for(method, path).price.msat;
  };
  EXPECT_EQ(price("POST", "/dear"), 5000_msat);
  EXPECT_EQ(price("GET", "/dear"), 3000_msat);
  EXPECT_EQ(price("HEAD", "/dear"), 3000_msat);
  EXPECT_EQ(price("POST", "/dear/x"), 3000_msat);
  EXPECT_EQ(price("POST", "/cheap"), 2000_msat);
  EXPECT_EQ(price("GET", "/cheap"), 1000_msat);
  EXPECT_EQ(service.rule_for("GET", "/cheap").id, "default");

  auto only_get = s;
  only_get.methods = {};
  only_get.prices = {{"", {"GET"}, {7000_msat, {}}}};
  const auto other = *RouteTable::build({only_get});
  EXPECT_TRUE(other.services().front().method_allowed("PURGE"));
  EXPECT_EQ(other.services().front().rule_for("HEAD", "/").price.msat, 7000_msat);
  EXPECT_EQ(other.services().front().rule_for("PURGE", "/").price.msat, 1000_msat);
}

TEST(Route, RuleIdsFollowTheRuleAndNotItsPlace) {
  auto s = at("api", "", "/");
  const PriceRule a{"^/a", {"GET"}, {1_msat, {}}};
  const PriceRule b{"^/b", {}, {2_msat, {}}};
  s.prices = {a, b};
  const auto first = *RouteTable::build({s});
  s.prices = {b, a};
  const auto second = *RouteTable::build({s});
  EXPECT_EQ(first.services()[0].rules[0].id, second.services()[0].rules[1].id);
  EXPECT_EQ(first.services()[0].rules[1].id, second.services()[0].rules[0].id);
  EXPECT_NE(first.services()[0].rules[0].id, first.services()[0].rules[1].id);
}

TEST(Route, AnExpressionThatCannotBeReadNamesItsService) {
  auto s = at("broken", "", "/(");
  const auto table = RouteTable::build({s});
  ASSERT_FALSE(table);
  EXPECT_NE(table.error().message().find("broken"), std::string_view::npos);
  for (auto edit : std::vector<void (*)(ServiceSettings&)>{
           [](ServiceSettings& x) { x.host = "("; },
           [](ServiceSettings& x) { x.free_paths = {"["}; },
           [](ServiceSettings& x) { x.no_invoice_paths = {"["}; },
           [](ServiceSettings& x) { x.rate_limits = {{"*", 1, Millis(1), 0, CountBy::ip}}; },
           [](ServiceSettings& x) { x.prices = {{"(", {}, {}}}; }}) {
    auto other = at("broken", "", "/");
    edit(other);
    EXPECT_FALSE(RouteTable::build({other}));
  }
}

TEST(Route, HostWithoutItsPort) {
  struct Row {
    const char* authority;
    const char* host;
  };
  for (const Row& row :
       {Row{"a.example", "a.example"}, Row{"a.example:8080", "a.example"}, Row{"[::1]", "::1"},
        Row{"[::1]:80", "::1"}, Row{"[::1", "[::1"}, Row{"", ""}, Row{":80", ""}}) {
    EXPECT_EQ(host_without_port(row.authority), row.host) << row.authority;
  }
}

}  // namespace
}  // namespace octroi::paywall
