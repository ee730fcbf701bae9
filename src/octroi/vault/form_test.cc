#include "octroi/vault/form.h"

#include <array>

#include <gmock/gmock.h>

namespace octroi::vault {
namespace {

struct PathRow {
  const char* name;
  const char* path;
  const char* canonical;  // null: refused
};
class Paths : public ::testing::TestWithParam<PathRow> {};
TEST_P(Paths, AreReadOneWayOrRefused) {
  const auto got = canonical_path(GetParam().path);
  if (GetParam().canonical == nullptr) {
    EXPECT_FALSE(got) << *got;
  } else {
    ASSERT_TRUE(got) << got.error().message();
    EXPECT_EQ(*got, GetParam().canonical);
  }
}
INSTANTIATE_TEST_SUITE_P(
    All, Paths,
    ::testing::Values(PathRow{"plain", "/v1/charges", "/v1/charges"},
                      PathRow{"escaped_letter", "/v1/%63harges", "/v1/charges"},
                      PathRow{"escape_kept", "/v1/a%20b", "/v1/a%20b"},
                      PathRow{"escape_in_small", "/v1/%c3%a4", "/v1/%C3%A4"},
                      PathRow{"trailing_slash", "/v1/charges/", "/v1/charges/"},
                      PathRow{"double_slash", "/v1//charges", nullptr},
                      PathRow{"dot", "/v1/./charges", nullptr},
                      PathRow{"dot_dot", "/v1/x/../charges", nullptr},
                      PathRow{"escaped_dots", "/v1/%2e%2E/charges", nullptr},
                      PathRow{"escaped_slash", "/v1%2fcharges", nullptr},
                      PathRow{"escaped_backslash", "/v1%5ccharges", nullptr},
                      PathRow{"backslash", "/v1\\charges", nullptr},
                      PathRow{"parameter", "/v1/charges;x=1", nullptr},
                      PathRow{"escaped_parameter", "/v1/charges%3bx", nullptr},
                      PathRow{"twice_escaped", "/v1/%2563harges", nullptr},
                      PathRow{"zero", "/v1/charges%00", nullptr},
                      PathRow{"broken", "/v1/%6", nullptr}, PathRow{"not_hex", "/v1/%zz", nullptr},
                      PathRow{"not_ascii", "/v1/\xc3\xa4", nullptr},
                      PathRow{"no_slash", "v1", nullptr}, PathRow{"empty", "", nullptr}),
    [](const auto& row) { return row.param.name; });

struct FormRow {
  const char* name;
  const char* text;
  const char* canonical;  // null: refused
};
class Forms : public ::testing::TestWithParam<FormRow> {};
TEST_P(Forms, AreReadOneWayOrRefused) {
  const auto got = Form::parse(GetParam().text);
  if (GetParam().canonical == nullptr) {
    EXPECT_FALSE(got) << got->text();
    return;
  }
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->text(), GetParam().canonical);
  const auto again = Form::parse(got->text());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->fields(), got->fields());
}
INSTANTIATE_TEST_SUITE_P(
    All, Forms,
    ::testing::Values(
        FormRow{"empty", "", ""},
        FormRow{"plain", "amount=100&currency=usd", "amount=100&currency=usd"},
        FormRow{"escaped_name", "%61mount=100", "amount=100"},
        FormRow{"spaces", "d=a+b%20c", "d=a+b+c"},
        FormRow{"brackets", "metadata[a]=1", "metadata%5Ba%5D=1"},
        FormRow{"list", "expand[]=a&expand[]=b", "expand%5B%5D=a&expand%5B%5D=b"},
        FormRow{"utf8", "n=%C3%A4", "n=%C3%A4"}, FormRow{"no_value", "a", "a="},
        FormRow{"twice", "amount=1&amount=2", nullptr},
        FormRow{"twice_escaped", "amount=1&%61mount=2", nullptr},
        FormRow{"twice_in_brackets", "m[a]=1&m%5Ba%5D=2", nullptr},
        FormRow{"value_and_list", "amount=1&amount[]=2", nullptr},
        FormRow{"pushed_and_numbered", "a[0]=1&a[]=2", nullptr},
        FormRow{"pushed_and_named", "a[][c]=1&a[b]=2", nullptr},
        FormRow{"pushed_twice", "a[]=1&a[]=2", "a%5B%5D=1&a%5B%5D=2"},
        FormRow{"value_and_map", "amount[x]=1&amount=2", nullptr},
        FormRow{"deep_value_and_map", "a[b]=1&a[b][c]=2", nullptr},
        FormRow{"empty_field", "a=1&&b=2", nullptr}, FormRow{"no_name", "=1", nullptr},
        FormRow{"space_in_name", "amount+=1", nullptr}, FormRow{"dot_in_name", "a.b=1", nullptr},
        FormRow{"open_bracket", "a[b=1", nullptr}, FormRow{"nested_bracket", "a[[b]=1", nullptr},
        FormRow{"after_bracket", "a[b]c=1", nullptr}, FormRow{"zero", "a=%00", nullptr},
        FormRow{"not_utf8", "a=%ff", nullptr}, FormRow{"surrogate", "a=%ed%a0%80", nullptr},
        FormRow{"broken_escape", "a=%4", nullptr}),
    [](const auto& row) { return row.param.name; });

TEST(Form, AValueIsNoContainer) {
  const auto form = Form::parse("amount[]=1&customer=c");
  ASSERT_TRUE(form);
  EXPECT_FALSE(form->value("amount"));
  EXPECT_EQ(form->value("customer").value().value_or(""), "c");
  EXPECT_EQ(form->value("custom").value(), std::nullopt);
  EXPECT_TRUE(form->mentions("amount"));
  EXPECT_FALSE(form->mentions("amo"));
  EXPECT_THAT(form->values("amount"), ::testing::ElementsAre("1"));
}

TEST(Form, NamedOnesMayRepeat) {
  static constexpr std::array<std::string_view, 1> kNames = {"MediaUrl"};
  const Form::Rules rules{.max_fields = 4, .repeatable = kNames};
  EXPECT_TRUE(Form::parse("MediaUrl=a&MediaUrl=b", rules));
  EXPECT_FALSE(Form::parse("To=a&To=b", rules));
  EXPECT_FALSE(Form::parse("a=1&b=2&c=3&d=4&e=5", rules));
}

}  // namespace
}  // namespace octroi::vault
