// What is sealed under a KMS: each text brings its wrapped data key along, the service is asked
// once for each, and nothing opens without it.
#include "octroi/app/vault_seal.h"

#include <filesystem>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octroi/base/bytes.h"
#include "octroi/base/random.h"

namespace octroi::app {
namespace {

using secrets::Errc;
using testing::HasSubstr;
using testing::StartsWith;

/// Wraps as the transit engine does, in versions. What it gave is remembered, not encrypted.
class FakeService final : public secrets::KeyService {
 public:
  explicit FakeService(std::string name) : name_(std::move(name)) {}
  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] Result<std::string> wrap(const Secret& key) const override {
    ++wraps;
    if (down) return fail(Errc::unavailable, "nobody answers");
    std::string wrapped = fmt::format("vault:v{}:{}", version,
                                      to_base64(as_bytes(fmt::format("key-{}-{}", name_, wraps))));
    kept_.emplace(wrapped, key.clone());
    return wrapped;
  }
  [[nodiscard]] Result<Secret> unwrap(const std::string& wrapped) const override {
    ++unwraps;
    if (down) return fail(Errc::unavailable, "nobody answers");
    const auto it = kept_.find(wrapped);
    if (it == kept_.end()) return fail(Errc::unreadable, "of another key");
    return answer ? Secret(std::string_view(*answer)) : it->second.clone();
  }

  mutable int wraps = 0;
  mutable int unwraps = 0;
  bool down = false;
  int version = 1;
  std::optional<std::string> answer;

 private:
  std::string name_;
  mutable std::map<std::string, Secret> kept_;
};

/// What the process remembers goes by the service's name: each test has services of its own.
std::string fresh_name() { return "transit/" + to_hex(system_random().bytes<8>()); }

CredentialSeal seal_of(const std::shared_ptr<FakeService>& service) {
  return *CredentialSeal::of_service(service);
}

/// The same service under a name that this process has not asked yet: a restart.
struct Restarted final : public secrets::KeyService {
  explicit Restarted(std::shared_ptr<FakeService> behind)
      : behind_(std::move(behind)), name_(fresh_name()) {}
  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] Result<std::string> wrap(const Secret& key) const override {
    return behind_->wrap(key);
  }
  [[nodiscard]] Result<Secret> unwrap(const std::string& wrapped) const override {
    return behind_->unwrap(wrapped);
  }

 private:
  std::shared_ptr<FakeService> behind_;
  std::string name_;
};

TEST(FileSeal, TheFirstCommandOfAMachineMakesTheFolderOfItsKey) {
  const auto above = std::filesystem::path(testing::TempDir()) / fresh_name().substr(8);
  std::filesystem::create_directory(above);
  vault::VaultSettings settings;
  settings.key_file = (above / "octroi" / "vault.key").string();
  const auto sealed =
      CredentialSeal::open(settings)->seal(Secret(std::string_view("sk")), "stripe");
  ASSERT_TRUE(sealed.has_value());
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(above / "octroi").permissions(), perms::owner_all);
  EXPECT_EQ(CredentialSeal::open(settings)->unseal(*sealed, "stripe")->reveal_text(), "sk");
  settings.key_file = (above / "not" / "there" / "vault.key").string();
  EXPECT_FALSE(CredentialSeal::open(settings).has_value());
  std::filesystem::remove_all(above);
}

TEST(TransitSeal, OneDataKeySealsAllOfAProcess) {
  const auto service = std::make_shared<FakeService>(fresh_name());
  const Secret real(std::string_view("sk_live_real"));
  const auto first = seal_of(service).seal(real, "stripe");
  const auto second = seal_of(service).seal(real, "twilio");
  ASSERT_TRUE(first && second);
  EXPECT_THAT(*first, StartsWith("transit:vault:v1:"));
  EXPECT_NE(*first, *second);
  EXPECT_EQ(service->wraps, 1);
  EXPECT_TRUE(seal_of(service).unseal(*first, "stripe")->equals(real));
  EXPECT_FALSE(seal_of(service).unseal(*first, "twilio")) << "sealed for another vendor";
  EXPECT_EQ(service->unwraps, 0) << "it is known";
}

TEST(TransitSeal, AfterARestartEachDataKeyIsAskedForOnce) {
  const auto service = std::make_shared<FakeService>(fresh_name());
  const Secret real(std::string_view("sk_live_real"));
  const auto sealed = seal_of(service).seal(real, "stripe");
  ASSERT_TRUE(sealed);
  const auto seal = *CredentialSeal::of_service(std::make_shared<Restarted>(service));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(seal.unseal(*sealed, "stripe")->equals(real));
  EXPECT_EQ(service->unwraps, 1);
  EXPECT_EQ(service->wraps, 1) << "opening wraps nothing";
}

TEST(TransitSeal, WithoutTheServiceNothingOpensAndNothingIsSealed) {
  const auto service = std::make_shared<FakeService>(fresh_name());
  const Secret real(std::string_view("sk_live_real"));
  const auto sealed = seal_of(service).seal(real, "stripe");
  ASSERT_TRUE(sealed);
  service->down = true;
  const auto seal = *CredentialSeal::of_service(std::make_shared<Restarted>(service));
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(seal.unseal(*sealed, "stripe").error().is(Errc::unavailable));
  EXPECT_EQ(service->unwraps, 1) << "who tries again at once does not wait for it again";
  EXPECT_TRUE(seal.seal(real, "stripe").error().is(Errc::unavailable));
  EXPECT_FALSE(seal.keeps(*sealed, "stripe"));
}

TEST(TransitSeal, ARefusalIsNotRemembered) {
  const auto service = std::make_shared<FakeService>(fresh_name());
  const auto other = std::make_shared<FakeService>(fresh_name());
  const auto sealed = seal_of(service).seal(Secret(std::string_view("real")), "stripe");
  ASSERT_TRUE(sealed);
  for (int i = 0; i < 2; ++i)
    EXPECT_TRUE(seal_of(other).unseal(*sealed, "stripe").error().is(Errc::unreadable));
  EXPECT_EQ(other->unwraps, 2);
}

TEST(TransitSeal, WhatIsUnwrappedMustBeAKey) {
  const auto service = std::make_shared<FakeService>(fresh_name());
  const auto sealed = seal_of(service).seal(Secret(std::string_view("real")), "stripe");
  ASSERT_TRUE(sealed);
  for (const char* answer : {"short", "another one of just thirty two b"}) {
    SCOPED_TRACE(answer);
    service->answer = answer;
    const auto seal = *CredentialSeal::of_service(std::make_shared<Restarted>(service));
    EXPECT_TRUE(seal.unseal(*sealed, "stripe").error().is(VaultKeyErrc::bad_key_file));
  }
}

TEST(TransitSeal, DamagedTextsOpenNothing) {
  const auto service = std::make_shared<FakeService>(fresh_name());
  const auto sealed = seal_of(service).seal(Secret(std::string_view("real")), "stripe");
  ASSERT_TRUE(sealed);
  for (const std::string& text :
       {std::string("transit:"), std::string("transit::"), std::string("transit:vault"),
        "transit:" + sealed->substr(sealed->rfind(':')), sealed->substr(0, sealed->rfind(':')),
        sealed->substr(0, sealed->size() - 4), *sealed + "AAAA"}) {
    SCOPED_TRACE(text);
    EXPECT_FALSE(seal_of(service).unseal(text, "stripe"));
    EXPECT_FALSE(seal_of(service).keeps(text, "stripe"));
  }
}

TEST(TransitSeal, WhatAnotherKindSealedIsNamed) {
  const auto service = std::make_shared<FakeService>(fresh_name());
  const Secret real(std::string_view("real"));
  const auto by_key = *CredentialSeal::of_key(
      Secret(std::string_view("a text that is long enough to be a key of sealing")));
  const auto wrapped = seal_of(service).seal(real, "stripe");
  const auto keyed = by_key.seal(real, "stripe");
  ASSERT_TRUE(wrapped && keyed);
  EXPECT_THAT(std::string(by_key.unseal(*wrapped, "stripe").error().message()),
              HasSubstr("write vault.key_transit"));
  EXPECT_THAT(std::string(seal_of(service).unseal(*keyed, "stripe").error().message()),
              HasSubstr("write vault.key_file or vault.key"));
  EXPECT_TRUE(by_key.keeps(*keyed, "stripe"));
  EXPECT_FALSE(by_key.keeps(*wrapped, "stripe"));
}

TEST(TransitSeal, KeepsWhatTheNewestVersionWrapped) {
  const auto service = std::make_shared<FakeService>(fresh_name());
  const Secret real(std::string_view("real"));
  const auto sealed = seal_of(service).seal(real, "stripe");
  ASSERT_TRUE(sealed);
  EXPECT_TRUE(seal_of(service).keeps(*sealed, "stripe"));
  service->version = 2;
  const auto next = *CredentialSeal::of_service(std::make_shared<Restarted>(service));
  EXPECT_FALSE(next.keeps(*sealed, "stripe"));
  const auto again = next.seal(real, "stripe");
  ASSERT_TRUE(again);
  EXPECT_THAT(*again, StartsWith("transit:vault:v2:"));
  EXPECT_TRUE(next.keeps(*again, "stripe"));
}

TEST(TransitSeal, SettingsWithoutAServiceOpenNothing) {
  vault::VaultSettings settings;
  settings.key_transit = "transit/octroi";
  EXPECT_TRUE(has_seal(settings));
  const auto seal = CredentialSeal::open(settings);
  ASSERT_FALSE(seal);
  EXPECT_THAT(std::string(seal.error().message()), HasSubstr("vault.key_transit"));
}

}  // namespace
}  // namespace octroi::app
