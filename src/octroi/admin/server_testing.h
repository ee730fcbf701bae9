// octroi/admin/server_testing.h: the admin listener as a test sees it: an Api behind a port of its
// own, over a store in memory, and a client that asks it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "octroi/admin/api.h"
#include "octroi/http/client.h"
#include "octroi/ledger/memory_store.h"
#include "octroi/net/run_until.h"

namespace octroi::admin {

inline constexpr const char* kToken = "admin-token-of-the-test";

class AdminServerTest : public testing::Test {
 protected:
  using Fields = std::vector<std::pair<std::string, std::string>>;

  explicit AdminServerTest(UnixMillis now) : clock{now} {}

  /// Without a token nothing but the page and the health of the server can be had.
  Wiring wired(std::shared_ptr<const Secret> token) {
    return {store, metrics, clock, std::move(token), true, false, {}, {}, {}, {}};
  }
  Wiring wired() { return wired(std::make_shared<Secret>(std::string_view(kToken))); }
  void serve(Wiring with) {
    api = std::make_unique<Api>(std::move(with));
    http::ServerConfig config;
    config.listen = *net::Endpoint::parse("127.0.0.1:0");
    server = std::move(
        *http::listen(loop, config, [this](http::Exchange& x) { return api->handle(x); }));
  }

  template <class T>
  T run(Task<T> task) {
    return net::run_until(loop, std::move(task));
  }
  http::Response ask_with(std::string method, std::string target, const Fields& fields) {
    http::Request r;
    r.method = std::move(method);
    r.url.scheme = "http";
    r.url.host = "127.0.0.1";
    r.url.port = server->local().port;
    r.url.target = std::move(target);
    for (const auto& [name, value] : fields) r.headers.add(name, value);
    auto got = run(client->fetch(std::move(r), 1 << 20, Millis(30'000)));
    EXPECT_TRUE(got);
    return got ? std::move(*got) : http::Response{};
  }
  static Fields bearer(const std::string& token = kToken) {
    return {{"Authorization", "Bearer " + token}};
  }

  net::Loop loop;
  ManualClock clock;
  MetricRegistry metrics;
  ledger::MemoryStore store;
  std::unique_ptr<Api> api;
  std::unique_ptr<http::Client> client = http::make_client(loop, {});
  std::unique_ptr<http::Server> server;
};

}  // namespace octroi::admin
