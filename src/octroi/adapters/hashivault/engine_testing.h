// octroi/adapters/hashivault/engine_testing.h: a server that answers as HashiCorp Vault does, on a
// thread of its own, for tests.
#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octroi/http/server.h"
#include "octroi/net/tls_identity.h"
#include "octroi/secrets/errc.h"

namespace octroi::hashivault {

inline constexpr const char* kToken = "hvs.right";

struct Reply {
  int status = 200;
  std::string body;
};

class Engine {
 public:
  /// Answers a body; runs on the server's thread, one at a time.
  using Answers = std::function<Reply(const std::string& body)>;

  explicit Engine(std::shared_ptr<const net::TlsServerContext> tls = nullptr) {
    std::promise<std::uint16_t> port;
    auto told = port.get_future();
    thread_ = std::thread([this, tls = std::move(tls), &port] {
      net::Loop loop;
      http::ServerConfig config;
      config.listen = net::Endpoint::parse("127.0.0.1:0").value();
      config.tls = tls;
      auto server =
          http::listen(loop, std::move(config), [this](http::Exchange& x) { return answer(&x); });
      loop_ = &loop;
      loop.post([&] { port.set_value((*server)->local().port); });
      loop.run();
    });
    port_ = told.get();
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine() {
    loop_->stop();
    thread_.join();
  }

  /// To a GET, of who shows a token that is accepted.
  void set(const std::string& target, const Reply& reply) {
    on(target, [reply](const std::string&) { return reply; });
  }
  /// To a POST (and a GET) of who shows a token that is accepted.
  void on(const std::string& target, Answers answers) {
    const std::lock_guard lock(guard_);
    answers_[target] = std::move(answers);
  }
  /// To a POST without a token.
  void on_login(const std::string& target, Answers answers) {
    const std::lock_guard lock(guard_);
    logins_[target] = std::move(answers);
  }
  void accept(std::set<std::string> tokens) {
    const std::lock_guard lock(guard_);
    accepted_ = std::move(tokens);
  }
  /// Targets since the last time it was called.
  std::vector<std::string> asked() {
    const std::lock_guard lock(guard_);
    return std::exchange(asked_, {});
  }
  [[nodiscard]] std::string port() const { return std::to_string(port_); }

 private:
  Reply reply_to(const http::RequestHead& request, const std::string& body) {
    const std::lock_guard lock(guard_);
    asked_.push_back(request.target +
                     (request.headers.get("x-vault-namespace") ? " in a namespace" : ""));
    const auto token = request.headers.get("x-vault-token");
    if (const auto it = logins_.find(request.target); !token && it != logins_.end())
      return request.method == "POST" ? it->second(body) : Reply{405, "{}"};
    if (!token || !accepted_.contains(std::string(*token)))
      return {403, R"({"errors":["permission denied"]})"};
    const auto it = answers_.find(request.target);
    if (it == answers_.end()) return {404, R"({"errors":[]})"};
    return it->second(body);
  }
  Task<void> answer(http::Exchange* x) {
    const auto body = co_await http::read_all(x->body(), std::uint64_t{1} << 20);
    Reply reply = reply_to(x->request(), body.value_or(""));
    http::ResponseHead head;
    head.status = reply.status;
    if (reply.status == 307) head.headers.set("Location", "http://127.0.0.1:1/elsewhere");
    std::ignore = co_await x->respond(std::move(head), std::move(reply.body));
  }

  std::mutex guard_;
  std::map<std::string, Answers> answers_;
  std::map<std::string, Answers> logins_;
  std::set<std::string> accepted_{kToken};
  std::vector<std::string> asked_;
  net::Loop* loop_ = nullptr;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

/// A listener whose connections stand, and nothing comes.
class SilentServer {
 public:
  SilentServer() {
    http::ServerConfig config;
    config.listen = net::Endpoint::parse("127.0.0.1:0").value();
    server_ = http::listen(loop_, std::move(config), [](http::Exchange&) -> Task<void> {
                co_return;
              }).value();
  }
  [[nodiscard]] std::string address() const {
    return "http://127.0.0.1:" + std::to_string(server_->local().port);
  }

 private:
  net::Loop loop_;
  std::unique_ptr<http::Server> server_;
};

/// What an answer is told as, whose body may hold "top-secret".
struct Told {
  Reply reply;
  secrets::Errc code;
  const char* says;
};
inline void expect_told(const Error& error, const Told& row) {
  const std::string message(error.message());
  EXPECT_TRUE(error.is(row.code)) << error.code();
  EXPECT_THAT(message, testing::HasSubstr(row.says));
  EXPECT_THAT(message, testing::Not(testing::HasSubstr("top-secret")));
}

}  // namespace octroi::hashivault
