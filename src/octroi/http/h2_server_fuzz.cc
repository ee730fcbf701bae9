// Bytes of a client to the server's HTTP/2: whatever they are, every handler that starts ends, what
// is kept stays bounded, and the connection comes to its end.
//
// The first byte says what the handler does and in which pieces the bytes come; the rest follows
// the preface. Frames of the seeds make it likely that something is understood.
#include <cstdio>
#include <cstdlib>

#include "octroi/http/h2_server.h"
#include "octroi/net/deadline.h"
#include "octroi/net/memory_stream.h"
#include "octroi/net/run_until.h"

namespace octroi::http {
namespace {

#define REQUIRE(condition)                                                 \
  do {                                                                     \
    if (!(condition)) {                                                    \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                        \
    }                                                                      \
  } while (false)

constexpr std::uint32_t kStreams = 8;

struct Seen {
  std::uint8_t way = 0;
  int running = 0;
};

/// Fields as no HTTP/1.1 upstream could read otherwise.
void check_head(const RequestHead& head) {
  REQUIRE(is_token(head.method) && head.method != "CONNECT");
  REQUIRE(h1::is_host(head.authority));
  REQUIRE(head.target == "*" ? head.method == "OPTIONS" : head.target.starts_with('/'));
  REQUIRE(head.target.find_first_of(" \t\r\n#\\") == std::string::npos);
  REQUIRE(head.version == Version::http2);
  for (const Field f : head.headers) {
    REQUIRE(is_token(f.name) && is_field_value(f.value));
    REQUIRE(!f.name.starts_with(':'));
    REQUIRE(f.name == "content-length" || !is_connection_field(f.name));
  }
  REQUIRE(head.headers.count("cookie") <= 1 && head.headers.count("content-length") <= 1);
}

Task<void> handle(Exchange* x, Seen* seen) {
  struct Running {
    explicit Running(Seen& s) : seen(s) { ++seen.running; }
    ~Running() { --seen.running; }
    Seen& seen;
  } const running(*seen);
  REQUIRE(seen->running <= static_cast<int>(kStreams));
  check_head(x->request());
  std::uint64_t got = 0;
  if ((seen->way & 1) != 0) {
    for (;;) {
      auto piece = co_await x->body().next();
      if (!piece || piece->empty()) {
        if (piece && x->body().length()) REQUIRE(got == *x->body().length());
        break;
      }
      got += piece->size();
    }
    for (const Field f : x->body().trailers()) REQUIRE(!h1::is_forbidden_trailer(f.name));
  }
  if ((seen->way & 2) != 0) co_await x->loop().yield();
  if ((seen->way & 4) == 0) {
    std::ignore = co_await x->respond({}, std::string((seen->way & 8) != 0 ? 100'000 : 10, 'a'));
    co_return;
  }
  Headers trailers;
  trailers.add("x-end", "1");
  if (!co_await x->start({}, std::nullopt)) co_return;
  if (!co_await x->write(as_bytes("piece"))) co_return;
  std::ignore = co_await x->finish(trailers);
}

Task<void> feed(net::Stream* client, ByteView bytes, std::size_t step) {
  std::array<std::uint8_t, 4096> drop;
  while (!bytes.empty()) {
    const ByteView piece = bytes.first(std::min(step, bytes.size()));
    bytes = bytes.subspan(piece.size());
    if (!co_await net::write_all(*client, piece, Millis(1000))) co_return;
    co_await client->loop().yield();
    for (net::IoResult got; (got = client->read_now(drop)).status == net::IoStatus::ok;) {
    }
  }
  client->shutdown_write();
}

Task<void> serve(ServerContext* context, std::unique_ptr<net::Stream> stream) {
  h2::H2Connection connection(*context, std::move(stream));
  co_await connection.run({});
}

Task<bool> play(ServerContext* context, ByteView bytes, std::size_t step) {
  auto [server, client] = net::make_memory_pair(context->loop);
  TaskGroup group;
  group.start(feed(client.get(), bytes, step));
  co_await serve(context, std::move(server));
  co_return true;
}

void run_one(ByteView input) {
  if (input.empty()) return;
  Seen seen{static_cast<std::uint8_t>(input[0] & 15), 0};
  const std::size_t step = (input[0] & 0x80) != 0 ? 7 : 100'000;
  Bytes bytes(h2::kPreface.begin(), h2::kPreface.end());
  bytes.insert(bytes.end(), input.begin() + 1, input.end());
  net::Loop loop;
  ServerLimits limits;
  limits.max_streams = kStreams;
  limits.max_head = 16 * 1024;
  limits.body_timeout = Millis(60);
  limits.head_timeout = Millis(60);
  limits.idle_timeout = Millis(60);
  ServerContext context{
      loop, limits, [&seen](Exchange& x) { return handle(&x, &seen); }, false, {}};
  const auto ended =
      net::run_until(loop, net::within(loop, Millis(20'000), play(&context, bytes, step)));
  REQUIRE(ended.has_value());
  REQUIRE(seen.running == 0);
}

}  // namespace
}  // namespace octroi::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  octroi::http::run_one({data, size});
  return 0;
}
