// A key that stays in the engine wraps ours, and gives it back to nobody else.
#include "octroi/adapters/hashivault/transit.h"

#include <atomic>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octroi/adapters/hashivault/engine_testing.h"
#include "octroi/base/random.h"
#include "octroi/crypto/aead.h"
#include "octroi/json/value.h"

namespace octroi::hashivault {
namespace {

using secrets::Errc;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr const char* kEncrypt = "/v1/team/transit/encrypt/octroi";
constexpr const char* kDecrypt = "/v1/team/transit/decrypt/octroi";

class Transit : public testing::Test {
 protected:
  Transit() {
    engine_.on(kEncrypt, [this](const std::string& body) { return encrypt(body); });
    engine_.on(kDecrypt, [this](const std::string& body) { return decrypt(body); });
    variables_ = {{"VAULT_ADDR", "http://127.0.0.1:" + engine_.port()}, {"VAULT_TOKEN", kToken}};
  }
  static std::string text_of(const std::string& body, std::string_view field) {
    const auto document = json::parse(body);
    return document ? std::string(document->root().string(field).value_or("")) : "";
  }
  Reply encrypt(const std::string& body) {
    const auto plain = from_base64(text_of(body, "plaintext"));
    if (!plain) return {400, R"({"errors":["top-secret"]})"};
    const Bytes sealed = *key_.seal(ByteView(*plain), {}, system_random());
    return {200, fmt::format(R"({{"data":{{"ciphertext":"vault:v1:{}","key_version":1}}}})",
                             to_base64(sealed))};
  }
  Reply decrypt(const std::string& body) {
    const std::string text = text_of(body, "ciphertext");
    const auto sealed = from_base64(text.substr(text.rfind(':') + 1));
    const auto plain = sealed ? key_.open(*sealed, {}) : fail(Errc::empty, "");
    if (!plain) return {400, R"({"errors":["cipher: message authentication failed top-secret"]})"};
    return {200, fmt::format(R"({{"data":{{"plaintext":"{}"}}}})", to_base64(plain->reveal()))};
  }
  TransitKey key(Millis timeout = Millis(5'000), const std::string& name = "team/transit/octroi") {
    return {std::make_shared<Access>(variables_), name, timeout};
  }

  Engine engine_;
  secrets::Variables variables_;
  crypto::AeadKey key_ = *crypto::AeadKey::from_secret(system_random().secret(32));
};

TEST_F(Transit, WrapsAndUnwraps) {
  const Secret data_key = system_random().secret(32);
  const auto wrapped = key().wrap(data_key);
  ASSERT_TRUE(wrapped) << wrapped.error().message();
  EXPECT_THAT(*wrapped, StartsWith("vault:v1:"));
  EXPECT_TRUE(is_wrapped(*wrapped));
  EXPECT_THAT(*wrapped, Not(HasSubstr(to_base64(data_key.reveal()))));
  const auto again = key().unwrap(*wrapped);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_TRUE(again->equals(data_key));
  EXPECT_THAT(engine_.asked(), ElementsAre(kEncrypt, kDecrypt));
}

TEST_F(Transit, AnotherKeyOpensNothing) {
  const auto wrapped = key().wrap(system_random().secret(32));
  ASSERT_TRUE(wrapped);
  key_ = *crypto::AeadKey::from_secret(system_random().secret(32));
  const auto got = key().unwrap(*wrapped);
  ASSERT_FALSE(got);
  EXPECT_TRUE(got.error().is(Errc::unreadable));
  EXPECT_THAT(std::string(got.error().message()), HasSubstr("transit key team/transit/octroi: "));
  EXPECT_THAT(std::string(got.error().message()), Not(HasSubstr("top-secret")));
}

TEST_F(Transit, WhatIsDamagedIsNotSent) {
  for (const char* text :
       {"", "vault", "vault:v1", "vault:v1:", ":v1:AAAA", "vault:1:AAAA", "vault:v:AAAA",
        "vault:vx:AAAA", "vault:v1:A", "vault:v1:AA\"A", "va ult:v1:AAAA", "vault:v1:AAAA:AAAA"}) {
    SCOPED_TRACE(text);
    EXPECT_FALSE(is_wrapped(text));
    EXPECT_FALSE(key().unwrap(text));
  }
  EXPECT_TRUE(is_wrapped("vault:v12:AAAA"));
  EXPECT_FALSE(is_wrapped("vault:v1:" + std::string(5000, 'A')));
  EXPECT_THAT(engine_.asked(), testing::IsEmpty());
}

TEST_F(Transit, StatusesAndStrangeAnswersAreToldWithoutTheBody) {
  const Told rows[] = {
      {{307, "top-secret"}, Errc::unavailable, "points elsewhere"},
      {{400, "top-secret"}, Errc::unreadable, "no such key"},
      {{403, "top-secret"}, Errc::unreadable, "refuses the token"},
      {{404, "top-secret"}, Errc::not_set, "no transit engine at this mount"},
      {{503, "top-secret"}, Errc::unavailable, "sealed"},
      {{200, "top-secret"}, Errc::unreadable, "the answer is no"},
      {{200, "{}"}, Errc::unreadable, "the answer is no"},
      {{200, R"({"data":{"plaintext":5,"ciphertext":5}})"}, Errc::unreadable, "the answer is no"},
      {{200, R"({"data":{"plaintext":"","ciphertext":""}})"}, Errc::unreadable, "answer is no"},
      {{200, R"({"data":{"plaintext":"%%","ciphertext":"top-secret"}})"},
       Errc::unreadable,
       "the answer is no"},
  };
  const auto wrapped = key().wrap(system_random().secret(32));
  ASSERT_TRUE(wrapped);
  for (const Told& row : rows) {
    SCOPED_TRACE(fmt::format("{} {}", row.reply.status, row.reply.body));
    engine_.set(kEncrypt, row.reply);
    engine_.set(kDecrypt, row.reply);
    const auto made = key().wrap(system_random().secret(32));
    const auto opened = key().unwrap(*wrapped);
    ASSERT_FALSE(made);
    ASSERT_FALSE(opened);
    expect_told(made.error(), row);
    expect_told(opened.error(), row);
  }
}

TEST_F(Transit, NobodyThereAndSilence) {
  variables_["VAULT_ADDR"] = "http://127.0.0.1:1";
  const auto got = key().wrap(system_random().secret(32));
  ASSERT_FALSE(got);
  EXPECT_TRUE(got.error().is(Errc::unavailable)) << got.error().message();
  const SilentServer silent;
  variables_["VAULT_ADDR"] = silent.address();
  const auto late = key(Millis(200)).wrap(system_random().secret(32));
  ASSERT_FALSE(late);
  EXPECT_TRUE(late.error().is(Errc::timeout)) << late.error().message();
}

TEST_F(Transit, SharesTheLoginOfAnAppRole) {
  engine_.accept({"hvs.login"});
  engine_.on_login("/v1/auth/approle/login", [](const std::string&) {
    return Reply{200, R"({"auth":{"client_token":"hvs.login","lease_duration":600}})"};
  });
  variables_.erase("VAULT_TOKEN");
  variables_["VAULT_ROLE_ID"] = "role";
  variables_["VAULT_SECRET_ID"] = "secret";
  const TransitKey shared = key();
  const auto wrapped = shared.wrap(system_random().secret(32));
  ASSERT_TRUE(wrapped) << wrapped.error().message();
  EXPECT_TRUE(shared.unwrap(*wrapped));
  EXPECT_THAT(engine_.asked(), ElementsAre("/v1/auth/approle/login", kEncrypt, kDecrypt));
}

}  // namespace
}  // namespace octroi::hashivault
