#include "octroi/admin/replies.h"

#include <charconv>
#include <utility>

#include "octroi/base/log.h"
#include "octroi/json/writer.h"

namespace octroi::admin {

Task<void> send(http::Exchange& exchange, int status, std::string type, std::string body) {
  http::ResponseHead head;
  head.status = status;
  head.headers.set("Content-Type", type);
  head.headers.set("Cache-Control", "no-store");
  head.headers.set("X-Content-Type-Options", "nosniff");
  if (status == 401) head.headers.set("WWW-Authenticate", "Bearer realm=\"octroi admin\"");
  auto sent = co_await exchange.respond(std::move(head), std::move(body));
  if (!sent) OCTROI_LOG(debug, "admin", "client left", {{"error", sent.error().message()}});
}

Task<void> send_problem(http::Exchange& exchange, int status, std::string detail) {
  json::Writer w;
  w.begin_object()
      .field("type", "about:blank")
      .field("title", http::reason_phrase(status))
      .field("status", status)
      .field("detail", detail)
      .end_object();
  co_await send(exchange, status, "application/problem+json", std::move(w).take());
}

Task<void> send_unavailable(http::Exchange& exchange, Error error) {
  co_await send_problem(exchange, 503, std::string(error.message()));
}

Task<void> send_json(http::Exchange& exchange, std::string body) {
  co_await send(exchange, 200, "application/json", std::move(body));
}

namespace {
int status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid:
    case ErrorKind::limit:
      return 400;
    case ErrorKind::refused:
      return 403;
    case ErrorKind::not_found:
      return 404;
    case ErrorKind::conflict:
      return 409;
    case ErrorKind::unavailable:
    case ErrorKind::timeout:
      return 503;
    case ErrorKind::internal:
      return 500;
  }
  return 500;
}
}  // namespace

Task<void> send_made(http::Exchange& exchange, Result<std::string> made) {
  if (made) {
    co_await send_json(exchange, std::move(*made));
  } else {
    co_await send_problem(exchange, status_of(made.error().kind()),
                          std::string(made.error().message()));
  }
}

namespace {
std::string percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      if (auto byte = from_hex(text.substr(i + 1, 2))) {
        out.push_back(static_cast<char>((*byte)[0]));
        i += 2;
        continue;
      }
    }
    out.push_back(text[i] == '+' ? ' ' : text[i]);
  }
  return out;
}

}  // namespace

std::map<std::string, std::string> query_of(std::string_view query) {
  std::map<std::string, std::string> out;
  while (!query.empty()) {
    const auto amp = query.find('&');
    const auto item = query.substr(0, amp);
    query = amp == std::string_view::npos ? std::string_view{} : query.substr(amp + 1);
    const auto equals = item.find('=');
    if (item.empty()) continue;
    // A name alone is a parameter too: one that is not known must not pass for none.
    out[percent_decode(item.substr(0, equals))] =
        equals == std::string_view::npos ? std::string{} : percent_decode(item.substr(equals + 1));
  }
  return out;
}

tl::expected<std::int64_t, std::string> number_of(const std::string& key, const std::string& value,
                                                  std::int64_t most) {
  std::int64_t n = 0;
  const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), n);
  if (ec == std::errc{} && end == value.data() + value.size() && n >= 1 && n <= most) return n;
  return tl::unexpected<std::string>(
      key + ": use a number from 1" +
      (most == kAnyNumber ? std::string{} : " to " + std::to_string(most)));
}

}  // namespace octroi::admin
