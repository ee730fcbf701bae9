#include "octroi/base/file.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "octroi/base/env.h"
#include "octroi/base/random.h"

namespace octroi {
namespace {

class FileTest : public testing::Test {
 protected:
  FileTest() {
    std::string pattern = testing::TempDir() + "/octroi_file_XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~FileTest() override { std::filesystem::remove_all(folder_); }
  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  static void put(const std::string& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
  }
  [[nodiscard]] std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder_), {}));
  }
  static Secret fresh() { return system_random().secret(32); }

  std::string folder_;
};

TEST_F(FileTest, ReadsUpToTheLimit) {
  put(path("a"), std::string(10'000, 'x'));
  EXPECT_EQ(read_file(path("a"), 10'000).value().size(), 10'000U);
  EXPECT_EQ(read_file(path("a"), 9'999).error().code(), "file.too_large");
  put(path("empty"), "");
  EXPECT_EQ(read_file(path("empty"), 0).value(), "");
  EXPECT_EQ(read_secret_file(path("a")).value().size(), 10'000U);
  EXPECT_GT(read_file("/proc/self/status").value().size(), 100U);  // says 0 bytes, holds more
  EXPECT_EQ(read_file("/proc/self/status", 50).error().code(), "file.too_large");
}

TEST_F(FileTest, NamesWhatIsWrong) {
  EXPECT_EQ(read_file(path("none")).error().code(), "file.not_found");
  EXPECT_EQ(read_file(path("none/below")).error().code(), "file.not_found");
  EXPECT_EQ(read_file(folder_).error().code(), "file.not_regular");
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(read_file(path("pipe")).error().code(), "file.not_regular");  // and does not hang
  EXPECT_NE(read_file(path("none")).error().message().find("none"), std::string_view::npos);
}

TEST_F(FileTest, WritesAtomically) {
  ASSERT_TRUE(write_file_atomic(path("a"), as_bytes("one")));
  ASSERT_TRUE(write_file_atomic(path("a"), as_bytes("two")));
  EXPECT_EQ(read_file(path("a")).value(), "two");
  EXPECT_EQ(entries(), 1U);
  struct stat info{};
  ASSERT_EQ(stat(path("a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  const auto missing = write_file_atomic(path("none/a"), as_bytes("x"));
  EXPECT_EQ(missing.error().code(), "file.not_found");
  ASSERT_EQ(mkdir(path("folder").c_str(), 0700), 0);
  EXPECT_FALSE(write_file_atomic(path("folder"), as_bytes("x")));
  EXPECT_EQ(entries(), 2U);  // no temporary file stays after a failure
}

TEST_F(FileTest, CreatesASecretOnce) {
  int made = 0;
  const auto make = [&made] {
    ++made;
    return fresh();
  };
  const auto first = load_or_create_secret_file(path("key"), {32, 32}, make);
  ASSERT_TRUE(first) << first.error().message();
  const auto second = load_or_create_secret_file(path("key"), {32, 32}, make);
  ASSERT_TRUE(second);
  EXPECT_TRUE(first->equals(*second));
  EXPECT_EQ(made, 1);
  EXPECT_EQ(entries(), 1U);
  struct stat info{};
  ASSERT_EQ(stat(path("key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

struct LeftAloneRow {
  const char* name;
  std::string content;
  const char* code;
};

TEST_F(FileTest, LeavesAFileOfTheWrongSizeAlone) {
  for (const auto& row :
       std::vector<LeftAloneRow>{{"empty", "", "file.bad_size"},
                                 {"short", std::string(31, 'x'), "file.bad_size"},
                                 {"long", std::string(33, 'x'), "file.bad_size"},
                                 {"huge", std::string(9000, 'x'), "file.bad_size"}}) {
    SCOPED_TRACE(row.name);
    put(path("key"), row.content);
    const auto result = load_or_create_secret_file(path("key"), {32, 32}, [] {
      ADD_FAILURE() << "made a new key";
      return fresh();
    });
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), row.code);
    EXPECT_EQ(read_file(path("key")).value(), row.content);
    EXPECT_EQ(entries(), 1U);
  }
}

TEST_F(FileTest, LeavesAnUnreadableFileAlone) {
  put(path("key"), std::string(32, 'k'));
  ASSERT_EQ(chmod(path("key").c_str(), 0), 0);
  const bool root = geteuid() == 0;  // root reads everything: then the content is what is used
  const auto result = load_or_create_secret_file(path("key"), {32, 32}, fresh);
  ASSERT_EQ(chmod(path("key").c_str(), 0600), 0);
  if (root) {
    EXPECT_TRUE(result->equals(std::string(32, 'k')));
  } else {
    EXPECT_EQ(result.error().code(), "file.denied");
  }
  EXPECT_EQ(read_file(path("key")).value(), std::string(32, 'k'));
}

TEST_F(FileTest, LeavesWhatIsNoFileAlone) {
  ASSERT_EQ(mkdir(path("key").c_str(), 0700), 0);
  EXPECT_EQ(load_or_create_secret_file(path("key"), {32, 32}, fresh).error().code(),
            "file.not_regular");
  ASSERT_EQ(symlink("/nonexistent/target", path("dangling").c_str()), 0);
  EXPECT_FALSE(load_or_create_secret_file(path("dangling"), {32, 32}, fresh));
  EXPECT_TRUE(std::filesystem::is_symlink(path("dangling")));
  EXPECT_EQ(entries(), 2U);
}

TEST_F(FileTest, ErrorsWhenMakeGivesTheWrongSize) {
  const auto result = load_or_create_secret_file(path("key"), {32, 32},
                                                 [] { return Secret(std::string_view("x")); });
  EXPECT_EQ(result.error().code(), "file.bad_size");
  EXPECT_EQ(entries(), 0U);
}

TEST_F(FileTest, RacersAgreeOnOneValue) {
  for (int round = 0; round < 20; ++round) {
    const std::string key = path("key" + std::to_string(round));
    std::array<std::string, 4> seen;
    std::vector<std::thread> threads;
    for (auto& value : seen) {
      threads.emplace_back([&value, &key] {
        value = load_or_create_secret_file(key, {32, 32}, fresh).value().reveal_text();
      });
    }
    for (auto& thread : threads) thread.join();
    for (const auto& value : seen) EXPECT_EQ(value, seen[0]);
  }
  EXPECT_EQ(entries(), 20U);
}

TEST_F(FileTest, APrivateFileIsMadeAndNeverChanged) {
  ASSERT_TRUE(make_private_file(path("db")));
  struct stat st{};
  ASSERT_EQ(stat(path("db").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777U, 0600U);
  put(path("db"), "rows");
  ASSERT_TRUE(make_private_file(path("db")));
  EXPECT_EQ(read_file(path("db")).value(), "rows");
  EXPECT_EQ(make_private_file(path("none/db")).error().code(), "file.not_found");
}

TEST_F(FileTest, ALockHasOneHolder) {
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        const auto lock = FileLock::wait_for(path("lock"));
        ASSERT_TRUE(lock);
        const int now = ++inside;
        if (now > most) most = now;
        std::this_thread::yield();
        --inside;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(most, 1);
}

TEST_F(FileTest, ALockCanBeTried) {
  auto held = FileLock::try_for(path("lock"));
  ASSERT_TRUE(held && *held);
  const auto second = FileLock::try_for(path("lock"));
  ASSERT_TRUE(second);
  EXPECT_FALSE(*second);
  held->reset();
  const auto third = FileLock::try_for(path("lock"));
  EXPECT_TRUE(third && *third);
  EXPECT_EQ(FileLock::try_for(path("none/lock")).error().code(), "file.not_found");
}

TEST(Env, CopiesAndScrubs) {
  ASSERT_EQ(setenv("OCTROI_TEST_VALUE", "hunter2hunter2", 1), 0);
  EXPECT_EQ(get_env("OCTROI_TEST_VALUE").value(), "hunter2hunter2");
  const char* where = getenv("OCTROI_TEST_VALUE");
  EXPECT_EQ(get_env_secret("OCTROI_TEST_VALUE")->reveal_text(), "hunter2hunter2");
  scrub_env("OCTROI_TEST_VALUE");
  EXPECT_FALSE(get_env("OCTROI_TEST_VALUE"));
  EXPECT_FALSE(get_env_secret("OCTROI_TEST_VALUE"));
  EXPECT_EQ(std::string(where), "");
  scrub_env("OCTROI_TEST_VALUE");
  ASSERT_EQ(setenv("OCTROI_TEST_EMPTY", "", 1), 0);
  EXPECT_EQ(get_env("OCTROI_TEST_EMPTY").value(), "");
  scrub_env("OCTROI_TEST_EMPTY");
}

}  // namespace
}  // namespace octroi
