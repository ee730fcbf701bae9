#include "octroi/paywall/client_identity.h"

#include <gtest/gtest.h>

namespace octroi::paywall {
namespace {

std::vector<net::Cidr> cidrs(std::initializer_list<const char*> texts) {
  std::vector<net::Cidr> out;
  for (const char* t : texts) out.push_back(*net::Cidr::parse(t));
  return out;
}

struct ChainCase {
  const char* name;
  const char* peer;
  std::vector<const char*> forwarded;  // lines of X-Forwarded-For
  const char* client;
};
class Chain : public testing::TestWithParam<ChainCase> {};

TEST_P(Chain, GivesTheNearestAddressNobodyTrustedVouchesFor) {
  const auto& c = GetParam();
  http::Headers headers;
  for (const char* line : c.forwarded) headers.add("X-Forwarded-For", line);
  const auto trusted = cidrs({"10.0.0.0/8", "127.0.0.1", "2001:db8:1::/48"});
  const auto id = identify(*net::Endpoint::parse(c.peer), false, headers, trusted);
  EXPECT_EQ(id.address.str(), c.client);
}

INSTANTIATE_TEST_SUITE_P(
    ClientIdentity, Chain,
    testing::Values(
        ChainCase{"PeerAlone", "192.0.2.1:1000", {}, "192.0.2.1"},
        ChainCase{"UntrustedPeerIsNotBelieved", "192.0.2.1:1", {"198.51.100.1"}, "192.0.2.1"},
        ChainCase{"TrustedPeerWithoutField", "10.0.0.1:1", {}, "10.0.0.1"},
        ChainCase{"OneHop", "10.0.0.1:1", {"198.51.100.1"}, "198.51.100.1"},
        ChainCase{"WhatTheClientWroteIsNotBelieved",
                  "10.0.0.1:1",
                  {"1.1.1.1, 198.51.100.1"},
                  "198.51.100.1"},
        ChainCase{"SpoofedTrustedAddressBeforeOwn",
                  "10.0.0.1:1",
                  {"10.9.9.9, 198.51.100.1"},
                  "198.51.100.1"},
        ChainCase{"TwoTrustedHops", "10.0.0.1:1", {"198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
        ChainCase{"SeveralLinesAreOneList",
                  "10.0.0.1:1",
                  {"1.1.1.1", "198.51.100.1", "10.0.0.2"},
                  "198.51.100.1"},
        ChainCase{"OnlyTrustedHops", "10.0.0.1:1", {"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
        ChainCase{"GarbageStopsTheChain", "10.0.0.1:1", {"1.1.1.1, unknown"}, "10.0.0.1"},
        ChainCase{"GarbageBehindTheClientIsNotRead",
                  "10.0.0.1:1",
                  {"unknown, 198.51.100.1"},
                  "198.51.100.1"},
        ChainCase{"GarbageBehindATrustedHop", "10.0.0.1:1", {"<script>, 10.0.0.2"}, "10.0.0.2"},
        ChainCase{"EmptyField", "10.0.0.1:1", {""}, "10.0.0.1"},
        ChainCase{"EmptyElements", "10.0.0.1:1", {"198.51.100.1,,"}, "10.0.0.1"},
        ChainCase{"WithPort", "10.0.0.1:1", {"198.51.100.1:4711"}, "198.51.100.1"},
        ChainCase{"V6", "10.0.0.1:1", {"2001:db8:2::7"}, "2001:db8:2::7"},
        ChainCase{"V6InBrackets", "10.0.0.1:1", {"[2001:db8:2::7]"}, "2001:db8:2::7"},
        ChainCase{"V6WithPort", "10.0.0.1:1", {"[2001:db8:2::7]:443"}, "2001:db8:2::7"},
        ChainCase{
            "V6TrustedHop", "[2001:db8:1::1]:1", {"198.51.100.1, 2001:db8:1::2"}, "198.51.100.1"},
        ChainCase{"MappedV4IsV4", "10.0.0.1:1", {"::ffff:198.51.100.1"}, "198.51.100.1"},
        ChainCase{
            "MappedTrustedHop", "10.0.0.1:1", {"198.51.100.1, ::ffff:10.0.0.2"}, "198.51.100.1"},
        ChainCase{"Blanks", "10.0.0.1:1", {" 198.51.100.1 ,\t10.0.0.2 "}, "198.51.100.1"},
        ChainCase{"OctalIsNoAddress", "10.0.0.1:1", {"0198.51.100.1"}, "10.0.0.1"},
        ChainCase{"ZoneIsNoAddress", "10.0.0.1:1", {"fe80::1%eth0"}, "10.0.0.1"}),
    [](const auto& i) { return i.param.name; });

TEST(ClientIdentity, NobodyIsTrustedByDefault) {
  http::Headers headers;
  headers.add("X-Forwarded-For", "1.2.3.4");
  headers.add("X-Forwarded-Proto", "https");
  headers.add("X-Forwarded-Host", "evil.example");
  const auto id = identify(*net::Endpoint::parse("127.0.0.1:1"), false, headers, {});
  EXPECT_EQ(id.address.str(), "127.0.0.1");
  EXPECT_EQ(id.proto, "http");
  EXPECT_EQ(id.host, "");
  EXPECT_FALSE(id.through_trusted_proxy);
}

TEST(ClientIdentity, ATrustedProxyTellsSchemeAndHost) {
  const auto trusted = cidrs({"127.0.0.1"});
  const auto peer = *net::Endpoint::parse("127.0.0.1:1");
  http::Headers headers;
  headers.add("X-Forwarded-Proto", "HTTPS");
  headers.add("X-Forwarded-Host", " Api.Example , inner.example");
  auto id = identify(peer, false, headers, trusted);
  EXPECT_TRUE(id.through_trusted_proxy);
  EXPECT_EQ(id.proto, "https");
  // Compared with hosts that have no case: it must arrive in the same form as the Host field does.
  EXPECT_EQ(id.host, "api.example");
  headers.set("X-Forwarded-Proto", "gopher");
  EXPECT_EQ(identify(peer, true, headers, trusted).proto, "http");
  headers.remove("X-Forwarded-Proto");
  EXPECT_EQ(identify(peer, true, headers, trusted).proto, "https");
}

TEST(ClientIdentity, CountsNeighboursTogether) {
  const auto of = [](const char* text) {
    ClientIdentity id;
    id.address = *net::IpAddress::parse(text);
    return id;
  };
  EXPECT_EQ(of("192.0.2.77").unpaid_key().str(), "192.0.2.77");
  EXPECT_EQ(of("192.0.2.77").quota_key().str(), "192.0.2.0");
  EXPECT_EQ(of("2001:db8:1:2:3:4:5:6").unpaid_key().str(), "2001:db8:1:2::");
  EXPECT_EQ(of("2001:db8:1:2:3:4:5:6").quota_key().str(), "2001:db8:1::");
}

TEST(ClientIdentity, RangesContain) {
  const auto ranges = cidrs({"192.0.2.0/24", "2001:db8::/32"});
  EXPECT_TRUE(contains(ranges, *net::IpAddress::parse("192.0.2.255")));
  EXPECT_FALSE(contains(ranges, *net::IpAddress::parse("192.0.3.0")));
  EXPECT_TRUE(contains(ranges, *net::IpAddress::parse("::ffff:192.0.2.1")));
  EXPECT_TRUE(contains(ranges, *net::IpAddress::parse("2001:db8:ffff::")));
  EXPECT_FALSE(contains({}, *net::IpAddress::parse("192.0.2.1")));
}

}  // namespace
}  // namespace octroi::paywall
