#include "octroi/secrets/programs.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "octroi/secrets/resolver.h"

namespace octroi::secrets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using namespace std::string_literals;

class Programs : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "octroi-programs-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string program(const std::string& name, const std::string& lines, unsigned mode = 0700) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path) << "#!/bin/sh\n" << lines << "\n";
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }
  Result<std::string> ask(const std::string& reference, Millis timeout = Millis(30'000)) {
    OCTROI_TRY(const auto parsed, parse_reference(reference));
    if (parsed.scheme == Scheme::op) {
      return OnePasswordProvider(variables_, timeout).fetch(parsed).map(text);
    }
    return ExecProvider(variables_, timeout).fetch(parsed).map(text);
  }
  static std::string text(Fetched f) { return std::string(f.value.reveal_text()); }

  std::string folder_;
  Variables variables_{{"PATH", "/usr/bin:/bin"}, {"HOME", "/home/test"}, {"API_KEY", "hidden"}};
};

TEST_F(Programs, WhatOnePrintsIsTheSecretWithoutOneNewline) {
  struct Row {
    const char* lines;
    std::string value;
  };
  const Row rows[] = {
      {"printf secret", "secret"},
      {"echo secret", "secret"},
      {"printf 'a\\nb\\n\\n'", "a\nb\n"},
      {"printf ' padded '", " padded "},
      {"echo shown; echo noise >&2", "shown"},
      {"printf one; sleep 0.05; printf two", "onetwo"},
      {"head -c 65536 /dev/zero | tr '\\0' x; echo", std::string(65536, 'x')},
      {"cat", ""},  // nothing comes from standard input; and printing nothing is an error
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.lines);
    const auto value = ask("exec://" + program("p", row.lines));
    if (row.value.empty()) {
      ASSERT_FALSE(value);
      EXPECT_TRUE(value.error().is(Errc::empty));
      continue;
    }
    ASSERT_TRUE(value) << value.error().message();
    EXPECT_EQ(*value, row.value);
  }
}

TEST_F(Programs, WordsAreHandedOnAsTheyAreAndNoShellSeesThem) {
  const auto echo = program("show", R"(for w in "$@"; do printf '[%s]' "$w"; done)");
  EXPECT_EQ(ask("exec://" + echo + " a b%20c $HOME ;x `id` %25").value_or("?"),
            "[a][b c][$HOME][;x][`id`][%]");
  EXPECT_TRUE(ask("exec://" + echo + " %zz").error().is(Errc::bad_reference));
  EXPECT_TRUE(ask("exec://" + echo + " %2").error().is(Errc::bad_reference));
  EXPECT_TRUE(ask("exec://" + echo + " %00").error().is(Errc::bad_reference));
  EXPECT_THAT(exec_words("/a%20b  c").value(), ElementsAre("/a b", "c"));
}

TEST_F(Programs, LittleOfTheEnvironmentIsHandedOn) {
  variables_["XDG_RUNTIME_DIR"] = "/run/x";
  variables_["OP_SERVICE_ACCOUNT_TOKEN"] = "ops_1";
  const auto all = ask("exec://" + program("p", "/usr/bin/env"));
  ASSERT_TRUE(all);
  EXPECT_THAT(*all, HasSubstr("HOME=/home/test"));
  EXPECT_THAT(*all, HasSubstr("XDG_RUNTIME_DIR=/run/x"));
  EXPECT_THAT(*all, Not(HasSubstr("API_KEY")));
  EXPECT_THAT(*all, Not(HasSubstr("OP_")));
}

TEST_F(Programs, NoDescriptorIsInherited) {
  constexpr int kOurs = 77;
  ASSERT_EQ(::dup2(STDERR_FILENO, kOurs), kOurs);  // without FD_CLOEXEC
  const auto open =
      ask("exec://" + program("p", "test -e /proc/self/fd/77 && echo open || echo closed"));
  ::close(kOurs);
  EXPECT_EQ(open.value_or("?"), "closed");
}

TEST_F(Programs, SignalsAreAsForAProgramOfTheUser) {
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  const auto status = ask("exec://" + program("p", "grep -E 'SigBlk|SigIgn' /proc/self/status"));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(status) << status.error().message();
  EXPECT_THAT(*status, HasSubstr("SigBlk:\t0000000000000000"));
}

TEST_F(Programs, WhatFailsIsToldWithoutWhatItPrinted) {
  struct Row {
    const char* name;
    std::string lines;
    unsigned mode;
    Errc code;
    const char* says;
  };
  const Row rows[] = {
      {"status", "echo top-secret; echo top-secret >&2; exit 3", 0700, Errc::unreadable,
       "ended with status 3"},
      {"signal", "printf top-secret; kill -TERM $$", 0700, Errc::unreadable,
       "was ended by signal 15"},
      {"nothing", "true", 0700, Errc::empty, "printed nothing"},
      {"newline", "echo", 0700, Errc::empty, "printed nothing"},
      {"much", "head -c 70000 /dev/zero | tr '\\0' x", 0700, Errc::too_large, "more than 65536"},
      {"just-too-much", "head -c 65537 /dev/zero | tr '\\0' x", 0700, Errc::too_large,
       "more than 65536"},
      {"endless", "while :; do echo top-secret; done", 0700, Errc::too_large, "more than 65536"},
      {"no-program", "echo x", 0600, Errc::unreadable, "is not a program"},
      {"open-to-all", "echo x", 0777, Errc::unreadable, "chmod o-w"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const std::string path = program(row.name, row.lines, row.mode);
    const auto value = ask("exec://" + path);
    ASSERT_FALSE(value);
    EXPECT_TRUE(value.error().is(row.code)) << value.error().code();
    EXPECT_THAT(std::string(value.error().message()), HasSubstr(row.says));
    EXPECT_THAT(std::string(value.error().message()), HasSubstr(path));
    EXPECT_THAT(std::string(value.error().message()), Not(HasSubstr("top-secret")));
  }
  EXPECT_TRUE(ask("exec:///no/such/program").error().is(Errc::not_set));
  EXPECT_TRUE(ask("exec://" + folder_).error().is(Errc::unreadable));
  std::ofstream(folder_ + "/garbage") << "\x7f"
                                         "ELF no program at all";
  ::chmod((folder_ + "/garbage").c_str(), 0700);
  EXPECT_THAT(std::string(ask("exec://" + folder_ + "/garbage").error().message()),
              HasSubstr("cannot be started"));
}

TEST_F(Programs, OneThatHangsIsEndedWithAllThatItStarted) {
  const std::string pid_file = folder_ + "/pid";
  struct Row {
    const char* name;
    std::string lines;
  };
  const Row rows[] = {
      {"says nothing", "sleep 600 & echo $! > " + pid_file + "; wait"},
      {"closed its output",
       "echo x; sleep 600 >/dev/null & echo $! > " + pid_file + "; exec >/dev/null; wait"},
      {"left one that holds its output", "sleep 600 & echo $! > " + pid_file + "; echo x"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    std::filesystem::remove(pid_file);
    const auto value = ask("exec://" + program("p", row.lines), Millis(1'500));
    ASSERT_FALSE(value);
    EXPECT_TRUE(value.error().is(Errc::timeout)) << value.error().message();
    pid_t left = 0;
    std::ifstream(pid_file) >> left;
    if (left == 0) continue;  // so slow a machine that it was never started
    // Killed; whoever adopted it reaps it sooner or later.
    for (int i = 0; i < 3000; ++i) {
      std::ifstream stat("/proc/" + std::to_string(left) + "/stat");
      std::string pid, name, state = "gone";
      stat >> pid >> name >> state;
      if (state == "gone" || state == "Z" || state == "X") break;
      ASSERT_LT(i, 2999) << "still there: " << state;
      ::usleep(10'000);
    }
  }
}

// --- 1Password
// -----------------------------------------------------------------------------------------

TEST_F(Programs, OpIsAskedForTheReferenceAsItStands) {
  program("op", R"(printf '%s|' "$@"; printf '%s' "$OP_SERVICE_ACCOUNT_TOKEN$API_KEY")");
  variables_["PATH"] = "relative:" + folder_ + ":/usr/bin:/bin";
  variables_["OP_SERVICE_ACCOUNT_TOKEN"] = "ops_1";
  EXPECT_EQ(ask("op://Prod/Stripe key/section/password?attribute=otp").value_or("?"),
            "read|--no-newline|op://Prod/Stripe key/section/password?attribute=otp|ops_1");
}

TEST_F(Programs, WithoutOpTheFixIsNamed) {
  variables_["PATH"] = folder_;
  std::filesystem::create_directory(folder_ + "/op");  // a folder is no program
  const auto value = ask("op://a/b/c");
  ASSERT_FALSE(value);
  EXPECT_TRUE(value.error().is(Errc::not_set));
  EXPECT_THAT(std::string(value.error().message()), HasSubstr("no program op on PATH"));
  variables_.erase("PATH");
  EXPECT_TRUE(ask("op://a/b/c").error().is(Errc::not_set));
}

TEST_F(Programs, OpThatRefusesIsAnErrorOfTheReference) {
  program("op", "echo '[ERROR] top-secret' >&2; exit 1");
  variables_["PATH"] = folder_ + ":/usr/bin:/bin";
  const auto value = ask("op://a/b/c");
  ASSERT_FALSE(value);
  EXPECT_THAT(std::string(value.error().message()), HasSubstr("op://a/b/c: "));
  EXPECT_THAT(std::string(value.error().message()), Not(HasSubstr("top-secret")));
}

}  // namespace
}  // namespace octroi::secrets
