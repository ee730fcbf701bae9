#include "octroi/net/ssrf.h"

#include <gtest/gtest.h>

namespace octroi::net {
namespace {

struct Row {
  const char* host;
  bool allowed;
};

class SsrfHost : public testing::TestWithParam<Row> {};
TEST_P(SsrfHost, IsJudged) {
  const auto verdict = check_public_host(GetParam().host);
  EXPECT_EQ(verdict.has_value(), GetParam().allowed)
      << GetParam().host << ": "
      << (verdict ? std::string("allowed") : std::string(verdict.error().message()));
}
INSTANTIATE_TEST_SUITE_P(
    Table, SsrfHost,
    testing::Values(
        Row{"93.184.216.34", true}, Row{"2606:2800:220:1:248:1893:25c8:1946", true},
        Row{"example.com", true}, Row{"10.0.0.1", false}, Row{"172.16.0.1", false},
        Row{"172.31.255.255", false}, Row{"172.32.0.1", true}, Row{"192.168.1.1", false},
        Row{"127.0.0.1", false}, Row{"0.0.0.0", false}, Row{"169.254.169.254", false},
        Row{"100.64.0.1", false}, Row{"100.100.100.100", false}, Row{"100.128.0.1", true},
        Row{"240.0.0.1", false}, Row{"255.255.255.255", false}, Row{"224.0.0.1", false},
        Row{"192.0.2.1", false}, Row{"198.51.100.1", false}, Row{"203.0.113.1", false},
        Row{"198.18.0.1", false}, Row{"192.88.99.1", false}, Row{"::1", false}, Row{"::", false},
        Row{"[::1]", false}, Row{"fe80::1", false}, Row{"fe90::1", false}, Row{"febf::1", false},
        Row{"fec0::1", false}, Row{"fd12:3456:789a::1", false}, Row{"fd00:ec2::254", false},
        Row{"ff02::1", false}, Row{"::ffff:127.0.0.1", false}, Row{"::ffff:7f00:1", false},
        Row{"::ffff:a00:1", false}, Row{"::ffff:c0a8:1", false}, Row{"::7f00:1", false},
        Row{"::ffff:0:7f00:1", false}, Row{"64:ff9b::7f00:1", false},
        Row{"64:ff9b::10.0.0.1", false}, Row{"64:ff9b:1::7f00:1", false},
        Row{"2002:7f00:1::", false}, Row{"2001::1", false}, Row{"2001:db8::1", false},
        Row{"3fff::1", false}, Row{"5f00::1", false}, Row{"100::1", false},
        Row{"0:0:0:0:0:0:0:1", false}, Row{"0:0:0:0:0:ffff:7f00:1", false},
        Row{"[fe80::1%25eth0]", false}, Row{"127.1", false}, Row{"2130706433", false},
        Row{"0x7f.0.0.1", false}, Row{"0177.0.0.1", false}, Row{"0x7f000001", false},
        Row{"localhost", false}, Row{"LOCALHOST", false}, Row{"localhost.", false},
        Row{"a.localhost", false}, Row{"metadata.google.internal", false},
        Row{"printer.local", false}, Row{"notlocal", true}, Row{"", false},
        Row{"exa mple.com", false}, Row{"a\nb", false}));

TEST(SsrfAnswers, OnePrivateAnswerRefusesTheName) {
  const std::vector<IpAddress> good = {*IpAddress::parse("93.184.216.34"),
                                       *IpAddress::parse("8.8.8.8")};
  EXPECT_TRUE(check_public(good));
  std::vector<IpAddress> mixed = good;
  mixed.push_back(*IpAddress::parse("10.0.0.1"));
  EXPECT_FALSE(check_public(mixed));
  EXPECT_FALSE(check_public(std::span<const IpAddress>{}));
}

}  // namespace
}  // namespace octroi::net
