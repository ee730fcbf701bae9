#include "octroi/adapters/redis/reply.h"

#include <gtest/gtest.h>

namespace octroi::redis {
namespace {

using Type = Reply::Type;

struct Row {
  const char* name;
  std::string bytes;
  std::optional<Reply> reply;  // none: refused
};

const std::vector<Row>& rows() {
  static const std::vector<Row> all = {
      {"status", "+OK\r\n", Reply{Type::status, 0, "OK", {}}},
      {"error", "-NOSCRIPT No matching script.\r\n",
       Reply{Type::error, 0, "NOSCRIPT No matching script.", {}}},
      {"integer", ":-7\r\n", Reply{Type::integer, -7, "", {}}},
      {"empty text", "$0\r\n\r\n", Reply{Type::text, 0, "", {}}},
      {"nothing", "$-1\r\n", Reply{}},
      {"no list", "*-1\r\n", Reply{}},
      {"list", "*2\r\n:1\r\n$2\r\nok\r\n",
       Reply{Type::list, 0, "", {{Type::integer, 1, "", {}}, {Type::text, 0, "ok", {}}}}},
      {"empty list", "*0\r\n", Reply{Type::list, 0, "", {}}},
      {"list in a list", "*1\r\n*1\r\n+x\r\n",
       Reply{Type::list, 0, "", {{Type::list, 0, "", {{Type::status, 0, "x", {}}}}}}},
      {"a list as long as memory", "*2147483647\r\n", std::nullopt},
      {"too long a list", "*5000\r\n", std::nullopt},
      {"no type", "hello\r\n", std::nullopt},
      {"http", "HTTP/1.1 400 Bad Request\r\n", std::nullopt},
  };
  return all;
}

TEST(RedisReply, table) {
  for (const Row& row : rows()) {
    for (const bool bytewise : {false, true}) {
      ReplyReader reader;
      Result<std::optional<Reply>> got = std::optional<Reply>();
      if (!bytewise) {
        ASSERT_TRUE(reader.feed(as_bytes(row.bytes))) << row.name;
        got = reader.next();
      }
      for (std::size_t i = 0; bytewise && i < row.bytes.size() && got && !*got; ++i) {
        ASSERT_TRUE(reader.feed(as_bytes(std::string_view(row.bytes).substr(i, 1)))) << row.name;
        got = reader.next();
      }
      if (row.reply) {
        ASSERT_TRUE(got) << row.name;
        EXPECT_EQ(*got, *row.reply) << row.name;
      } else {
        EXPECT_FALSE(got) << row.name;
      }
    }
  }
}

TEST(RedisReply, several_in_one_read_and_bytes_of_any_value) {
  ReplyReader reader;
  const std::string bytes("+a\r\n$4\r\n\0\r\n\xff\r\n:3\r\n+b", 20);
  ASSERT_TRUE(reader.feed(as_bytes(bytes)));
  EXPECT_EQ(reader.next().value()->text, "a");
  EXPECT_EQ(reader.next().value()->text, std::string("\0\r\n\xff", 4));
  EXPECT_EQ(reader.next().value()->integer, 3);
  EXPECT_FALSE(reader.next().value());
  ASSERT_TRUE(reader.feed(as_bytes("\r\n")));
  EXPECT_EQ(reader.next().value()->text, "b");
}

TEST(RedisReply, a_reply_without_end_is_refused) {
  ReplyReader reader;
  ASSERT_TRUE(reader.feed(as_bytes("$500000000\r\n")));
  const std::string block(64 * 1024, 'x');
  bool refused = false;
  for (int i = 0; i < 20 && !refused; ++i) {
    ASSERT_TRUE(reader.feed(as_bytes(block)));
    refused = !reader.next();
  }
  EXPECT_TRUE(refused);
}

TEST(RedisReply, only_the_code_of_an_error_is_shown) {
  EXPECT_EQ((Reply{Type::error, 0, "WRONGPASS invalid password hunter2", {}}.code()), "WRONGPASS");
  EXPECT_EQ((Reply{Type::error, 0, "hunter2", {}}.code()), "");
  EXPECT_EQ((Reply{Type::error, 0, "ERR unknown command `AUTH hunter2`", {}}.code()), "ERR");
  EXPECT_EQ((Reply{Type::status, 0, "OK", {}}.code()), "");
}

TEST(RedisReply, a_command_is_written_with_its_lengths) {
  std::string out = "x";
  const std::array<std::string_view, 3> words = {"SET", "", "a\r\nb"};
  write_command(out, words);
  EXPECT_EQ(out, "x*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\na\r\nb\r\n");
}

}  // namespace
}  // namespace octroi::redis
