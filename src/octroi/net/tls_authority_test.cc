#include "octroi/net/tls_authority.h"

#include <chrono>
#include <cstdio>

#include <gtest/gtest.h>

#include "octroi/net/memory_stream.h"
#include "octroi/net/run_until.h"

namespace octroi::net {
namespace {

constexpr UnixMillis kNow{1'795'000'000'000};
constexpr Millis kYear = std::chrono::hours(24 * 365);
constexpr Millis kDay = std::chrono::hours(24);

struct Authority {
  TlsAuthority::Made made;
  std::shared_ptr<const TlsAuthority> authority;
};
Authority make(UnixMillis now = system_clock().now()) {
  auto made = TlsAuthority::make("octroi test CA", now, kYear);
  EXPECT_TRUE(made);
  auto authority = TlsAuthority::open(made->certificate_pem, made->key_pem);
  EXPECT_TRUE(authority);
  return {std::move(*made), std::move(*authority)};
}

struct Hands {
  Result<> client, server;
  std::string alpn;
};

Task<void> accept(std::unique_ptr<Stream> stream, std::shared_ptr<const TlsServerContext> context,
                  Hands* hands) {
  auto got = co_await tls_accept(std::move(stream), std::move(context), Millis(5'000));
  if (!got) hands->server = fail(std::move(got).error());
}

Task<bool> shake(Loop* loop, std::shared_ptr<const TlsServerContext> context, std::string ca,
                 std::string name, std::vector<std::string> alpn, Hands* hands) {
  TlsClientOptions options;
  options.ca_pem = std::move(ca);
  auto client = make_tls_client(std::move(options));
  auto [near, far] = make_memory_pair(*loop);
  TaskGroup group;
  group.start(accept(std::move(far), std::move(context), hands));
  auto got = co_await tls_connect(std::move(near), *client, std::move(name), Millis(5'000),
                                  std::move(alpn));
  if (got) {
    hands->alpn = std::string((*got)->alpn());
  } else {
    hands->client = fail(std::move(got).error());
  }
  got = fail(Errc::closed);
  co_await group.join();
  co_return true;
}

Hands meet(std::shared_ptr<const TlsServerContext> context, const std::string& ca,
           const std::string& name, std::vector<std::string> alpn = {"http/1.1"}) {
  Loop loop;
  Hands hands;
  run_until(loop, shake(&loop, std::move(context), ca, name, std::move(alpn), &hands));
  return hands;
}

TEST(TlsAuthority, LeavesAreTrustedForTheirNameAlone) {
  const Authority a = make();
  const UnixMillis now = system_clock().now();
  auto leaf = a.authority->issue("api.stripe.com", now, kDay, {"h2", "http/1.1"});
  ASSERT_TRUE(leaf) << leaf.error().message();
  EXPECT_TRUE(meet(*leaf, a.made.certificate_pem, "api.stripe.com").client);
  EXPECT_FALSE(meet(*leaf, a.made.certificate_pem, "files.stripe.com").client);
  EXPECT_FALSE(meet(*leaf, make().made.certificate_pem, "api.stripe.com").client);
}

TEST(TlsAuthority, SpeaksTheProtocolThatIsAskedFor) {
  const Authority a = make();
  auto leaf = a.authority->issue("api.stripe.com", system_clock().now(), kDay, {"h2", "http/1.1"});
  ASSERT_TRUE(leaf);
  EXPECT_EQ(meet(*leaf, a.made.certificate_pem, "api.stripe.com", {"h2", "http/1.1"}).alpn, "h2");
  EXPECT_EQ(meet(*leaf, a.made.certificate_pem, "api.stripe.com", {"http/1.1"}).alpn, "http/1.1");
}

TEST(TlsAuthority, AddressesAndLongNames) {
  const Authority a = make();
  const std::string longest = std::string(60, 'a') + "." + std::string(60, 'b') + ".example";
  for (const std::string& host : {std::string("127.0.0.1"), longest}) {
    auto leaf = a.authority->issue(host, system_clock().now(), kDay, {"http/1.1"});
    ASSERT_TRUE(leaf) << host;
    EXPECT_TRUE(meet(*leaf, a.made.certificate_pem, host).client) << host;
  }
}

TEST(TlsAuthority, LeavesEnd) {
  const Authority a = make();
  auto leaf =
      a.authority->issue("api.stripe.com", system_clock().now() - kDay * 3, kDay, {"http/1.1"});
  ASSERT_TRUE(leaf);
  EXPECT_FALSE(meet(*leaf, a.made.certificate_pem, "api.stripe.com").client);
}

TEST(TlsAuthority, OpensOnlyAPairThatMaySign) {
  const Authority a = make();
  const Authority b = make();
  EXPECT_FALSE(TlsAuthority::open(a.made.certificate_pem, b.made.key_pem));
  EXPECT_FALSE(TlsAuthority::open("nothing", a.made.key_pem));
  EXPECT_EQ(a.authority->certificate_pem(), a.made.certificate_pem);
}

TEST(LeafCache, KeepsMakesAnewAndForgets) {
  const Authority a = make(kNow);
  LeafCache cache(a.authority, 2, kDay, {"http/1.1"});
  const auto one = cache.context_for("one.example", kNow);
  ASSERT_TRUE(one);
  EXPECT_EQ(*cache.context_for("one.example", kNow + kDay / 3), *one);
  EXPECT_NE(*cache.context_for("one.example", kNow + kDay / 2), *one) << "half of its life is over";
  EXPECT_EQ(cache.minted(), 2U);
  const UnixMillis later = kNow + kDay / 2;
  EXPECT_NE(*cache.context_for("one.example", later - Millis(1)), *one)
      << "a clock that goes back makes a new one";
  const auto first = *cache.context_for("one.example", later);
  ASSERT_TRUE(cache.context_for("two.example", later));
  EXPECT_EQ(*cache.context_for("one.example", later), first);
  ASSERT_TRUE(cache.context_for("three.example", later));
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_EQ(*cache.context_for("one.example", later), first) << "it was used last";
  const std::uint64_t before = cache.minted();
  ASSERT_TRUE(cache.context_for("two.example", later));
  EXPECT_EQ(cache.minted(), before + 1);
}

/// The figure of issue 6 (under 2 ms) is told, not asserted: the machine may be busy.
TEST(TlsAuthority, TellsHowLongMintingTakes) {
  const Authority a = make();
  constexpr int kTimes = 50;
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < kTimes; ++i)
    ASSERT_TRUE(a.authority->issue("api.stripe.com", system_clock().now(), kDay, {"h2"}));
  const auto took = std::chrono::steady_clock::now() - began;
  std::printf("a leaf takes %lld us\n",
              static_cast<long long>(
                  std::chrono::duration_cast<std::chrono::microseconds>(took).count() / kTimes));
}

}  // namespace
}  // namespace octroi::net
