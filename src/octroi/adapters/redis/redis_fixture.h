// octroi/adapters/redis/redis_fixture.h: a redis-server of the test's own, on a free port and with
// nothing on disk, and replicas that share it. For tests only.
#pragma once

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "octroi/adapters/redis/shared_state.h"
#include "octroi/ledger/memory_store.h"
#include "octroi/net/run_until.h"

namespace octroi::redis {

/// Below those to which a cluster's nodes add 10,000.
inline std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  ::bind(fd, reinterpret_cast<const sockaddr*>(&at), size);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
  ::close(fd);
  const std::uint16_t port = ntohs(at.sin_port);
  return port < 55'000 ? port : free_port();
}

class TestRedis {
 public:
  explicit TestRedis(std::vector<std::string> more = {}) : more_(std::move(more)) {
    std::string name = (std::filesystem::temp_directory_path() / "octroi-redis-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
    port_ = free_port();
    start();
  }
  TestRedis(const TestRedis&) = delete;
  TestRedis& operator=(const TestRedis&) = delete;
  ~TestRedis() {
    stop();
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  /// One for the whole test program.
  static TestRedis& shared() {
    static TestRedis server;
    return server;
  }

  void start() {
    std::vector<std::string> words = {
        "redis-server", "--port", std::to_string(port_), "--bind", "127.0.0.1",
        "--save",       "",       "--appendonly",        "no",     "--dir",
        path_};
    words.insert(words.end(), more_.begin(), more_.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const std::string log = path_ + "/log";
    pid_ = ::fork();
    if (pid_ == 0) {
      const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
      ::dup2(out, STDOUT_FILENO);
      ::dup2(out, STDERR_FILENO);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::execvp(argv[0], argv.data());
      ::_exit(127);
    }
    for (int i = 0; i < 400; ++i) {
      std::ifstream in(log);
      const std::string text{std::istreambuf_iterator<char>(in), {}};
      if (text.find("eady to accept") != std::string::npos) return;
      std::this_thread::sleep_for(Millis(25));
    }
    ADD_FAILURE() << "redis-server does not start (script/bootstrap installs it)";
  }
  void stop(int signal = SIGKILL) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
    std::error_code ignored;
    std::filesystem::remove(path_ + "/log", ignored);
  }
  void signal(int s) const { ::kill(pid_, s); }

  [[nodiscard]] RedisOptions options() const {
    RedisOptions o;
    o.host = "127.0.0.1";
    o.port = port_;
    o.longest_pause = Millis(100);
    return o;
  }
  /// What somebody else says to it.
  Reply command(std::vector<std::string> words) const {
    net::Loop loop;
    return net::run_until(loop, say(&loop, port_, std::move(words)));
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  static Task<Reply> say(net::Loop* loop, std::uint16_t port, std::vector<std::string> words) {
    auto stream =
        co_await net::connect(*loop, {net::IpAddress::v4({127, 0, 0, 1}), port}, Millis(2'000));
    if (!stream) co_return Reply{Reply::Type::error, 0, "ERR nobody there", {}};
    Connection connection(*loop, *std::move(stream), Millis(5'000));
    auto reply = co_await connection.ask(std::move(words));
    co_return reply ? *std::move(reply) : Reply{Reply::Type::error, 0, "ERR lost", {}};
  }

  std::vector<std::string> more_;
  std::string path_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

/// One process's part: a thread with a loop, and a RedisState on it.
class Replica {
 public:
  Replica(RedisOptions options, ledger::Store& store, Hearing hearing = {})
      : state_(std::make_unique<RedisState>(loop_, std::move(options), store, system_random(),
                                            metrics_, std::move(hearing))) {
    loop_.post([this] { loop_.tasks().start(state_->run()); });
    thread_ = std::thread([this] { loop_.run(); });
  }
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;
  ~Replica() {
    loop_.stop();
    thread_.join();
    loop_.tasks().cancel();
    state_.reset();
  }
  [[nodiscard]] RedisState& state() { return *state_; }
  [[nodiscard]] MetricRegistry& metrics() { return metrics_; }

  /// Waits for it, as long as a slow machine may take.
  [[nodiscard]] bool comes_up() { return becomes(true); }
  [[nodiscard]] bool goes_down() { return becomes(false); }

 private:
  bool becomes(bool up) {
    for (int i = 0; i < 2'000; ++i) {
      if (state_->up().has_value() == up) return true;
      std::this_thread::sleep_for(Millis(5));
    }
    return false;
  }

  net::Loop loop_;
  MetricRegistry metrics_;
  std::unique_ptr<RedisState> state_;
  std::thread thread_;
};

}  // namespace octroi::redis
