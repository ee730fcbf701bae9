#include "octroi/l402/header.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "octroi/crypto/hash.h"
#include "octroi/l402/keys.h"
#include "octroi/l402/macaroon.h"
#include "octroi/l402/mint.h"
#include "octroi/l402/testdata.h"

namespace octroi::l402 {
namespace {

struct Token {
  Bytes macaroon;
  std::array<std::uint8_t, 32> preimage;
};

Token make_token(std::uint64_t seed) {
  SeededRandom random(seed);
  const RootKeys keys = *RootKeys::make(random.secret(32));
  Token token{.macaroon = {}, .preimage = random.bytes<32>()};
  token.macaroon = *mint(keys, PaymentHash(crypto::sha256(token.preimage)),
                         keys.new_token_id(random), {.service = ServiceName("weather")});
  return token;
}

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}
std::string with_preimage(const Token& token) {
  const std::vector<std::string> caveats = {"preimage=" + to_hex(token.preimage)};
  return to_hex(*attenuate(token.macaroon, caveats));
}

/// Fills in the placeholders of headers.json.
std::string fill(std::string text, const Token& one, const Token& other) {
  const std::vector<std::string> narrower = {"weather_valid_until=5"};
  const std::vector<std::pair<std::string, std::string>> values = {
      {"{M}", to_base64(one.macaroon)},
      {"{U}", to_base64url(one.macaroon)},
      {"{P}", to_hex(one.preimage)},
      {"{P^}", upper(to_hex(one.preimage))},
      {"{H}", with_preimage(one)},
      {"{N}", to_base64(other.macaroon)},
      {"{Q}", to_hex(other.preimage)},
      {"{J}", with_preimage(other)},
      {"{A}", to_base64(*attenuate(one.macaroon, narrower))}};
  for (const auto& [name, value] : values) {
    for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name))
      text.replace(at, name.size(), value);
  }
  return text;
}

TEST(CredentialHeader, Rows) {
  const Token one = make_token(1);
  const Token other = make_token(2);
  const json::Document data = load_testdata("headers.json");
  for (const json::Value row : data.root().array("rows")->elements()) {
    SCOPED_TRACE(*row.string("name"));
    const auto lines = [&](std::string_view key) {
      std::vector<std::string> out;
      if (auto list = row.find(key)) {
        for (const json::Value line : list->elements())
          out.push_back(fill(std::string(*line.as_string()), one, other));
      }
      return out;
    };
    const auto authorization = lines("authorization");
    const auto macaroon = lines("macaroon");
    const auto grpc = lines("grpc_macaroon");
    const std::vector<std::string_view> a(authorization.begin(), authorization.end());
    const std::vector<std::string_view> m(macaroon.begin(), macaroon.end());
    const std::vector<std::string_view> g(grpc.begin(), grpc.end());
    auto found = parse_credential({.authorization = a, .macaroon = m, .grpc_macaroon = g});
    const auto error = *row.optional_string("error");
    if (error) {
      ASSERT_FALSE(found);
      EXPECT_EQ(found.error().code(), *error);
      // What was sent never comes back in the message.
      for (const std::string& secret : {to_hex(one.preimage), to_base64(one.macaroon)}) {
        EXPECT_EQ(found.error().message().find(secret), std::string_view::npos);
      }
      continue;
    }
    ASSERT_TRUE(found) << found.error().message();
    const auto wanted = *row.int64("macaroons");
    ASSERT_EQ(found->has_value(), wanted > 0);
    if (wanted == 0) continue;
    EXPECT_EQ((*found)->macaroons.size(), static_cast<std::size_t>(wanted));
    EXPECT_TRUE(std::ranges::equal((*found)->preimage.reveal(), one.preimage));
  }
}

TEST(CredentialHeader, WhatAClientWritesIsWhatTheServerReads) {
  const Token token = make_token(3);
  for (const SchemeName scheme : {SchemeName::l402, SchemeName::lsat}) {
    const Secret line = format_credential(scheme, token.macaroon, token.preimage);
    const std::vector<std::string_view> lines = {line.reveal_text()};
    EXPECT_TRUE(is_l402_authorization(lines[0]));
    auto parsed = parse_credential({.authorization = lines});
    ASSERT_TRUE(parsed && *parsed);
    EXPECT_EQ((*parsed)->macaroons, std::vector<Bytes>{token.macaroon});
  }
}

TEST(CredentialHeader, SizesAreCheckedBeforeDecoding) {
  const std::string huge = "L402 " + std::string(100'000, 'A') + ":" + std::string(64, '0');
  const std::vector<std::string_view> lines = {huge};
  EXPECT_TRUE(parse_credential({.authorization = lines}).error().is(Errc::too_large));
  const std::string hex(100'000, 'a');
  const std::vector<std::string_view> field = {hex};
  EXPECT_TRUE(parse_credential({.macaroon = field}).error().is(Errc::too_large));
}

TEST(ChallengeHeader, HasTheFormThatEveryClientReads) {
  const Token token = make_token(4);
  const std::string b64 = to_base64(token.macaroon);
  EXPECT_EQ(
      format_challenge(SchemeName::l402, token.macaroon, "lnbcrt1x"),
      "L402 macaroon=\"" + b64 + "\", invoice=\"lnbcrt1x\", version=\"0\", token=\"" + b64 + "\"");
  EXPECT_EQ(format_challenge(SchemeName::lsat, token.macaroon, "lnbcrt1x"),
            "LSAT macaroon=\"" + b64 + "\", invoice=\"lnbcrt1x\"");
}

struct ChallengeRow {
  const char* name;
  const char* text;   // {M} and {N} as above
  std::size_t found;  // usable challenges
};

TEST(ChallengeHeader, ClientsReadEveryFormInTheField) {
  const Token one = make_token(5);
  const Token other = make_token(6);
  const ChallengeRow rows[] = {
      {"field_form", R"(L402 macaroon="{M}", invoice="ln1")", 1},
      {"specification_form", R"(L402 version="0", token="{M}", invoice="ln1")", 1},
      {"ours", R"(L402 macaroon="{M}", invoice="ln1", version="0", token="{M}")", 1},
      {"lsat", R"(LSAT macaroon="{M}", invoice="ln1")", 1},
      {"lower_case_scheme", R"(l402 macaroon="{M}", invoice="ln1")", 1},
      {"base64url", R"(L402 macaroon="{U}", invoice="ln1")", 1},
      {"not_quoted", "L402 macaroon={M}, invoice=ln1", 1},
      {"blanks_around_equals", R"(L402 macaroon = "{M}" , invoice = "ln1")", 1},
      {"unknown_parameters", R"(L402 macaroon="{M}", invoice="ln1", color="red")", 1},
      {"two_in_one_field",
       R"(LSAT macaroon="{M}", invoice="ln1", L402 macaroon="{N}", invoice="ln2")", 2},
      {"after_payment", R"(Payment id="a", realm="b", L402 macaroon="{M}", invoice="ln1")", 1},
      {"after_a_token68", R"(Negotiate YWJj==, L402 macaroon="{M}", invoice="ln1")", 1},
      {"after_a_bare_scheme", R"(Negotiate, L402 macaroon="{M}", invoice="ln1")", 1},
      {"inside_a_quotation_it_is_text", R"(Basic realm="L402 macaroon=\"{M}\", invoice=\"ln1\"")",
       0},
      {"another_version", R"(L402 macaroon="{M}", invoice="ln1", version="1")", 0},
      {"no_invoice", R"(L402 macaroon="{M}")", 0},
      {"no_macaroon", R"(L402 invoice="ln1")", 0},
      {"macaroon_twice", R"(L402 macaroon="{M}", macaroon="{N}", invoice="ln1")", 0},
      {"token_and_macaroon_differ", R"(L402 macaroon="{M}", token="{N}", invoice="ln1")", 0},
      {"not_a_macaroon", R"(L402 macaroon="AAAA", invoice="ln1")", 0},
      {"quotation_without_end", R"(L402 macaroon="{M}", invoice="ln1)", 0},
      {"odd_text_before", R"(@@@ ;;, L402 macaroon="{M}", invoice="ln1")", 1},
      {"empty", "", 0},
  };
  for (const ChallengeRow& row : rows) {
    EXPECT_EQ(parse_challenges(fill(row.text, one, other)).size(), row.found) << row.name;
  }
  auto ours = parse_challenges(format_challenge(SchemeName::l402, one.macaroon, "lnbcrt1x"));
  ASSERT_EQ(ours.size(), 1U);
  EXPECT_EQ(ours[0].macaroon, one.macaroon);
  EXPECT_EQ(ours[0].invoice, "lnbcrt1x");
  EXPECT_EQ(ours[0].id.hash, PaymentHash(crypto::sha256(one.preimage)));
}

}  // namespace
}  // namespace octroi::l402
