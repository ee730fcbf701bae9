#include "octroi/base/log.h"

#include <filesystem>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "octroi/base/file.h"

namespace octroi {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

/// A log file of its own; the settings before it come back when the test ends.
class LogTest : public testing::Test {
 protected:
  LogTest() {
    std::string pattern = testing::TempDir() + "/octroi_log_XXXXXX";
    folder_ = mkdtemp(pattern.data());
    config_.file = folder_ + "/octroi.log";
  }
  ~LogTest() override {
    (void)configure_log(LogConfig{});
    std::filesystem::remove_all(folder_);
  }
  void start() { ASSERT_TRUE(configure_log(config_)); }
  [[nodiscard]] std::string written() const { return read_file(config_.file).value(); }
  /// The last line without its time and line feed.
  [[nodiscard]] std::string last() const {
    std::string all = written();
    all.pop_back();
    return all.substr(all.rfind('\n') == std::string::npos ? 0 : all.rfind('\n') + 1);
  }

  std::string folder_;
  LogConfig config_;
};

TEST_F(LogTest, WritesText) {
  start();
  OCTROI_LOG(info, "paywall", "settled",
             {{"service", "weather"},
              {"amount_msat", 1500},
              {"late", false},
              {"note", "two words"},
              {"empty", ""},
              {"big", 18446744073709551615ULL},
              {"minus", -3}});
  EXPECT_THAT(last(), testing::MatchesRegex(
                          "....-..-..T..:..:..\\....Z info  paywall: settled service=weather "
                          "amount_msat=1500 late=false note=\"two words\" empty=\"\" "
                          "big=18446744073709551615 minus=-3"));
}

TEST_F(LogTest, WritesJson) {
  config_.json = true;
  start();
  OCTROI_LOG(warn, "mpp", "odd \"event\"", {{"path", "a\\b"}, {"n", 7}, {"yes", true}});
  EXPECT_THAT(
      last(),
      EndsWith(
          R"("level":"warn","module":"mpp","event":"odd \"event\"","path":"a\\b","n":7,"yes":true})"));
  EXPECT_THAT(last(), testing::StartsWith("{\"time\":\"20"));
}

struct InjectionRow {
  const char* name;
  std::string value;
  std::string shown;
};

TEST_F(LogTest, OneEventIsOneLine) {
  const std::vector<InjectionRow> rows = {
      {"line feed", "a\nb", "a\\nb"},
      {"carriage return", "a\rb", "a\\rb"},
      {"tab", "a\tb", "a\\tb"},
      {"terminal escape", "\x1b[2J", "\\u001b[2J"},
      {"NUL", std::string("a\0b", 3), "a\\u0000b"},
      {"delete", "a\x7f", "a\\u007f"},
      {"next line (C1)",
       "a\xc2\x85"
       "b",
       "a\\u0085b"},
      {"line separator",
       "a\xe2\x80\xa8"
       "b",
       "a\\u2028b"},
      {"right-to-left override", "a\xe2\x80\xae", "a\\u202e"},
      {"isolate", "a\xe2\x81\xa6", "a\\u2066"},
      {"quote and backslash", "\"\\ ", "\\\"\\\\ "},
      {"not UTF-8", "a \xff", "a \xef\xbf\xbd"},
      {"overlong", "a \xc0\xaf", "a \xef\xbf\xbd\xef\xbf\xbd"},
      {"surrogate", "a \xed\xa0\x80", "a \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
      {"cut character", "a \xe2\x82", "a \xef\xbf\xbd\xef\xbf\xbd"},
      {"good UTF-8", "a \xe2\x82\xac \xf0\x9f\x8c\xa6", "a \xe2\x82\xac \xf0\x9f\x8c\xa6"},
  };
  for (const bool json : {false, true}) {
    config_.json = json;
    start();
    for (const auto& row : rows) {
      SCOPED_TRACE(row.name);
      const std::string before = written();
      OCTROI_LOG(info, "base", "event", {{"value", row.value}});
      const std::string line = written().substr(before.size());
      EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
      EXPECT_THAT(line, EndsWith((json ? "\"value\":\"" : "value=\"") + row.shown +
                                 (json ? "\"}\n" : "\"\n")));
    }
  }
}

TEST_F(LogTest, EscapesEventAndKeyToo) {
  start();
  OCTROI_LOG(info, "base", std::string("a\nb"), {{"k\n=1", 1}});
  EXPECT_THAT(last(), EndsWith("base: a\\nb \"k\\n=1\"=1"));
}

TEST_F(LogTest, RedactsFieldsByNameShapeAndRegistration) {
  redactor().add_text("registered-secret-1");
  const std::string hash(64, 'a');
  for (const bool json : {false, true}) {
    config_.json = json;
    start();
    OCTROI_LOG(info, "base", "seen registered-secret-1",
               {{"preimage", "zz"},
                {"Payment-Receipt", "zz"},
                {"lnd_macaroon", "zz"},
                {"API-Key", "zz"},
                {"note", "x registered-secret-1 y"},
                {"header", "Authorization: L402 zz"},
                {"payment_hash", hash}});
    EXPECT_THAT(last(), Not(HasSubstr("zz")));
    EXPECT_THAT(last(), Not(HasSubstr("registered")));
    EXPECT_THAT(last(), HasSubstr(hash));
    EXPECT_THAT(last(), HasSubstr("x [redacted] y"));
  }
}

TEST_F(LogTest, ShortensLongValues) {
  start();
  OCTROI_LOG(info, "base", "long", {{"value", std::string(100'000, 'v')}});
  EXPECT_LT(last().size(), 9000U);
  EXPECT_THAT(last(), HasSubstr("bytes more]"));
}

TEST_F(LogTest, LevelsByModule) {
  config_.level = LogLevel::warn;
  config_.modules = {{"mpp", LogLevel::debug}, {"net", LogLevel::off}};
  start();
  EXPECT_FALSE(log_enabled(LogLevel::info, "paywall"));
  EXPECT_TRUE(log_enabled(LogLevel::warn, "paywall"));
  EXPECT_TRUE(log_enabled(LogLevel::debug, "mpp"));
  EXPECT_FALSE(log_enabled(LogLevel::trace, "mpp"));
  EXPECT_FALSE(log_enabled(LogLevel::error, "net"));
  EXPECT_FALSE(log_enabled(LogLevel::off, "mpp"));
  int evaluated = 0;
  OCTROI_LOG(info, "paywall", "skipped", {{"n", ++evaluated}});
  EXPECT_EQ(evaluated, 0);
  OCTROI_LOG(info, "mpp", "written", {{"n", ++evaluated}});
  EXPECT_EQ(evaluated, 1);
  EXPECT_THAT(written(), HasSubstr("written"));
}

TEST_F(LogTest, ParsesLevels) {
  EXPECT_EQ(parse_log_level("trace").value(), LogLevel::trace);
  EXPECT_EQ(parse_log_level("off").value(), LogLevel::off);
  for (const char* text : {"", "Info", "warning", "info "}) {
    EXPECT_EQ(parse_log_level(text).error().code(), "log.bad_level") << text;
  }
}

TEST_F(LogTest, BadFileLeavesTheSettings) {
  start();
  LogConfig bad;
  bad.file = folder_ + "/no/such/folder.log";
  const auto result = configure_log(bad);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), "log.bad_file");
  EXPECT_THAT(std::string(result.error().message()), HasSubstr("log.file"));
  OCTROI_LOG(info, "base", "still here");
  EXPECT_THAT(written(), HasSubstr("still here"));
}

TEST_F(LogTest, RotatesAndKeeps) {
  config_.rotate_bytes = 400;
  config_.rotate_keep = 2;
  start();
  for (int i = 0; i < 50; ++i) OCTROI_LOG(info, "base", "line", {{"number", i}});
  EXPECT_LE(std::filesystem::file_size(config_.file), 400U);
  EXPECT_THAT(written(), HasSubstr("number=49"));
  EXPECT_TRUE(std::filesystem::exists(config_.file + ".1"));
  EXPECT_TRUE(std::filesystem::exists(config_.file + ".2"));
  EXPECT_FALSE(std::filesystem::exists(config_.file + ".3"));
  // The newest of what was rotated away ends where the present file begins.
  const std::string older = read_file(config_.file + ".1").value();
  const std::string begin = written().substr(written().find("number=") + 7);
  EXPECT_THAT(older, HasSubstr("number=" + std::to_string(std::stoi(begin) - 1) + "\n"));
  struct stat info{};
  ASSERT_EQ(stat(config_.file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST_F(LogTest, AppendsAfterARestart) {
  start();
  OCTROI_LOG(info, "base", "first");
  start();
  OCTROI_LOG(info, "base", "second");
  EXPECT_THAT(written(), testing::AllOf(HasSubstr("first"), HasSubstr("second")));
}

TEST_F(LogTest, LinesOfManyThreadsStayWhole) {
  config_.rotate_bytes = 16 << 10;
  config_.rotate_keep = 100;
  start();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 300; ++i) {
        OCTROI_LOG(info, "base", "thread", {{"t", t}, {"end", "here"}});
        if (i % 100 == 0) redactor().add_text("secret-of-thread-" + std::to_string(t));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::size_t lines = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    const std::string text = read_file(entry.path().string()).value();
    std::size_t from = 0;
    for (std::size_t end = 0; (end = text.find('\n', from)) != std::string::npos; from = end + 1) {
      EXPECT_THAT(text.substr(from, end - from), EndsWith("end=here"));
      ++lines;
    }
  }
  EXPECT_EQ(lines, 1200U);
}

}  // namespace
}  // namespace octroi
