// A relay that does nothing else, to measure the engine against other proxies:
//   octroi_relay_probe LISTEN UPSTREAM [WORKERS]        e.g. 127.0.0.1:9001 127.0.0.1:9000 2
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "octroi/http/relay.h"

namespace {

using namespace octroi;  // NOLINT(google-build-using-namespace)

Task<void> forward(http::Exchange* exchange, http::Client* client, http::Origin upstream) {
  http::RelayOptions options;
  options.upstream = std::move(upstream);
  options.forwarded_for = exchange->peer().address.address.str();
  options.forwarded_proto = "http";
  const http::RelayResult result = co_await http::relay(*exchange, *client, std::move(options));
  if (result.state != http::RelayState::refused && result.state != http::RelayState::failed)
    co_return;
  http::ResponseHead head;
  head.status = 502;
  std::ignore = co_await exchange->respond(std::move(head), "bad gateway\n");
}

void work(net::Endpoint at, net::Endpoint to) {
  net::Loop loop;
  auto client = http::make_client(loop, {});
  http::ServerConfig config;
  config.listen = at;
  const http::Origin upstream{"http", to.address.str(), to.port};
  auto server = http::listen(loop, config, [&](http::Exchange& exchange) {
    return forward(&exchange, client.get(), upstream);
  });
  if (!server) {
    std::fprintf(stderr, "%s\n", std::string(server.error().message()).c_str());
    std::exit(1);
  }
  loop.run();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: octroi_relay_probe LISTEN UPSTREAM [WORKERS]\n");
    return 2;
  }
  const auto at = net::Endpoint::parse(argv[1]);
  const auto to = net::Endpoint::parse(argv[2]);
  if (!at || !to) {
    std::fprintf(stderr, "expected ADDRESS:PORT twice\n");
    return 2;
  }
  const int workers = argc > 3 ? std::atoi(argv[3]) : 1;
  std::vector<std::thread> threads;
  for (int i = 1; i < workers; ++i) threads.emplace_back(work, *at, *to);
  work(*at, *to);
}
