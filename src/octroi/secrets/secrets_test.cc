#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "octroi/base/log.h"
#include "octroi/secrets/conformance.h"
#include "octroi/secrets/key_ring.h"
#include "octroi/secrets/provider.h"
#include "octroi/secrets/reference.h"
#include "octroi/secrets/resolver.h"

namespace octroi::secrets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;
using namespace std::string_view_literals;

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "octroi-secrets-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string write(std::string_view name, std::string_view content, unsigned mode = 0600) const {
    const std::string path = at(name);
    std::ofstream(path, std::ios::binary) << content;
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }
  [[nodiscard]] std::string at(std::string_view name) const {
    return path_ + "/" + std::string(name);
  }

 private:
  std::string path_;
};

std::string content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// --- references
// --------------------------------------------------------------------------------------

TEST(References, EveryFormIsRead) {
  struct Row {
    const char* text;
    Scheme scheme;
    std::string locator;
    std::vector<std::string> parts;
    std::string field;
  };
  const std::vector<Row> rows = {
      {"env://MPP_SECRET_KEY", Scheme::env, "MPP_SECRET_KEY", {}, ""},
      {"file:///etc/a b.key", Scheme::file, "/etc/a b.key", {}, ""},
      {"file:///run/x.json#a.b", Scheme::file, "/run/x.json", {}, "a.b"},
      {"file:///run/x?y", Scheme::file, "/run/x?y", {}, ""},
      {"cred://mpp-key", Scheme::cred, "mpp-key", {"mpp-key"}, ""},
      {"keychain://octroi/stripe", Scheme::keychain, "octroi/stripe", {"octroi", "stripe"}, ""},
      {"vault://kv/app/db#password", Scheme::vault, "kv/app/db", {"kv", "app", "db"}, "password"},
      {"awssm://prod/db#user", Scheme::awssm, "prod/db", {"prod", "db"}, "user"},
      {"awssm://prod", Scheme::awssm, "prod", {"prod"}, ""},
      {"awsps:///prod/db", Scheme::awsps, "/prod/db", {"prod", "db"}, ""},
      {"azkv://vault/name/1", Scheme::azkv, "vault/name/1", {"vault", "name", "1"}, ""},
      {"gcpsm://p/n", Scheme::gcpsm, "p/n", {"p", "n"}, ""},
      {"infisical://p/dev/a/KEY", Scheme::infisical, "p/dev/a/KEY", {"p", "dev", "a", "KEY"}, ""},
      {"doppler://p/dev/KEY", Scheme::doppler, "p/dev/KEY", {"p", "dev", "KEY"}, ""},
      {"op://v/i/s/f", Scheme::op, "v/i/s/f", {"v", "i", "s", "f"}, ""},
      {"exec:///usr/bin/pass show x", Scheme::exec, "/usr/bin/pass show x", {}, ""},
      {"pkcs11:token=t;object=o", Scheme::pkcs11, "token=t;object=o", {}, ""},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    EXPECT_TRUE(is_reference(row.text));
    const auto r = parse_reference(row.text);
    ASSERT_TRUE(r) << r.error().message();
    EXPECT_EQ(r->scheme, row.scheme);
    EXPECT_EQ(r->text, row.text);
    EXPECT_EQ(r->locator, row.locator);
    EXPECT_EQ(r->parts, row.parts);
    EXPECT_EQ(r->field, row.field);
  }
}

TEST(References, OptionsStandBeforeTheField) {
  const auto r = parse_reference("vault://kv/app?version=3&ns=a=b#password");
  ASSERT_TRUE(r) << r.error().message();
  EXPECT_EQ(r->locator, "kv/app");
  EXPECT_EQ(r->field, "password");
  EXPECT_THAT(r->options, ElementsAre(Pair("version", "3"), Pair("ns", "a=b")));
}

TEST(References, MalformedOnesAreRefusedWithTheFormAndWithoutTheText) {
  const std::string rows[] = {
      "env://",
      "env://1NAME",
      "env://A-B",
      "env://sk_live_pasted/secret",
      "file://relative/path",
      "file:///",
      "file:///x#",
      "cred://",
      "cred://a/b",
      "cred://..",
      "keychain://octroi",
      "keychain://a/b/c",
      "keychain:///b",
      "vault://kv/app",
      "vault://kv#f",
      "vault://kv//app#f",
      "vault://kv/app?version#f",
      "vault://kv/app?=3#f",
      "vault://kv/app?v=1&v=2#f",
      "awsps://",
      "azkv://vault",
      "gcpsm://a/b/c/d",
      "infisical://p/e",
      "doppler://p/c",
      "op://v/i",
      "exec://pass",
      "pkcs11:",
      "env://A\nB",
      "env://" + std::string(5000, 'A'),
  };
  for (const std::string& row : rows) {
    SCOPED_TRACE(row.substr(0, 40));
    const auto r = parse_reference(row);
    ASSERT_FALSE(r);
    EXPECT_TRUE(r.error().is(Errc::bad_reference));
    EXPECT_THAT(std::string(r.error().message()), HasSubstr("write "));
    EXPECT_THAT(std::string(r.error().message()), Not(HasSubstr("pasted")));
  }
}

TEST(References, OtherTextsAreNone) {
  for (const char* text : {"", "sk_live_abc", "https://example.com", "ENV://X", "env:/X",
                           " env://X", "postgresql://u@h/db", "environment"}) {
    EXPECT_FALSE(is_reference(text)) << text;
    EXPECT_TRUE(parse_reference(text).error().is(Errc::not_a_reference)) << text;
  }
}

// --- providers
// ---------------------------------------------------------------------------------------

TEST(Env, AVariableIsReadAndAMissingOneIsNamed) {
  ASSERT_EQ(::setenv("OCTROI_TEST_SECRET", "value of the variable\n", 1), 0);
  ASSERT_EQ(::setenv("OCTROI_TEST_EMPTY", "", 1), 0);
  Resolver resolver = local_resolver();
  const auto value = resolver.resolve("env://OCTROI_TEST_SECRET");
  ASSERT_TRUE(value) << value.error().message();
  EXPECT_TRUE((*value)->equals("value of the variable\n"));
  EXPECT_THAT(redactor().redact("it is value of the variable\n!"), Not(HasSubstr("variable")));

  const auto missing = resolver.resolve("env://OCTROI_TEST_UNSET");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind(), ErrorKind::not_found);
  EXPECT_THAT(std::string(missing.error().message()),
              HasSubstr("environment variable OCTROI_TEST_UNSET is not set"));
  EXPECT_TRUE(resolver.resolve("env://OCTROI_TEST_EMPTY").error().is(Errc::empty));
}

TEST(File, ExactlyOneNewlineIsDropped) {
  const Folder folder;
  struct Row {
    const char* name;
    std::string_view content;
    std::string_view value;
  };
  const std::vector<Row> rows = {
      {"none", "secret", "secret"},       {"one", "secret\n", "secret"},
      {"two", "secret\n\n", "secret\n"},  {"crlf", "secret\r\n", "secret\r"},
      {"inside", "sec\nret", "sec\nret"}, {"binary", "a\0b\n"sv, "a\0b"sv},
  };
  Resolver resolver = local_resolver();
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const auto value = resolver.resolve("file://" + folder.write(row.name, row.content));
    ASSERT_TRUE(value) << value.error().message();
    EXPECT_TRUE((*value)->equals(row.value));
  }
}

TEST(File, WhatCannotBeReadIsNamed) {
  const Folder folder;
  std::filesystem::create_directory(folder.at("folder"));
  Resolver resolver = local_resolver();
  struct Row {
    std::string path;
    Errc errc;
  };
  for (const Row& row :
       {Row{folder.at("absent"), Errc::not_set}, Row{folder.write("empty", ""), Errc::empty},
        Row{folder.write("newline", "\n"), Errc::empty},
        Row{folder.at("folder"), Errc::unreadable}}) {
    SCOPED_TRACE(row.path);
    const auto value = resolver.resolve("file://" + row.path);
    ASSERT_FALSE(value);
    EXPECT_TRUE(value.error().is(row.errc)) << value.error().code();
    EXPECT_THAT(std::string(value.error().message()), HasSubstr(row.path));
  }
}

TEST(File, OthersBeingAbleToReadItIsSaidInTheLog) {
  const Folder folder;
  LogConfig config;
  config.file = folder.at("log");
  ASSERT_TRUE(configure_log(config));
  Resolver resolver = local_resolver();
  ASSERT_TRUE(resolver.resolve("file://" + folder.write("private", "secret one", 0600)));
  ASSERT_TRUE(resolver.resolve("file://" + folder.write("shared", "secret two", 0640)));
  ASSERT_TRUE(configure_log({}));
  const std::string log = content_of(folder.at("log"));
  EXPECT_THAT(log, HasSubstr(folder.at("shared")));
  EXPECT_THAT(log, HasSubstr("chmod 600"));
  EXPECT_THAT(log, Not(HasSubstr(folder.at("private"))));
}

TEST(File, ATextInsideJsonIsSelected) {
  const Folder folder;
  const std::string path = folder.write(
      "x.json",
      R"({"a":{"b":"deep value","n":7,"e":""},"list":["zero zero",{"k":"inside list"}],"tls.key":"dotted name"})");
  struct Row {
    const char* field;
    const char* value;  // null: refused
  };
  Resolver resolver = local_resolver();
  for (const Row& row :
       {Row{"a.b", "deep value"}, Row{"list.0", "zero zero"}, Row{"list.1.k", "inside list"},
        Row{"tls.key", "dotted name"}, Row{"a", nullptr}, Row{"a.n", nullptr}, Row{"a.e", nullptr},
        Row{"a.x", nullptr}, Row{"list.2", nullptr}, Row{"list.-1", nullptr}, Row{".", nullptr},
        Row{"a..b", nullptr}}) {
    SCOPED_TRACE(row.field);
    const auto value = resolver.resolve("file://" + path + "#" + row.field);
    EXPECT_EQ(value.has_value(), row.value != nullptr);
    if (value && row.value != nullptr) EXPECT_TRUE((*value)->equals(row.value));
  }
  const auto broken =
      resolver.resolve("file://" + folder.write("y.json", "{\"a\": hidden}") + "#a");
  ASSERT_FALSE(broken);
  EXPECT_TRUE(broken.error().is(Errc::no_field));
  EXPECT_THAT(std::string(broken.error().message()), Not(HasSubstr("hidden")));
}

TEST(Cred, IsReadFromTheFolderOfTheServiceManager) {
  const Folder folder;
  folder.write("mpp", "credential value\n");
  Resolver resolver;
  resolver.add(std::make_unique<CredentialProvider>(folder.at("")));
  const auto value = resolver.resolve("cred://mpp");
  ASSERT_TRUE(value) << value.error().message();
  EXPECT_TRUE((*value)->equals("credential value"));
  EXPECT_TRUE(resolver.resolve("cred://other").error().is(Errc::not_set));
  resolver.add(std::make_unique<CredentialProvider>(std::nullopt));
  EXPECT_THAT(std::string(resolver.resolve("cred://mpp").error().message()),
              HasSubstr("LoadCredential=mpp"));
}

TEST(Resolver, AProviderThatDoesNotExistYetSaysSo) {
  Resolver resolver = local_resolver();
  for (const char* text :
       {"awssm://x", "vault://kv/a#b", "keychain://a/b", "op://a/b/c", "exec:///x", "pkcs11:a=b"}) {
    const auto value = resolver.resolve(text);
    ASSERT_FALSE(value);
    EXPECT_TRUE(value.error().is(Errc::unsupported));
    EXPECT_THAT(std::string(value.error().message()),
                HasSubstr("is not supported in this version"));
  }
  EXPECT_THAT(std::string(resolver.resolve("awssm://x").error().message()), HasSubstr("awssm://"));
}

// --- key rings
// ---------------------------------------------------------------------------------------

std::shared_ptr<const Secret> key(char c, std::size_t size = 32) {
  return std::make_shared<const Secret>(std::string(size, c));
}

TEST(KeyRing, IssuesWithTheFirstAndVerifiesWithAll) {
  const auto ring = KeyRing::make("paywall.secret", {key('a'), key('b')});
  ASSERT_TRUE(ring);
  EXPECT_TRUE(ring->current().key->equals(std::string(32, 'a')));
  EXPECT_EQ(ring->accepted({0}).size(), 2U);
}

TEST(KeyRing, RefusesWhatIsNoRing) {
  EXPECT_FALSE(KeyRing::make("paywall.secret", {}));
  EXPECT_FALSE(KeyRing::make("paywall.secret", {nullptr}));
  EXPECT_FALSE(KeyRing::make("paywall.secret", {key('a'), key('a')}));
  const auto weak = KeyRing::make("paywall.secret", {key('a', 31)});
  ASSERT_FALSE(weak);
  EXPECT_THAT(std::string(weak.error().message()), HasSubstr("paywall.secret"));
  EXPECT_THAT(std::string(weak.error().message()), Not(HasSubstr("aaa")));
}

TEST(KeyRing, APreviousKeyVerifiesUntilItsOverlapHasPassed) {
  const auto first = KeyRing::make("k", {key('a')});
  const auto second = first->rotated(key('b'), {1000}, Millis(500));
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->current().key->equals(std::string(32, 'b')));
  EXPECT_EQ(second->accepted({1499}).size(), 2U);
  EXPECT_EQ(second->accepted({1500}).size(), 1U);
  const auto third = second->rotated(key('c'), {1200}, Millis(1000));
  EXPECT_EQ(third->accepted({1499}).size(), 3U);
  EXPECT_EQ(third->accepted({1500}).size(), 2U);
  const auto fourth = third->rotated(key('d'), {1600}, Millis(0));
  EXPECT_EQ(fourth->versions().size(), 2U) << "a has passed, c has no overlap, b goes on";
  EXPECT_FALSE(third->rotated(key('b'), {1300}, Millis(1))) << "an old key may not come back";
  EXPECT_EQ(third->without_previous().accepted({0}).size(), 1U);
}

TEST(KeyRing, ALabelNamesAKeyAndDoesNotTellIt) {
  EXPECT_EQ(key_label(*key('a')).size(), 8U);
  EXPECT_EQ(key_label(*key('a')), key_label(*key('a')));
  EXPECT_NE(key_label(*key('a')), key_label(*key('b')));
  EXPECT_THAT(key_label(*key('a')), Not(HasSubstr("616161")));
}

TEST(KeyFiles, AreMadeOnceAndNeverOverwritten) {
  const Folder folder;
  SeededRandom random(1);
  const auto made = load_or_create_key(folder.at("key"), random);
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ((*made)->size(), 32U);
  const auto again = load_or_create_key(folder.at("key"), random);
  ASSERT_TRUE(again);
  EXPECT_TRUE((*again)->equals(**made));

  const auto token = load_or_create_token(folder.at("token"), random);
  ASSERT_TRUE(token);
  EXPECT_EQ((*token)->size(), 43U);
  std::ofstream(folder.at("token"), std::ios::app) << "\n";
  EXPECT_TRUE((*load_or_create_token(folder.at("token"), random))->equals(**token));

  for (const std::string_view content :
       {""sv, "short"sv, "0123456789012345678901234567890123456789"sv}) {
    const std::string path = folder.write("bad", content);
    EXPECT_FALSE(load_or_create_key(path, random)) << content;
    EXPECT_FALSE(load_or_create_token(path, random)) << content;
    EXPECT_EQ(content_of(path), content) << "the file stays as it is";
  }
}

// --- conformance
// -------------------------------------------------------------------------------------

TEST(Conformance, RedactCutsWhatItIsTold) {
  EXPECT_TRUE(is_conformance_operation("redact"));
  const auto out = run_conformance_operation(
      "redact", R"({"text":"a \"topsecret1\" b","secrets":["topsecret1"]})");
  ASSERT_TRUE(out) << out.error().message();
  EXPECT_EQ(*out, R"("a \"[redacted]\" b")");
  EXPECT_EQ(*run_conformance_operation("redact", R"({"text":"plain topsecret1"})"),
            R"("plain topsecret1")");
  EXPECT_FALSE(run_conformance_operation("redact", R"({"secrets":[]})"));
  EXPECT_FALSE(run_conformance_operation("redact", R"({"text":"x","secrets":[1]})"));
  EXPECT_FALSE(run_conformance_operation("redact", "nonsense"));
  EXPECT_TRUE(run_conformance_operation("other", "{}").error().is(Errc::unknown_operation));
}

TEST(Errors, CodesAreStable) {
  EXPECT_EQ(error_info(Errc::not_a_reference).code, "secrets.not_a_reference");
  EXPECT_EQ(error_info(Errc::bad_reference).code, "secrets.bad_reference");
  EXPECT_EQ(error_info(Errc::unsupported).code, "secrets.unsupported");
  EXPECT_EQ(error_info(Errc::not_set).code, "secrets.not_set");
  EXPECT_EQ(error_info(Errc::empty).code, "secrets.empty");
  EXPECT_EQ(error_info(Errc::unreadable).code, "secrets.unreadable");
  EXPECT_EQ(error_info(Errc::no_field).code, "secrets.no_field");
  EXPECT_EQ(error_info(Errc::bad_ring).code, "secrets.bad_ring");
  EXPECT_EQ(error_info(Errc::too_large).code, "secrets.too_large");
  EXPECT_EQ(error_info(Errc::unavailable).code, "secrets.unavailable");
  EXPECT_EQ(error_info(Errc::timeout).code, "secrets.timeout");
  EXPECT_EQ(error_info(Errc::unknown_operation).code, "secrets.unknown_operation");
}

}  // namespace
}  // namespace octroi::secrets
