#include "octroi/admin/page.h"

#include <string>
#include <utility>

#include "octroi/admin/replies.h"
#include "octroi/base/log.h"

namespace octroi::admin {

namespace {

// Trusted types: a browser that knows them refuses text as markup, whatever the module does.
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'";

/// Whether If-None-Match has this tag. Caches between may have made it weak, which is the same here
/// (RFC 9110, 13.1.2: the comparison is the weak one).
bool has_tag(std::string_view list, std::string_view etag) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    std::string_view one = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    while (!one.empty() && (one.front() == ' ' || one.front() == '\t')) one.remove_prefix(1);
    while (!one.empty() && (one.back() == ' ' || one.back() == '\t')) one.remove_suffix(1);
    if (one == "*") return true;
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == etag) return true;
  }
  return false;
}

Task<void> send_not_allowed(http::Exchange& exchange) {
  http::ResponseHead head;
  head.status = 405;
  head.headers.set("Allow", "GET, HEAD");
  head.headers.set("Content-Type", "text/plain");
  head.headers.set("X-Content-Type-Options", "nosniff");
  auto sent = co_await exchange.respond(std::move(head), "only GET and HEAD\n");
  if (!sent) OCTROI_LOG(debug, "admin", "client left", {{"error", sent.error().message()}});
}

}  // namespace

const PageFile* page_file(std::string_view path) {
  for (const PageFile& file : page_files()) {
    if (file.path == path) return &file;
  }
  return nullptr;
}

Task<void> send_page(http::Exchange& exchange, const PageFile* file) {
  const http::RequestHead& request = exchange.request();
  if (request.method != "GET" && request.method != "HEAD") {
    co_await send_not_allowed(exchange);
    co_return;
  }
  const auto known = request.headers.get("If-None-Match");
  const bool fresh = known && has_tag(*known, file->etag);
  http::ResponseHead head;
  head.status = fresh ? 304 : 200;
  head.headers.set("ETag", file->etag);
  head.headers.set("Cache-Control", "no-cache");
  head.headers.set("Content-Security-Policy", kPolicy);
  head.headers.set("Cross-Origin-Resource-Policy", "same-origin");
  head.headers.set("Referrer-Policy", "no-referrer");
  head.headers.set("X-Content-Type-Options", "nosniff");
  if (!fresh) head.headers.set("Content-Type", file->type);
  // Of a 304 the length is told, and nothing sent.
  auto sent = co_await exchange.respond(std::move(head), std::string(file->content));
  if (!sent) OCTROI_LOG(debug, "admin", "client left", {{"error", sent.error().message()}});
}

}  // namespace octroi::admin
