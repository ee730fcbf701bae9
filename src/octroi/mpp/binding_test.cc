#include "octroi/mpp/binding.h"

#include <gtest/gtest.h>

namespace octroi::mpp {
namespace {

const IdSlots kSlots{"r", "lightning", "charge", "e30", "2026-01-01T00:00:00Z", "", "", ""};

KeyRing ring() {
  const Secret current(std::string(32, 'a'));
  const Secret previous(std::string(32, 'b'));
  return KeyRing::from_secrets({&current, &previous}).value();
}

// rule: MPP-23
TEST(Binding, OpensOnlyThePlaceItWasMadeFor) {
  const KeyRing keys = ring();
  const BindingFields home{"payment", "weather", "GET", "path:/v1/a"};
  const std::string id = bound_challenge_id(keys, home, kSlots);
  EXPECT_EQ(verify_bound_id(keys, home, kSlots, id), 0U);
  EXPECT_EQ(verify_bound_id(keys, {"payment", "weather", "HEAD", "path:/v1/a"}, kSlots, id), 0U)
      << "HEAD is GET";
  for (const BindingFields& other : {BindingFields{"l402", "weather", "GET", "path:/v1/a"},
                                     BindingFields{"payment", "maps", "GET", "path:/v1/a"},
                                     BindingFields{"payment", "weather", "POST", "path:/v1/a"},
                                     BindingFields{"payment", "weather", "get", "path:/v1/a"},
                                     BindingFields{"payment", "weather", "GET", "path:/v1/b"},
                                     BindingFields{"payment", "weather", "GET", ""}}) {
    EXPECT_EQ(verify_bound_id(keys, other, kSlots, id), std::nullopt);
  }
  IdSlots changed = kSlots;
  changed.request = "e31";
  EXPECT_EQ(verify_bound_id(keys, home, changed, id), std::nullopt);
  EXPECT_EQ(keys.verify_id(kSlots, id), std::nullopt) << "the ring's key itself signs nothing";
}

TEST(Binding, PreviousKeysStillVerify) {
  const KeyRing keys = ring();
  const BindingFields home{"payment", "weather", "GET", "x"};
  const std::string id = challenge_id(derive_binding_key(keys.at(1), home), kSlots);
  EXPECT_EQ(verify_bound_id(keys, home, kSlots, id), 1U);
}

TEST(Binding, FieldsCannotRunIntoEachOther) {
  const KeyRing keys = ring();
  const auto id = [&](const BindingFields& f) { return bound_challenge_id(keys, f, kSlots); };
  EXPECT_NE(id({"ab", "c", "", ""}), id({"a", "bc", "", ""}));
  EXPECT_NE(id({"", "ab", "c", ""}), id({"", "ab", "", "c"}));
  EXPECT_NE(id({"a", "", "", ""}), id({"", "a", "", ""}));
}

struct Row {
  const char* name;
  const char* raw;
  const char* expected;  // null: refused
};
class NormalisePath : public testing::TestWithParam<Row> {};

// rule: MPP-24
TEST_P(NormalisePath, HasOneSpelling) {
  const auto path = normalise_path(GetParam().raw);
  if (GetParam().expected == nullptr) {
    ASSERT_FALSE(path.has_value()) << *path;
    EXPECT_TRUE(path.error().is(Errc::bad_path));
    return;
  }
  ASSERT_TRUE(path.has_value()) << path.error().message();
  EXPECT_EQ(*path, GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, NormalisePath,
    testing::Values(Row{"root", "/", "/"}, Row{"plain", "/v1/weather", "/v1/weather"},
                    Row{"trailing_slash_stays", "/v1/", "/v1/"},
                    Row{"escape_of_letter", "/v1/%77eather", "/v1/weather"},
                    Row{"escape_upper_and_lower", "/%c3%A9", "/\xC3\xA9"},
                    Row{"escaped_percent_once", "/100%25", "/100%"},
                    Row{"not_decoded_twice", "/%252e%252e/a", "/%2e%2e/a"},
                    Row{"escaped_question_mark", "/a%3Fb", "/a?b"}, Row{"space", "/a%20b", "/a b"},
                    Row{"double_slash", "/v1//a///b", "/v1/a/b"}, Row{"only_slashes", "///", "/"},
                    Row{"dot", "/v1/./a/.", "/v1/a/"}, Row{"dot_dot", "/v1/x/../a", "/v1/a"},
                    Row{"dot_dot_at_end", "/v1/x/..", "/v1/"},
                    Row{"dot_dot_to_root", "/v1/..", "/"},
                    Row{"escaped_dots", "/v1/%2e%2E/a", "/a"},
                    Row{"dots_in_names", "/.well-known/..a/b..", "/.well-known/..a/b.."},
                    Row{"escaped_slash", "/projects/group%2Fname", "/projects/group/name"},
                    Row{"slashes_then_up", "/a//../b", "/b"},
                    Row{"semicolon_and_others", "/a;b=1,c:d@e!$&'()*+", "/a;b=1,c:d@e!$&'()*+"},
                    Row{"empty", "", nullptr}, Row{"no_slash", "v1", nullptr},
                    Row{"asterisk", "*", nullptr}, Row{"absolute_uri", "http://x/", nullptr},
                    Row{"query", "/a?b", nullptr}, Row{"fragment", "/a#b", nullptr},
                    Row{"above_root", "/..", nullptr},
                    Row{"above_root_later", "/a/../../b", nullptr},
                    Row{"dots_with_parameters", "/free/..;/paid", nullptr},
                    Row{"dots_with_named_parameters", "/free/..;a=b/paid", nullptr},
                    Row{"dot_with_parameters", "/free/.;/paid", nullptr},
                    Row{"empty_with_parameters", "/free/;/paid", nullptr},
                    Row{"escaped_dots_with_parameters", "/free/%2e%2e;/paid", nullptr},
                    Row{"name_with_parameters", "/free/a;b/paid", "/free/a;b/paid"},
                    Row{"escaped_above_root", "/%2e%2e/", nullptr}, Row{"nul", "/a%00b", nullptr},
                    Row{"line_feed", "/a%0Ab", nullptr}, Row{"delete", "/a%7F", nullptr},
                    Row{"raw_control", "/a\x01", nullptr}, Row{"cut_escape_1", "/a%", nullptr},
                    Row{"cut_escape_2", "/a%4", nullptr}, Row{"bad_escape", "/a%4g", nullptr},
                    Row{"percent_u", "/%u0041", nullptr},
                    Row{"escaped_slash_and_dots", "/public%2F..%2Fpremium", nullptr},
                    Row{"escaped_slash_dots_end", "/public/..%2Fpremium", nullptr},
                    Row{"escaped_slash_before_dots", "/public%2F../premium", nullptr},
                    Row{"escaped_slash_twice", "/a%2F%2Fb", nullptr},
                    Row{"escaped_slash_at_end", "/a%2F", nullptr},
                    Row{"escaped_slash_at_start", "/%2Fa", nullptr},
                    Row{"backslash", "/public\\..\\premium", nullptr},
                    Row{"escaped_backslash", "/public%5C..%5cpremium", nullptr},
                    Row{"escaped_backslash_alone", "/a%5Cb", nullptr}),
    [](const auto& info) { return info.param.name; });

TEST(NormalisePathProperty, NothingChangesTheSecondTime) {
  for (const char* raw : {"/a%25b/../c//d/./", "/x%20y/%7e", "/..a/b"}) {
    const std::string once = normalise_path(raw).value();
    std::string escaped;
    for (const char c : once) escaped += c == '%' ? std::string("%25") : std::string(1, c);
    EXPECT_EQ(normalise_path(escaped).value(), once);
  }
}

// Plain paths take a short way; escaping one letter sends the same path the long way.
TEST(NormalisePathProperty, BothWaysAgree) {
  for (const char* raw :
       {"/", "/a", "/a/", "/v1/weather/today", "/a.b/c-d_e~f", "/a:b@c!$&'()*+,=", "/caf\xC3\xA9",
        "/a//b", "/.well-known/x", "/a/./b", "/a/../b", "/..a/b"}) {
    std::string escaped;
    for (const char c : std::string_view(raw)) {
      if (c == 'a' || c == 'e' || c == 'w' || c == '.') {
        escaped += fmt::format("%{:02X}", static_cast<unsigned>(c));
      } else {
        escaped += c;
      }
    }
    EXPECT_EQ(normalise_path(escaped).value(), normalise_path(raw).value()) << raw;
  }
}

}  // namespace
}  // namespace octroi::mpp
