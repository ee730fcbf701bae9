#include "octroi/vault/request.h"

#include <gtest/gtest.h>

#include "octroi/base/random.h"

namespace octroi::vault {
namespace {

TEST(HostOf, IsWhatIsCompared) {
  for (const auto& [authority, host] : std::initializer_list<std::pair<std::string, std::string>>{
           {"api.stripe.com", "api.stripe.com"},
           {"API.Stripe.com:443", "api.stripe.com"},
           {"api.stripe.com.", "api.stripe.com"},
           {"api.stripe.com.:443", "api.stripe.com"},
           {"[::1]:443", "::1"},
           {"[::1]", "::1"},
           {"127.0.0.1:8403", "127.0.0.1"},
           {"", ""},
       }) {
    EXPECT_EQ(host_of(authority), host) << authority;
  }
}

class ProxyKeyTest : public ::testing::Test {
 protected:
  SeededRandom random_{3};
  IssuedKey issued_ = issue_key(false, random_);

  std::string key(KeyShape shape = KeyShape::vault) {
    const Secret text = issued_.text(shape);
    return std::string(text.reveal_text());
  }
  static std::string basic(const std::string& text) { return "Basic " + to_base64(as_bytes(text)); }
  static http::Headers with(const std::string& value) {
    http::Headers headers;
    headers.add("Proxy-Authorization", value);
    return headers;
  }
};

TEST_F(ProxyKeyTest, SaysKeyAndRun) {
  const std::string k = key();
  struct Row {
    std::string name, value, run;
  };
  for (const Row& row : std::initializer_list<Row>{{"bearer", "Bearer " + k, ""},
                                                   {"as a user", basic(k + ":"), ""},
                                                   {"as a user, x", basic(k + ":x"), ""},
                                                   {"without a run", basic("octroi:" + k), ""},
                                                   {"no user", basic(":" + k), ""},
                                                   {"a run", basic("run-7:" + k), "run-7"},
                                                   {"a pair", basic(key(KeyShape::pair)), ""}}) {
    http::Headers headers = with(row.value);
    auto got = take_proxy_key(headers);
    ASSERT_TRUE(got && *got) << row.name;
    EXPECT_TRUE((*got)->shown.read()) << row.name;
    EXPECT_EQ((*got)->run, row.run) << row.name;
    EXPECT_FALSE(headers.has("proxy-authorization")) << row.name;
  }
}

TEST_F(ProxyKeyTest, NothingIsNothingAndNonsenseIsRefused) {
  http::Headers none;
  auto got = take_proxy_key(none);
  ASSERT_TRUE(got);
  EXPECT_FALSE(*got);
  for (const char* value : {"", "Digest x", "Basic !!", "Negotiate abc"}) {
    http::Headers headers = with(value);
    EXPECT_FALSE(take_proxy_key(headers)) << value;
  }
  http::Headers twice = with("Bearer " + key());
  twice.add("Proxy-Authorization", "Bearer " + key());
  EXPECT_FALSE(take_proxy_key(twice));
  http::Headers other = with(basic("user:password"));
  got = take_proxy_key(other);
  ASSERT_TRUE(got && *got);
  EXPECT_FALSE((*got)->shown.read());
}

TEST(RunOf, TheHeaderComesBeforeTheProxys) {
  http::Headers headers;
  EXPECT_EQ(run_of(headers, "").value_or("?"), "");
  EXPECT_EQ(run_of(headers, "from-proxy").value_or("?"), "from-proxy");
  headers.add("X-Agent-Run-Id", "mine");
  EXPECT_EQ(run_of(headers, "from-proxy").value_or("?"), "mine");
  EXPECT_FALSE(run_of({}, "two words"));
}

}  // namespace
}  // namespace octroi::vault
