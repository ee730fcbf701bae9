#include "octroi/vault/scrub.h"

#include <functional>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "octroi/base/bytes.h"
#include "octroi/vault/answer_filter.h"

namespace octroi::vault {
namespace {

constexpr std::string_view kKey = "sk_live_51AbCdEfGhIjKlMnOpQrStUvWxYz0123456789";

std::shared_ptr<const Needles> needles() {
  auto made = std::make_shared<Needles>();
  made->add(Secret(kKey), "vault_redacted");
  return made;
}

std::string each(const std::function<std::string(char)>& write) {
  std::string out;
  for (const char c : kKey) out += write(c);
  return out;
}
std::string percent(char c) { return fmt::format("%{:02X}", static_cast<unsigned char>(c)); }
std::string small_percent(char c) { return fmt::format("%{:02x}", static_cast<unsigned char>(c)); }

struct Row {
  const char* name;
  std::string text;
};
std::vector<Row> rows() {
  std::string upper(kKey);
  std::string lower(kKey);
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  for (char& c : lower) c = static_cast<char>(std::tolower(c));
  int turn = 0;
  std::string wrapped = to_base64(as_bytes(std::string("key: ") + std::string(kKey)));
  wrapped.insert(20, "\r\n");
  std::string url = to_base64url(as_bytes("xx" + std::string(kKey)));
  return {
      {"raw", std::string(kKey)},
      {"upper", upper},
      {"lower", lower},
      {"hex", to_hex(as_bytes(kKey))},
      {"hex_of_lower", to_hex(as_bytes(lower))},
      {"base64_0", to_base64(as_bytes(kKey))},
      {"base64_1", to_base64(as_bytes("x" + std::string(kKey)))},
      {"base64_2", to_base64(as_bytes("xx" + std::string(kKey)))},
      {"base64_basic", to_base64(as_bytes(std::string(kKey) + ":"))},
      {"base64_in_lines", wrapped},
      {"base64url", url},
      {"percent", each(percent)},
      {"small_percent", each(small_percent)},
      {"some_percent",
       each([&](char c) { return ++turn % 3 == 0 ? percent(c) : std::string(1, c); })},
      {"json_unicode",
       each([](char c) { return fmt::format("\\u{:04x}", static_cast<unsigned char>(c)); })},
      {"json_unicode_capitals",
       each([](char c) { return fmt::format("\\u{:04X}", static_cast<unsigned char>(c)); })},
      {"javascript",
       each([](char c) { return fmt::format("\\x{:02x}", static_cast<unsigned char>(c)); })},
      {"html_decimal",
       each([](char c) { return fmt::format("&#{};", static_cast<unsigned char>(c)); })},
      {"html_hex",
       each([](char c) { return fmt::format("&#x{:x};", static_cast<unsigned char>(c)); })},
      {"html_zeros",
       each([](char c) { return fmt::format("&#000{};", static_cast<unsigned char>(c)); })},
      {"html_named",
       each([](char c) { return c == '_' ? std::string("&lowbar;") : std::string(1, c); })},
      {"mixed", each([&](char c) {
         switch (++turn % 4) {
           case 0:
             return percent(c);
           case 1:
             return fmt::format("&#{};", static_cast<unsigned char>(c));
           case 2:
             return fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
           default:
             return std::string(1, c);
         }
       })},
  };
}

TEST(Scrub, FindsTheKeyInEveryDress) {
  const auto n = needles();
  for (const Row& row : rows()) {
    const std::string clean = scrub(*n, "before " + row.text + " after");
    EXPECT_TRUE(clean.find("vault_redacted") != std::string::npos) << row.name << ": " << clean;
    // What is left of base64 at an edge are bits, not characters of the key.
    EXPECT_LT(clean.size(), std::string("before vault_redacted after").size() + 12) << row.name;
    EXPECT_TRUE(clean.starts_with("before ")) << row.name;
    EXPECT_TRUE(clean.ends_with(" after")) << row.name;
  }
}

TEST(Scrub, FindsItAcrossPieces) {
  const auto n = needles();
  for (const Row& row : rows()) {
    const std::string text = "{\"a\":\"" + row.text + "\"}";
    const std::string whole = scrub(*n, text);
    for (const std::size_t size : {1U, 2U, 3U, 7U, 64U}) {
      Scrubber s(n);
      std::string out;
      for (std::size_t at = 0; at < text.size(); at += size) out += s.feed(text.substr(at, size));
      out += s.finish();
      EXPECT_EQ(out, whole) << row.name << " in pieces of " << size;
      EXPECT_EQ(s.found(), 1U) << row.name;
    }
  }
}

TEST(Scrub, LeavesOtherTextsAlone) {
  const auto n = needles();
  for (const std::string_view text :
       {"sk_live_51AbCdEfGhIjKlMnOpQrStUvWxYz012345678", "100% of it", "&amp; &unknown; &#", "\\",
        "%", "sk_live_", "c2tfbGl2ZV8", "\xff\xfe raw", ""}) {
    EXPECT_EQ(scrub(*n, text), text);
    Scrubber s(n);
    EXPECT_EQ(s.feed(text) + s.finish(), text);
  }
}

TEST(Scrub, HoldsBackOnlyWhatCouldStillMatch) {
  Scrubber s(needles());
  EXPECT_EQ(s.feed("data: {\"x\":1}\n\n"), "data: {\"x\":1}\n\n");
  EXPECT_EQ(s.feed("value sk_li"), "value ");
  EXPECT_EQ(s.feed("fe is good"), "sk_life is good");
}

TEST(Scrub, HeldTextStaysBounded) {
  Scrubber s(needles());
  std::size_t out = s.feed("c2tfbGl2ZV81").size();
  for (int i = 0; i < 1000; ++i) out += s.feed("\r\n").size();
  EXPECT_GT(out, 1000U);
}

TEST(Scrub, CleansHeaders) {
  http::Headers headers;
  headers.add("X-Echo", "Bearer " + std::string(kKey));
  headers.add("X-Other", "fine");
  headers.add(std::string(kKey), "in a name");
  scrub(*needles(), headers);
  EXPECT_EQ(headers.get("X-Echo"), "Bearer vault_redacted");
  EXPECT_EQ(headers.get("X-Other"), "fine");
  EXPECT_EQ(headers.size(), 2U);
}

TEST(Needles, AsManyAsThereAreAreFound) {
  Needles needles;
  const auto name = [](int i) { return "secret-Number-" + std::to_string(1000 + i); };
  for (int i = 0; i < 40; ++i) needles.add(Secret(std::string_view(name(i))), "gone");
  needles.add(Secret(std::string_view(name(0))), "twice");  // the first one counts
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(scrub(needles, "<" + name(i) + ">"), "<gone>");
    EXPECT_EQ(scrub(needles, to_hex(as_bytes(name(i)))), "gone");
  }
}

}  // namespace
}  // namespace octroi::vault
