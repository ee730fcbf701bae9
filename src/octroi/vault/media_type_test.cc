#include "octroi/vault/media_type.h"

#include <gtest/gtest.h>

namespace octroi::vault {
namespace {

TEST(MediaType, IsReadByItsGrammar) {
  struct Row {
    std::string field, essence, charset;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"", "", ""},
           {"application/json", "application/json", ""},
           {" Application/JSON ", "application/json", ""},
           {"application/json;charset=UTF-8", "application/json", "utf-8"},
           {"application/json ; charset=\"utf-8\"", "application/json", "utf-8"},
           {"application/json; charset=\"ut\\f-8\"", "application/json", "utf-8"},
           {"application/json;", "application/json", ""},
           {"application/json;; a=b ;charset=utf-7", "application/json", "utf-7"},
           {"application/json; xcharset=utf-7", "application/json", ""},
           {"application/json; a=\"; charset=utf-7\"", "application/json", ""},
           {"application/vnd.api+json; ext=\"x;y\"", "application/vnd.api+json", ""}}) {
    const auto got = read_media_type(row.field);
    ASSERT_TRUE(got) << row.field;
    EXPECT_EQ(got->essence, row.essence) << row.field;
    EXPECT_EQ(got->charset, row.charset) << row.field;
  }
}

TEST(MediaType, TwoReadingsAreNone) {
  for (const char* field :
       {"json", "application/", "/json", "application/json; charset = utf-8",
        "application/json; charset =utf-8", "application/json; charset= utf-8",
        "application/json; charset=utf-8; charset=utf-7",
        "application/json; charset=utf-8; CHARSET=utf-8",
        "application/x-www-form-urlencoded, a/b+json", "application/json, text/plain",
        "application/json charset=utf-7", "application/json; charset", "application/json; =x",
        "application/json; charset=", "application/json; charset=\"utf-8",
        "application/json; charset=\"utf-8\\", "application/json; charset=\"utf-8\"x",
        "appl ication/json", "application/json;charset=utf-8,utf-7"})
    EXPECT_FALSE(read_media_type(field)) << field;
}

TEST(MediaType, KnowsWhatIsOurs) {
  EXPECT_TRUE(read_media_type("application/problem+json")->is_json());
  EXPECT_FALSE(read_media_type("text/json")->is_json());
  EXPECT_FALSE(read_media_type("image/svg+json")->is_json());
  EXPECT_TRUE(read_media_type("application/x-www-form-urlencoded")->is_form());
  EXPECT_TRUE(read_media_type("application/json")->check_utf8());
  EXPECT_TRUE(read_media_type("application/json; charset=utf8")->check_utf8());
  EXPECT_FALSE(read_media_type("application/json; charset=utf-7")->check_utf8());
  EXPECT_FALSE(read_media_type("application/json; charset=utf-16")->check_utf8());
}

}  // namespace
}  // namespace octroi::vault
