// Against a server that answers as the key-value engine does, on a thread of its own.
#include "octroi/adapters/hashivault/kv_provider.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octroi/adapters/hashivault/engine_testing.h"
#include "octroi/net/run_apart.h"

namespace octroi::hashivault {
namespace {

using secrets::Errc;
using secrets::Fetched;
using secrets::Variables;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kAboutKv = R"({"data":{"path":"kv/","type":"kv","options":{"version":"2"}}})";
constexpr const char* kAboutOld = R"({"data":{"path":"team/old/","type":"kv","options":null}})";
constexpr const char* kData =
    R"({"data":{"data":{"password":"s3cret","tls.key":"dotted","tls":{"cert":"inner"},"n":5,"none":""},
        "metadata":{"version":7}}})";

class Kv : public testing::Test {
 protected:
  Kv() {
    engine_.set("/v1/sys/internal/ui/mounts/kv/app", {200, kAboutKv});
    engine_.set("/v1/kv/data/app", {200, kData});
    variables_["VAULT_ADDR"] = "http://127.0.0.1:" + engine_.port();
    variables_["VAULT_TOKEN"] = kToken;
  }
  Result<Fetched> fetch(const std::string& text, Millis timeout = Millis(30'000)) {
    OCTROI_TRY(const auto reference, secrets::parse_reference(text));
    return KvProvider(std::make_shared<Access>(variables_), timeout).fetch(reference);
  }
  std::string value(const std::string& text) {
    auto fetched = fetch(text);
    if (!fetched) return "error " + std::string(fetched.error().message());
    return std::string(fetched->value.reveal_text());
  }

  Engine engine_;
  Variables variables_;
};

TEST_F(Kv, AFieldOfTheSecondVersion) {
  const auto got = fetch("vault://kv/app#password");
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_TRUE(got->value.equals("s3cret"));
  EXPECT_EQ(got->version, "7");
  EXPECT_EQ(value("vault://kv/app#tls.key"), "dotted");
  EXPECT_EQ(value("vault://kv/app#tls.cert"), "inner");
}

TEST_F(Kv, TheMountAndItsVersionAreAskedFor) {
  engine_.set("/v1/sys/internal/ui/mounts/team/old/a/b%20c", {200, kAboutOld});
  engine_.set("/v1/team/old/a/b%20c", {200, R"({"data":{"password":"first"}})"});
  EXPECT_EQ(value("vault://team/old/a/b c#password"), "first");
  EXPECT_THAT(engine_.asked(),
              ElementsAre("/v1/sys/internal/ui/mounts/team/old/a/b%20c", "/v1/team/old/a/b%20c"));
}

TEST_F(Kv, WhereItCannotBeAskedTheFirstPartIsTheMount) {
  engine_.set("/v1/sys/internal/ui/mounts/kv/app", {403, "{}"});
  EXPECT_EQ(value("vault://kv/app#password"), "s3cret");
  for (const char* body : {"", "[]", "{}", R"({"data":{}})", R"({"data":{"path":"other/"}})",
                           R"({"data":{"path":"kv/app/"}})", R"({"data":{"path":5}})"}) {
    SCOPED_TRACE(body);
    engine_.set("/v1/sys/internal/ui/mounts/kv/app", {200, body});
    EXPECT_EQ(value("vault://kv/app#password"), "s3cret");
  }
}

TEST_F(Kv, OptionsSayWhichVersion) {
  engine_.set("/v1/kv/data/app?version=3", {200, R"({"data":{"data":{"password":"older"}}})"});
  engine_.set("/v1/kv/app", {200, R"({"data":{"password":"plain"}})"});
  EXPECT_EQ(value("vault://kv/app?version=3#password"), "older");
  engine_.asked();
  EXPECT_EQ(value("vault://kv/app?kv=1#password"), "plain");
  EXPECT_EQ(value("vault://kv/app?kv=2&version=3#password"), "older");
  EXPECT_THAT(engine_.asked(), ElementsAre("/v1/kv/app", "/v1/kv/data/app?version=3"));
  for (const char* options : {"version=", "version=latest", "kv=3", "other=1", "kv=1&version=2"}) {
    SCOPED_TRACE(options);
    const auto got = fetch("vault://kv/app?" + std::string(options) + "#password");
    ASSERT_FALSE(got);
    EXPECT_TRUE(got.error().is(Errc::bad_reference));
  }
}

TEST_F(Kv, StatusesAreToldWithoutTheBody) {
  struct Row {
    int status;
    Errc code;
    const char* says;
  };
  const Row rows[] = {
      {301, Errc::unavailable, "points elsewhere"}, {307, Errc::unavailable, "VAULT_ADDR"},
      {400, Errc::unreadable, "status 400"},        {403, Errc::unreadable, "refuses the token"},
      {404, Errc::not_set, "nothing at this path"}, {412, Errc::unavailable, "status 412"},
      {429, Errc::unavailable, "too often"},        {473, Errc::unavailable, "stands by"},
      {500, Errc::unavailable, "status 500"},       {503, Errc::unavailable, "sealed"},
  };
  for (const Row& row : rows) {
    for (const char* target : {"/v1/kv/data/app", "/v1/sys/internal/ui/mounts/kv/app"}) {
      const bool about = std::string(target).find("mounts") != std::string::npos;
      if (about && row.status >= 400 && row.status < 500) continue;  // then it is assumed
      SCOPED_TRACE(fmt::format("{} {}", row.status, target));
      engine_.set("/v1/sys/internal/ui/mounts/kv/app", {200, kAboutKv});
      engine_.set("/v1/kv/data/app", {200, kData});
      engine_.set(target, {row.status, R"({"errors":["top-secret"]})"});
      const auto got = fetch("vault://kv/app#password");
      ASSERT_FALSE(got);
      EXPECT_TRUE(got.error().is(row.code)) << got.error().code();
      EXPECT_THAT(std::string(got.error().message()), HasSubstr(row.says));
      EXPECT_THAT(std::string(got.error().message()), HasSubstr("vault://kv/app#password"));
      EXPECT_THAT(std::string(got.error().message()), Not(HasSubstr("top-secret")));
    }
  }
}

TEST_F(Kv, WhatHasNoSuchTextIsAnError) {
  const std::string bodies[] = {
      "", "no json: top-secret", "[]", R"({"data":null})", R"({"data":{"data":null}})", kData};
  for (const std::string& body : bodies) {
    engine_.set("/v1/kv/data/app", {200, body});
    for (const char* field : {"missing", "n", "tls"}) {
      SCOPED_TRACE(body + " " + field);
      const auto got = fetch("vault://kv/app#" + std::string(field));
      ASSERT_FALSE(got);
      EXPECT_TRUE(got.error().is(Errc::no_field));
      EXPECT_THAT(std::string(got.error().message()), Not(HasSubstr("top-secret")));
    }
  }
  EXPECT_TRUE(fetch("vault://kv/app#none").error().is(Errc::empty));
}

TEST_F(Kv, TheEnvironmentIsCheckedByName) {
  struct Row {
    Variables set;
    std::vector<std::string> unset;
    Errc code;
    const char* says;
  };
  const Row rows[] = {
      {{}, {"VAULT_ADDR"}, Errc::not_set, "VAULT_ADDR is not set"},
      {{{"VAULT_ADDR", "vault:8200"}}, {}, Errc::bad_reference, "VAULT_ADDR is no http"},
      {{{"VAULT_ADDR", "http://vault.example"}}, {}, Errc::bad_reference, "loopback"},
      {{{"VAULT_ADDR", "https://v.example/?a=b"}}, {}, Errc::bad_reference, "has a query"},
      {{}, {"VAULT_TOKEN"}, Errc::not_set, "neither VAULT_TOKEN nor VAULT_TOKEN_FILE"},
      {{{"VAULT_TOKEN", "two words"}}, {}, Errc::unreadable, "blanks"},
      {{{"VAULT_TOKEN", "hvs.wrong"}}, {}, Errc::unreadable, "refuses the token"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.says);
    const Variables before = variables_;
    for (const auto& [name, text] : row.set) variables_[name] = text;
    for (const auto& name : row.unset) variables_.erase(name);
    const auto got = fetch("vault://kv/app#password");
    variables_ = before;
    ASSERT_FALSE(got);
    EXPECT_TRUE(got.error().is(row.code)) << got.error().code();
    EXPECT_THAT(std::string(got.error().message()), HasSubstr(row.says));
    EXPECT_THAT(std::string(got.error().message()), Not(HasSubstr("hvs.")));
  }
}

TEST_F(Kv, ATokenFileIsReadAnewAndANamespaceIsSent) {
  std::string name = (std::filesystem::temp_directory_path() / "octroi-kv-XXXXXX").string();
  const std::string folder = ::mkdtemp(name.data());
  variables_.erase("VAULT_TOKEN");
  variables_["VAULT_TOKEN_FILE"] = folder + "/token";
  EXPECT_THAT(value("vault://kv/app#password"), HasSubstr("VAULT_TOKEN_FILE"));
  std::ofstream(folder + "/token") << "hvs.old\n";
  EXPECT_THAT(value("vault://kv/app#password"), HasSubstr("refuses the token"));
  std::ofstream(folder + "/token") << kToken << "\r\n";
  variables_["VAULT_NAMESPACE"] = "team";
  engine_.asked();
  EXPECT_EQ(value("vault://kv/app#password"), "s3cret");
  EXPECT_THAT(engine_.asked(), testing::Each(HasSubstr("in a namespace")));
  std::filesystem::remove_all(folder);
}

TEST_F(Kv, OpenBaosNamesWinAndAPrefixOfPathsIsKept) {
  engine_.set("/behind/v1/sys/internal/ui/mounts/kv/app", {200, kAboutKv});
  engine_.set("/behind/v1/kv/data/app", {200, R"({"data":{"data":{"password":"bao"}}})"});
  variables_["BAO_ADDR"] = variables_["VAULT_ADDR"] + "/behind/";
  variables_["VAULT_ADDR"] = "http://127.0.0.1:1";
  EXPECT_EQ(value("vault://kv/app#password"), "bao");
}

TEST_F(Kv, ASilentServerAndNoneAtAll) {
  variables_["VAULT_ADDR"] = "http://127.0.0.1:1";
  EXPECT_TRUE(fetch("vault://kv/app#password").error().is(Errc::unavailable));
  const SilentServer silent;
  variables_["VAULT_ADDR"] = silent.address();
  const auto got = fetch("vault://kv/app#password", Millis(200));
  ASSERT_FALSE(got);
  EXPECT_TRUE(got.error().is(Errc::timeout)) << got.error().message();
}

TEST_F(Kv, OnlyTheAuthorityThatIsNamedIsBelieved) {
  std::string name = (std::filesystem::temp_directory_path() / "octroi-kv-XXXXXX").string();
  const std::string folder = ::mkdtemp(name.data());
  const net::Identity ca = std::move(*net::make_identity({"ca", "", 30, true, nullptr}));
  const net::Identity other = std::move(*net::make_identity({"ca", "", 30, true, nullptr}));
  const auto leaf = std::move(*net::make_identity({"x", "DNS:vault.test", 30, false, &ca}));
  Engine engine(*net::make_tls_server(leaf.certificate, leaf.key, {"http/1.1"}));
  engine.set("/v1/sys/internal/ui/mounts/kv/app", {200, kAboutKv});
  engine.set("/v1/kv/data/app", {200, kData});
  std::ofstream(folder + "/ca.pem") << ca.certificate;
  std::ofstream(folder + "/other.pem") << other.certificate;
  variables_["VAULT_ADDR"] = "https://127.0.0.1:" + engine.port();
  variables_["VAULT_TLS_SERVER_NAME"] = "vault.test";
  EXPECT_TRUE(fetch("vault://kv/app#password").error().is(Errc::unavailable));
  variables_["VAULT_CACERT"] = folder + "/other.pem";
  EXPECT_TRUE(fetch("vault://kv/app#password").error().is(Errc::unavailable));
  EXPECT_TRUE(engine.asked().empty());
  variables_["VAULT_CACERT"] = folder + "/ca.pem";
  EXPECT_EQ(value("vault://kv/app#password"), "s3cret");
  variables_["VAULT_CACERT"] = folder + "/none.pem";
  EXPECT_THAT(value("vault://kv/app#password"), HasSubstr("VAULT_CACERT"));
  std::filesystem::remove_all(folder);
}

TEST_F(Kv, MayBeCalledFromInsideAnotherLoop) {
  net::Loop outer;
  std::string got;
  outer.post([&] {
    got = value("vault://kv/app#password");
    EXPECT_EQ(net::Loop::current(), &outer);
    outer.stop();
  });
  outer.run();
  EXPECT_EQ(got, "s3cret");
}

}  // namespace
}  // namespace octroi::hashivault
