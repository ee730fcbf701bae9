#include "octroi/net/address.h"

#include <gtest/gtest.h>

namespace octroi::net {
namespace {

TEST(IpAddress, ParsesCanonicalTextOnly) {
  struct Row {
    std::string_view text;
    std::string_view expected;  // "" = refused
  };
  for (const Row& row : std::initializer_list<Row>{
           {"127.0.0.1", "127.0.0.1"},
           {"0.0.0.0", "0.0.0.0"},
           {"255.255.255.255", "255.255.255.255"},
           {"::1", "::1"},
           {"2001:DB8::5", "2001:db8::5"},
           {"::ffff:10.1.2.3", "10.1.2.3"},
           {"::ffff:0a01:0203", "10.1.2.3"},
           {"127.1", ""},
           {"127.0.0.01", ""},
           {"0x7f.0.0.1", ""},
           {"2130706433", ""},
           {"256.0.0.1", ""},
           {"1.2.3.4 ", ""},
           {" 1.2.3.4", ""},
           {"fe80::1%eth0", ""},
           {"[::1]", ""},
           {"1::2::3", ""},
           {"", ""},
           {std::string_view("127.0.0.1\0", 10), ""},
       }) {
    const auto parsed = IpAddress::parse(row.text);
    EXPECT_EQ(parsed ? parsed->str() : "", row.expected) << row.text;
  }
}

TEST(IpAddress, KnowsLoopback) {
  for (const auto& [text, expected] :
       std::initializer_list<std::pair<std::string_view, bool>>{{"127.0.0.1", true},
                                                                {"127.255.0.9", true},
                                                                {"::1", true},
                                                                {"::ffff:127.0.0.1", true},
                                                                {"128.0.0.1", false},
                                                                {"::", false},
                                                                {"::2", false}}) {
    EXPECT_EQ(IpAddress::parse(text)->is_loopback(), expected) << text;
  }
}

TEST(IpAddress, MasksToAClient) {
  EXPECT_EQ(IpAddress::parse("203.0.113.77")->masked(24, 64).str(), "203.0.113.0");
  EXPECT_EQ(IpAddress::parse("203.0.113.77")->masked(32, 64).str(), "203.0.113.77");
  EXPECT_EQ(IpAddress::parse("2001:db8:1:2:3:4:5:6")->masked(32, 64).str(), "2001:db8:1:2::");
  EXPECT_EQ(IpAddress::parse("2001:db8:ffff::")->masked(32, 33).str(), "2001:db8:8000::");
  EXPECT_EQ(IpAddress::parse("9.9.9.9")->masked(0, 0).str(), "0.0.0.0");
}

TEST(Cidr, Contains) {
  struct Row {
    std::string_view range, address;
    bool expected;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"10.0.0.0/8", "10.255.1.2", true},
           {"10.0.0.0/8", "11.0.0.0", false},
           {"10.1.2.3/8", "10.200.0.1", true},
           {"192.168.1.7", "192.168.1.7", true},
           {"192.168.1.7", "192.168.1.8", false},
           {"0.0.0.0/0", "8.8.8.8", true},
           {"0.0.0.0/0", "::1", false},
           {"::/0", "8.8.8.8", false},
           {"2001:db8::/32", "2001:db8:ffff::1", true},
           {"2001:db8::/32", "2001:db9::", false},
           {"::ffff:10.0.0.0/104", "10.9.9.9", true},
           {"172.16.0.0/12", "172.31.255.255", true},
           {"172.16.0.0/12", "172.32.0.0", false},
       }) {
    const auto range = Cidr::parse(row.range);
    ASSERT_TRUE(range) << row.range;
    EXPECT_EQ(range->contains(*IpAddress::parse(row.address)), row.expected)
        << row.range << " " << row.address;
  }
  for (const std::string_view bad : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/08",
                                     "::/129", "10.0.0/8", "/8", "", "::ffff:10.0.0.0/95", "a/8"}) {
    EXPECT_FALSE(Cidr::parse(bad)) << bad;
  }
}

TEST(Endpoint, ParsesAndPrints) {
  for (const std::string_view good :
       {"127.0.0.1:80", "[::1]:443", "0.0.0.0:0", "[2001:db8::1]:65535"}) {
    const auto endpoint = Endpoint::parse(good);
    ASSERT_TRUE(endpoint) << good;
    EXPECT_EQ(endpoint->str(), good);
  }
  for (const std::string_view bad :
       {"127.0.0.1", "::1:80", "[127.0.0.1]:80", "127.0.0.1:65536", "127.0.0.1:080", "localhost:80",
        ":80", "[::1]", "127.0.0.1:"}) {
    EXPECT_FALSE(Endpoint::parse(bad)) << bad;
  }
}

}  // namespace
}  // namespace octroi::net
