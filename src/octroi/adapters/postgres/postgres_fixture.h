// octroi/adapters/postgres/postgres_fixture.h: a PostgreSQL server of the test's own, on a socket
// in a folder of its own, and stores in fresh databases on it. For tests only.
//
// The server ends with the test program, also when that is killed. Run as root it is started as
// the user `postgres` or `nobody`, because it refuses root.
#pragma once

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "octroi/adapters/postgres/store.h"
#include "octroi/ledger/store_testing.h"

namespace octroi::postgres {

/// Programs that must not run as root, in a folder that belongs to whom they run as.
class Sandbox {
 public:
  Sandbox() {
    std::string name = (std::filesystem::temp_directory_path() / "octroi-pg-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
    if (::geteuid() != 0) return;
    const passwd* user = ::getpwnam("postgres");
    if (user == nullptr) user = ::getpwnam("nobody");
    if (user == nullptr) return;
    uid_ = user->pw_uid;
    gid_ = user->pw_gid;
    if (::chown(path_.c_str(), uid_, gid_) != 0) ADD_FAILURE() << "chown " << path_;
  }
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;
  ~Sandbox() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

  [[nodiscard]] pid_t start(std::vector<std::string> command) const {
    std::vector<char*> argv;
    for (std::string& word : command) argv.push_back(word.data());
    argv.push_back(nullptr);
    const std::string log = path_ + "/log";
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    if (uid_ != 0 && (::setgroups(0, nullptr) != 0 || ::setgid(gid_) != 0 || ::setuid(uid_) != 0)) {
      ::_exit(126);
    }
    ::prctl(PR_SET_PDEATHSIG, SIGINT);  // after setuid, which clears it
    if (::chdir(path_.c_str()) != 0) ::_exit(126);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  [[nodiscard]] bool run(std::vector<std::string> command) const {
    int status = 0;
    return ::waitpid(start(std::move(command)), &status, 0) > 0 && status == 0;
  }
  [[nodiscard]] std::string log() const {
    std::ifstream in(path_ + "/log");
    return {std::istreambuf_iterator<char>(in), {}};
  }

 private:
  std::string path_;
  uid_t uid_ = 0;
  gid_t gid_ = 0;
};

inline std::string postgres_program(const std::string& name) {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", ignored)) {
    const auto path = entry.path() / "bin" / name;
    if (std::filesystem::exists(path)) found.push_back(path.string());
  }
  std::ranges::sort(found);
  return found.empty() ? name : found.back();
}

class TestServer {
 public:
  TestServer() {
    const bool made =
        box_.run({postgres_program("initdb"), "-D", box_.path() + "/data", "-U", "octroi", "-A",
                  "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"});
    if (!made) ADD_FAILURE() << "initdb failed (script/bootstrap installs it): " << box_.log();
    start();
  }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;
  ~TestServer() { stop(SIGQUIT); }  // nobody needs its last checkpoint

  /// One for the whole test program.
  static TestServer& shared() {
    static TestServer server;
    return server;
  }

  void start() {
    pid_ = box_.start({postgres_program("postgres"), "-D", box_.path() + "/data", "-k", box_.path(),
                       "-c", "listen_addresses=", "-c", "max_connections=200", "-c",
                       "shared_buffers=32MB", "-c", "deadlock_timeout=100ms", "-c",
                       "recovery_init_sync_method=syncfs"});
    for (int i = 0; i < 200; ++i) {
      if (Session::open(options("postgres"))) return;
      std::this_thread::sleep_for(Millis(50));
    }
    ADD_FAILURE() << "the server does not start: " << box_.log();
  }
  /// Ends it; SIGINT lets transactions fail, SIGKILL is a crash of the whole machine but its disk.
  void stop(int signal = SIGINT) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  void restart() {
    stop();
    start();
  }

  [[nodiscard]] SessionOptions options(const std::string& database) const {
    SessionOptions o;
    o.url = fmt::format("postgresql://octroi@/{}?host={}", database, box_.path());
    o.timeout = std::chrono::seconds(10);
    return o;
  }
  [[nodiscard]] std::string make_database(const std::string& with = "") {
    const std::string name = fmt::format("t{}", ++count_);
    EXPECT_TRUE(admin(fmt::format("CREATE DATABASE {} {}", name, with)));
    return name;
  }
  Result<> admin(const std::string& sql, const std::string& database = "postgres") {
    OCTROI_TRY(auto session, Session::open(options(database)));
    return session->script(sql);
  }
  /// Of the connections of one database, the process ids of the backends.
  std::vector<pid_t> backends(const std::string& database) {
    std::vector<pid_t> out;
    auto session = Session::open(options("postgres"));
    if (!session) return out;
    auto q = (*session)->query("SELECT CAST(pid AS BIGINT) FROM pg_stat_activity WHERE datname = ?",
                               std::string_view(database));
    while (q && q->step().value_or(false)) out.push_back(static_cast<pid_t>(q->integer(0)));
    return out;
  }
  [[nodiscard]] const Sandbox& box() const { return box_; }

 private:
  Sandbox box_;
  pid_t pid_ = -1;
  std::atomic<int> count_{0};
};

class PostgresFixture final : public ledger::StoreFixture {
 public:
  PostgresFixture() : database_(TestServer::shared().make_database()) { open(); }
  ledger::Store& store() override { return *store_; }
  void restart() override {
    store_.reset();
    open();
  }
  [[nodiscard]] bool shared() const override { return true; }
  [[nodiscard]] const std::string& database() const { return database_; }
  /// Another replica.
  [[nodiscard]] std::unique_ptr<ledger::Store> another() {
    PostgresOptions options;
    options.session = TestServer::shared().options(database_);
    auto opened = open_postgres_store(options, clock_);
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? *std::move(opened) : nullptr;
  }

 private:
  void open() { store_ = another(); }
  std::string database_;
  ManualClock clock_{ledger::kStart};
  std::unique_ptr<ledger::Store> store_;
};

}  // namespace octroi::postgres
