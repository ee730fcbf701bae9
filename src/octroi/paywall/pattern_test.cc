#include "octroi/paywall/pattern.h"

#include <random>

#include <gtest/gtest.h>
#include <re2/re2.h>

namespace octroi::paywall {
namespace {

struct LiteralCase {
  const char* name;
  const char* expression;
  const char* prefix;
  bool literal;
};
class Literals : public testing::TestWithParam<LiteralCase> {};

TEST_P(Literals, OfAPattern) {
  const auto& c = GetParam();
  const auto p = Pattern::compile(c.expression, Anchor::start);
  ASSERT_TRUE(p) << p.error().message();
  EXPECT_EQ(p->literal_prefix(), c.prefix);
  EXPECT_EQ(p->is_literal(), c.literal);
}

INSTANTIATE_TEST_SUITE_P(
    Pattern, Literals,
    testing::Values(
        LiteralCase{"Empty", "", "", true}, LiteralCase{"Plain", "/v1/", "/v1/", true},
        LiteralCase{"CaretIsTheAnchor", "^/v1/", "/v1/", true},
        LiteralCase{"TwoCarets", "^^/v1", "", false},
        LiteralCase{"AnythingBehind", "/v1/.*", "/v1/", true},
        LiteralCase{"OnlyAnything", ".*", "", true},
        LiteralCase{"DotsRepeated", "/v1\\.*", "/v1", false},
        LiteralCase{"EscapedBackslashThenAnything", "/a\\\\.*", "/a\\", false},
        LiteralCase{"Dollar", "/v1$", "/v1", false},
        LiteralCase{"EscapedDollar", "/v1\\$", "/v1$", true},
        LiteralCase{"EscapedDot", "/a\\.json", "/a.json", true},
        LiteralCase{"EscapedSlashAndDash", "\\/a\\-b", "/a-b", true},
        LiteralCase{"Star", "/ab*", "/a", false}, LiteralCase{"Question", "/ab?c", "/a", false},
        LiteralCase{"Plus", "/ab+c", "/ab", false}, LiteralCase{"Counted", "/ab{2}", "/a", false},
        LiteralCase{"LazyStar", "/ab*?", "/a", false},
        LiteralCase{"EscapedStar", "/ab\\*", "/ab*", true},
        LiteralCase{"EscapedCharacterRepeated", "/a\\.?b", "/a", false},
        LiteralCase{"ClassOfDigits", "/a\\d+", "/a", false},
        LiteralCase{"Hexadecimal", "/a\\x41", "/a", false},
        LiteralCase{"Quoted", "/a\\Q.*\\E", "/a", false}, LiteralCase{"Set", "/a[bc]", "/a", false},
        LiteralCase{"Group", "/a(b)", "/a", false}, LiteralCase{"Alternation", "/a|/b", "", false},
        LiteralCase{"AlternationInside", "/a/(b|c)", "", false},
        LiteralCase{"EscapedPipeIsNotTrusted", "/a\\|b", "", false},
        LiteralCase{"FlagsInFront", "(?i)/a", "", false},
        LiteralCase{"FlagsBehindTheCaret", "^(?i)/a", "", false},
        LiteralCase{"FlagsInside", "/a(?i)b", "/a", false},
        LiteralCase{"WordBoundary", "/a\\b", "/a", false},
        LiteralCase{"LetterOfTwoBytes", "/caf\xC3\xA9/", "/caf\xC3\xA9/", true},
        LiteralCase{"LetterOfTwoBytesOptional", "/caf\xC3\xA9?/x", "/caf", false},
        LiteralCase{"LetterOfTwoBytesRepeated", "/caf\xC3\xA9+/x", "/caf\xC3\xA9", false},
        LiteralCase{"LetterOfFourBytesStarred", "/\xF0\x9F\x92\xA1*x", "/", false}),
    [](const auto& i) { return i.param.name; });

TEST(Pattern, DefaultMatchesEverything) {
  const Pattern p;
  EXPECT_TRUE(p.matches_everything());
  EXPECT_TRUE(p.matches(""));
  EXPECT_TRUE(p.matches("/anything"));
  EXPECT_FALSE(Pattern::compile("/", Anchor::start)->matches_everything());
  EXPECT_FALSE(Pattern::compile("", Anchor::both)->matches_everything());
}

struct SegmentCase {
  const char* expression;
  std::vector<const char*> yes;
  std::vector<const char*> no;
};
TEST(Pattern, ASegmentEndsWhereItEnds) {
  for (const auto& c :
       std::vector<SegmentCase>{{"/v1/cheap",
                                 {"/v1/cheap", "/v1/cheap/", "/v1/cheap/x"},
                                 {"/v1/cheap-but-dear", "/v1/cheaper", "/v1"}},
                                {"^/v1/cheap", {"/v1/cheap", "/v1/cheap/x"}, {"/v1/cheap.json"}},
                                {"/v1/cheap$", {"/v1/cheap"}, {"/v1/cheap/", "/v1/cheap-x"}},
                                {"/v1/", {"/v1/", "/v1/x", "/v1/x/y"}, {"/v1", "/v2/"}},
                                {"/v1/.*", {"/v1/", "/v1/x"}, {"/v1"}},
                                {"/a.*", {"/a", "/ab", "/a/b"}, {"/b"}},
                                {"/[0-9]+", {"/12", "/12/x"}, {"/12x", "/x"}},
                                {"/(a|b)", {"/a", "/b/x"}, {"/ab", "/c"}},
                                {"/a|/b", {"/a", "/b", "/a/x"}, {"/ax", "/bx"}},
                                {"/(a|b)/", {"/a/", "/b/x"}, {"/a"}},
                                {"/a\\.*", {"/a", "/a..", "/a/b"}, {"/ab"}},
                                {"(?i)/cheap", {"/CHEAP", "/Cheap/x"}, {"/CHEAPER"}},
                                {"", {"", "/", "/anything"}, {}},
                                {"/", {"/", "/x"}, {""}}}) {
    const auto p = Pattern::compile(c.expression, Anchor::segment);
    ASSERT_TRUE(p) << c.expression;
    for (const char* text : c.yes) EXPECT_TRUE(p->matches(text)) << c.expression << ' ' << text;
    for (const char* text : c.no) EXPECT_FALSE(p->matches(text)) << c.expression << ' ' << text;
  }
  EXPECT_TRUE(Pattern::compile("", Anchor::segment)->matches_everything());
}

TEST(Pattern, AnchorsDecideWhatMayFollow) {
  const auto path = *Pattern::compile("/v1", Anchor::start);
  EXPECT_TRUE(path.matches("/v1"));
  EXPECT_TRUE(path.matches("/v1/x"));
  EXPECT_TRUE(path.matches("/v10"));
  EXPECT_FALSE(path.matches("/x/v1"));
  EXPECT_FALSE(path.matches("/v"));
  const auto host = *Pattern::compile("api\\.example", Anchor::both);
  EXPECT_TRUE(host.matches("api.example"));
  EXPECT_FALSE(host.matches("api.example.evil"));
  EXPECT_FALSE(host.matches("xapi.example"));
  EXPECT_FALSE(host.matches("api-example"));
  const auto choice = *Pattern::compile("a|bc", Anchor::both);
  EXPECT_TRUE(choice.matches("a"));
  EXPECT_TRUE(choice.matches("bc"));
  EXPECT_FALSE(choice.matches("ax"));
  EXPECT_FALSE(choice.matches("xbc"));
}

TEST(Pattern, WhatRe2RefusesIsAnErrorThatNamesIt) {
  for (const char* bad : {"(", "[a", "a**b(", "\\", "(?=x)", "x{2000}", "\xff"}) {
    const auto p = Pattern::compile(bad, Anchor::start);
    ASSERT_FALSE(p) << bad;
    EXPECT_EQ(p.error().code(), "paywall.bad-pattern") << bad;
  }
}

/// The fast path may never disagree with the expression itself: on it hangs what a request costs.
TEST(Pattern, AgreesWithRe2OnRandomExpressionsAndPaths) {
  std::mt19937 rng(402);
  const std::vector<std::string> atoms = {"/",     "a",    "b",        "v1",   "\\.",   ".",
                                          "\\d",   "\\*",  "\xC3\xA9", "[ab]", "(ab)",  "(a|b)",
                                          "\\/",   "\\-",  "$",        "^",    "(?i)a", "\\Qa.\\E",
                                          "\\x61", "\\pL", "\\b",      "{",    "}",     "\\\\"};
  const std::vector<std::string> tails = {"", "", "", "", "*", "+", "?", "{2}", "{0}", "*?", ".*"};
  const std::vector<std::string> pieces = {"/", "a", "b",  "v1", ".", "A",    "*", "\xC3\xA9",
                                           "-", "1", "\\", "{",  "$", "\xC3", ""};
  const auto pick = [&](const auto& from) -> const std::string& {
    return from[rng() % from.size()];
  };
  int compiled = 0;
  int matched = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string expression = rng() % 3 == 0 ? "^" : "";
    for (std::size_t n = rng() % 5; n-- > 0;) expression += pick(atoms) + pick(tails);
    if (rng() % 40 == 0) expression += "|" + pick(atoms);
    const Anchor anchor = rng() % 2 == 0 ? Anchor::start : Anchor::both;
    const re2::RE2 reference(expression, re2::RE2::Quiet);
    const auto pattern = Pattern::compile(expression, anchor);
    ASSERT_EQ(reference.ok(), pattern.has_value()) << expression;
    if (!pattern) continue;
    ++compiled;
    for (int i = 0; i < 8; ++i) {
      std::string text;
      for (std::size_t n = rng() % 6; n-- > 0;) text += pick(pieces);
      const bool expected = reference.Match(
          text, 0, text.size(),
          anchor == Anchor::start ? re2::RE2::ANCHOR_START : re2::RE2::ANCHOR_BOTH, nullptr, 0);
      ASSERT_EQ(pattern->matches(text), expected)
          << "'" << expression << "' on '" << text << "' both=" << (anchor == Anchor::both);
      matched += expected ? 1 : 0;
    }
  }
  EXPECT_GT(compiled, 10'000);
  EXPECT_GT(matched, 10'000);
}

}  // namespace
}  // namespace octroi::paywall
