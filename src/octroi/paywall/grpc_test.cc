#include "octroi/paywall/grpc.h"

#include <gtest/gtest.h>

namespace octroi::paywall {
namespace {

TEST(Grpc, IsRecognisedByItsContentType) {
  struct Row {
    const char* type;
    bool grpc;
  };
  for (const Row& row :
       {Row{"application/grpc", true}, Row{"application/grpc+proto", true},
        Row{"Application/GRPC+json", true}, Row{"application/grpc;charset=x", true},
        Row{"application/grpc ; a=b", true}, Row{"application/grpc-web", false},
        Row{"application/grpcx", false}, Row{"application/json", false},
        Row{"application/grp", false}, Row{"", false}}) {
    http::Headers h;
    h.add("Content-Type", row.type);
    EXPECT_EQ(is_grpc(h), row.grpc) << row.type;
  }
  EXPECT_FALSE(is_grpc({}));
}

TEST(Grpc, TimeoutsAreReadInEveryUnit) {
  struct Row {
    const char* text;
    std::optional<Millis> expected;
  };
  for (const Row& row :
       {Row{"2H", Millis(7'200'000)}, Row{"3M", Millis(180'000)}, Row{"10S", Millis(10'000)},
        Row{"250m", Millis(250)}, Row{"1500u", Millis(2)}, Row{"1n", Millis(1)},
        Row{"0S", Millis(1)}, Row{"99999999H", Millis(359'999'996'400'000)}, Row{"100000000S", {}},
        Row{"S", {}}, Row{"1", {}}, Row{"1s", {}}, Row{"-1S", {}}, Row{"1.5S", {}}, Row{" 1S", {}},
        Row{"", {}}}) {
    http::Headers h;
    h.add("grpc-timeout", row.text);
    EXPECT_EQ(grpc_timeout(h), row.expected) << row.text;
  }
  EXPECT_EQ(grpc_timeout({}), std::nullopt);
}

TEST(Grpc, MessagesArePercentEncoded) {
  EXPECT_EQ(grpc_message("payment required"), "payment required");
  EXPECT_EQ(grpc_message("100% \n\xC3\xA9"), "100%25 %0A%C3%A9");
}

TEST(Grpc, StatusOfEveryAnswerOfOurs) {
  const std::pair<int, int> rows[] = {{400, 3},  {401, 16}, {402, 13}, {403, 7}, {404, 12},
                                      {405, 12}, {409, 10}, {413, 3},  {429, 8}, {500, 13},
                                      {502, 14}, {503, 14}, {504, 4},  {418, 2}};
  for (const auto& [http, grpc] : rows) EXPECT_EQ(grpc_status(http), grpc) << http;
}

// gRPC over HTTP/2, "Errors": the codes that mean something else than INTERNAL.
TEST(Grpc, StatusesOfResets) {
  const std::pair<std::uint32_t, int> rows[] = {{0x0, 13}, {0x1, 13},   {0x2, 13}, {0x3, 13},
                                                {0x7, 14}, {0x8, 1},    {0xb, 8},  {0xc, 7},
                                                {0xd, 13}, {0xffff, 13}};
  for (const auto& [code, status] : rows) EXPECT_EQ(grpc_status_of_reset(code), status) << code;
}

TEST(Grpc, AGivenStatusWins) {
  http::ResponseHead head;
  head.status = 502;
  to_grpc(head, "the upstream did not answer", 1);
  EXPECT_EQ(*head.headers.get("grpc-status"), "1");
}

TEST(Grpc, AnswersKeepTheirFields) {
  http::ResponseHead head;
  head.status = 402;
  head.headers.add("WWW-Authenticate", "L402 macaroon=\"x\"");
  head.headers.add("Content-Type", "application/problem+json");
  to_grpc(head, "payment required");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(*head.headers.get("Content-Type"), "application/grpc");
  EXPECT_EQ(*head.headers.get("grpc-status"), "13");
  EXPECT_EQ(*head.headers.get("grpc-message"), "payment required");
  EXPECT_EQ(head.headers.count("WWW-Authenticate"), 1U);
}

}  // namespace
}  // namespace octroi::paywall
