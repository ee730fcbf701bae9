#include "octroi/mpp/auth_params.h"

#include <chrono>

#include <fmt/core.h>
#include <gtest/gtest.h>

namespace octroi::mpp {
namespace {

/// "scheme token68" or "scheme name=value name=value", " !defect" after it.
std::string show(const AuthChallenge& c) {
  std::string out = c.scheme;
  if (!c.token68.empty()) out += " " + c.token68;
  for (const AuthParam& p : c.params) out += fmt::format(" {}={}", p.name, p.value);
  if (c.defect != AuthDefect::none) out += fmt::format(" !{}", describe(c.defect));
  return out;
}

std::vector<std::string> parse(std::vector<std::string_view> values) {
  std::vector<std::string> out;
  for (const AuthChallenge& c : parse_auth_challenges(values)) out.push_back(show(c));
  return out;
}

struct Row {
  const char* name;
  std::vector<std::string_view> values;
  std::vector<std::string> expected;
};

class AuthParamsTest : public testing::TestWithParam<Row> {};

// rule: MPP-10
TEST_P(AuthParamsTest, SplitsChallenges) {
  EXPECT_EQ(parse(GetParam().values), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, AuthParamsTest,
    testing::Values(
        Row{"nothing", {}, {}}, Row{"empty_value", {""}, {}},
        Row{"only_separators", {" , ,,\t"}, {}}, Row{"scheme_alone", {"Negotiate"}, {"Negotiate"}},
        Row{"token68", {"Basic dXNlcjpwYXNz=="}, {"Basic dXNlcjpwYXNz=="}},
        Row{"params", {"Payment id=\"a\", realm=b"}, {"Payment id=a realm=b"}},
        Row{"names_without_case", {"PAYMENT ID=\"a\""}, {"PAYMENT id=a"}},
        Row{"blanks_around_equals", {"X a = \"1\" ,\tb\t=\t2"}, {"X a=1 b=2"}},
        Row{"several_spaces_after_scheme", {"X    a=1"}, {"X a=1"}},
        Row{"two_lines", {"X a=1", "Y b=2"}, {"X a=1", "Y b=2"}},
        Row{"folded_into_one_line", {"X a=1, b=2, Y c=3, Z"}, {"X a=1 b=2", "Y c=3", "Z"}},
        Row{"scheme_after_token68", {"Basic abc=, X a=1"}, {"Basic abc=", "X a=1"}},
        Row{"scheme_alone_before_params", {"Negotiate, X a=1"}, {"Negotiate", "X a=1"}},
        Row{"empty_elements_between", {"X a=1,, ,b=2,"}, {"X a=1 b=2"}},
        Row{"line_folding", {"X a=\"1\",\r\n  b=\"2\""}, {"X a=1 b=2"}},
        Row{"comma_and_equals_inside_quotes", {R"(X a="1, Y b=2", c=3)"}, {"X a=1, Y b=2 c=3"}},
        Row{"escapes", {R"(X a="say \"hi\" \\ \x")"}, {R"(X a=say "hi" \ x)"}},
        Row{"empty_quoted_string", {R"(X a="", b=1)"}, {"X a= b=1"}},
        Row{"l402_beside_payment",
            {"L402 macaroon=\"AGIAJE==\", invoice=\"lnbc1\"", "Payment id=\"x\""},
            {"L402 macaroon=AGIAJE== invoice=lnbc1", "Payment id=x"}},
        Row{"lsat_and_payment_in_one_line",
            {"LSAT macaroon=\"m\", invoice=\"i\", Payment id=\"x\", realm=\"r\""},
            {"LSAT macaroon=m invoice=i", "Payment id=x realm=r"}},
        Row{"repeated_parameter",
            {"X a=1, a=2, Y b=1"},
            {"X a=1 a=2 !a parameter stands twice", "Y b=1"}},
        Row{"repeated_without_case", {"X a=1, A=2"}, {"X a=1 a=2 !a parameter stands twice"}},
        Row{"unterminated_string",
            {"Y b=1, X a=\"1, c=2", "Z d=3"},
            {"Y b=1", "X a=1, c=2 !a quoted-string has no end", "Z d=3"}},
        Row{"backslash_at_the_end", {"X a=\"1\\"}, {"X a=1 !a quoted-string has no end"}},
        Row{"control_in_string",
            {"X a=\"1\x01\""},
            {"X a=1\x01 !a control character in a quoted-string"}},
        Row{"line_break_in_string",
            {"X a=\"1\r\n\""},
            {"X a=1\r\n !a control character in a quoted-string"}},
        Row{"tab_in_string", {"X a=\"1\t2\""}, {"X a=1\t2"}},
        Row{"text_after_last_string",
            {R"(X a=1, b="x "y" z")"},
            {"X a=1 b=x  !text after the end of a quoted-string"}},
        Row{"text_after_string_loses_parameters",
            {R"(X b="x "y" z", a=1)"},
            {"X b=x  !neither token68 nor parameters"}},
        Row{"missing_value", {"X a=1, b=, c=2"}, {"X a=1 b= !neither token68 nor parameters"}},
        Row{"token68_that_looks_like_a_parameter", {"X a=", "Y b=="}, {"X a=", "Y b=="}},
        Row{"scheme_with_garbage", {"X@ a=1"}, {"X !neither token68 nor parameters"}},
        Row{"not_a_scheme", {"\"x\", Y b=1", "Z c=1"}, {"Z c=1"}},
        Row{"two_tokens", {"X y z"}, {"X !neither token68 nor parameters"}}),
    [](const auto& info) { return info.param.name; });

/// Each shape once doubled the time per character in some parser in the field.
TEST(AuthParams, TakesTimeInProportionToTheInput) {
  const auto time = [](const std::string& text) {
    const std::array<std::string_view, 1> values = {text};
    const auto start = std::chrono::steady_clock::now();
    (void)parse_auth_challenges(values);
    return std::chrono::steady_clock::now() - start;
  };
  std::string many_params = "X ";
  for (int i = 0; i < 200'000; ++i) many_params += fmt::format("p{}=1,", i);
  const std::vector<std::string> shapes = {
      "Payment id=\"" + std::string(12'000, '\\'),
      "Payment id=\"" + std::string(2'000'000, '\\') + "\"",
      "Payment " + std::string(2'000'000, ' ') + "=",
      std::string(2'000'000, ','),
      std::string(2'000'000, 'a'),
      "X " + std::string(2'000'000, '='),
      many_params,
  };
  for (const std::string& shape : shapes) {
    // Quadratic behaviour would take minutes; a second is generous for a sanitizer build.
    EXPECT_LT(time(shape), std::chrono::seconds(5)) << shape.substr(0, 20);
  }
  std::string many_schemes;
  for (int i = 0; i < 200'000; ++i) many_schemes += "a b,";
  EXPECT_LT(time(many_schemes), std::chrono::seconds(5));
}

TEST(AuthParams, QuotesWhatItWrites) {
  std::string out = "X ";
  EXPECT_TRUE(append_quoted_param(out, "a", "say \"hi\" \\ \t é"));
  EXPECT_EQ(out, "X a=\"say \\\"hi\\\" \\\\ \t é\"");
  EXPECT_EQ(parse({out}), (std::vector<std::string>{"X a=say \"hi\" \\ \t é"}));
  for (const std::string_view bad : {std::string_view("a\r"), std::string_view("\n"),
                                     std::string_view("\0", 1), std::string_view("\x7f")}) {
    const std::string before = out;
    EXPECT_FALSE(append_quoted_param(out, "b", bad));
    EXPECT_EQ(out, before);
  }
}

}  // namespace
}  // namespace octroi::mpp
