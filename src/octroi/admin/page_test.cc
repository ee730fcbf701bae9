#include "octroi/admin/page.h"

#include <set>

#include <gtest/gtest.h>

#include "octroi/admin/server_testing.h"

namespace octroi::admin {
namespace {

class PageTest : public AdminServerTest {
 protected:
  PageTest() : AdminServerTest(UnixMillis{1'800'000'000'000}) { serve(wired(nullptr)); }

  http::Response ask(std::string method, std::string target, const Fields& fields = {}) {
    return ask_with(std::move(method), std::move(target), fields);
  }
  static std::string header(const http::Response& r, std::string_view name) {
    return std::string(r.headers.get(name).value_or("none"));
  }
};

TEST_F(PageTest, ItsFilesAreServedToEverybody) {
  struct Row {
    const char* path;
    const char* type;
    const char* begins;
  };
  for (const Row& row : {Row{"/", "text/html; charset=utf-8", "<!doctype html>"},
                         Row{"/dashboard.js", "text/javascript; charset=utf-8", "//"},
                         Row{"/dashboard.css", "text/css; charset=utf-8", "/*"}}) {
    SCOPED_TRACE(row.path);
    const auto r = ask("GET", row.path);
    EXPECT_EQ(r.status, 200);
    EXPECT_EQ(header(r, "Content-Type"), row.type);
    EXPECT_EQ(header(r, "Cache-Control"), "no-cache");
    EXPECT_EQ(header(r, "X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(header(r, "Referrer-Policy"), "no-referrer");
    EXPECT_EQ(header(r, "Cross-Origin-Resource-Policy"), "same-origin");
    EXPECT_TRUE(r.body.starts_with(row.begins)) << r.body.substr(0, 40);
    EXPECT_FALSE(r.headers.has("Set-Cookie"));
    EXPECT_FALSE(r.headers.has("WWW-Authenticate"));
  }
  EXPECT_EQ(ask("GET", "/?x=1").status, 200);
}

TEST_F(PageTest, ThePolicyLetsItLoadRunAndAskNothingElse) {
  for (const PageFile& file : page_files()) {
    SCOPED_TRACE(file.path);
    const std::string policy =
        header(ask("GET", std::string(file.path)), "Content-Security-Policy");
    std::set<std::string> directives;
    for (std::size_t at = 0; at < policy.size();) {
      const std::size_t end = std::min(policy.find("; ", at), policy.size());
      directives.insert(policy.substr(at, end - at));
      at = end + 2;
    }
    EXPECT_EQ(directives, (std::set<std::string>{
                              "default-src 'none'", "script-src 'self'", "style-src 'self'",
                              "connect-src 'self'", "base-uri 'none'", "form-action 'none'",
                              "frame-ancestors 'none'", "require-trusted-types-for 'script'"}));
    EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  }
}

// What the policy would stop in a browser is not tried to begin with.
TEST_F(PageTest, ItHasNoInlineCodeAndNothingFromElsewhere) {
  const std::string_view page = page_file("/")->content;
  for (const char* word : {"<style", "style=", " on", "javascript:", "http:", "https:", "//",
                           "<base", "<iframe", "<img", "action="}) {
    if (std::string_view(word) == " on") {
      for (const char* handler : {" onclick", " onload", " onerror", " onsubmit", " oninput"})
        EXPECT_EQ(page.find(handler), std::string_view::npos) << handler;
      continue;
    }
    EXPECT_EQ(page.find(word), std::string_view::npos) << word;
  }
  const std::string_view module = page_file("/dashboard.js")->content;
  for (const char* word :
       {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function",
        "localStorage", "document.cookie", "parseFloat", "http:", "https:", "import"})
    EXPECT_EQ(module.find(word), std::string_view::npos) << word;
  const std::string_view looks = page_file("/dashboard.css")->content;
  for (const char* word : {"@import", "url(", "http:", "https:"})
    EXPECT_EQ(looks.find(word), std::string_view::npos) << word;
}

TEST_F(PageTest, WhoHasItAlreadyIsToldSo) {
  std::set<std::string> tags;
  for (const PageFile& file : page_files()) {
    SCOPED_TRACE(file.path);
    const std::string path(file.path), tag = header(ask("GET", path), "ETag");
    EXPECT_TRUE(tag.size() == 34 && tag.front() == '"' && tag.back() == '"') << tag;
    tags.insert(tag);
    for (const std::string& known :
         {tag, "W/" + tag, "\"other\", " + tag, tag + " ,\"other\"", std::string("*")}) {
      SCOPED_TRACE(known);
      const auto r = ask("GET", path, {{"If-None-Match", known}});
      EXPECT_EQ(r.status, 304);
      EXPECT_EQ(r.body, "");
      EXPECT_EQ(header(r, "ETag"), tag);
      EXPECT_EQ(header(r, "Cache-Control"), "no-cache");
      EXPECT_TRUE(r.headers.has("Content-Security-Policy"));
    }
    for (const std::string& other :
         {std::string("\"other\""), tag.substr(1, 32), "x" + tag, std::string(""), std::string(","),
          "\"" + tag.substr(1, 8) + "\""}) {
      SCOPED_TRACE(other);
      const auto r = ask("GET", path, {{"If-None-Match", other}});
      EXPECT_EQ(r.status, 200);
      EXPECT_EQ(r.body, file.content);
    }
  }
  EXPECT_EQ(tags.size(), page_files().size());
}

TEST_F(PageTest, HeadHasTheHeadersAlone) {
  for (const PageFile& file : page_files()) {
    SCOPED_TRACE(file.path);
    const auto got = ask("GET", std::string(file.path)), head = ask("HEAD", std::string(file.path));
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.body, "");
    for (const char* name : {"Content-Type", "Content-Length", "ETag", "Content-Security-Policy"})
      EXPECT_EQ(header(head, name), header(got, name)) << name;
    EXPECT_EQ(header(head, "Content-Length"), std::to_string(file.content.size()));
  }
}

TEST_F(PageTest, NothingIsDoneToIt) {
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS"}) {
    for (const PageFile& file : page_files()) {
      SCOPED_TRACE(fmt::format("{} {}", method, file.path));
      const auto r = ask(method, std::string(file.path));
      EXPECT_EQ(r.status, 405);
      EXPECT_EQ(header(r, "Allow"), "GET, HEAD");
    }
  }
}

TEST_F(PageTest, ItsPathsAreExact) {
  for (const char* target : {"/index.html", "/dashboard", "/dashboard.js/", "/DASHBOARD.JS", "//",
                             "/dashboard.css%20", "/favicon.ico"})
    EXPECT_EQ(ask("GET", target).status, 401) << target;
}

// A page elsewhere can make a browser send its cookies, never a header that it does not know: the
// token is taken from Authorization alone.
TEST_F(PageTest, NoCookieAndNoParameterOpensTheApi) {
  Wiring wiring{
      store, metrics, clock, std::make_shared<Secret>(std::string_view("the-token-of-the-test")),
      true,  false,   {},    {},
      {},    {}};
  api = std::make_unique<Api>(std::move(wiring));
  for (const char* name : {"Cookie", "X-Api-Key", "Proxy-Authorization"}) {
    for (const char* value :
         {"the-token-of-the-test", "Bearer the-token-of-the-test", "token=the-token-of-the-test",
          "octroi-admin-token=the-token-of-the-test"})
      EXPECT_EQ(ask("GET", "/api/v1/transactions", {{name, value}}).status, 401) << name << value;
  }
  for (const char* name : {"token", "access_token", "octroi-admin-token"})
    EXPECT_EQ(ask("GET", fmt::format("/api/v1/transactions?{}=the-token-of-the-test", name)).status,
              401);
  EXPECT_EQ(ask("GET", "/api/v1/transactions", {{"Authorization", "Bearer the-token-of-the-test"}})
                .status,
            200);
}

}  // namespace
}  // namespace octroi::admin
