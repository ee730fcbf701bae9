// What a server can send to a client's HTTP/2 connection: whole exchanges are driven over it, and
// whatever the bytes are, nobody waits for ever, a body is never longer than announced, and what
// comes out as a head could be written as HTTP/1.1.
#include <cstdlib>

#include "octroi/http/h2_client.h"
#include "octroi/net/memory_stream.h"
#include "octroi/net/run_until.h"
#include "octroi/task/group.h"

namespace octroi::http::h2 {
namespace {

void require(bool truth) {
  if (!truth) std::abort();
}

class Owner final : public ClientOwner {
 public:
  void has_room(ClientConnection&) override {}
  void ended(ClientConnection&) override { connection.reset(); }
  std::unique_ptr<ClientConnection> connection;
};

void check_fields(const Headers& headers) {
  for (const Field f : headers) require(is_token(f.name) && is_field_value(f.value));
}

Task<void> converse(std::unique_ptr<ClientExchange> exchange, bool with_body) {
  RequestHead head;
  head.method = with_body ? "POST" : "GET";
  head.target = "/";
  const auto length = with_body ? std::nullopt : std::optional<std::uint64_t>(0);
  if (!co_await exchange->send_head(head, length)) co_return;
  if (with_body) {
    std::ignore = co_await exchange->write(as_bytes("some bytes of a body"));
    std::ignore = co_await exchange->finish({});
  }
  int status = 0;
  while (status < 200) {
    auto answer = co_await exchange->head();
    if (!answer) co_return;
    status = answer->status;
    require(status >= 100 && status <= 999 && status != 101);
    check_fields(answer->headers);
    require(!answer->headers.has("transfer-encoding") && !answer->headers.has("connection"));
  }
  std::uint64_t size = 0;
  for (;;) {
    auto piece = co_await exchange->body().next();
    if (!piece) co_return;
    if (piece->empty()) break;
    size += piece->size();
  }
  if (const auto announced = exchange->body().length()) require(size == *announced);
  check_fields(exchange->body().trailers());
}

/// The server's side: its bytes in pieces, then the end.
Task<void> speak(net::Stream* server, ByteView bytes, std::size_t step) {
  std::vector<std::uint8_t> sink(64 * 1024);
  while (!bytes.empty()) {
    const ByteView part = bytes.first(std::min(step, bytes.size()));
    const net::IoResult sent = server->write_now({&part, 1});
    if (sent.status != net::IoStatus::ok) break;
    bytes = bytes.subspan(sent.size);
    while (server->read_now(sink).status == net::IoStatus::ok) {
    }
    co_await server->loop().yield();
  }
  while (server->read_now(sink).status == net::IoStatus::ok) {
  }
  server->close();
}

Task<void> play(net::Loop* loop, ByteView data) {
  const std::size_t step = std::size_t{1} + data.front();
  auto [mine, theirs] = net::make_memory_pair(*loop);
  Owner owner;
  ClientSettings settings;
  settings.scheme = "http";
  settings.authority = "fuzz.test";
  settings.max_head = 4096;
  owner.connection = std::make_unique<ClientConnection>(std::move(mine), settings, owner);
  TaskGroup talks;
  for (int i = 0; i < 3; ++i) talks.start(converse(owner.connection->open({}), i == 1));
  co_await speak(theirs.get(), data.subspan(1), step);
  co_await talks.join();
}

}  // namespace
}  // namespace octroi::http::h2

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 1 << 16) return 0;
  octroi::net::Loop loop;
  octroi::net::run_until(loop, octroi::http::h2::play(&loop, {data, size}));
  return 0;
}
