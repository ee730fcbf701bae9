#include "octroi/net/stream.h"

#include <gtest/gtest.h>

#include "octroi/net/memory_stream.h"
#include "octroi/net/run_until.h"

namespace octroi::net {
namespace {

struct Pair {
  std::unique_ptr<Stream> client;
  std::unique_ptr<Stream> server;
};

Task<void> accept_into(Listener* listener, std::unique_ptr<Stream>* out) {
  auto accepted = co_await listener->accept();
  if (accepted) *out = std::move(*accepted);
}

Task<Pair> make_tcp_pair(Loop* loop) {
  auto listener = listen_tcp(*loop, *Endpoint::parse("127.0.0.1:0"), false);
  Pair pair;
  TaskGroup group;
  group.start(accept_into(listener->get(), &pair.server));
  auto client = co_await connect(*loop, (*listener)->local(), Millis(2000));
  if (client) pair.client = std::move(*client);
  co_await group.join();
  co_return pair;
}

/// Both kinds of stream keep the same promises.
class StreamTest : public testing::TestWithParam<bool> {
 protected:
  Pair make() {
    if (GetParam()) return run_until(loop, make_tcp_pair(&loop));
    auto [a, b] = make_memory_pair(loop, 32 * 1024);
    return {std::move(a), std::move(b)};
  }
  Loop loop;
};
INSTANTIATE_TEST_SUITE_P(Kinds, StreamTest, testing::Values(true, false),
                         [](const auto& param) { return param.param ? "Tcp" : "Memory"; });

Task<Result<std::string>> read_to_end(Stream* stream) {
  std::string all;
  std::array<std::uint8_t, 1000> buffer;
  for (;;) {
    OCTROI_CO_TRY(const std::size_t n, co_await read_some(*stream, buffer, Millis(5000)));
    if (n == 0) co_return std::move(all);
    all.append(as_text(ByteView(buffer).first(n)));
  }
}
Task<void> read_into(Stream* stream, std::string* out) {
  auto all = co_await read_to_end(stream);
  *out = all ? *all : std::string(all.error().code());
}
Task<bool> send_and_end(Pair* pair, const std::string* text, std::string* received) {
  TaskGroup group;
  group.start(read_into(pair->server.get(), received));
  const auto sent = co_await write_all(*pair->client, as_bytes(*text), Millis(5000));
  pair->client->shutdown_write();
  co_await group.join();
  co_return sent.has_value();
}

TEST_P(StreamTest, CarriesMuchMoreThanItsBuffersAndTheEnd) {
  Pair pair = make();
  std::string text;
  for (int i = 0; text.size() < 3'000'000; ++i) text += std::to_string(i) + ",";
  std::string received;
  EXPECT_TRUE(run_until(loop, send_and_end(&pair, &text, &received)));
  EXPECT_EQ(received, text);
}

Task<Result<std::size_t>> read_once(Stream* stream, Millis timeout) {
  std::array<std::uint8_t, 16> buffer;
  co_return co_await read_some(*stream, buffer, timeout);
}

TEST_P(StreamTest, AReadTimesOutAndTheStreamGoesOn) {
  Pair pair = make();
  const auto nothing = run_until(loop, read_once(pair.server.get(), Millis(20)));
  ASSERT_FALSE(nothing);
  EXPECT_TRUE(nothing.error().is(Errc::timeout));
  ASSERT_TRUE(run_until(loop, write_all(*pair.client, as_bytes("abc"), Millis(100))));
  EXPECT_EQ(*run_until(loop, read_once(pair.server.get(), Millis(2000))), 3U);
}

/// What comes while nobody waits must not be lost: bytes, the end, and both at once, where a read
/// that is short says nothing about the end.
Task<std::string> read_late(Loop* loop, Pair* pair, bool read_before) {
  std::string seen;
  if (read_before) {  // so that somebody has waited and been told already
    std::ignore = co_await write_all(*pair->client, as_bytes("x"), Millis(1000));
    seen += std::to_string((co_await read_once(pair->server.get(), Millis(1000))).value_or(99));
  }
  std::ignore = co_await write_all(*pair->client, as_bytes("abc"), Millis(1000));
  pair->client->shutdown_write();
  co_await loop->sleep(Millis(30));  // the loop hears of both, and nobody wants to know
  for (int i = 0; i < 2; ++i) {
    seen += std::to_string((co_await read_once(pair->server.get(), Millis(1000))).value_or(99));
  }
  co_return seen;
}

TEST_P(StreamTest, WhatCameWhileNobodyWaitedIsNotLost) {
  for (const bool read_before : {false, true}) {
    Pair pair = make();
    EXPECT_EQ(run_until(loop, read_late(&loop, &pair, read_before)), read_before ? "130" : "30");
  }
}

Task<void> close_soon(Loop* loop, std::unique_ptr<Stream>* stream, bool destroy) {
  co_await loop->sleep(Millis(10));
  if (destroy) {
    stream->reset();
  } else {
    (*stream)->close();
  }
}
Task<Result<std::size_t>> read_while_closing(Loop* loop, std::unique_ptr<Stream>* stream,
                                             bool destroy) {
  TaskGroup group;
  group.start(close_soon(loop, stream, destroy));
  auto got = co_await read_once(stream->get(), Millis(0));
  co_await group.join();
  co_return got;
}

TEST_P(StreamTest, ClosingOrDestroyingWakesTheReader) {
  for (const bool destroy : {false, true}) {
    Pair pair = make();
    const auto got = run_until(loop, read_while_closing(&loop, &pair.server, destroy));
    ASSERT_FALSE(got);
    EXPECT_TRUE(got.error().is(Errc::closed));
  }
}

Task<void> read_and_destroy(std::unique_ptr<Stream> stream, bool* done) {
  std::ignore = co_await read_once(stream.get(), Millis(5000));
  stream.reset();  // inside the wake-up
  *done = true;
}
Task<void> waiter_destroys(Pair* pair, bool* done) {
  TaskGroup group;
  group.start(read_and_destroy(std::move(pair->server), done));
  std::ignore = co_await write_all(*pair->client, as_bytes("x"), Millis(1000));
  co_await group.join();
}

TEST_P(StreamTest, AWaiterMayDestroyItsStream) {
  Pair pair = make();
  bool done = false;
  run_until(loop, waiter_destroys(&pair, &done));
  EXPECT_TRUE(done);
}

Task<void> wait_forever(Stream* stream) {
  std::ignore = co_await stream->ready(Direction::read, Millis(0));
}

TEST_P(StreamTest, AWaiterCanBeDestroyedBeforeOrAfterItsStreamCloses) {
  Pair pair = make();
  {
    TaskGroup group;
    group.start(wait_forever(pair.server.get()));
    group.cancel();
    group.start(wait_forever(pair.server.get()));
    pair.server->close();  // the waiter stands in the loop's queue now
    pair.server.reset();
  }
  loop.stop();
  loop.run();
}

Task<bool> gone_soon(Loop* loop, Stream* stream) {
  for (int i = 0; i < 100 && !stream->peer_gone(); ++i) co_await loop->sleep(Millis(10));
  co_return stream->peer_gone();
}

TEST_P(StreamTest, PeerGoneConsumesNothing) {
  Pair pair = make();
  EXPECT_FALSE(pair.server->peer_gone());
  ASSERT_TRUE(run_until(loop, write_all(*pair.client, as_bytes("ab"), Millis(100))));
  pair.client->shutdown_write();
  EXPECT_FALSE(pair.server->peer_gone());
  EXPECT_EQ(*run_until(loop, read_once(pair.server.get(), Millis(1000))), 2U);
  EXPECT_TRUE(run_until(loop, gone_soon(&loop, pair.server.get())));
}

TEST_P(StreamTest, AClosedStreamRefuses) {
  Pair pair = make();
  pair.client->close();
  std::array<std::uint8_t, 4> buffer{};
  EXPECT_EQ(pair.client->read_now(buffer).status, IoStatus::error);
  const ByteView part = as_bytes("x");
  EXPECT_EQ(pair.client->write_now({&part, 1}).status, IoStatus::error);
  EXPECT_FALSE(run_until(loop, read_once(pair.client.get(), Millis(100))));
}

Task<Result<>> write_until_error(Loop* loop, Stream* stream) {
  for (int i = 0; i < 100; ++i) {
    OCTROI_CO_CHECK(co_await write_all(*stream, as_bytes("data"), Millis(1000)));
    co_await loop->sleep(Millis(10));
  }
  co_return Result<>{};
}

TEST_P(StreamTest, WritingToAVanishedPeerIsAnErrorNotASignal) {
  Pair pair = make();
  pair.server.reset();
  const auto written = run_until(loop, write_until_error(&loop, pair.client.get()));
  ASSERT_FALSE(written);
  EXPECT_TRUE(written.error().is(Errc::reset)) << written.error().code();
}

Task<Result<std::unique_ptr<Stream>>> connect_to(Loop* loop, std::string to, Millis timeout) {
  co_return co_await connect(*loop, *Endpoint::parse(to), timeout);
}

TEST(Connect, RefusedPortIsRefused) {
  Loop loop;
  std::string local;
  {
    auto listener = listen_tcp(loop, *Endpoint::parse("127.0.0.1:0"), false);
    local = (*listener)->local().str();
  }
  const auto stream = run_until(loop, connect_to(&loop, local, Millis(1000)));
  ASSERT_FALSE(stream);
  EXPECT_TRUE(stream.error().is(Errc::refused)) << stream.error().message();
}

TEST(Listen, TakesAnAddressOnceUnlessShared) {
  Loop loop;
  auto first = listen_tcp(loop, *Endpoint::parse("127.0.0.1:0"), true);
  ASSERT_TRUE(first);
  EXPECT_TRUE(listen_tcp(loop, (*first)->local(), true));
  const auto second = listen_tcp(loop, (*first)->local(), false);
  ASSERT_FALSE(second);
  EXPECT_TRUE(second.error().is(Errc::address_in_use)) << second.error().message();
  EXPECT_TRUE(listen_tcp(loop, *Endpoint::parse("[::1]:0"), false));
}

Task<Result<std::unique_ptr<Stream>>> accept_while_closing(Loop* loop, Listener* listener) {
  struct Close {
    static Task<void> soon(Loop* l, Listener* which) {
      co_await l->sleep(Millis(10));
      which->close();
    }
  };
  TaskGroup group;
  group.start(Close::soon(loop, listener));
  auto stream = co_await listener->accept();
  co_await group.join();
  co_return std::move(stream);
}

TEST(Listen, ClosingEndsAccept) {
  Loop loop;
  auto listener = listen_tcp(loop, *Endpoint::parse("127.0.0.1:0"), false);
  const auto stream = run_until(loop, accept_while_closing(&loop, listener->get()));
  ASSERT_FALSE(stream);
  EXPECT_TRUE(stream.error().is(Errc::closed));
}

Task<Result<std::vector<IpAddress>>> look_up(Loop* loop, std::string name, Millis timeout) {
  co_return co_await resolve(*loop, std::move(name), timeout);
}

TEST(Resolve, LiteralsLocalhostAndNonsense) {
  Loop loop;
  EXPECT_EQ(run_until(loop, look_up(&loop, "192.0.2.7", Millis(1000)))->at(0).str(), "192.0.2.7");
  const auto local = run_until(loop, look_up(&loop, "localhost", Millis(5000)));
  ASSERT_TRUE(local);
  for (const IpAddress& a : *local) EXPECT_TRUE(a.is_loopback());
  const auto bad = run_until(loop, look_up(&loop, std::string("a\0b", 3), Millis(1000)));
  ASSERT_FALSE(bad);
  EXPECT_TRUE(bad.error().is(Errc::resolve_failed));
}

TEST(Resolve, AnAnswerAfterTheLoopIsGoneIsDropped) {
  Loop loop;
  for (int i = 0; i < 5; ++i) {
    Loop inner;
    TaskGroup group;
    struct Ask {
      static Task<void> go(Loop* l) { std::ignore = co_await look_up(l, "localhost", Millis(0)); }
    };
    group.start(Ask::go(&inner));
  }
  EXPECT_TRUE(run_until(loop, look_up(&loop, "localhost", Millis(5000))));
}

}  // namespace
}  // namespace octroi::net
