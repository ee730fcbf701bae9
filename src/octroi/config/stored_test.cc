// Services of the store are what the same text in the file would be: every key of the schema, one
// by one and in random company. A key that is added to the schema is tested here without being
// named.
#include "octroi/config/stored.h"

#include <algorithm>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octroi/config/load.h"
#include "octroi/config/print.h"
#include "octroi/json/canonical.h"
#include "octroi/json/value.h"
#include "octroi/json/writer.h"

namespace octroi::config {
namespace {

using testing::HasSubstr;

constexpr std::string_view kHead =
    "rates: { btc_usd: 65000 usd, as_of: 2026-11-21 }\n"
    "lightning: { backend: sim }\n"
    "paywall:\n"
    "  price_sources: { prices: { url: 'http://127.0.0.1:9' } }\n"
    "  store_references: ['env://UP_', 'file:///up/']\n";

LoadResult load_with(const std::string& services, std::vector<StoredService> stored,
                     const std::map<std::string, std::string>& env = {}) {
  static const ManualClock clock(from_rfc3339("2026-11-21T12:00:00Z").value());
  LoadOptions options;
  options.clock = &clock;
  options.env = env;
  options.stored = std::move(stored);
  options.resolve = [](std::string_view reference) -> Result<Secret> {
    // What store_references names stands for itself.
    if (reference == "env://UP_" || reference == "file:///up/")
      return fail(Errc::unreadable, std::string(reference) + " does not exist");
    return Secret(std::string_view("resolved"));
  };
  return load(std::string(kHead) + services, "octroi.yaml", options);
}
/// The document as a service of the file, and as one of the store.
LoadResult from_file(const std::string& json) {
  return load_with("  services: [ " + json + " ]\n", {});
}
LoadResult stored(const std::string& json) { return load_with("", {{"a", json}}); }

std::string whole(const Loaded& loaded) {
  PrintOptions options;
  options.json = true;
  options.only = "paywall.services[0]";
  return print(*loaded.values, options).value_or("(nothing)");
}
/// What is told, apart from where it stands.
std::multiset<std::string> told(const Problems& problems) {
  std::multiset<std::string> out;
  for (const Problem& p : problems) out.insert(p.path + ": " + p.message + "; " + p.fix);
  return out;
}

void expect_twins(const std::string& json) {
  SCOPED_TRACE(json);
  const auto file = from_file(json);
  const auto store = stored(json);
  ASSERT_EQ(file.has_value(), store.has_value())
      << (file ? to_text(store.error()) : to_text(file.error()));
  if (!file) {
    EXPECT_EQ(told(file.error()), told(store.error()));
    for (const Problem& p : store.error()) EXPECT_EQ(p.file, stored_origin("a")) << p.path;
    return;
  }
  EXPECT_EQ(told(file->warnings), told(store->warnings));
  EXPECT_EQ(whole(*file), whole(*store));
}

/// A value that a key of the service takes, other than its default.
std::string sample(const Field& f, Type type) {
  switch (type) {
    case Type::boolean:
      return f.fallback == "on" ? "off" : "on";
    case Type::choice: {
      for (auto it = f.choices.rbegin(); it != f.choices.rend(); ++it) {
        if (*it != f.fallback) return std::string(*it);
      }
      return std::string(f.choices.front());
    }
    case Type::integer:
      return std::to_string(std::clamp<std::int64_t>(7, f.min, f.max));
    case Type::text:
      if (f.key == "status") return "201-204";
      if (f.key == "methods" || f.key == "allow_headers") return "PUT";
      if (f.key == "strip" || f.key == "prefix") return "/x";
      if (f.key == "origins") return "https://a.example";
      if (f.key == "facts") return "query:days";
      if (f.embedded) return "Grüße ${env://UP_KEY}";
      return f.key == "name" ? "prices" : "Grüße";
    case Type::duration:
      return format_duration(Millis(std::clamp<std::int64_t>(61'000, f.min, f.max)));
    case Type::size:
      return "3KiB";
    case Type::price:
    case Type::bitcoin:
      return "11 sat";
    case Type::usd:
      return "3 usd";
    case Type::cidr:
      return "10.1.0.0/16";
    case Type::endpoint:
      return "127.0.0.1:9";
    case Type::url:
      return "http://127.0.0.1:9001";
    case Type::regex:
      return "^/v\\d+\\.x";
    case Type::secret:
      return "env://UP_SECRET";
    case Type::pem:
      return "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    case Type::path:
      return "/tmp/x";
    case Type::timestamp:
      return "2026-11-01";
    case Type::section:
    case Type::map:
    case Type::list:
      break;
  }
  return "?";
}

Node scalar(std::string text) {
  Node n;
  n.kind = Node::Kind::scalar;
  n.text = std::move(text);
  return n;
}
Node mapping(std::string key, Node value) {
  Node n;
  n.kind = Node::Kind::mapping;
  n.entries.push_back({std::move(key), {}, std::move(value)});
  return n;
}

/// Each key below `field` alone, with what is required beside it.
void keys_below(const Field& field, std::vector<Node>& out) {
  for (const Field& f : field.fields) {
    std::vector<Node> values;
    const bool items = (f.type == Type::list || f.type == Type::map) && f.item == Type::section;
    if (f.type == Type::section || items) {
      keys_below(f, values);
      for (Node& v : values) {
        for (const Field& need : f.fields) {
          if (need.required && v.find(need.key) == nullptr)
            v.entries.push_back({std::string(need.key), {}, scalar(sample(need, need.type))});
        }
        if (!items) continue;
        Node list;
        list.kind = Node::Kind::sequence;
        list.items.push_back(std::move(v));
        v = std::move(list);
      }
    } else if (f.type == Type::list) {
      Node list;
      list.kind = Node::Kind::sequence;
      list.items.push_back(scalar(sample(f, f.item)));
      values.push_back(std::move(list));
    } else if (f.type == Type::map) {
      values.push_back(mapping("X-Given", scalar(sample(f, f.item))));
    } else {
      values.push_back(scalar(sample(f, f.type)));
    }
    for (Node& v : values) out.push_back(mapping(std::string(f.key), std::move(v)));
  }
}

std::vector<Node> all_keys() {
  std::vector<Node> out;
  keys_below(*find_field("paywall.services"), out);
  return out;
}

/// Puts the entries of `from` over those of `into`, section by section.
void lay_over(Node& into, const Node& from) {
  for (const Entry& e : from.entries) {
    Node* there = into.find(e.key);
    if (there == nullptr)
      into.entries.push_back(e);
    else if (there->kind == Node::Kind::mapping && e.value.kind == Node::Kind::mapping)
      lay_over(*there, e.value);
    else
      *there = e.value;
  }
}

Node base() {
  Node n = mapping("upstream", mapping("url", scalar("http://127.0.0.1:9000")));
  n.entries.push_back({"price", {}, scalar("10 sat")});
  Node schemes;
  schemes.kind = Node::Kind::sequence;
  schemes.items = {scalar("l402"), scalar("payment")};
  n.entries.push_back({"schemes", {}, schemes});
  return n;
}
std::string document(Node n) {
  if (Node* name = n.find("name"))
    *name = scalar("a");
  else
    n.entries.push_back({"name", {}, scalar("a")});
  return to_json(n);
}

TEST(Stored, EveryKeyOfAServiceIsWhatItWouldBeInTheFile) {
  int accepted = 0;
  int keys = 0;
  for (const Node& key : all_keys()) {
    Node service = base();
    lay_over(service, key);
    const std::string json = document(service);
    expect_twins(json);
    ++keys;
    if (stored(json)) ++accepted;
  }
  EXPECT_GE(keys, 80) << "the schema was walked";
  EXPECT_GE(accepted, keys * 3 / 4) << "of " << keys << ": the samples are such as people write";
}

TEST(Stored, SoAreTheyInAnyCompany) {
  const auto keys = all_keys();
  std::mt19937 random(7);
  for (int round = 0; round < 300 && !testing::Test::HasFailure(); ++round) {
    Node service = base();
    for (const Node& key : keys) {
      if (random() % 12 == 0) lay_over(service, key);
    }
    expect_twins(document(service));
  }
}

TEST(Stored, ItSurvivesTheFormThatIsStored) {
  for (const Node& key : all_keys()) {
    Node service = base();
    lay_over(service, key);
    const std::string json = document(service);
    const auto canonical = json::canonicalize(json);
    ASSERT_TRUE(canonical);
    EXPECT_EQ(*canonical, json) << "canonical from the start";
    const auto again = service_to_json(json, "f");
    ASSERT_TRUE(again) << to_text(again.error());
    EXPECT_EQ(*again, json);
  }
}

TEST(Stored, NumbersAndBooleansMayBeJsonsOwn) {
  const auto loaded = stored(R"({"name":"a","upstream":"http://127.0.0.1:9","price":"1 sat",
    "lsat":false,"token":{"max_requests":5},"methods":["GET"]})");
  ASSERT_TRUE(loaded) << to_text(loaded.error());
  const auto& s = loaded->config.paywall->services.at(0);
  EXPECT_FALSE(s.lsat);
  EXPECT_EQ(s.token.max_requests, 5);
}

const std::string kPlain = R"({"upstream":"http://127.0.0.1:9","price":"1 sat","match":{"path":)";
StoredService at(const std::string& name, const std::string& path) {
  return {name, kPlain + "\"" + path + "\"}}"};
}

TEST(Stored, TheFilesComeFirstAndTheStoresInTheirOrder) {
  const auto loaded = load_with(
      "  services: [ { name: z, upstream: 'http://127.0.0.1:9', price: 1 sat, match: { "
      "path: ^/z/ } } ]\n",
      {at("m", "^/m/"), at("b", "^/b/")});
  ASSERT_TRUE(loaded) << to_text(loaded.error());
  std::string names;
  for (const auto& s : loaded->config.paywall->services) names += s.name.str() + " ";
  EXPECT_EQ(names, "z m b ");
  EXPECT_TRUE(loaded->shadowed.empty());
}

TEST(Stored, ANameInTheFileWins) {
  const auto loaded =
      load_with("  services: [ { name: m, upstream: 'http://127.0.0.1:9', price: 7 sat } ]\n",
                {at("m", "^/m/")});
  ASSERT_TRUE(loaded) << to_text(loaded.error());
  ASSERT_EQ(loaded->config.paywall->services.size(), 1U);
  EXPECT_EQ(loaded->config.paywall->services[0].price.msat, 7'000_msat);
  EXPECT_EQ(loaded->shadowed, std::vector<std::string>{"m"});
}

TEST(Stored, TheEnvironmentChangesTheFilesOnly) {
  const std::map<std::string, std::string> env{{"OCTROI_PAYWALL__SERVICES__Z__PRICE", "9 sat"}};
  const auto loaded = load_with(
      "  services: [ { name: z, upstream: 'http://127.0.0.1:9', price: 1 sat, match: { path: ^/z } "
      "} ]\n",
      {at("m", "^/m/")}, env);
  ASSERT_TRUE(loaded) << to_text(loaded.error());
  EXPECT_EQ(loaded->config.paywall->services[0].price.msat, 9'000_msat);
  EXPECT_EQ(loaded->config.paywall->services[1].price.msat, 1'000_msat);
}

TEST(Stored, WhatCanNeverBeReachedIsRefused) {
  struct Row {
    const char* name;
    const char* first;   // path of the file's service
    const char* second;  // of the store's
    bool refused;
  };
  const std::vector<Row> rows = {
      {"the same", "^/v1/", "^/v1/", true},
      {"written otherwise", "/v1/", "^/v1/x", true},
      {"everything before", "^/", "^/v1/", true},
      {"nothing written is everything", "", "^/v1/", true},
      {".* is everything", ".*", "^/v1/", true},
      {"below", "^/v1/", "^/v1/dear/", true},
      {"an escaped dot", "^/v1\\\\.0/", "^/v1\\\\.0/x", true},
      {"beside", "^/v1/", "^/v2/", false},
      {"above", "^/v1/dear/", "^/v1/", false},
      {"an expression takes a part", "^/v[12]/", "^/v1/", false},
      {"one of several", "^/v1/|^/v2/", "^/v1/", false},
      {"an end", "^/v1$", "^/v1/x", false},
      {"an optional letter", "^/v1/x", "^/v1/x?", false},
      {"case does not count there", "(?i)^/v1/", "^/v1/", false},
      {"the same expression", "^/v[12]/", "^/v[12]/", true},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const std::string first = R"({"name":"first","upstream":"http://127.0.0.1:9","price":"1 sat")" +
                              std::string(*row.first == '\0' ? "" : R"(,"match":{"path":")") +
                              row.first + (*row.first == '\0' ? "}" : "\"}}");
    const auto loaded = load_with("  services: [ " + first + " ]\n", {at("later", row.second)});
    ASSERT_EQ(!loaded, row.refused) << (loaded ? "" : to_text(loaded.error()));
    if (loaded) continue;
    EXPECT_THAT(to_text(loaded.error()), HasSubstr("service later in the store"));
    EXPECT_THAT(to_text(loaded.error()), HasSubstr("\"first\""));
    // The same among services of the store; in a file it is a warning at most.
    EXPECT_FALSE(load_with("", {{"first", first}, at("later", row.second)}));
  }
}

TEST(Stored, HostsAreToldApart) {
  const auto with_host = [](const std::string& name, const std::string& host) {
    return StoredService{
        name, R"({"upstream":"http://127.0.0.1:9","price":"1 sat","match":{"host":")" + host +
                  R"(","path":"^/"}})"};
  };
  EXPECT_TRUE(load_with("", {with_host("a", "a\\\\.example"), with_host("b", "b\\\\.example")}));
  EXPECT_FALSE(load_with("", {with_host("a", "a\\\\.example"), with_host("b", "a\\\\.example")}));
  EXPECT_FALSE(load_with("", {at("all", "^/"), with_host("b", "a\\\\.example")}));
  EXPECT_TRUE(load_with("", {with_host("b", "a\\\\.example"), at("all", "^/")}));
}

TEST(Stored, ReferencesMustBeAllowed) {
  struct Row {
    const char* value;
    bool allowed;
  };
  const std::vector<Row> rows = {
      {"Bearer ${env://UP_KEY}", true},
      {"env://UP_KEY", true},
      {"file:///up/key", true},
      {"env://OTHER", false},
      {"Bearer ${env://UP_KEY} ${env://OTHER}", false},
      {"file:///etc/shadow", false},
      {"file:///up/../etc/shadow", false},
      {"file:///up/..", false},
      {"cred://anything", false},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.value);
    const auto loaded =
        stored(R"({"upstream":"http://127.0.0.1:9","price":"1 sat","headers":{"X-A":")" +
               std::string(row.value) + "\"}}");
    EXPECT_EQ(loaded.has_value(), row.allowed) << (loaded ? "" : to_text(loaded.error()));
    if (loaded) continue;
    EXPECT_THAT(to_text(loaded.error()), HasSubstr("paywall.store_references"));
    EXPECT_THAT(loaded.error().at(0).path, HasSubstr("headers.X-A"));
  }
  EXPECT_FALSE(stored(R"({"upstream":"http://127.0.0.1:9","price":"env://PRICE"})"));
}

TEST(Stored, ASecretIsNotKeptThere) {
  const auto loaded = stored(
      R"({"upstream":"http://127.0.0.1:9","price":"1 sat","headers":{"Authorization":"Bearer hunter2"}})");
  ASSERT_FALSE(loaded);
  const std::string text = to_text(loaded.error());
  EXPECT_THAT(text, HasSubstr("not kept in the store"));
  EXPECT_THAT(text, testing::Not(HasSubstr("hunter2")));
}

TEST(Stored, WhatIsNoServiceIsTold) {
  for (const char* json :
       {"", "[]", "null", "\"x\"", "{", R"({"a":1,"a":2})", "{\"name\":\"other\"}"}) {
    SCOPED_TRACE(json);
    const auto loaded = stored(json);
    ASSERT_FALSE(loaded);
    for (const Problem& p : loaded.error()) EXPECT_EQ(p.file, stored_origin("a"));
  }
  EXPECT_FALSE(stored("{\"description\":\"" + std::string(kMaxStoredBytes, 'x') + "\"}"));
}

TEST(Stored, WithoutAPaywallTheyAreLeftAlone) {
  LoadOptions options;
  options.stored = {at("m", "^/m/")};
  EXPECT_TRUE(load("admin: {}\nstore: sqlite:///tmp/x.db\n", "f", options));
}

TEST(Stored, KeysAreSetAndTakenAway) {
  struct Row {
    const char* name;
    const char* before;
    std::vector<std::string> set;
    std::vector<std::string> unset;
    const char* after;  // empty: refused
  };
  const std::vector<Row> rows = {
      {"a key", R"({"price":"1 sat"})", {"price=2 sat"}, {}, R"({"price":"2 sat"})"},
      {"a section", "{}", {"match.path=^/x/"}, {}, R"({"match":{"path":"^/x/"}})"},
      {"below what was short",
       R"({"upstream":"http://a"})",
       {"upstream.protocol=h2"},
       {},
       R"({"upstream":{"protocol":"h2","url":"http://a"}})"},
      {"a list", "{}", {"schemes=[l402, payment]"}, {}, R"({"schemes":["l402","payment"]})"},
      {"an equals sign in it", "{}", {"description=a=b"}, {}, R"({"description":"a=b"})"},
      {"taken away",
       R"({"price":"1 sat","session":{"unit":"token"}})",
       {},
       {"session"},
       R"({"price":"1 sat"})"},
      {"below",
       R"({"session":{"unit":"token","per":"3"}})",
       {},
       {"session.per"},
       R"({"session":{"unit":"token"}})"},
      {"first away, then set",
       R"({"prices":[{"price":"1 sat"}]})",
       {"prices=[]"},
       {"prices"},
       R"({"prices":[]})"},
      {"not there", "{}", {}, {"session"}, ""},
      {"no equals sign", "{}", {"price"}, {}, ""},
      {"through a list", R"({"prices":[]})", {"prices.price=1 sat"}, {}, ""},
      {"an empty step", "{}", {"match..path=x"}, {}, ""},
      {"not YAML", "{}", {"schemes=[l402"}, {}, ""},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const auto out = edit_service(row.before, row.set, row.unset);
    ASSERT_EQ(out.has_value(), *row.after != '\0') << (out ? *out : out.error());
    if (out) EXPECT_EQ(*out, row.after);
  }
}

// script/bench loads ten thousand; a build without optimisation takes half a minute for that.
TEST(Stored, ThousandsOfServicesLoad) {
  constexpr int kMany = 1'000;
  std::vector<StoredService> many;
  std::string text = "  services:\n";
  for (int i = 0; i < kMany; ++i) {
    many.push_back(at("s" + std::to_string(i), "^/s" + std::to_string(i) + "/"));
    text += "    - name: s" + std::to_string(i) + "\n      match: { path: ^/s" + std::to_string(i) +
            "/ }\n      upstream: http://127.0.0.1:9\n      price: 1 sat\n";
  }
  EXPECT_LT(text.size() * 10, kMaxConfigBytes / 2) << "ten times as many have room in a file";
  for (const auto& loaded : {load_with("", many), load_with(text, {})}) {
    ASSERT_TRUE(loaded) << loaded.error().size();
    EXPECT_EQ(loaded->config.paywall->services.size(), std::size_t{kMany});
    EXPECT_EQ(loaded->config.paywall->services.back().name.str(), "s999");
  }
}

}  // namespace
}  // namespace octroi::config
