#include "octroi/pricing/request_text.h"

#include <gtest/gtest.h>

#include "octroi/pricing/currency.h"

namespace octroi::pricing {
namespace {

PriceRequest request() {
  PriceRequest r;
  r.method = "POST";
  r.path = "/v1/chat";
  r.query = "x=1";
  r.authority = "api.example";
  r.headers = {{"X-Plan", "gold"}, {"Content-Type", "application/json"}};
  r.body = "{}";
  return r;
}

TEST(RequestText, ReadsAsItWasWritten) {
  const std::string text = request_text(request());
  EXPECT_EQ(text,
            "POST /v1/chat?x=1 HTTP/1.1\r\nHost: api.example\r\nX-Plan: gold\r\n"
            "Content-Type: application/json\r\n\r\n{}");
  const auto read = read_request_text(text);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->method, "POST");
  EXPECT_EQ(read->target, "/v1/chat?x=1");
  EXPECT_EQ(read->field("x-plan"), "gold");
  EXPECT_FALSE(read->field("X-Other"));
  EXPECT_EQ(read->body, "{}");
}

TEST(RequestText, NothingInARequestBecomesAnotherLine) {
  PriceRequest r = request();
  r.path = "/a\r\nX-Plan: free\r\n\r\n?#%\xff";
  r.query = "q\r\nX: y";
  r.headers = {{"X-Note\r\nX-Plan", "a\r\n\r\nb"}};
  const std::string text = request_text(r);
  const auto read = read_request_text(text);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->target.starts_with("/a%0D%0AX-Plan:%20free%0D%0A%0D%0A%3F%23%25%FF?"));
  EXPECT_EQ(read->fields.size(), 2U);
  EXPECT_EQ(read->body, "{}");
}

TEST(RequestText, IsUtf8) {
  PriceRequest r = request();
  r.body = "a\xff\xc3\xa4\xc3";
  EXPECT_TRUE(request_text(r).ends_with("\r\n\r\na\xEF\xBF\xBD\xc3\xa4\xEF\xBF\xBD"));
}

TEST(RequestText, WhatIsNoRequestIsRefused) {
  for (const char* text : {"", "GET / HTTP/1.1\r\n", "GET /\r\n\r\n", " / HTTP/1.1\r\n\r\n",
                           "GET  HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n",
                           "GET / HTTP/1.1\r\n: v\r\n\r\n", "GET / SPDY\r\n\r\n"}) {
    const auto read = read_request_text(text);
    EXPECT_TRUE(!read && read.error().is(Errc::no_price)) << text;
  }
}

}  // namespace
}  // namespace octroi::pricing
