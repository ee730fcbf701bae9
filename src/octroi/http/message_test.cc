#include "octroi/http/message.h"

#include <gtest/gtest.h>

#include "octroi/http/relay.h"

namespace octroi::http {
namespace {

std::string dump(const Headers& headers) {
  std::string text;
  for (const Field f : headers) text += std::string(f.name) + "=" + std::string(f.value) + ";";
  return text;
}

TEST(Headers, AddSetRemoveGet) {
  Headers h;
  EXPECT_TRUE(h.add("A", "1"));
  EXPECT_TRUE(h.add("b", "2"));
  EXPECT_TRUE(h.add("a", "3"));
  EXPECT_EQ(h.get("A"), "1");
  EXPECT_EQ(h.count("a"), 2U);
  EXPECT_EQ(h.all("A"), (std::vector<std::string_view>{"1", "3"}));
  EXPECT_TRUE(h.set("B", "x"));
  EXPECT_TRUE(h.set("a", "9"));
  EXPECT_EQ(dump(h), "a=9;B=x;");
  EXPECT_TRUE(h.set("c", "new"));
  EXPECT_EQ(h.remove("A"), 1U);
  EXPECT_EQ(h.remove("A"), 0U);
  EXPECT_EQ(dump(h), "B=x;c=new;");
  EXPECT_FALSE(h.has("a"));
  h.clear();
  EXPECT_TRUE(h.empty());
}

TEST(Headers, RefuseWhatWouldSplitAMessage) {
  Headers h;
  for (const std::string_view name : {"", "a b", "a:", "a\r\nb", "\x80"})
    EXPECT_FALSE(h.add(name, "v"));
  for (const std::string_view value :
       {std::string_view("a\r\nb"), std::string_view("\n"), std::string_view("\0", 1),
        std::string_view("\x7f"), std::string_view("0123456789abcdef0123456789\rabcdef")}) {
    EXPECT_FALSE(h.add("n", value));
    EXPECT_FALSE(h.set("n", value));
  }
  EXPECT_TRUE(h.empty());
  EXPECT_TRUE(h.add("n", "tab\tand \xc3\xa9 0123456789abcdef"));
}

TEST(Headers, ValuesMayComeFromTheSameHeaders) {
  Headers h;
  h.add("first", std::string(300, 'x'));
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(h.add("n" + std::to_string(i), *h.get("first")));
    ASSERT_TRUE(h.set("first", *h.get("first")));
  }
  for (const Field f : h) EXPECT_EQ(f.value, std::string(300, 'x'));
}

TEST(Headers, ListTokens) {
  Headers h;
  h.add("Connection", "keep-alive,  Upgrade ,,");
  h.add("connection", "X-Y");
  EXPECT_TRUE(h.has_token("connection", "upgrade"));
  EXPECT_TRUE(h.has_token("connection", "x-y"));
  EXPECT_TRUE(h.has_token("CONNECTION", "Keep-Alive"));
  EXPECT_FALSE(h.has_token("connection", "keep"));
  EXPECT_FALSE(h.has_token("connection", ""));
}

TEST(StripHopByHop, TakesTheListedAndTheNamed) {
  Headers h;
  for (const auto& [name, value] :
       std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"Connection", "X-Named, close"},
           {"Keep-Alive", "5"},
           {"Proxy-Connection", "x"},
           {"Proxy-Authorization", "x"},
           {"Proxy-Authenticate", "x"},
           {"TE", "trailers"},
           {"Transfer-Encoding", "chunked"},
           {"Upgrade", "h2c"},
           {"x-named", "1"},
           {"Trailer", "A"},
           {"Accept", "*/*"},
           {"close", "stays"}}) {
    h.add(name, value);
  }
  strip_hop_by_hop(h);
  EXPECT_EQ(dump(h), "Trailer=A;Accept=*/*;close=stays;");
}

TEST(Url, Parses) {
  struct Row {
    std::string_view text, scheme, host;
    int port;
    std::string_view target, printed;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"http://Example.COM", "http", "example.com", 80, "/", "http://example.com/"},
           {"HTTPS://a:8443/x?y=1#z", "https", "a", 8443, "/x?y=1", "https://a:8443/x?y=1"},
           {"http://a:80/", "http", "a", 80, "/", "http://a/"},
           {"https://a:80", "https", "a", 80, "/", "https://a:80/"},
           {"http://[2001:DB8::1]:9/p", "http", "2001:db8::1", 9, "/p", "http://[2001:db8::1]:9/p"},
           {"http://a?q", "http", "a", 80, "/?q", "http://a/?q"},
           {"http://127.0.0.1:1/", "http", "127.0.0.1", 1, "/", "http://127.0.0.1:1/"},
       }) {
    const auto url = Url::parse(row.text);
    ASSERT_TRUE(url) << row.text;
    EXPECT_EQ(url->scheme, row.scheme);
    EXPECT_EQ(url->host, row.host);
    EXPECT_EQ(url->port, row.port);
    EXPECT_EQ(url->target, row.target);
    EXPECT_EQ(url->str(), row.printed);
  }
  EXPECT_EQ(Url::parse("http://[::1]/")->origin(), "http://[::1]:80");
}

TEST(Url, Refuses) {
  for (const std::string_view bad : {"",
                                     "a",
                                     "/x",
                                     "ftp://a/",
                                     "http:/a",
                                     "http://",
                                     "http:///x",
                                     "http://u:p@a/",
                                     "http://a:/",
                                     "http://a:0/",
                                     "http://a:65536/",
                                     "http://a b/",
                                     "http://[::1/",
                                     "http://[zz]/",
                                     "http://a/\x01",
                                     "http://a/ b",
                                     "http://a/\xc3\xa9",
                                     "http://a\\b/",
                                     "http://a%41/",
                                     "//a/"}) {
    const auto url = Url::parse(bad);
    EXPECT_FALSE(url) << bad;
    if (!url) {
      EXPECT_TRUE(url.error().is(Errc::bad_url));
    }
  }
}

TEST(ReasonPhrase, KnowsTheCommonOnes) {
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(402), "Payment Required");
  EXPECT_EQ(reason_phrase(504), "Gateway Timeout");
  EXPECT_EQ(reason_phrase(505), "HTTP Version Not Supported");
  EXPECT_EQ(reason_phrase(299), "");
}

}  // namespace
}  // namespace octroi::http
