// Who we are to the server: a token, or an AppRole that logs in, once for a while, and once more
// when what it was given is refused.
#include "octroi/adapters/hashivault/access.h"

#include <atomic>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octroi/adapters/hashivault/engine_testing.h"
#include "octroi/adapters/hashivault/kv_provider.h"
#include "octroi/json/value.h"
#include "octroi/secrets/errc.h"

namespace octroi::hashivault {
namespace {

using secrets::Errc;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kRole = "role-of-octroi";
constexpr const char* kSecretId = "the-secret-id";
constexpr const char* kLogin = "/v1/auth/approle/login";
constexpr const char* kApp = "/v1/kv/data/app";

class AppRoleTest : public testing::Test {
 protected:
  AppRoleTest() {
    engine_.set(kApp, {200, R"({"data":{"data":{"key":"s3cret"}}})"});
    login_at(kLogin);
    variables_ = {{"VAULT_ADDR", "http://127.0.0.1:" + engine_.port()},
                  {"VAULT_ROLE_ID", kRole},
                  {"VAULT_SECRET_ID", kSecretId}};
  }
  /// Each login gives another token.
  void login_at(const std::string& target) {
    engine_.accept({"hvs.login-1", "hvs.login-2"});
    engine_.on_login(target, [this](const std::string& body) { return login(body); });
  }
  Reply login(const std::string& body) {
    const auto document = json::parse(body);
    const bool right = document && document->root().string("role_id").value_or("") == kRole &&
                       document->root().string("secret_id").value_or("") == kSecretId;
    if (!right) return {400, R"({"errors":["invalid role or secret ID: top-secret"]})"};
    return {200, fmt::format(R"({{"auth":{{"client_token":"hvs.login-{}","lease_duration":{}}}}})",
                             ++logins_, lease_.load())};
  }
  /// By the access that there is, or a new one.
  Result<secrets::Fetched> fetch() {
    if (access_ == nullptr) {
      access_ = std::make_shared<Access>(
          variables_, [this](std::string_view text) { return other_source(text); }, clock_);
    }
    return KvProvider(access_).fetch(*secrets::parse_reference("vault://kv/app?kv=2#key"));
  }
  std::string value() {
    const auto got = fetch();
    return std::string(got ? got->value.reveal_text() : got.error().message());
  }
  Result<Secret> other_source(std::string_view reference) {
    if (reference == "env://SEALED_ID") return Secret(std::string_view(kSecretId));
    if (reference == "file:///blank") return Secret(std::string_view("two words"));
    return fail(Errc::not_set, "there is no such thing");
  }

  Engine engine_;
  secrets::Variables variables_;
  ManualClock clock_{UnixMillis{1'700'000'000'000}};
  std::shared_ptr<Access> access_;
  std::atomic<int> logins_ = 0;
  std::atomic<int> lease_ = 3600;
};

TEST_F(AppRoleTest, OneLoginServesTheSecretsOfOneLoading) {
  EXPECT_EQ(value(), "s3cret");
  EXPECT_EQ(value(), "s3cret");
  EXPECT_THAT(engine_.asked(), ElementsAre(kLogin, kApp, kApp));
  // Another one that begins later has a login of its own.
  clock_.advance(Millis(60'000));
  EXPECT_EQ(value(), "s3cret");
  EXPECT_THAT(engine_.asked(), ElementsAre(kLogin, kApp));
}

TEST_F(AppRoleTest, ATokenIsNotUsedToTheEndOfItsLease) {
  for (const int lease : {1, 5}) {
    SCOPED_TRACE(lease);
    access_.reset();
    logins_ = 0;
    lease_ = lease;
    EXPECT_EQ(value(), "s3cret");
    EXPECT_EQ(value(), "s3cret");
    EXPECT_THAT(engine_.asked(), ElementsAre(kLogin, kApp, kLogin, kApp));
  }
  access_.reset();
  logins_ = 0;
  lease_ = 20;
  EXPECT_EQ(value(), "s3cret");
  clock_.advance(Millis(14'999));
  EXPECT_EQ(value(), "s3cret");
  EXPECT_EQ(logins_, 1);
  clock_.advance(Millis(1));
  EXPECT_EQ(value(), "s3cret");
  EXPECT_EQ(logins_, 2);
}

TEST_F(AppRoleTest, AClockThatWasSetBackKeepsNoToken) {
  EXPECT_EQ(value(), "s3cret");
  clock_.set(UnixMillis{clock_.now().value - 1});
  EXPECT_EQ(value(), "s3cret");
  EXPECT_EQ(logins_, 2);
}

TEST_F(AppRoleTest, ALeaseOfZeroDoesNotEnd) {
  lease_ = 0;
  EXPECT_EQ(value(), "s3cret");
  EXPECT_EQ(value(), "s3cret");
  EXPECT_EQ(logins_, 1);
}

TEST_F(AppRoleTest, ARefusedTokenOfAnEarlierLoginIsOneNewLogin) {
  EXPECT_EQ(value(), "s3cret");
  engine_.accept({"hvs.login-2"});
  engine_.asked();
  EXPECT_EQ(value(), "s3cret");
  EXPECT_THAT(engine_.asked(), ElementsAre(kApp, kLogin, kApp));
  // The new one was just given: a refusal is one of its policy, and no login helps.
  engine_.accept({});
  EXPECT_THAT(value(), HasSubstr("refuses the token"));
  EXPECT_THAT(engine_.asked(), ElementsAre(kApp, kLogin, kApp));
}

TEST_F(AppRoleTest, AFreshTokenThatIsRefusedIsNoReasonForAnotherLogin) {
  engine_.accept({});
  EXPECT_THAT(value(), HasSubstr("its policy does not let it read this path"));
  EXPECT_THAT(engine_.asked(), ElementsAre(kLogin, kApp));
}

TEST_F(AppRoleTest, ATokenThatIsNamedWins) {
  variables_["VAULT_TOKEN"] = kToken;
  engine_.accept({kToken});
  EXPECT_EQ(value(), "s3cret");
  EXPECT_THAT(engine_.asked(), ElementsAre(kApp));
  engine_.accept({});
  EXPECT_THAT(value(), HasSubstr("refuses the token"));
  EXPECT_EQ(logins_, 0);
}

TEST_F(AppRoleTest, HalvesMayBeReferencesAndTheMountAnotherOne) {
  variables_["VAULT_SECRET_ID"] = "env://SEALED_ID";
  variables_["VAULT_APPROLE_MOUNT"] = "team/app role";
  login_at("/v1/auth/team/app%20role/login");
  EXPECT_EQ(value(), "s3cret");
  EXPECT_THAT(engine_.asked(), ElementsAre("/v1/auth/team/app%20role/login", kApp));
}

TEST_F(AppRoleTest, OpenBaosNamesWinAndANamespaceIsSentWithTheLogin) {
  variables_["BAO_SECRET_ID"] = kSecretId;
  variables_["VAULT_SECRET_ID"] = "of another one";
  variables_["VAULT_NAMESPACE"] = "team";
  EXPECT_EQ(value(), "s3cret");
  EXPECT_THAT(engine_.asked(), testing::Each(HasSubstr("in a namespace")));
}

TEST_F(AppRoleTest, WhatIsWrongIsNamedAndNeverShown) {
  struct Row {
    secrets::Variables set;
    std::vector<std::string> unset;
    Errc code;
    const char* says;
  };
  const Row rows[] = {
      {{}, {"VAULT_SECRET_ID"}, Errc::not_set, "VAULT_SECRET_ID is not set"},
      {{}, {"VAULT_ROLE_ID"}, Errc::not_set, "VAULT_ROLE_ID is not set"},
      {{}, {"VAULT_ROLE_ID", "VAULT_SECRET_ID"}, Errc::not_set, "nor VAULT_ROLE_ID"},
      {{{"VAULT_SECRET_ID", "wrong-secret"}}, {}, Errc::unreadable, "VAULT_SECRET_ID is wrong"},
      {{{"VAULT_ROLE_ID", "wrong-role"}}, {}, Errc::unreadable, "(status 400)"},
      {{{"VAULT_SECRET_ID", "two words"}}, {}, Errc::unreadable, "VAULT_SECRET_ID is empty, or"},
      {{{"VAULT_SECRET_ID", "file:///blank"}}, {}, Errc::unreadable, "has blanks in it"},
      {{{"VAULT_SECRET_ID", "env://MISSING"}}, {}, Errc::not_set, "VAULT_SECRET_ID: there is no"},
      {{{"VAULT_SECRET_ID", "vault://kv/a#b"}}, {}, Errc::bad_reference, "that it logs in to"},
      {{{"VAULT_APPROLE_MOUNT", "/approle"}}, {}, Errc::bad_reference, "VAULT_APPROLE_MOUNT"},
      {{{"VAULT_APPROLE_MOUNT", "a/../b"}}, {}, Errc::bad_reference, "VAULT_APPROLE_MOUNT"},
      {{{"VAULT_APPROLE_MOUNT", "other"}}, {}, Errc::unreadable, "VAULT_APPROLE_MOUNT"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.says);
    const secrets::Variables before = variables_;
    for (const auto& [name, text] : row.set) variables_[name] = text;
    for (const auto& name : row.unset) variables_.erase(name);
    access_.reset();
    const auto got = fetch();
    variables_ = before;
    ASSERT_FALSE(got);
    EXPECT_TRUE(got.error().is(row.code)) << got.error().code();
    const std::string message(got.error().message());
    EXPECT_THAT(message, HasSubstr(row.says));
    for (const char* secret : {kRole, kSecretId, "wrong-", "two words", "top-secret"})
      EXPECT_THAT(message, Not(HasSubstr(secret)));
  }
}

TEST_F(AppRoleTest, StatusesOfTheLoginAreToldWithoutItsBody) {
  const Told rows[] = {
      {{403, "top-secret"}, Errc::unreadable, "refuses the login at auth/approle"},
      {{404, "top-secret"}, Errc::not_set, "there is no AppRole at auth/approle"},
      {{307, "top-secret"}, Errc::unavailable, "points elsewhere"},
      {{429, "top-secret"}, Errc::unavailable, "too often"},
      {{503, "top-secret"}, Errc::unavailable, "sealed"},
      {{200, "top-secret"}, Errc::unreadable, "gives no token"},
      {{200, "{}"}, Errc::unreadable, "gives no token"},
      {{200, R"({"auth":{"client_token":"","mfa_requirement":{}}})"}, Errc::unreadable, "no token"},
      {{200, R"({"auth":{"client_token":"two words"}})"}, Errc::unreadable, "no token"},
      {{200, R"({"auth":{"client_token":"x","lease_duration":-1}})"}, Errc::unreadable, "no token"},
      {{200, R"({"auth":{"client_token":"x","lease_duration":"1"}})"},
       Errc::unreadable,
       "no token"},
  };
  for (const Told& row : rows) {
    SCOPED_TRACE(fmt::format("{} {}", row.reply.status, row.reply.body));
    engine_.on_login(kLogin, [reply = row.reply](const std::string&) { return reply; });
    access_.reset();
    const auto got = fetch();
    ASSERT_FALSE(got);
    expect_told(got.error(), row);
    EXPECT_THAT(engine_.asked(), ElementsAre(kLogin));
  }
}

TEST_F(AppRoleTest, AnAccessWithoutOtherSourcesTakesTextsOnly) {
  variables_["VAULT_SECRET_ID"] = "env://SEALED_ID";
  access_ = std::make_shared<Access>(variables_);
  EXPECT_THAT(value(), HasSubstr("VAULT_SECRET_ID is a reference"));
}

}  // namespace
}  // namespace octroi::hashivault
